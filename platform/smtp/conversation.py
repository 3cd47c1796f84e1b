"""One SMTP conversation: aiosmtpd's, with strict line ends, bounds, and a polite end.

What ends a line is a carriage return and a line feed, nothing else. Servers that disagreed on
that let one message carry another past their checks (CVE-2023-51764 and its like).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiosmtpd.smtp import SMTP, syntax

from ..core.room import Room
from .replies import reply

LONGEST_LINE = 64 * 1024
OWN_BYTES = 512 * 1024
"""Of a message that are kept without asking for room: small mail is never put off."""
FORBIDDEN = (b"\n", b"\r", b"\0")
"""What no line has in it before its end."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a listener takes; None is no bound."""

    size_bytes: int
    connections: int
    kept_bytes: int | None = None
    """Octets of a message that are kept in memory; the rest is read and dropped, unless the
    handler says up to which size it wants a message whole."""
    room: int = 256 * 1024 * 1024
    """Octets that all conversations together keep, beyond the first of each."""
    room_per_address: int = 64 * 1024 * 1024
    per_address: int | None = None
    """Connections at a time from one IPv4 address or one IPv6 network of 64 bits."""
    strangers_per_address: int | None = None
    """Of those, the ones that nobody has signed in to."""
    per_address_a_minute: int | None = None
    idle_seconds: float = 300.0
    """How long a client may say nothing, or take for a message (RFC 5321 section 4.5.3.2.7)."""
    longest_seconds: float | None = None
    """How long a conversation may last."""
    of_each_command: int | None = None
    refusals: int = 100
    """Refused commands of one conversation; then it ends."""


class BareLineEnd(Exception):
    """A command has a line feed, a carriage return or a NUL where none may be."""


class Lines(asyncio.StreamReader):
    """What the client says; a command ends with carriage return and line feed, or with us."""

    async def readuntil(self, separator: bytes = b"\n") -> bytes:  # type: ignore[override]
        """Return octets up to and with *separator*; the usual one is a command's end.

        Raises:
            BareLineEnd: the command has another line end, or a NUL.
        """
        line = await super().readuntil(separator)
        if separator == b"\n" and (not line.endswith(b"\r\n") or has_forbidden(line)):
            raise BareLineEnd
        return line

    @property
    def has_unread(self) -> bool:
        """Whether the client has said more than was read."""
        return bool(self._buffer)  # type: ignore[attr-defined]


def has_forbidden(line: bytes) -> bool:
    """Say whether *line*, which ends with CRLF, has a NUL or another line end within."""
    within = line[:-2]
    return any(octet in within for octet in FORBIDDEN)


