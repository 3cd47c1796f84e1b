"""A small HTTP/1.1 client that costs little, so that the server is what is measured.

It sends prepared bytes over kept connections and reads status and length; a general client
would take more of the two cores than the server does.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: when it was due, how long its answer took, and the answer's status."""

    started: float
    seconds: float
    status: int


def request_bytes(host: str, path: str, body: bytes, *, key: str) -> bytes:
    """Return a whole POST request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {key}\r\nAccept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One kept connection."""

    def __init__(self) -> None:
        self._came = b""
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Return a connection to the server."""
        _, made = await asyncio.get_running_loop().create_connection(cls, host, port)
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        if end and len(body) >= _length(head) and self._answered is not None:
            self._answered.set_result((int(head[9:12]), body))
            self._answered, self._came = None, b""

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None:
            self._answered.set_exception(error or ConnectionResetError("the server hung up"))

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def _length(head: bytes) -> int:
    """Return how long the body is; the name may be written in any case."""
    _, _, after = head.lower().partition(b"\r\ncontent-length:")
    return int(after.partition(b"\r\n")[0] or 0)


async def flood(
    address: tuple[str, int], requests: Sequence[bytes], *, connections: int, below: int = 300
) -> tuple[float, list[Sample]]:
    """Send every request as fast as *connections* allow; return seconds and samples.

    Every status is to be *below* this one.
    """
    pending: Iterator[bytes] = iter(requests)
    samples: list[Sample] = []
    opened = [await Connection.open(*address) for _ in range(connections)]

    async def work(connection: Connection) -> None:
        for request in pending:
            started = time.perf_counter()
            status, body = await connection.send(request)
            samples.append(Sample(started, time.perf_counter() - started, status))
            if status >= below:
                raise RuntimeError(f"the server answered {status}: {body[:500]!r}")

    begun = time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in opened))
    seconds = time.perf_counter() - begun
    for connection in opened:
        connection.close()
    return seconds, samples


async def pace(
    address: tuple[str, int], requests: Sequence[bytes], *, per_second: float, connections: int
) -> list[Sample]:
    """Send requests at a steady rate; a late answer counts from when it was due.

    Counting from the moment of sending would hide the wait of those that queue behind a slow one.
    """
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await Connection.open(*address))
    samples: list[Sample] = []
    begun = time.perf_counter()

    async def one(index: int, request: bytes) -> None:
        due = begun + index / per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = await free.get()
        status, _ = await connection.send(request)
        samples.append(Sample(due, time.perf_counter() - due, status))
        free.put_nowait(connection)

    await asyncio.gather(*(one(index, request) for index, request in enumerate(requests)))
    while not free.empty():
        free.get_nowait().close()
    return samples


def percentile(samples: Sequence[Sample], share: float) -> float:
    """Return the seconds that *share* of the samples stayed within."""
    ordered = sorted(sample.seconds for sample in samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
