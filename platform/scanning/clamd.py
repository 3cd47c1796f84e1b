"""Asking clamd over its socket whether something is a virus.

Source: clamd(8): commands that begin with `z` and end with a NUL, and are answered alike.
"""

import asyncio
import socket
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from .errors import ScannerUnavailable
from .rules import SCAN_SECONDS, FileReport, file_report

CHUNK_BYTES = 64 * 2**10
_LONGEST_ANSWER = 4096


@dataclass(frozen=True, slots=True)
class Engine:
    """Which clamd it is, and how old what it knows of viruses is."""

    version: str
    signatures_updated_at: datetime | None = None
    """None: it does not say, as with signatures that are not ClamAV's own."""


async def ask_clamd(place: str, data: bytes) -> FileReport:
    """Return what clamd at *place* says of a file: a path, `unix:` and a path, or host:port.

    Raises:
        ScannerUnavailable: it cannot be reached, takes too long, or answers something else.
    """
    return file_report_of(await _exchange(place, b"zINSTREAM\0", data))


async def engine_of(place: str) -> Engine:
    """Return which clamd is at *place*.

    Raises:
        ScannerUnavailable: it cannot be reached, or answers something else.
    """
    reply = await _exchange(place, b"zVERSION\0")
    name, _, rest = reply.partition("/")
    _, _, date = rest.partition("/")
    if not name.startswith("ClamAV "):
        raise ScannerUnavailable(f"What is there is not clamd: it said {reply[:100]!r}.")
    return Engine(name.removeprefix("ClamAV "), _date(date))


def file_report_of(reply: str) -> FileReport:
    """Return what a reply says.

    Raises:
        ScannerUnavailable: it is not one to a file.
    """
    try:
        return file_report(reply)
    except ValueError as error:
        raise ScannerUnavailable(f"clamd gave no answer that counts: {error}.") from error


def _date(text: str) -> datetime | None:
    try:
        # Always in English and in the time of the machine, which servers keep at UTC.
        return datetime.strptime(text.strip(), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None


async def _exchange(place: str, command: bytes, stream: bytes | None = None) -> str:
    try:
        async with asyncio.timeout(SCAN_SECONDS):
            with await _connect(place) as connection:
                await _send(connection, command, stream)
                reply = await _receive(connection)
    except (OSError, TimeoutError, ValueError) as error:
        said = str(error) or type(error).__name__
        raise ScannerUnavailable(f"clamd gave no answer: {said[:200]}.") from error
    if not reply:
        raise ScannerUnavailable("clamd closed the connection without an answer.")
    return reply.rstrip(b"\0\n").decode("utf-8", "replace")


async def _connect(place: str) -> socket.socket:
    """Return a connection to clamd.

    It is a bare socket: what clamd said before it closed can be read from one even after
    sending more has failed, and from a stream of asyncio not any more.
    """
    path = place.removeprefix("unix:")
    if path.startswith("/"):
        return await _connected(socket.AF_UNIX, path)
    parts = urlsplit(f"//{place}")
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for family, _, _, _, address in found:
        try:
            return await _connected(family, address)
        except OSError as error:
            failure = error
    raise failure or OSError("it has no address")


async def _connected(family: int, address: str | tuple[Any, ...]) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _send(connection: socket.socket, command: bytes, stream: bytes | None) -> None:
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(connection, command)
        if stream is not None:
            for start in range(0, len(stream), CHUNK_BYTES):
                chunk = stream[start : start + CHUNK_BYTES]
                await loop.sock_sendall(connection, struct.pack("!I", len(chunk)) + chunk)
            await loop.sock_sendall(connection, struct.pack("!I", 0))
    except ConnectionError:
        # It has had enough, and has said why before it closed.
        return


async def _receive(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    reply = b""
    while not reply.endswith(b"\0") and len(reply) < _LONGEST_ANSWER:
        more = await loop.sock_recv(connection, _LONGEST_ANSWER - len(reply))
        if not more:
            break
        reply += more
    return reply
