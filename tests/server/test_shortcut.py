"""The short way to the endpoints of foreign APIs, beside the long one."""

from typing import Any

import pytest

from postlane.rest_compat import dialects
from postlane.server.shortcut import Shortcut


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
