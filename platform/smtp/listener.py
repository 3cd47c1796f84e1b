"""Listeners: connections counted and bounded, each with a conversation of its own."""

import asyncio
import ipaddress
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ..core.room import Room
from ..core.settings import Address
from .conversation import Bounds, Conversation
from .inbound import Inbound
from .replies import peer_address, reply
from .submission import Admit, Submission, decoded_only

log = logging.getLogger(__name__)

Tell: TypeAlias = Callable[[str, int], Awaitable[None]]
"""Writes down that so many commands of a conversation with an address were refused."""
MANY_REFUSALS = 5
"""Fewer in one conversation are a client's mistake."""
MOST_CONNECTIONS = 200
"""Conversations at a time in one process."""
FINISH_SECONDS = 20.0
HANDSHAKE_SECONDS = 30.0

SUBMISSION = Bounds(
    size_bytes=25 * 1024 * 1024,
    connections=MOST_CONNECTIONS,
    # A program that sends much mail at once comes from one address.
    room_per_address=192 * 1024 * 1024,
    # Whoever only connects must not take the places of those who sign in.
    strangers_per_address=50,
)
INBOUND = Bounds(
    # A report may return the whole message; only its beginning is kept. Mail for a mailbox is
    # kept whole, while there is room.
    size_bytes=40 * 1024 * 1024,
    kept_bytes=512 * 1024,
    connections=MOST_CONNECTIONS,
    per_address=20,
    per_address_a_minute=300,
    longest_seconds=900.0,
    of_each_command=100,
    refusals=20,
)


class Listener:
    """Takes mail at one address until it is stopped; *handler* decides about it."""

    def __init__(
        self,
        handler: Any,
        *,
        bounds: Bounds,
        hostname: str,
        tls: ssl.SSLContext | None = None,
        tell: Tell | None = None,
        **options: Any,
    ) -> None:
        self._tell = tell
        self._told: set[asyncio.Task[None]] = set()
        self._handler = handler
        self._bounds = bounds
        self._room = Room(bounds.room, each=bounds.room_per_address)
        self._hostname = hostname
        self._tls = tls
        self._options = options
        self._servers: list[asyncio.Server] = []
        self._arrivals: Counter[str] = Counter()
        self._counted_since = 0.0
        self.open: dict[Conversation, str] = {}
        """By whom they are with."""

    async def start(self, address: Address, *, encrypted: bool = False) -> None:
        """Begin to listen; *encrypted* is without asking for STARTTLS first (RFC 8314)."""
        loop = asyncio.get_running_loop()
        tls = self._tls if encrypted else None
        server = await loop.create_server(
            lambda: self._conversation(encrypted=encrypted),
            address.host,
            address.port,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
        )
        self._servers.append(server)

    @property
    def port(self) -> int:
        """Where it listens; it has to be started."""
        if not self._servers:
            raise RuntimeError("The listener has not been started.")
        port: int = self._servers[-1].sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Take no more connections, and let those finish that are handing over a message."""
        for server in self._servers:
            server.close()
        deadline = asyncio.get_running_loop().time() + FINISH_SECONDS
        for conversation in list(self.open):
            conversation.end_when_idle()
        # aiosmtpd has no event for "the last conversation ended".
        while self.open and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for conversation in list(self.open):
            conversation.cut()

    def admits(self, conversation: Conversation, peer: Any) -> bool:
        """Count a connection from *peer*, unless there are too many."""
        who = _network(peer)
        now = asyncio.get_running_loop().time()
        if now - self._counted_since > 60:
            self._arrivals.clear()
            self._counted_since = now
        self._arrivals[who] += 1
        bounds = self._bounds
        if (
            len(self.open) >= bounds.connections
            or _is_over(self._arrivals[who], bounds.per_address_a_minute)
            or _is_over(list(self.open.values()).count(who) + 1, bounds.per_address)
            or _is_over(self._strangers(who) + 1, bounds.strangers_per_address)
        ):
            return False
        self.open[conversation] = who
        return True

    def _strangers(self, who: str) -> int:
        return sum(each == who and not known.is_signed_in for known, each in self.open.items())

    def _forget(self, conversation: Conversation) -> None:
        self.open.pop(conversation, None)
        if self._tell is None or conversation.faults < MANY_REFUSALS:
            return
        peer = conversation.session and peer_address(conversation.session)
        if peer:
            task = asyncio.ensure_future(self._say(peer, conversation.faults))
            self._told.add(task)
            task.add_done_callback(self._told.discard)

    async def _say(self, peer: str, refusals: int) -> None:
        assert self._tell is not None
        try:
            await self._tell(peer, refusals)
        except Exception as error:  # an edge: the conversation is over, and nobody waits
            log.warning("refused commands were not noted: %r", error)

    def _conversation(self, *, encrypted: bool) -> "_Counted":
        return _Counted(
            self,
            self._handler,
            bounds=self._bounds,
            room=self._room,
            on_end=self._forget,
            hostname=self._hostname,
            ident="Postlane",
            enable_SMTPUTF8=True,
            tls_context=None if encrypted else self._tls,
            loop=asyncio.get_running_loop(),
            **self._options,
        )


class SubmissionListener(Listener):
    """Takes mail from customers' programs."""

    def __init__(
        self,
        admit: Admit,
        *,
        hostname: str,
        tls: ssl.SSLContext | None = None,
        once_by_message_id: bool = False,
        bounds: Bounds = SUBMISSION,
        tell: Tell | None = None,
    ) -> None:
        handler = Submission(
            admit, offers_tls=tls is not None, once_by_message_id=once_by_message_id
        )
        super().__init__(
            handler,
            bounds=bounds,
            hostname=hostname,
            tls=tls,
            tell=tell,
            authenticator=decoded_only,
            # Whether a key may be sent is the handler's to decide: on this machine it may.
            auth_require_tls=False,
        )


class InboundListener(Listener):
    """Takes bounces, complaints and unsubscribes from anybody."""

    def __init__(
        self,
        *,
        hostname: str,
        tls: ssl.SSLContext | None = None,
        bounds: Bounds = INBOUND,
        tell: Tell | None = None,
    ) -> None:
        super().__init__(
            Inbound(hostname=hostname),
            bounds=bounds,
            hostname=hostname,
            tls=tls,
            tell=tell,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
        )


class _Counted(Conversation):
    """A conversation that its listener counts."""

    def __init__(self, listener: Listener, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        peer = transport.get_extra_info("peername")
        if self not in self._listener.open and not self._listener.admits(self, peer):
            assert isinstance(transport, asyncio.WriteTransport)
            transport.write(reply(421, "4.3.2", "Too many connections.").encode() + b"\r\n")
            transport.close()
            return
        self.who = self._listener.open[self]
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Count the connection no more."""
        if self in self._listener.open:
            super().connection_lost(error)


def _is_over(count: int, most: int | None) -> bool:
    return most is not None and count > most


def _network(peer: Any) -> str:
    """Return whom a connection is from: an IPv4 address, or the network of an IPv6 one."""
    host = str(peer[0]).partition("%")[0] if isinstance(peer, tuple) and peer else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host
