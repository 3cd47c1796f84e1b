"""The short way to the endpoints of foreign APIs, beside the long one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from postlane.rest_compat import dialects
from postlane.server import shortcut
from postlane.server.shortcut import Shortcut
from tests.client import Client
from tests.compat.postageapp.world import make_shop
from tests.compat.postal.world import make_server
from tests.compat.world import a_sending_domain, credits, make_world
from tests.dns_server import DnsServer


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send("long", scope["path"])


async def _endpoint(scope: Any, receive: Any, send: Any) -> None:
    await send("short", scope["path"])


async def _way(**asked: Any) -> tuple[str, str]:
    took: list[tuple[str, str]] = []

    async def send(*way: str) -> None:
        took.append((way[0], way[1]))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/messages/send",
        "root_path": "",
        "headers": [(b"host", b"mail.example.org:8000")],
        **asked,
    }
    endpoints: Any = {("POST", "/api/v1/messages/send"): (_endpoint, "/messages/send")}
    app: Any = _app
    way: Any = Shortcut(app, endpoints)
    await way(scope, None, send)
    [found] = took
    return found


async def test_a_known_path_goes_straight_to_its_endpoint() -> None:
    assert await _way() == ("short", "/messages/send")


@pytest.mark.parametrize(
    "asked",
    [
        {"method": "GET"},
        {"method": "OPTIONS"},
        {"path": "/api/v1/messages/send/"},
        {"path": "/api/v1/messages/Send"},
        {"path": "//api/v1/messages/send"},
        {"root_path": "/mail"},
        {"type": "websocket"},
        {"headers": []},
        {"headers": [(b"host", b"")]},
        {"headers": [(b"host", b"a b")]},
        {"headers": [(b"host", b"evil.example/@mail.example")]},
        {"headers": [(b"host", b"mail.example:port")]},
        {"headers": [(b"host", b"[::1]:8000")]},
    ],
)
async def test_everything_else_goes_the_long_way(asked: dict[str, Any]) -> None:
    assert await _way(**asked) == ("long", asked.get("path", "/api/v1/messages/send"))


def test_no_two_endpoints_have_one_path() -> None:
    """Of two dialects with one path each would answer what is the other's."""
    paths = [
        (route.method, route.path, dialect.prefix)
        for dialect in dialects.DIALECTS
        for route in dialect.routes
        if "{" not in route.path
    ]
    prefixes = {(method, path): prefix for method, path, prefix in paths}

    assert all(prefixes[method, path] == prefix for method, path, prefix in paths)


SHORT, LONG = "postlane.test", "[::1]:80"
JSON = {"content-type": "application/json"}
OWN_HEADERS = {"date", "x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset"}
"""Which no two answers share."""
OWN_FIELDS = {
    "created_at",
    "credits_remaining",
    "id",
    "message_id",
    "number",
    "request_id",
    "time",
    "token",
    "uid",
    "url",
}


@dataclass(frozen=True, slots=True)
class Key:
    """How one dialect is told who asks."""

    headers: dict[str, str]
    bodies: list[dict[str, Any]]
    """Each has what a body needs for one kind of key; the first is for sending."""
    sender: str


