"""A connection to one host, brought to where messages may follow."""

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from .tls import Demand, Tls, TlsFacts, context_for, is_pinned, read_facts
from .wire import BrokenWire, Reply, Wire, open_wire

_UNPRINTABLE = re.compile(r"[^\n\t -~\u00a1-\ud7ff\ue000-\uffff]")
_LONGEST_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for the connection, for its greeting, for a reply, for the last reply.

    All but the last are shorter than RFC 5321 section 4.5.3.2 asks for: a slot that waits is a
    slot that does not send.
    """

    connect: timedelta = timedelta(seconds=30)
    greeting: timedelta = timedelta(minutes=1)
    command: timedelta = timedelta(minutes=2)
    content: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Host:
    """Where to connect: the name it should have, the IP address, the port."""

    name: str
    address: str
    port: int
    demand: Demand | None = None
    """How much encryption it needs; `None` leaves it to who opens the conversation."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How to begin a conversation; see `Session.open`."""

    ehlo: str
    source_address: str | None
    demand: Demand
    implicit_tls: bool
    login: tuple[str, str] | None
    timeouts: Timeouts
    ca_file: str | None


class Refused(Exception):
    """The host refused a command; the reply says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.code} {reply.text}")
        self.reply = reply


class TlsFailed(Exception):
    """Encryption was needed or offered, and did not come about."""


class ConnectionFailed(Exception):
    """No conversation came about; the notes say how far it got."""

    def __init__(self, transcript: Sequence[str]) -> None:
        super().__init__("no conversation came about")
        self.transcript = tuple(transcript)


class Connection:
    """A conversation's wire, what the host offers, and the notes of what was said.

    The notes hold neither credentials nor content.
    """

    def __init__(self, host: Host, opening: Opening) -> None:
        self.host = host
        self.facts = TlsFacts(policy=opening.demand.policy)
        self.transcript: list[str] = []
        self._opening = opening
        self._wire = Wire()
        self._extensions: dict[str, str] = {}

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._wire.closed

    def offers(self, extension: str) -> bool:
        """Return whether the host named that extension, in lower case, in its last EHLO reply."""
        return extension in self._extensions

    @property
    def size_limit(self) -> int | None:
        """The largest message in octets that the host says it takes; `None` if it does not say."""
        limit = self._extensions.get("size", "")[:18]
        return (int(limit) or None) if limit.isdecimal() else None

    async def open(self) -> None:
        """Connect, say hello, encrypt and sign in, as far as the opening asks for it.

        Raises:
            Refused, TlsFailed, OSError, ValueError: it came to nothing.
        """
        opening = self._opening
        await self._connect()
        await self._say_hello()
        tls = opening.demand.tls
        if tls is not Tls.DISABLED and not opening.implicit_tls:
            if self.offers("starttls"):
                await self._start_tls()
            elif tls is not Tls.OPPORTUNISTIC:
                raise TlsFailed("encryption is required and the host does not offer it")
        self.facts = read_facts(
            self._wire.ssl_object, self.host.name, opening.demand, ca_file=opening.ca_file
        )
        if opening.login is not None:
            await self._sign_in(*opening.login)

    def say(self, *commands: str) -> None:
        """Send commands together, each of whose replies is then to be heard."""
        self.transcript.extend(f"C: {command}" for command in commands)
        self._wire.write("".join(f"{command}\r\n" for command in commands).encode())

    async def hear(self, wait: timedelta | None = None) -> Reply:
        """Return the reply to the oldest command that has none yet.

        Raises:
            TimeoutError, BrokenWire: there is none.
        """
        reply = await self._wire.read((wait or self._opening.timeouts.command).total_seconds())
        self._note(reply)
        return reply

    def take_unasked(self) -> Reply | None:
        """Return what the host said between messages, most likely why it hangs up."""
        reply = self._wire.take_unasked()
        if reply is not None:
            self._note(reply)
        return reply

    async def send_content(self, data: bytes) -> Reply:
        """Send the message after a 354, and return the reply to its end."""
        self.transcript.append(f"C: ({len(data)} octets)")
        timeouts = self._opening.timeouts
        await self._wire.write_message(data, timeouts.command.total_seconds())
        return await self.hear(timeouts.content)

    async def quit(self) -> None:
        """Say goodbye, without waiting long for the answer, and close."""
        try:
            if not self.closed:
                self.say("QUIT")
                await self.hear(timedelta(seconds=2))
        except OSError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection."""
        self._wire.close()

    async def _connect(self) -> None:
        opening = self._opening
        async with asyncio.timeout(opening.timeouts.connect.total_seconds()):
            connection = await _connect_socket(self.host, opening.source_address)
            self._wire = await open_wire(
                connection,
                context=self._context if opening.implicit_tls else None,
                server_name=self.host.name,
            )
        _expect(await self.hear(opening.timeouts.greeting))

    @property
    def _context(self) -> ssl.SSLContext:
        is_strict = self._opening.demand.tls is Tls.VERIFIED
        return context_for(verified=is_strict, ca_file=self._opening.ca_file)

    async def _say_hello(self) -> None:
        self.say(f"EHLO {self._opening.ehlo}")
        reply = await self.hear()
        self._extensions = {}
        if reply.is_positive:
            for line in reply.text.split("\n")[1:]:
                keyword, _, parameters = line.partition(" ")
                self._extensions[keyword.lower()] = parameters
        elif reply.code == 421:
            raise Refused(reply)
        else:
            self.say(f"HELO {self._opening.ehlo}")
            _expect(await self.hear())

    async def _start_tls(self) -> None:
        seconds = self._opening.timeouts.greeting.total_seconds()
        try:
            self.say("STARTTLS")
            _expect(await self.hear())
            await self._wire.start_tls(self._context, server_name=self.host.name, seconds=seconds)
            demand = self._opening.demand
            if demand.pins and not is_pinned(self._wire.ssl_object, demand):
                raise TlsFailed("the host's certificate is none that its TLSA records speak of")
            await self._say_hello()
        except (Refused, OSError, ValueError) as error:
            raise TlsFailed(f"STARTTLS failed: {error}") from error

    async def _sign_in(self, username: str, password: str) -> None:
        methods = self._extensions.get("auth", "").upper().split()
        if "PLAIN" in methods:
            secret = b64encode(f"\0{username}\0{password}".encode()).decode()
            secrets = [f"AUTH PLAIN {secret}"]
        elif "LOGIN" in methods:
            encoded = [b64encode(each.encode()).decode() for each in (username, password)]
            secrets = ["AUTH LOGIN", *encoded]
        else:
            raise BrokenWire("the host offers no AUTH PLAIN or LOGIN")
        self.transcript.append("C: AUTH (credentials)")
        for secret in secrets:
            self._wire.write(f"{secret}\r\n".encode())
            reply = await self.hear()
            if reply.code != 334:
                break
        _expect(reply)

    def _note(self, reply: Reply) -> None:
        lines = readable(reply.text).split("\n")
        self.transcript.extend(f"S: {reply.code} {line}" for line in lines)


