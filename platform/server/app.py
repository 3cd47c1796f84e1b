"""The web application: everything put together."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from litestar import Litestar, MediaType, Request, Response, asgi
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from ..blocklists.catalogue import check_settings
from ..core import row_security
from ..core.database import close_pool, start_pool
from ..core.measuring import share_in
from ..core.queue import close_queue, open_queue
from ..core.settings import Settings, settings
from ..core.tracing import start_tracing, stop_tracing
from ..dashboard import serving as dashboard
from ..dashboard.faults import page_of_status
from ..dashboard.pages import ACTIONS, PAGES, PASSAGES
from ..dashboard.visit import Door
from ..events.feed import FEED
from ..graphql.answers import Authenticate
from ..graphql.documents import Documents, Taken
from ..graphql.execute import check_documents
from ..graphql.http import GraphQLOverHttp
from ..graphql.trusted import read_trusted
from ..graphql.websocket import PATIENCE, GraphQLOverWebSocket, Patience
from ..protection.catalogue import all_rules
from ..requests.noting import NOTEBOOK
from ..rest_compat import dialects
from ..rest_compat import handlers as rest_compat
from ..rest_compat.gate import Gate, Meter
from ..rest_compat.openapi import openapi_handler
from ..rest_compat.postageapp.dialect import wrong_version
from ..security import idempotency, limits, seen, uses
from ..tracking.work.erasing import ERASED
from ..tracking.work.recording import RECORDER
from . import auth, billing, unsubscribe
from .analytics_export import analytics_export_handler
from .audit_export import AUDIT_LOG
from .csv_export import export_handler
from .edge import Edge, broken, failure
from .health import HealthMonitor
from .metrics import metrics_handler
from .public import build_handlers
from .serving_checks import offer_checks
from .shortcut import Shortcut
from .suppression_export import SUPPRESSIONS
from .tracking import Tracking
from .web import LEAVE

log = logging.getLogger(__name__)

POOL_SIZE = 10
"""Connections of one web worker to the database."""
POOL_SECONDS = 5.0
"""How long a request waits for one of them before it is told to come again later."""


def build_app(
    found: Settings | None = None,
    *,
    authenticate: Authenticate = auth.authenticate,
    meter: Meter = limits.take,
    opens_pool: bool = True,
    patience: Patience = PATIENCE,
) -> Edge:
    """Return the application.

    With *opens_pool* it connects to the database and the job queue when it is started and
    leaves them when it is stopped; without, whoever builds it has done so.

    Raises:
        DocumentsBroken: a document of the code or a trusted one does not fit the schema.
        SettingsError: the file of trusted documents cannot be read, or a blocklist is not known.
    """
    found = found or settings()
    _check(found)
    documents = _documents(found)
    sockets = GraphQLOverWebSocket(
        authenticate, documents, meter=meter, origins=_origins(found), patience=patience
    )
    graphql = GraphQLOverHttp(
        authenticate,
        meter=meter,
        strangers=partial(limits.take_stranger, per_minute=found.strangers_per_minute),
        documents=documents,
        introspection_is_public=found.environment == "development",
    )

    @asgi("/graphql", copy_scope=False)
    async def serve_graphql(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            await graphql(scope, receive, send)
        else:
            await sockets(scope, receive, send)

    async def leave() -> None:
        """Send everybody who follows something to another process."""
        await FEED.close()
        await sockets.leave()

    gate = _gate(authenticate, meter)
    endpoints = rest_compat.build_endpoints(dialects.DIALECTS, gate)
    monitor = HealthMonitor(found)
    app = Litestar(
        route_handlers=[
            serve_graphql,
            *rest_compat.build_handlers(endpoints),
            openapi_handler(dialects.openapi(found.public_url)),
            *build_handlers(monitor),
            metrics_handler(gate, found),
            *(export_handler(export, gate) for export in (AUDIT_LOG, SUPPRESSIONS)),
            analytics_export_handler(gate),
            *unsubscribe.build_handlers(),
            *billing.build_handlers(authenticate),
            *_pages(found, documents),
        ],
        lifespan=[_connections] if opens_pool else [],
        on_startup=[partial(_leave_on_signal, leave)],
        on_shutdown=[monitor.drain, leave],
        exception_handlers={HTTPException: _http_failure, Exception: _bug},
        openapi_config=None,
        # Logging is started once for the whole process, by `core/logs.py`.
        logging_config=None,
    )
    return Edge(Tracking(_shortened(app, endpoints)), found, after_slash=AFTER_SLASH)


def _shortened(app: Litestar, endpoints: Mapping[str, rest_compat.Endpoint]) -> ASGIApp:
    """Return *app* with a short way to foreign APIs' fixed paths that no handler of it has."""
    own = {route.path for route in app.routes}
    fixed = rest_compat.fixed_paths(dialects.DIALECTS, endpoints)
    free = {asked: endpoint for asked, endpoint in fixed.items() if asked[1] not in own}
    return Shortcut(_without_options(app), free)


