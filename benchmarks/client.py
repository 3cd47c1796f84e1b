"""A small HTTP/1.1 client that costs little, so that the server is what is measured.

It sends prepared bytes over kept connections and reads status and length; a general client
would take more of the two cores than the server does.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


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


class Connection:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        return cls(*await asyncio.open_connection(host, port, limit=2**24))

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


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
