"""Every route, and every trick: a clear refusal, never a stack trace and never two answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from postlane.rest_compat.dialects import POSTMTA
from postlane.rest_compat.postmta.reference import ELSEWHERE
from postlane.rest_compat.route import CompatRoute
from postlane.server.app import build_app
from tests.serving import served

from .test_hostile import BODIES
from .world import World

UUID = "0197a000-0000-7000-8000-000000000301"
ENDPOINTS = [(route.method, route.path) for route in POSTMTA.routes] + list(ELSEWHERE)
OPEN = [(method, path) for method, path in ENDPOINTS if "{" in path]
"""Those with a place in their path."""
WITH_BODY = [route for route in POSTMTA.routes if route.body is not None]
VALUES: list[Any] = [
    None, True, -1, 1e308, 10**40, "", "\0", "\u202e", "x" * 70_000, "=1+1", "' OR 1=1 --",
    [], [[[[]]]], {}, {"": {}}, {"__proto__": {}}, ["\0"] * 3,
]  # fmt: skip
"""What any field may be sent instead of what it takes."""
HEADERS = {
    "an endless accept": {"accept": "a/b," * 5_000},
    "an accept of nonsense": {"accept": ";;;q=,/"},
    "a prefer of nonsense": {"prefer": "handling=,=;strict"},
    "a request id of control characters": {"x-request-id": "a\tb"},
    "a credential without end": {"authorization": "Bearer " + "a" * 8_000},
    "a key of dots": {"x-api-key": "..", "authorization": ""},
    "a forwarding without end": {"x-forwarded-for": "1.2.3.4," * 500},
    "another method": {"x-http-method-override": "DELETE"},
    "another path": {"x-original-url": "/metrics", "x-rewrite-url": "/metrics"},
}
SEGMENTS = [
    "%00", "%ff%fe", "%ed%a0%80", "...", "%5c%5c", "%5c", "%0d%0aX-A:b", "'", "*", "{id}",
    "a;b=c", "%F0%9F%92%A9", "-1", "9" * 400, "%25", "me%20", UUID.upper() + "0",
]  # fmt: skip


def filled(path: str, value: str = UUID) -> str:
    """Return a path with one value in every place."""
    return "/".join(value if piece[:1] == "{" else piece for piece in path.split("/"))


def check(answer: Any, what: str) -> None:
    """Accept any answer but a fault of ours, and only refusals in the envelope."""
    assert answer.status_code < 500 or answer.headers["retry-after"], f"{what}: {answer.text}"
    if answer.status_code >= 400 and answer.content and "checks" not in answer.text:
        error = answer.json()["error"]
        assert set(error) == {"code", "message", "status", "details", "request_id"}, what
        assert error["status"] == answer.status_code, what
        assert error["code"] != "internal_error", what


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: f"{route.method} {route.path}")
async def test_no_body_breaks_a_route(world: World, route: CompatRoute) -> None:
    headers = world.headers | {"content-type": "application/json"}

    for name, body in BODIES.items():
        answer = await world.client.request(
            route.method, filled(route.path), content=body, headers=headers
        )
        check(answer, name)
        assert answer.status_code in (400, 404, 429) or (route.body_is_optional and not body), name


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: f"{route.method} {route.path}")
async def test_no_value_breaks_a_field(world: World, route: CompatRoute) -> None:
    assert route.body is not None

    for field in route.body.fields:
        for value in VALUES:
            body = route.body.example() | {field.name: value}
            answer = await world.request(route.method, filled(route.path), body)
            check(answer, f"{field.name}: {str(value)[:40]}")


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/json; charset=utf-16", "application/xml", "/", "a" * 5_000],
)
async def test_only_json_is_read(world: World, route: CompatRoute, kind: str) -> None:
    headers = world.headers | {"content-type": kind}

    answer = await world.client.request(
        route.method, filled(route.path), content=b"{}", headers=headers
    )

    assert answer.status_code == 415
    check(answer, kind)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS, ids=map(" ".join, ENDPOINTS))
async def test_no_header_breaks_a_route(world: World, method: str, path: str) -> None:
    for name, headers in HEADERS.items():
        answer = await world.client.request(method, filled(path), headers=world.headers | headers)
        check(answer, name)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS, ids=map(" ".join, ENDPOINTS))
async def test_every_other_method_is_refused(world: World, method: str, path: str) -> None:
    allowed = {m for m, p in ENDPOINTS if p == path}
    allowed |= {"HEAD"} if "GET" in allowed else set()

    for other in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X" * 300):
        if other not in allowed:
            answer = await world.client.request(other, filled(path), headers=world.headers)
            assert answer.status_code in (404, 405), other
            if answer.status_code == 405:
                assert set(answer.headers["allow"].split(", ")) >= allowed


@pytest.mark.parametrize(("method", "path"), OPEN, ids=map(" ".join, OPEN))
async def test_no_piece_of_a_path_breaks_a_route(world: World, method: str, path: str) -> None:
    for piece in SEGMENTS:
        answer = await world.client.request(method, filled(path, piece), headers=world.headers)
        check(answer, piece)
        # A pixel is a pixel, whatever it is of.
        assert answer.status_code >= 400 or path == "/track/open/{id}", piece


LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = LOGIN + b"Transfer-Encoding: chunked\r\n\r\n"
SECOND = b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n"
WIRE: dict[str, tuple[bytes, int]] = {
    "dots": (b"GET /api/v1/users/../auth/me HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "an encoded slash": (b"GET /api/v1/auth%2Fme HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "an encoded prefix": (b"GET /api%2fv1/auth/me HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "two slashes": (b"GET //metrics HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "two slashes within": (b"GET /api/v1//auth/me HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "two slashes at the end": (b"GET /api/v1/auth/me// HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "one slash at the end": (b"GET /api/v1/auth/me/ HTTP/1.1\r\nHost: x\r\n\r\n", 401),
    "capitals": (b"GET /API/V1/auth/me HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a longer prefix": (b"GET /api/v1x/auth/me HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "the prefix alone": (b"GET /api/v1 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a raw byte": (b"GET /api/v1/auth/\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a whole address": (b"GET http://x/api/v1/auth/me HTTP/1.1\r\nHost: x\r\n\r\n", 401),
    "everything": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "a tunnel": (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    "no host, as was once right": (b"GET /robots.txt HTTP/1.0\r\n\r\n", 200),
    "no version": (b"GET /health\r\n\r\n", 400),
    "both lengths": (
        LOGIN + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
        400,
    ),
    "two lengths": (LOGIN + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + SECOND, 400),
    "a list of lengths": (LOGIN + b"Content-Length: 2, 2\r\n\r\n{}" + SECOND, 400),
    "a signed length": (LOGIN + b"Content-Length: +2\r\n\r\n{}" + SECOND, 400),
    "a negative length": (LOGIN + b"Content-Length: -2\r\n\r\n{}" + SECOND, 400),
    "a length beyond all": (LOGIN + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}", 400),
    "a coding of its own": (LOGIN + b"Transfer-Encoding: xchunked\r\n\r\n{}" + SECOND, 400),
    "chunked, then not": (LOGIN + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    "a chunk of nonsense": (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk beyond all": (CHUNKED + b"" + b"f" * 17 + b"1\r\n", 400),
    "a chunk's extension": (
        CHUNKED + b"2;" + b"a" * 20_000 + b"\r\n{}\r\n",
        400,
    ),
    "a space before the colon": (LOGIN + b"Content-Length : 2\r\n\r\n{}" + SECOND, 400),
    "a folded line": (b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n", 400),
    "a NUL": (b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n", 400),
    "a request in a body": (
        b"GET /api/v1/auth/me HTTP/1.1\r\nHost: x\r\nContent-Length: 37\r\n\r\n" + SECOND[:37],
        401,
    ),
    "HTTP/2 by upgrade": (
        b"GET /robots.txt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
        200,
    ),
    "too many headers": (
        b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 300 + b"\r\n",
        431,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
async def port(database: None) -> AsyncIterator[int]:
    """The port where the application is served as in production."""
    async with served(build_app(opens_pool=False)) as url:
        yield int(url.rpartition(":")[2])


@pytest.mark.parametrize(("sent", "status"), WIRE.values(), ids=WIRE)
async def test_what_proxies_may_read_otherwise_has_one_answer(
    port: int, sent: bytes, status: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(65_536), 10)
    with contextlib.suppress(TimeoutError, ConnectionError):
        answer += await asyncio.wait_for(reader.read(65_536), 0.3)
    writer.close()

    statuses = [line.split()[1] for line in answer.splitlines() if line.startswith(b"HTTP/1.")]
    assert statuses == [str(status).encode()]
    assert b"Traceback" not in answer
