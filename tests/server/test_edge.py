"""What holds for every answer, whatever is behind it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from litestar.types import Receive, Scope, Send

from postlane.core.settings import settings
from postlane.server.edge import Edge
from tests.client import Client


async def breaks_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError("secret")


async def has_its_own_headers(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"cache-control", b"public, max-age=60"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def get(app: Edge, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.get("/", headers=headers)


async def test_a_bug_shows_a_request_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    answer = await get(Edge(breaks_at_once, settings()), **{"X-Request-Id": "r-1"})

    assert answer.status_code == 500
    assert answer.json() == {
        "error": {
            "code": "internal_error",
            "message": "Something went wrong on our side. The request id helps us to find it.",
            "status": 500,
            "details": [],
            "request_id": "r-1",
        }
    }
    assert "secret" in caplog.text


async def test_an_answer_keeps_its_own_headers() -> None:
    answer = await get(Edge(has_its_own_headers, settings()))

    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("url", "expected"), [("https://x.example", True), ("http://x.example", False)]
)
async def test_only_a_site_on_https_asks_for_https(url: str, expected: bool) -> None:
    answer = await get(Edge(has_its_own_headers, replace(settings(), public_url=url)))

    assert ("strict-transport-security" in answer.headers) is expected


async def reads_to_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    if message["type"] == "http.request":
        await has_its_own_headers(scope, receive, send)


async def never_ends() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.sleep(3_600)


async def test_a_body_that_never_ends_does_not_hold_its_connection() -> None:
    transport = httpx.ASGITransport(
        Edge(reads_to_the_end, settings(), body_seconds=0.05)  # type: ignore[arg-type]
    )

    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post("/", content=never_ends())

    assert (answer.status_code, answer.json()["error"]["code"]) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"


async def test_a_body_that_comes_in_time_is_read() -> None:
    transport = httpx.ASGITransport(
        Edge(reads_to_the_end, settings(), body_seconds=5)  # type: ignore[arg-type]
    )

    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.post("/", content=b"{}")

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/robots.txt", "/openapi.json", "/favicon.ico"])
async def test_what_is_no_api_takes_get_and_head(client: Client, path: str) -> None:
    got, head = await client.get(path), await client.head(path)
    refused = [await client.request(method, path) for method in ("POST", "OPTIONS", "TRACE")]

    assert got.status_code == head.status_code
    assert (bool(got.content), head.content) == (True, b"")
    assert [answer.status_code for answer in refused] == [405, 405, 405]
    assert {answer.headers["allow"] for answer in refused} == {"GET, HEAD"}
    assert refused[0].json()["error"] == {
        "code": "method_not_allowed",
        "message": "This address takes GET, HEAD.",
        "status": 405,
        "details": [],
        "request_id": refused[0].headers["x-request-id"],
    }


async def test_an_address_with_nothing_at_it_is_refused_like_any_other(client: Client) -> None:
    answer = await client.get("/nothing", headers={"x-request-id": "r-1"})

    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "code": "not_found",
            "message": "There is nothing at this address.",
            "status": 404,
            "details": [],
            "request_id": "r-1",
        }
    }
