"""Looking into a mailbox of somebody's IMAP server, and leaving everything there as it is.

The standard library speaks the protocol. What is here keeps a server that means ill from taking
our time or memory: where it is connected to is decided by whoever asks, every read is bounded,
and there is one end for all of it.
"""

import asyncio
import contextlib
import imaplib
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 30.0
"""Without another octet."""
MOST_MAILS = 50
"""Of one look; the next one goes on from there."""
LARGEST_BYTES = 25 * 2**20
MOST_OCTETS = 4 * LARGEST_BYTES
"""That a server may send in one look."""
CHUNK_BYTES = 2**16
_VALIDITY = re.compile(rb"(\d+)")
_SIZE = re.compile(rb"UID (\d+).*?RFC822\.SIZE (\d+)|RFC822\.SIZE (\d+).*?UID (\d+)", re.DOTALL)

LOOKS_AT_ONCE = 8
"""Which whoever looks sees to, so that nobody waits in here while the time of a look goes by."""
_threads = ThreadPoolExecutor(2 * LOOKS_AT_ONCE, thread_name_prefix="imap")
"""Of its own: who waits here for somebody's server takes no thread away from anybody else. There
are more than looks, for a thread notices a moment later that its look was given up."""


class ImapFailed(Exception):
    """The mailbox could not be looked into; the text says why, in words for its owner."""


@dataclass(frozen=True, slots=True)
class ImapAccount:
    """Where a mailbox is and who it belongs to."""

    host: str
    """By this name its certificate is checked."""
    address: str
    """Which is connected to."""
    port: int
    username: str
    password: str = field(repr=False)
    tls: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where a mailbox has been read: its generation, and the last number in it."""

    validity: int
    last_uid: int


@dataclass(frozen=True, slots=True)
class FoundMail:
    """A mail behind the place; without data it is too large."""

    uid: int
    data: bytes | None


Take = Callable[[Place, FoundMail], Awaitable[bool]]
"""Keeps one mail, and says whether to go on."""


async def look(account: ImapAccount, since: Place | None, take: Take) -> tuple[Place, bool]:
    """Hand every mail behind *since* to *take*, in order; return the place now, and whether
    there is more.

    The first time, and where the mailbox was made anew, nothing is taken: what is there already
    has been read by whoever reads it.

    Raises:
        ImapFailed: it cannot be looked into.
    """
    connection = _Bounded(account)
    loop = asyncio.get_running_loop()

    async def run(step: Callable[[], T]) -> T:
        try:
            return await loop.run_in_executor(_threads, step)
        except (OSError, imaplib.IMAP4.error, ValueError, EOFError) as error:
            raise ImapFailed(_sentence(error)) from error

    try:
        await run(connection.sign_in)
        place = await run(lambda: _open(connection, since))
        if since is None or place.validity != since.validity:
            return place, False
        found = await run(lambda: _behind(connection, place.last_uid))
        for uid, size in found[:MOST_MAILS]:
            is_large = size > LARGEST_BYTES
            data = None if is_large else await run(partial(_fetch, connection, uid))
            place = Place(place.validity, uid)
            if not await take(place, FoundMail(uid, data)):
                return place, False
        return place, len(found) > MOST_MAILS
    finally:
        # At once and without a word: it may be in the middle of an answer that never ends.
        connection.cut()


class PassedBy(bytes):
    """Stands for what is larger than a mail may be, whatever was said of its size before."""


class _Bounded(imaplib.IMAP4):
    """A connection to one address, which reads so much and no more, and can be cut."""

    def __init__(self, account: ImapAccount) -> None:
        self._account = account
        self._left = MOST_OCTETS
        self._socket: socket.socket | None = None
        self._is_cut = False

    def sign_in(self) -> None:
        """Connect, and sign in."""
        account = self._account
        super().__init__(account.host, account.port, CONNECT_SECONDS)
        # The library puts quotes around the password only.
        self.login(_quoted(account.username), account.password)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        account = self._account
        self._socket = socket.create_connection((account.address, account.port), timeout)
        self._socket.settimeout(ANSWER_SECONDS)
        if self._is_cut:
            raise ConnectionError("nobody waits any more")
        if account.tls:
            context = ssl.create_default_context()
            self._socket = context.wrap_socket(self._socket, server_hostname=account.host)
        return self._socket

    def read(self, size: int) -> bytes:
        self._count(size)
        if size <= LARGEST_BYTES:
            return super().read(size)
        left = size
        while left > 0 and (piece := super().read(min(left, CHUNK_BYTES))):
            left -= len(piece)
        return PassedBy()

    def readline(self) -> bytes:
        line = super().readline()
        self._count(len(line))
        return line

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self.error("the server sends too much")

    def cut(self) -> None:
        """Close the connection, whatever is on its way."""
        self._is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _open(connection: _Bounded, since: Place | None) -> Place:
    """Open the inbox for reading only, and return the place from which to go on."""
    _ok(connection.select("INBOX", readonly=True))
    validity = _number(connection, "UIDVALIDITY")
    if since is not None and since.validity == validity:
        return since
    return Place(validity, max(0, _number(connection, "UIDNEXT") - 1))


def _number(connection: _Bounded, name: str) -> int:
    _, [answer] = connection.response(name)
    match = _VALIDITY.search(answer or b"")
    if match is None:
        raise ValueError(f"the server does not say its {name}")
    return int(match[1][:18])


def _behind(connection: _Bounded, last_uid: int) -> list[tuple[int, int]]:
    """Return number and size of each mail behind a place, in order."""
    lines: list[Any] = _ok(connection.uid("FETCH", f"{last_uid + 1}:*", "(UID RFC822.SIZE)"))
    found = {}
    for line in lines:
        if isinstance(line, bytes) and (match := _SIZE.search(line)):
            uid, size = (match[1], match[2]) if match[1] else (match[4], match[3])
            found[int(uid[:18])] = int(size[:18])
    # `*` is the last mail, also where it lies before the place.
    return sorted((uid, size) for uid, size in found.items() if uid > last_uid)


def _fetch(connection: _Bounded, uid: int) -> bytes | None:
    """Return a mail, or None if it is too large."""
    lines: list[Any] = _ok(connection.uid("FETCH", str(uid), "(BODY.PEEK[])"))
    for line in lines:
        if isinstance(line, tuple):
            data: bytes = line[1]
            return None if isinstance(data, PassedBy) else data
    raise ValueError("a mail that it has told of is not there")


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    word, lines = answer
    if word != "OK":
        raise imaplib.IMAP4.error(lines[0] if lines else word)
    return lines


def _sentence(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "The server's certificate is not trusted."
    if isinstance(error, ssl.SSLError):
        return "The server does not speak TLS as it should."
    if isinstance(error, TimeoutError):
        return "The server did not answer in time."
    if isinstance(error, imaplib.IMAP4.error | ValueError):
        [said] = error.args[:1] or [b""]
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        return f"The server said: {''.join(c for c in text[:200] if c.isprintable())}"
    return "The server could not be reached."
