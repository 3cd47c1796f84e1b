"""A connection to one host, brought to where messages may follow."""

import asyncio
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

import aiosmtplib

from .tls import TlsFacts, context_for, read_facts

_UNPRINTABLE = re.compile(r"[^\n\t -~\u00a1-\ud7ff\ue000-\uffff]")
_LONGEST_TEXT = 2_000


class Tls(StrEnum):
    """How much encryption a conversation needs."""

    DISABLED = "disabled"
    OPPORTUNISTIC = "opportunistic"
    """Where it is offered and works; in clear otherwise; any certificate."""
    REQUIRED = "required"
    """Always; any certificate."""
    VERIFIED = "verified"
    """Always, with a certificate that is good for the host's name."""


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


@dataclass(frozen=True, slots=True)
class Opening:
    """How to begin a conversation; see `Session.open`."""

    ehlo: str
    source_address: str | None
    tls: Tls
    implicit_tls: bool
    login: tuple[str, str] | None
    timeouts: Timeouts
    ca_file: str | None


class UnexpectedReply(aiosmtplib.SMTPException):
    """The host answered something that has no meaning at this point."""


class TlsFailed(aiosmtplib.SMTPException):
    """Encryption was needed or offered, and did not come about."""


class ConnectionFailed(Exception):
    """No conversation came about; the notes say how far it got."""

    def __init__(self, transcript: Sequence[str]) -> None:
        super().__init__("no conversation came about")
        self.transcript = tuple(transcript)


class Connection:
    """A conversation's client, and the notes of what was said.

    The notes hold neither credentials nor content.
    """

    def __init__(self, host: Host, opening: Opening) -> None:
        self.host = host
        self.facts = TlsFacts()
        self.transcript: list[str] = []
        self._opening = opening
        self._client = aiosmtplib.SMTP(
            hostname=host.name,
            local_hostname=opening.ehlo,
            timeout=opening.timeouts.command.total_seconds(),
            start_tls=False,
            use_tls=opening.implicit_tls,
            tls_context=context_for(verified=opening.tls is Tls.VERIFIED, ca_file=opening.ca_file),
        )

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return not self._client.is_connected

    def offers(self, extension: str) -> bool:
        """Return whether the host named that extension, in lower case, in its last EHLO reply."""
        return extension in self._client.esmtp_extensions

    @property
    def size_limit(self) -> int | None:
        """The largest message in octets that the host says it takes; `None` if it does not say."""
        limit = self._client.esmtp_extensions.get("size", "")[:18]
        return int(limit) or None if limit.isdecimal() else None

    async def open(self) -> None:
        """Connect, say hello, encrypt and sign in, as far as the opening asks for it.

        Raises:
            aiosmtplib.SMTPException, OSError, ValueError: it came to nothing.
        """
        opening = self._opening
        await self._connect()
        await self._say_hello()
        if opening.tls is not Tls.DISABLED and not opening.implicit_tls:
            if self.offers("starttls"):
                await self._start_tls()
            elif opening.tls is not Tls.OPPORTUNISTIC:
                raise TlsFailed("encryption is required and the host does not offer it")
        ssl_object = self._client.get_transport_info("ssl_object")
        self.facts = read_facts(ssl_object, self.host.name, ca_file=opening.ca_file)
        if opening.login is not None:
            self.transcript.append("C: AUTH")
            self._note(await self._client.login(*opening.login))

    async def command(self, *words: str) -> aiosmtplib.SMTPResponse:
        """Send one command and return the reply, whatever it is."""
        self.transcript.append(f"C: {' '.join(words)}")
        reply = await self._client.execute_command(*(word.encode() for word in words))
        self._note(reply)
        return reply

    async def content(self, data: bytes) -> aiosmtplib.SMTPResponse:
        """Send DATA and the message; return 250 if it was taken, else what refused it.

        Raises:
            UnexpectedReply: the host neither took nor refused it.
        """
        self.transcript.append(f"C: DATA, {len(data)} octets")
        seconds = self._opening.timeouts.content.total_seconds()
        try:
            reply = await self._client.data(data, timeout=seconds)
        except aiosmtplib.SMTPDataError as refused:
            reply = aiosmtplib.SMTPResponse(refused.code, refused.message)
            # A 250 where a 354 belongs must never pass for an accepted message.
            if not 400 <= reply.code < 600:
                raise UnexpectedReply(f"unexpected reply {reply.code} {reply.message}") from None
        self._note(reply)
        return reply

    async def quit(self) -> None:
        """Say goodbye, without waiting long for the answer, and close."""
        try:
            if not self.closed:
                await self._client.quit(timeout=2)
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    async def _connect(self) -> None:
        timeouts = self._opening.timeouts
        connection = await asyncio.wait_for(
            _connect_socket(self.host, self._opening.source_address),
            timeouts.connect.total_seconds(),
        )
        greeting = await self._client.connect(
            sock=connection, port=None, timeout=timeouts.greeting.total_seconds()
        )
        self._note(greeting)

    async def _say_hello(self) -> None:
        name = self._opening.ehlo
        self.transcript.append(f"C: EHLO {name}")
        try:
            self._note(await self._client.ehlo())
        except aiosmtplib.SMTPHeloError as refused:
            self._note(aiosmtplib.SMTPResponse(refused.code, refused.message))
            if self.closed:
                raise
            self.transcript.append(f"C: HELO {name}")
            self._note(await self._client.helo())

    async def _start_tls(self) -> None:
        self.transcript.append("C: STARTTLS")
        try:
            self._note(await self._client.starttls())
            await self._say_hello()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise TlsFailed(f"STARTTLS failed: {error}") from error

    def _note(self, reply: aiosmtplib.SMTPResponse) -> None:
        lines = readable(reply.message).split("\n")
        self.transcript.extend(f"S: {reply.code} {line}" for line in lines)


async def connect(host: Host, opening: Opening) -> Connection:
    """Return an open connection; in clear on a second try, where encryption is opportunistic.

    Raises:
        ConnectionFailed: it came to nothing; the cause is the library's exception.
    """
    connection = Connection(host, opening)
    try:
        try:
            await connection.open()
        except TlsFailed as error:
            if opening.tls is not Tls.OPPORTUNISTIC:
                raise
            connection.close()
            notes = [*connection.transcript, f"{readable(str(error))}; once more in clear"]
            connection = Connection(host, replace(opening, tls=Tls.DISABLED))
            connection.transcript = notes
            await connection.open()
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        connection.close()
        raise ConnectionFailed(connection.transcript) from error
    except BaseException:
        connection.close()
        raise
    return connection


def readable(text: str) -> str:
    """Return what a peer wrote, without what a log or a page could stumble over."""
    return _UNPRINTABLE.sub("?", text[:_LONGEST_TEXT])


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
