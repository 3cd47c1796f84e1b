"""The web process without what protects it, for measuring what that costs; never for serving.

No rate limits, no checks of the request's form and pace, no headers of safety. Whom a credential
names is still looked up: without that nobody knows whose mail it is. What watches requests
(metrics, traces and the log of requests) is there as well: it protects nobody.
"""

import argparse
import functools
import sys
import time
import uuid
from collections.abc import Awaitable
from typing import Any, cast

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from postlane.core.actor import Actor
from postlane.core.logs import bound
from postlane.core.tracing import Kind, span
from postlane.requests.noting import NOTEBOOK, Asked
from postlane.requests.rules import Api
from postlane.server import web
from postlane.server.edge import REQUEST_SECONDS, REQUESTS


class Bare:
    """What is left of the edge: the names that those within read, and what watches."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, request_id = time.perf_counter(), 0, uuid.uuid4().hex
        peer, method = scope.get("client"), scope["method"]
        state: dict[str, Any] = {
            **scope.get("state", {}),
            "request_id": request_id,
            "client_address": peer[0] if peer else None,
        }
        scope["state"] = state

        def send_completed(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        about = {"http.request.method": method, "postlane.request_id": request_id}
        with (
            bound(request_id=request_id),
            span("HTTP", Kind.SERVER, about=about, headers=scope["headers"]) as current,
        ):
            await self.app(scope, receive, send_completed)
            route = state.get("route") or scope.get("path_template") or "unknown"
            current.note("http.route", route)
            current.note("http.response.status_code", status)
        seconds = time.perf_counter() - began
        if (caller := state.get("caller")) is not None:
            asked = Asked(
                api=state.get("api", Api.REST),
                method=method,
                route=route,
                operation=state.get("operation"),
                status=status,
                code=state.get("code"),
            )
            NOTEBOOK.note(caller, asked, request_id=request_id, seconds=seconds)
        REQUESTS.add(route, method, str(status))
        REQUEST_SECONDS.observe(seconds, route)


async def _unmetered(actor: Actor) -> None:
    return None


@functools.cache
def _build() -> Any:
    from postlane.server.app import build_app

    return Bare(build_app(meter=_unmetered).app)


def main() -> int:
    """Serve as `postlane web` does."""
    # The workers are forked from this process, and build what it would.
    web.build = cast("Any", _build)
    return web.run(argparse.Namespace())


if __name__ == "__main__":
    sys.exit(main())
