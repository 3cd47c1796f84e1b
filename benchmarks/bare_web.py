"""The web process without what protects it, for measuring what that costs; never for serving.

No rate limits, no checks of the request's form and pace, no headers of safety, no measuring.
Whom a credential names is still looked up: without that nobody knows whose mail it is.
"""

import argparse
import functools
import sys
import uuid
from typing import Any, cast

from litestar.types import ASGIApp, Receive, Scope, Send

from postlane.core.actor import Actor
from postlane.server import web


class Bare:
    """What is left of the edge: the names that those within read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            peer = scope.get("client")
            scope["state"] = {
                **scope.get("state", {}),
                "request_id": uuid.uuid4().hex,
                "client_address": peer[0] if peer else None,
            }
        await self.app(scope, receive, send)


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