@dataclass
class Ways:
    """Asks the real application for the same thing both ways."""

    client: Client
    were_short: list[bool]

    async def ask(
        self,
        method: str,
        path: str,
        json_of: Callable[[str], Any] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Return the answer of the short way, once the long one has given the same."""
        headers = options.pop("headers", {})
        self.were_short.clear()
        short, long = [
            await self.client.request(
                *(method, path),
                headers=headers | {"host": host},
                **({"json": json_of(host)} if json_of is not None else options),
            )
            for host in (SHORT, LONG)
        ]
        # Otherwise this compares one way with itself.
        assert self.were_short == [True, False], path
        assert short.status_code == long.status_code, (path, short.text, long.text)
        assert _headers(short) == _headers(long), path
        assert _body(short) == _body(long), path
        # Limits would say the same of everything.
        assert short.status_code != 429, path
        return short


def _headers(answer: httpx.Response) -> list[tuple[str, str]]:
    return [
        (
            name,
            "" if name in OWN_HEADERS else _length(answer) if name == "content-length" else value,
        )
        for name, value in answer.headers.multi_items()
    ]


def _length(answer: httpx.Response) -> str:
    # Numbers of their own may have a digit more.
    return str(int(answer.headers["content-length"]) == len(answer.content))


def _body(answer: httpx.Response) -> Any:
    try:
        return _without_own(answer.json())
    except ValueError:
        return answer.content


def _without_own(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_own(each) for each in value]
    if not isinstance(value, dict):
        return value
    # As pairs: their order is part of it.
    return [
        (name, type(each).__name__ if name in OWN_FIELDS else _without_own(each))
        for name, each in value.items()
    ]


@pytest.fixture
def ways(client: Client, frozen: datetime, monkeypatch: pytest.MonkeyPatch) -> Ways:
    """The real application, of which it is seen which way it goes."""
    made = Ways(client, [])
    is_plain = shortcut._is_plain

    def seen(scope: Any) -> bool:
        made.were_short.append(is_plain(scope))
        return made.were_short[-1]

    monkeypatch.setattr(shortcut, "_is_plain", seen)
    return made


async def _key(dialect: str, client: Client, dns: DnsServer) -> Key:
    if dialect == "postal":
        server = await make_server(client)
        return Key({"x-server-api-key": server.key}, [{}], server.sender)
    if dialect == "postageapp":
        shop = await make_shop(client)
        bodies = [{"api_key": each} for each in (shop.key, shop.account_key)]
        return Key({}, bodies, shop.sender)
    world = await make_world(client, dns)
    await credits(world)
    await a_sending_domain(world)
    return Key(world.headers, [{}], f"news@{world.names['yourdomain.com']}")


DIALECTS = {
    "postal": [dialects.POSTAL],
    "postageapp": list(dialects.POSTAGEAPP),
    "postmta": [dialects.POSTMTA],
}


def _fixed(dialect: str) -> list[tuple[str, str]]:
    return [
        (route.method, route.path)
        for each in DIALECTS[dialect]
        for route in each.routes
        if "{" not in route.path
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_strangers_are_told_the_same_both_ways(ways: Ways, dialect: str) -> None:
    for method, path in _fixed(dialect)[:40]:
        answer = await ways.ask(method, path, json={"api_key": "nobody's"})
        assert answer.status_code >= 400 or dialect == "postal", path


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_known_people_are_told_the_same_both_ways(
    ways: Ways, dns: DnsServer, dialect: str
) -> None:
    key = await _key(dialect, ways.client, dns)

    # Nothing changes by it, so that the second finds what the first did.
    for method, path in _fixed(dialect):
        answers = [
            await ways.ask(
                *(method, path),
                headers=key.headers,
                **({} if method == "GET" else {"json": body | {"arguments": {"no": "thing"}}}),
            )
            for body in key.bodies
        ]
        assert any(answer.status_code != 401 for answer in answers), path


SENDING: dict[str, tuple[str, dict[str, Any]]] = {
    "postal": ("/api/v1/send/message", {"to": ["ann@example.net"], "plain_body": "x"}),
    "postageapp": (
        "/v.1.1/send_message",
        {"arguments": {"recipients": ["ann@example.net"], "content": {"text/plain": "x"}}},
    ),
    "postmta": ("/api/v1/messages/send", {"to": "ann@example.net", "subject": "s", "text": "x"}),
}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_message_is_sent_the_same_both_ways(
    ways: Ways, dns: DnsServer, dialect: str
) -> None:
    key = await _key(dialect, ways.client, dns)
    path, message = SENDING[dialect]

    def body(host: str) -> dict[str, Any]:
        if dialect != "postageapp":
            return key.bodies[0] | message | {"from": key.sender}
        # The same twice would be taken for one.
        headers = {"from": key.sender, "subject": "s"}
        arguments = message["arguments"] | {"headers": headers}
        return key.bodies[0] | {"uid": f"for {host}", "arguments": arguments}

    answer = await ways.ask("POST", path, body, headers=key.headers)

    assert answer.status_code in (200, 202), answer.text
    if dialect == "postal":
        assert answer.json()["status"] == "success"


ODD: dict[str, dict[str, Any]] = {
    "no body": {"content": b""},
    "broken": {"content": b"{broken", "headers": JSON},
    "a list": {"content": b"[]", "headers": JSON},
    "no text": {"content": b"\xff\xfe", "headers": JSON},
    "not JSON": {"content": b"{}", "headers": {"content-type": "text/plain"}},
    "UTF-16": {"content": b"{}", "headers": {"content-type": "application/json; charset=utf-16"}},
    "no gzip": {"content": b"{}", "headers": JSON | {"content-encoding": "gzip"}},
    "too long": {"content": b"{}", "headers": JSON | {"content-length": "99999999999"}},
    "a browser's": {"content": b"{}", "headers": JSON | {"accept": "text/html", "cookie": "a=b"}},
    "of a page": {"content": b"{}", "headers": JSON | {"origin": "https://a.example"}},
    "with an id": {"content": b"{}", "headers": JSON | {"x-request-id": "mine"}},
    "with a query": {"json": {}, "params": {"a": "b", "c": ["d", "\u00e9"]}},
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("options", ODD.values(), ids=ODD)
async def test_no_request_is_refused_otherwise_on_the_short_way(
    ways: Ways, dns: DnsServer, dialect: str, options: dict[str, Any]
) -> None:
    key = await _key(dialect, ways.client, dns)
    headers = key.headers | options.get("headers", {})

    await ways.ask("POST", SENDING[dialect][0], **(options | {"headers": headers}))


@pytest.mark.parametrize(
    "query", ["limit=1", "limit=x", "limit=1&limit=2", "%C3%A9=%00&from=%ff", "a" * 3_000, "&&=&"]
)
async def test_a_query_is_read_the_same_both_ways(ways: Ways, dns: DnsServer, query: str) -> None:
    key = await _key("postmta", ways.client, dns)
    paths = [path for method, path in _fixed("postmta") if method == "GET"]

    answers = [await ways.ask("GET", f"{path}?{query}", headers=key.headers) for path in paths]

    # If none were read at all, this would compare nothing.
    if query == "limit=x":
        assert any(answer.status_code == 400 for answer in answers)