async def connect(host: Host, opening: Opening) -> Connection:
    """Return an open connection; in clear on a second try, where encryption is opportunistic.

    Raises:
        ConnectionFailed: it came to nothing; the cause says why.
    """
    connection = Connection(host, opening)
    try:
        try:
            await connection.open()
        except TlsFailed as error:
            if opening.demand.tls is not Tls.OPPORTUNISTIC:
                raise
            connection.close()
            notes = [*connection.transcript, f"{readable(str(error))}; once more in clear"]
            in_clear = replace(opening.demand, tls=Tls.DISABLED)
            connection = Connection(host, replace(opening, demand=in_clear))
            connection.transcript = notes
            await connection.open()
    except (Refused, TlsFailed, OSError, ValueError) as error:
        connection.close()
        raise ConnectionFailed(connection.transcript) from error
    except BaseException:
        connection.close()
        raise
    return connection


def readable(text: str) -> str:
    """Return what a peer wrote, without what a log or a page could stumble over."""
    return _UNPRINTABLE.sub("?", text[:_LONGEST_TEXT])


def _expect(reply: Reply) -> None:
    if not reply.is_positive:
        raise Refused(reply)


async def _connect_socket(host: Host, source_address: str | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host.address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        if source_address is not None:
            connection.bind((source_address, 0))
        await asyncio.get_running_loop().sock_connect(connection, (host.address, host.port))
    except BaseException:
        connection.close()
        raise
    return connection
