"""A short way to the endpoints that programs call for every message.

Litestar comes to the same endpoint, by way of four wrappers, a copy of the scope and the handlers
of exceptions that nothing raises there, which was a tenth of what a request took before it was
known who asks. Whatever is not clearly one of these goes its way, and is refused there.
"""

import re
from collections.abc import Mapping

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

PLAIN_HOST = re.compile(rb"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?")
"""A name or an IPv4 address, and perhaps a port; others are for Litestar to look at."""


class Shortcut:
    """Hands requests to *endpoints* by method and whole path, and everything else to *app*.

    An endpoint is a mounted application: with the path that is left for it.
    """

    def __init__(
        self, app: ASGIApp, endpoints: Mapping[tuple[str, str], tuple[ASGIApp, str]]
    ) -> None:
        self._app = app
        self._endpoints = dict(endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            found = self._endpoints.get((scope["method"], scope["path"]))
            if found is not None and _is_plain(scope):
                app, scope["path"] = found
                await app(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_plain(scope: HTTPScope) -> bool:
    if scope.get("root_path"):
        return False
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return PLAIN_HOST.fullmatch(host) is not None
