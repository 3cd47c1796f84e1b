"""A mail exchanger inside the worker that keeps what it gets; nothing leaves the machine."""

import asyncio
import logging
from collections.abc import Sequence

from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as Peer

from ..core.batching import Batcher
from ..delivery.work import Captured, keep_captured

log = logging.getLogger(__name__)

LARGEST = 64 * 1024 * 1024
"""Bytes of one message that are kept; more is refused, as any mail exchanger does."""


class CaptureListener:
    """An SMTP server on a port of its own on the loopback; each 250 is on disk."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._keeping: Batcher[Captured, None] = Batcher(
            _keep,
            weigh=lambda captured: len(captured.data),
            largest=LARGEST,
        )

    @property
    def port(self) -> int:
        """Where it listens; it has to be started."""
        if self._server is None:
            raise RuntimeError("The capture listener has not been started.")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Take no more connections."""
        if self._server is not None:
            self._server.close()

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="capture",
            ident="Postlane capture",
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )

    async def handle_DATA(self, server: SMTP, session: Peer, envelope: Envelope) -> str:
        """Keep the message once for each recipient; aiosmtpd calls this by its name."""
        data = envelope.original_content or b""
        kept = [Captured(envelope.mail_from or "", to, data) for to in envelope.rcpt_tos]
        try:
            await asyncio.gather(*(self._keeping.run(each) for each in kept))
        except Exception:  # an edge: to the sender this is a mail exchanger like any other
            log.exception("captured mail could not be kept")
            return "451 4.3.0 The message could not be kept; try again later"
        return "250 2.0.0 Kept"


async def _keep(messages: Sequence[Captured]) -> Sequence[None]:
    await keep_captured(messages)
    return [None] * len(messages)
