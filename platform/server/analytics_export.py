"""`/api/v1/analytics/export`: counts, messages or events as a CSV file of any length.

Sums are one page. Messages and events are streamed page after page by keyset, each through
GraphQL, none of them kept; the rights are looked up anew for each page. What goes wrong after
the head was sent ends the connection without the last chunk, so that nobody takes a part for
the whole.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from ..core.actor import Actor, known
from ..core.errors import OperationError
from ..graphql.context import Context
from ..graphql.execute import Document, execute
from ..graphql.export_pages import EVENTS, MESSAGES, List
from ..rest_compat.bodies import Request, request_of
from ..rest_compat.dialects import POSTMTA
from ..rest_compat.gate import Gate, admit, as_refused
from ..rest_compat.postmta import analytics_files as files
from ..rest_compat.route import Call, Fault, Refused

log = logging.getLogger(__name__)

LISTS = {"MESSAGES": MESSAGES, "EVENTS": EVENTS}
"""Datasets that are read page by page."""


class BrokenOff(Exception):
    """The file cannot be written to its end."""


def analytics_export_handler(gate: Gate) -> ASGIRouteHandler:
    """Return the handler of the file's address."""

    @asgi("/api/v1/analytics/export", copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        request = request_of(scope)
        request.scope["state"]["route"] = files.EXPORT.path
        try:
            await _serve(gate, request, receive, send)
        except (Refused, OperationError) as refused:
            reply = POSTMTA.failure(as_refused(refused), request, files.EXPORT)
            await _start(send, reply.status, "application/json", [*reply.headers], request)
            body = msgspec.json.encode(reply.body)
            await send({"type": "http.response.body", "body": body, "more_body": False})

    return serve


async def _serve(gate: Gate, request: Request, receive: Receive, send: Send) -> None:
    if request.method not in ("GET", "HEAD"):
        allowed = [("allow", "GET, HEAD")]
        raise Refused(Fault.METHOD_NOT_ALLOWED, "This endpoint takes GET, HEAD.", headers=allowed)
    actor = await admit(gate, request)
    assert files.EXPORT.permission is not None
    actor.require(files.EXPORT.permission)
    call = POSTMTA.read(request, files.EXPORT, {}, b"")
    paged = files.walk(call)
    # Before the head of the answer is sent, so that a refusal has its status.
    if paged is None:
        route = files.SUMS[call.query.get("dataset", "TIMESERIES").lower()]
        data = await _run(route.document, route.variables(call), request, actor)
    started = await _run(files.START, files.EXPORT.variables(call), request, actor)
    period = started["exportAnalytics"]["period"]
    await _start(send, 200, "text/csv; charset=utf-8", [_disposition(call, period)], request)
    delimiter = call.query.get("delimiter", "COMMA").lower()
    if request.method != "HEAD":
        if paged is None:
            await _send(send, files.written(files.sums(call, data), delimiter))
        else:
            window = {"createdAfter": period["from"], "createdBefore": period["to"]}
            meant = LISTS[call.query["dataset"]]
            await _send(send, files.written([meant.header], delimiter))
            walking = _Walk(gate, request, meant, paged | window)
            await _stream(walking, delimiter, receive, send)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Walk:
    """Pages of messages, asked for one after the other."""

    def __init__(
        self, gate: Gate, request: Request, meant: List, filters: Mapping[str, Any]
    ) -> None:
        self._gate, self._request = gate, request
        self._meant, self._filters = meant, filters
        self._after: str | None = None
        self.is_done = False

    async def next(self) -> Any:
        """Return the lines of the next page.

        Raises:
            BrokenOff: whoever asked may not read them any more, or the database is away.
        """
        try:
            actor = known(await self._gate.authenticate(self._request.scope))
            variables = {"filter": self._filters, "first": files.PAGE, "after": self._after}
            data = await _run(self._meant.document, variables, self._request, actor)
        except (Refused, OperationError) as refused:
            raise BrokenOff(str(as_refused(refused).message)) from refused
        page = data["organization"][self._meant.field]
        self._after = page["pageInfo"]["endCursor"]
        self.is_done = not page["pageInfo"]["hasNextPage"]
        return self._meant.lines(page["nodes"])


async def _stream(walking: _Walk, delimiter: str, receive: Receive, send: Send) -> None:
    left = asyncio.create_task(_until_left(receive))
    try:
        while not walking.is_done and not left.done():
            await _send(send, files.written(await walking.next(), delimiter))
    finally:
        left.cancel()


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _run(
    document: Document, variables: Mapping[str, Any], request: Request, actor: Actor
) -> Any:
    context = Context(actor=actor, request_id=request.request_id, source_address=request.address)
    result = await execute(document, dict(variables), context)
    if result.errors or result.data is None:
        first = result.errors[0]
        raise Refused(first.code, first.message, details=first.details, in_our_words=True)
    return result.data


def _disposition(call: Call, period: Mapping[str, str]) -> tuple[str, str]:
    dataset = call.query.get("dataset", "TIMESERIES").lower()
    name = f"analytics-{dataset}-{period['from'][:10]}-{period['to'][:10]}.csv"
    return "content-disposition", f'attachment; filename="{name}"'


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _start(
    send: Send, status: int, media_type: str, headers: list[tuple[str, str]], request: Request
) -> None:
    pairs = [("content-type", media_type), *request.answer_headers, *headers]
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