class Conversation(SMTP):
    """aiosmtpd's conversation, bounded."""

    def __init__(
        self,
        handler: Any,
        *,
        bounds: Bounds,
        room: Room,
        on_end: Callable[["Conversation"], None],
        **options: Any,
    ) -> None:
        if bounds.of_each_command is not None:
            options["command_call_limit"] = bounds.of_each_command
        super().__init__(
            handler, data_size_limit=bounds.size_bytes, timeout=bounds.idle_seconds, **options
        )
        self._lines = Lines(limit=LONGEST_LINE, loop=self.loop)
        # Once more, with a reader of our own: aiosmtpd takes none.
        asyncio.StreamReaderProtocol.__init__(
            self, self._lines, client_connected_cb=self._cb_client_connected, loop=self.loop
        )
        self._bounds = bounds
        self._room = room
        self._held = 0
        self.who = ""
        """Whose share of the room it keeps a message in."""
        self._on_end = on_end
        self._is_stopping = False
        self._is_ending = False
        self._refusals = 0
        self._faults = 0
        self._longest: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; after STARTTLS, begin anew."""
        super().connection_made(transport)
        if self.session is not None and self.session.ssl is None:
            # Encrypted from the start.
            self.session.ssl = transport.get_extra_info("ssl_object")
        if self._longest is None and self._bounds.longest_seconds is not None:
            self._longest = self.loop.call_later(self._bounds.longest_seconds, self._expire)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        if self._longest is not None:
            self._longest.cancel()
        self._on_end(self)
        super().connection_lost(error)

    @property
    def faults(self) -> int:
        """How many commands of a stranger were refused for good.

        Whoever is asked to come back later has done nothing wrong, and whoever has signed in is
        somebody's customer.
        """
        return self._faults

    @property
    def is_signed_in(self) -> bool:
        """Whether the client has said whose mail it hands over."""
        return self.session is not None and bool(self.session.authenticated)

    def end_when_idle(self) -> None:
        """End after the message that is being handed over, or now if there is none."""
        self._is_stopping = True
        if self.envelope is None or not self.envelope.rcpt_tos:
            self.cut()

    async def push(self, status: Any) -> None:
        """Send a reply; while stopping, the one to a message is the last."""
        text = status.decode("utf-8", "replace") if isinstance(status, bytes) else str(status)
        # Some of aiosmtpd's replies repeat what the client said, whatever octets that was.
        await super().push(text.encode("ascii", "replace"))
        if text.startswith(("4", "5")):
            self._refusals += 1
        if text.startswith("5") and not self.is_signed_in:
            self._faults += 1
        if (self._is_stopping and text.startswith(("250 2.0.0", "4", "5"))) or self._is_ending:
            self.cut()
        elif self._refusals >= self._bounds.refusals:
            self._is_ending = True
            await self.push(reply(421, "4.7.0", "Too many errors."))

    async def handle_exception(self, error: Exception) -> str:
        """Return what to say of a failure; a broken line end ends the conversation."""
        if isinstance(error, BareLineEnd):
            self._is_ending = True
            return reply(521, "5.5.2", "A line ends with carriage return and line feed.")
        status: str = await super().handle_exception(error)
        return status

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:
        """Take a message.

        Not aiosmtpd's: that keeps every line as an object of its own, which makes gigabytes of
        empty lines, and takes what is sent before it said 354.
        """
        assert self.envelope is not None
        if await self.check_helo_needed():
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
            return
        if arg:
            await self.push("501 Syntax: DATA")
            return
        if self._lines.has_unread:
            self._is_ending = True
            await self.push(reply(554, "5.5.0", "Wait for 354 before the message."))
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        try:
            content, status = await self._read_content()
            if status is None:
                self.envelope.content = self.envelope.original_content = content
                status = await self._call_handler_hook("DATA")
        finally:
            self._give_room_back()
        self.envelope = self._create_envelope()
        await self.push(status)

    async def _read_content(self) -> tuple[bytes, str | None]:
        """Return the message, dots unstuffed, and why it is not taken if it is not."""
        largest = kept = self._bounds.size_bytes
        if self._bounds.kept_bytes is not None:
            whole = self.event_handler.largest_whole(self.envelope)
            largest, kept = (whole, whole) if whole else (largest, self._bounds.kept_bytes)
        # Its value is what was written, not a copy of it.
        content = BytesIO()
        size, fault, begins = 0, None, True
        while True:
            try:
                line = await self._lines.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:
                # The rest of the line follows; only so is the end of the message found.
                size += len(await self._lines.read(error.consumed))
                fault, begins = fault or _TOO_LONG, False
                continue
            if begins and line == b".\r\n":
                return content.getvalue(), fault
            begins = True
            size += len(line)
            if size > 2 * self._bounds.size_bytes:
                self._is_ending = True
                return b"", _TOO_LARGE
            if fault is None:
                fault = _fault_of(line, size, largest)
                if fault is None and content.tell() < kept:
                    content.write(line[1:] if line.startswith(b".") else line)
                    fault = None if self._has_room(content.tell()) else _NO_ROOM
            if fault is not None:
                # The end of the message is still to be found, and nothing to be kept.
                content = BytesIO()
                self._give_room_back()
                # Whoever mixes line ends may mean what follows for another server's eyes.
                self._is_ending = self._is_ending or fault is _MIXED

    def _has_room(self, size: int) -> bool:
        """Say whether so many octets of a message may be kept."""
        wanted = size - OWN_BYTES - self._held
        if wanted > 0:
            if not self._room.take(self.who, wanted):
                return False
            self._held += wanted
        return True

    def _give_room_back(self) -> None:
        self._room.give_back(self.who, self._held)
        self._held = 0

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Return an address and what follows it; None where there is none.

        The standard library's parser fails in more ways than aiosmtpd expects.
        """
        try:
            address, rest = super()._getaddr(arg)
            (address or "").encode()
        except (IndexError, ValueError, RecursionError, AttributeError, TypeError):
            return None, None
        return address, rest

    def cut(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.close()

    def _expire(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.write(reply(421, "4.4.2", "This took too long.").encode() + b"\r\n")
        self.cut()


def _fault_of(line: bytes, size: int, size_limit: int) -> str | None:
    if b"\0" in line:
        return _NUL
    if has_forbidden(line):
        return _MIXED
    return _TOO_LARGE if size > size_limit else None


_TOO_LONG = reply(500, "5.5.2", "A line is too long.")
_TOO_LARGE = reply(552, "5.3.4", "The message is too large.")
_NO_ROOM = reply(452, "4.3.1", "Too much mail is coming in; try again later.")
_NUL = reply(554, "5.6.0", "The message has a NUL.")
_MIXED = reply(554, "5.6.0", "A line ends with carriage return and line feed, and only so.")
