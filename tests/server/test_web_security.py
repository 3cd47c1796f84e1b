"""Every answer of a running web process, over a socket: safe headers, whatever it is."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.people import PASSWORD
from tests.serving import web_process

SAFE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
STRICT = re.compile(r"default-src 'none'.*frame-ancestors 'none'")


@dataclass(frozen=True)
class Answer:
    """What came over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
async def url(database: None, database_url: str) -> AsyncIterator[str]:
    async with web_process(database_url) as found:
        yield found


async def ask(url: str, head: str, body: bytes = b"") -> Answer:
    """Send a request as it is written, and read the answer to its end."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = [head, f"Host: {parts.netloc}", "Connection: close"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    start, _, rest = answer.partition(b"\r\n\r\n")
    first, *fields = start.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in fields)
    return Answer(int(first.split()[1]), {n.lower(): v for n, _, v in pairs}, rest)


JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
REQUESTS = [
    ("GET / HTTP/1.1", b"", 200),
    ("GET /nothing/here HTTP/1.1", b"", 404),
    ("GET //metrics HTTP/1.1", b"", 404),
    ("GET /health HTTP/1.1", b"", 503),
    ("GET /metrics HTTP/1.1", b"", 200),
    ("PUT /health HTTP/1.1", b"", 405),
    ("BREW /graphql HTTP/1.1", b"", 405),
    ("GET /graphql HTTP/1.1", b"", 400),
    (f"POST /graphql HTTP/1.1\r\n{JSON}", b"{", 400),
    (f"POST /graphql HTTP/1.1\r\n{JSON}", b'{"query": "{ viewer { platformAdmin } }"}', 200),
    (f"POST /graphql HTTP/1.1\r\n{JSON}", b'{"query": "{ nothing }"}', 200),
    (f"POST /graphql HTTP/1.1\r\n{FORM}", b"query=x", 415),
    (f"POST /graphql HTTP/1.1\r\n{JSON}", b"x" * 2_000_000, 413),
    ("GET /api/v1/domains HTTP/1.1", b"", 401),
    ("GET /api/v1/nothing HTTP/1.1", b"", 404),
    ("DELETE /api/v1/domains HTTP/1.1", b"", 405),
    (f"POST /api/v1/auth/login HTTP/1.1\r\n{JSON}", b"[", 400),
    (f"POST /api/v1/send/message HTTP/1.1\r\n{JSON}", b"{}", 200),
    ("GET /t/o/nonsense HTTP/1.1", b"", 404),
    ("GET /login HTTP/1.1", b"", 200),
    ("GET /o/nobody HTTP/1.1", b"", 303),
    ("GET /reset/nonsense HTTP/1.1", b"", 200),
    (f"POST /login HTTP/1.1\r\n{FORM}", b"email=a", 403),
    ("GET /static/nothing.css HTTP/1.1", b"", 404),
    ("GET /login/provider/callback?code=x&state=y HTTP/1.1", b"", 422),
]


@pytest.mark.parametrize(("head", "body", "status"), REQUESTS, ids=lambda v: str(v)[:50])
async def test_every_answer_is_safe(url: str, head: str, body: bytes, status: int) -> None:
    answer = await ask(url, head, body)

    assert answer.status == status
    check_safe(answer)
    assert b"Traceback" not in answer.body


def check_safe(answer: Answer) -> None:
    # A page says itself to whom its address is shown; what can be cached says so itself.
    assert {name: answer.headers.get(name) for name in SAFE} == SAFE
    assert STRICT.search(answer.headers["content-security-policy"])
    assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", answer.headers["x-request-id"])
    assert "server" not in answer.headers or "/" not in answer.headers["server"]


@pytest.mark.parametrize(
    ("path", "origin"), [("/graphql", "https://evil.example"), ("/graphql", "null"), ("/x", "")]
)
async def test_a_refused_socket_tells_nothing(url: str, path: str, origin: str) -> None:
    lines = [
        f"GET {path} HTTP/1.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: graphql-transport-ws",
        *([f"Origin: {origin}"] if origin else []),
    ]

    answer = await ask(url, "\r\n".join(lines))

    check_safe(answer)
    assert answer.status in (403, 404)
    assert answer.body == b""


@pytest.mark.parametrize("brought", ["", "Cookie: session=chosen-by-somebody-else\r\n"])
async def test_a_session_is_never_one_that_was_there_before(url: str, brought: str) -> None:
    page = await ask(url, f"GET /login HTTP/1.1\r\n{brought}Accept: text/html")

    # Nothing that came is kept, and nobody gets a session before they sign in.
    kept = page.headers.get("set-cookie", "")
    assert "chosen-by-somebody-else" not in kept
    assert "session=" not in kept or "Max-Age=0" in kept
    assert PASSWORD not in page.body.decode()
