"""The same API over a real socket: who still writes is answered all the same."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from postlane.server.app import build_app
from tests.serving import served

MIB = 2**20


@pytest.fixture
async def port(database: None) -> AsyncIterator[int]:
    """The port where the application is served as in production."""
    async with served(build_app(opens_pool=False)) as url:
        yield int(url.rpartition(":")[2])


async def exchange(port: int, head: str, body: bytes = b"", *, wait: bool = False) -> bytes:
    """Send a request and return all that comes back until the server closes or is silent.

    With *wait*, the body is sent only if the server asks for it.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    answer = b""
    if wait:
        answer = await asyncio.wait_for(reader.read(65_536), 10)
        assert b"100 Continue" not in answer
    else:
        for start in range(0, len(body), 65_536):
            writer.write(body[start : start + 65_536])
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(65_536), 10)
    writer.close()
    return answer


async def test_a_stranger_with_a_large_body_hears_why(port: int) -> None:
    """The body is read to its end first; else the client would meet a closed connection."""
    body = b" " * (20 * MIB)
    head = (
        "POST /api/v1/messages/send HTTP/1.1\nHost: postlane.test\n"
        f"Content-Type: application/json\nContent-Length: {len(body)}"
    )

    answer = await exchange(port, head, body)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"authentication_required" in answer


async def test_who_asks_first_is_answered_before_sending(port: int) -> None:
    head = (
        "POST /api/v1/messages/send HTTP/1.1\nHost: postlane.test\n"
        f"Content-Type: application/json\nExpect: 100-continue\nContent-Length: {20 * MIB}"
    )

    answer = await exchange(port, head, wait=True)

    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_body_that_is_announced_too_large_is_not_read(port: int) -> None:
    head = (
        "POST /api/v1/domains HTTP/1.1\nHost: postlane.test\n"
        f"Content-Type: application/json\nContent-Length: {100 * MIB}"
    )

    answer = await exchange(port, head, b" ")

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"payload_too_large" in answer


async def test_a_chunked_body_is_counted(port: int) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    head = (
        "POST /api/v1/domains HTTP/1.1\nHost: postlane.test\n"
        "Content-Type: application/json\nTransfer-Encoding: chunked"
    )

    answer = await exchange(port, head, chunk * 17)

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_head_leaves_the_connection_in_order(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for method in ("HEAD", "GET"):
        writer.write(f"{method} /api/v1/auth/me HTTP/1.1\r\nHost: postlane.test\r\n\r\n".encode())
    answer = b""
    while answer.count(b"authentication_required") < 1:
        answer += await asyncio.wait_for(reader.read(65_536), 10)
    writer.close()

    assert answer.count(b"HTTP/1.1 401 ") == 2
    assert answer.count(b'{"error"') == 1
