"""A listener for submission: connections counted, each with a conversation of its own."""

import asyncio
import ssl
from typing import Any

from aiosmtpd.smtp import SMTP

from ..core.settings import Address
from .replies import reply
from .submission import Admit, Submission, decoded_only

LARGEST_BYTES = 25 * 1024 * 1024
MOST_CONNECTIONS = 200
"""Conversations at a time in one process; each may hold one message in memory."""
IDLE_SECONDS = 300.0
"""How long a client may say nothing (RFC 5321 section 4.5.3.2.7)."""
FINISH_SECONDS = 20.0


class SubmissionListener:
    """Takes mail at one address until it is stopped."""

    def __init__(self, admit: Admit, *, hostname: str, tls: ssl.SSLContext | None = None) -> None:
        self._handler = Submission(admit, offers_tls=tls is not None)
        self._hostname = hostname
        self._tls = tls
        self._server: asyncio.Server | None = None
        self.open: set[_Conversation] = set()

    async def start(self, address: Address) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._conversation, address.host, address.port)

    @property
    def port(self) -> int:
        """Where it listens; it has to be started."""
        if self._server is None:
            raise RuntimeError("The listener has not been started.")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Take no more connections, and let those finish that are handing over a message."""
        if self._server is not None:
            self._server.close()
        deadline = asyncio.get_running_loop().time() + FINISH_SECONDS
        for conversation in list(self.open):
            conversation.end_when_idle()
        # aiosmtpd has no event for "the last conversation ended".
        while self.open and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for conversation in list(self.open):
            conversation.cut()

    def _conversation(self) -> "_Conversation":
        return _Conversation(
            self,
            self._handler,
            hostname=self._hostname,
            ident="Postlane",
            data_size_limit=LARGEST_BYTES,
            enable_SMTPUTF8=True,
            tls_context=self._tls,
            authenticator=decoded_only,
            # Whether a key may be sent is the handler's to decide: on this machine it may.
            auth_require_tls=False,
            timeout=IDLE_SECONDS,
            loop=asyncio.get_running_loop(),
        )


class _Conversation(SMTP):
    """aiosmtpd's conversation, counted, and ended politely when the process stops."""

    def __init__(self, listener: SubmissionListener, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._listener = listener
        self._stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        if self not in self._listener.open and len(self._listener.open) >= MOST_CONNECTIONS:
            assert isinstance(transport, asyncio.WriteTransport)
            transport.write(reply(421, "4.3.2", "Too many connections.").encode() + b"\r\n")
            transport.close()
            return
        self._listener.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Count the connection no more."""
        if self in self._listener.open:
            self._listener.open.discard(self)
            super().connection_lost(error)

    def end_when_idle(self) -> None:
        """End after the message that is being handed over, or now if there is none."""
        self._stopping = True
        if self.envelope is None or not self.envelope.rcpt_tos:
            self.cut()

    async def push(self, status: Any) -> None:
        """Send a reply; while stopping, the one to a message is the last."""
        await super().push(status)
        if self._stopping and str(status).startswith(("250 2.0.0", "4", "5")):
            self.cut()

    def cut(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.close()