def _documents(found: Settings) -> Documents:
    """Return the documents of clients, none of which is known yet but those that are trusted."""
    return Documents(trusted=read_trusted(found.trusted_documents), takes=Taken(found.documents))


def _pages(found: Settings, documents: Documents) -> list[HTTPRouteHandler]:
    """Return the dashboard; its explorer takes the documents that every client's are."""

    def explorer(authenticate: Authenticate) -> ASGIApp:
        over_http = GraphQLOverHttp(
            authenticate, documents=documents, introspection_is_public=False
        )
        # It is asked over HTTP alone.
        return cast("ASGIApp", over_http)

    admit_stranger = partial(auth.admit_stranger, per_minute=found.strangers_per_minute)
    door = Door(auth.enter, admit_stranger, found.public_url, explorer)
    return dashboard.build_handlers(PAGES, ACTIONS, PASSAGES, door)


def _gate(authenticate: Authenticate, meter: Meter) -> Gate:
    """Return what foreign APIs ask of accounts and keys."""
    return Gate(
        authenticate, meter, limits.look_by_name, idempotency.refuse_once, auth.authenticate_key
    )


def _without_options(app: ASGIApp) -> ASGIApp:
    """Return *app* that refuses OPTIONS, but for what pages of other origins may ask.

    Litestar would answer it everywhere. What is not a method is refused by whoever knows
    which methods there are.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = scope["type"] == ScopeType.HTTP and scope["method"] == "OPTIONS"
        if is_asked and scope["path"].rstrip("/") != "/graphql":
            scope = cast("Scope", {**scope, "method": "NONE"})
        await app(scope, receive, send)

    return serve


AFTER_SLASH = (
    *sorted({route.path for route in dialects.POSTAL.routes}),
    *(f"{each.prefix}/" for each in dialects.POSTAGEAPP),
)
"""How paths begin that clients put behind a host which ends in a slash; their servers take it."""


def _check(found: Settings) -> None:
    """Check the code's documents and the lists of the settings, and offer the doctor's checks."""
    all_rules()
    check_documents()
    check_settings(found)
    offer_checks(found)


def _origins(found: Settings) -> frozenset[str]:
    parts = urlsplit(found.public_url)
    return found.websocket_origins | {f"{parts.scheme}://{parts.netloc}".lower()}


def _leave_on_signal(leave: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Say good-bye when the main process announces the end, which cuts connections off."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ValueError, RuntimeError):  # not the main thread
        loop.add_signal_handler(LEAVE, lambda: asyncio.ensure_future(leave()))


@asynccontextmanager
async def _connections(app: Litestar) -> AsyncIterator[None]:
    share_in(settings().data_dir)
    start_tracing("web")
    url = os.environ.get("POSTLANE_DATABASE_URL") or settings().database_url
    await start_pool(url, size=POOL_SIZE, wait_seconds=POOL_SECONDS)
    await row_security.start(url, size=POOL_SIZE)
    await open_queue(url)
    await ERASED.start()
    try:
        yield
    finally:
        await ERASED.stop()
        await _flush_hits()
        await uses.flush()
        await seen.flush()
        await NOTEBOOK.flush()
        await close_queue()
        await close_pool()
        stop_tracing()


async def _flush_hits() -> None:
    """Write down the opens and clicks that were answered in the last moments."""
    try:
        await RECORDER.flush()
    except Exception:  # an edge: the rest of the shutdown goes on
        log.exception("opens and clicks of the last moments could not be written")


def _http_failure(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer what Litestar refuses: no such path, no such method, a body it cannot read."""
    status = error.status_code
    if status >= 500:
        return _bug(request, error)
    if status == 404 and (told := wrong_version(request.url.path)) is not None:
        return Response(told, status_code=409, media_type=MediaType.JSON)
    code = {404: "not_found", 405: "method_not_allowed"}.get(status, "invalid_request")
    message, headers = error.detail, dict(error.headers or {})
    if status == 404:
        message = "There is nothing at this address."
    elif status == 405:
        listed = next((v for n, v in headers.items() if n.lower() == "allow"), "")
        allowed = ", ".join(sorted(set(listed.split(", ")) - {"OPTIONS"}))
        message, headers = f"This address takes {allowed}.", {"Allow": allowed}
    request_id = request.scope["state"]["request_id"]
    if (page := page_of_status(request, status, message)) is not None:
        return page
    body = failure(status, code, message, request_id)
    return Response(body, status_code=status, headers=headers)


def _bug(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Log what nobody foresaw, and say nothing of it."""
    log.error("a request failed", exc_info=error)
    if (page := page_of_status(request, 500, "")) is not None:
        return page
    return Response(broken(request.scope["state"]["request_id"]), status_code=500)
