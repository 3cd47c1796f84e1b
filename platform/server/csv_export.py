"""A list of the schema as a CSV file of any length, for spreadsheets and archives.

A route and not a field, because a file of any length is streamed: page after page by keyset,
each through GraphQL, none of them kept. The rights are looked up anew for each page, so that
whoever loses them loses the rest of the file, too.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from ..core.actor import Actor, known
from ..core.csv_lines import csv_lines
from ..core.errors import OperationError
from ..graphql.context import Context
from ..graphql.execute import execute
from ..graphql.export_pages import Line, List
from ..rest_compat.bodies import Request, request_of
from ..rest_compat.dialects import POSTMTA
from ..rest_compat.gate import Gate, admit, as_refused
from ..rest_compat.route import Fault, Refused

PAGE = 500


@dataclass(frozen=True, slots=True)
class Export:
    """A list of the organization's, and how it is written."""

    name: str
    """Of the file, and of the address without its ending."""
    list: List
    filters: Mapping[str, str]
    """Parameters of the address, and what the schema's filter calls them."""
    incomplete: str
    """Said at the end of a file that does not end there."""
    enums: frozenset[str] = frozenset()
    """Filters whose values are names of an enum."""


def export_handler(export: Export, gate: Gate) -> ASGIRouteHandler:
    """Return the handler of the file's address."""

    @asgi(f"/{export.name}.csv", copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        request = request_of(scope)
        try:
            where = _filter(export, request)
            actor = await admit(gate, request)
            # Before the head of the answer is sent, so that a refusal has its status.
            page = await _page(export, request, actor, where, after=None)
        except (Refused, OperationError) as refused:
            reply = POSTMTA.failure(as_refused(refused), request, None)
            await _start(send, reply.status, "application/json", [*reply.headers], request)
            body = msgspec.json.encode(reply.body)
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        disposition = ("content-disposition", f'attachment; filename="{export.name}.csv"')
        await _start(send, 200, "text/csv; charset=utf-8", [disposition], request)
        if request.method != "HEAD":
            await _stream(export, gate, request, where, page, receive, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return serve


async def _stream(
    export: Export,
    gate: Gate,
    request: Request,
    where: Mapping[str, str],
    page: Mapping[str, Any],
    receive: Receive,
    send: Send,
) -> None:
    left = asyncio.create_task(_until_left(receive))
    try:
        await _send(send, [export.list.header])
        while True:
            await _send(send, export.list.lines(page["nodes"]))
            if not page["pageInfo"]["hasNextPage"] or left.done():
                return
            try:
                actor = known(await gate.authenticate(request.scope))
                after = page["pageInfo"]["endCursor"]
                page = await _page(export, request, actor, where, after=after)
            except (Refused, OperationError) as refused:
                # The status was sent long ago; the file itself says that it is not complete.
                await _send(send, [(f"{export.incomplete}: {as_refused(refused).message}",)])
                return
    finally:
        left.cancel()


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _filter(export: Export, request: Request) -> dict[str, str]:
    """Return the filter that the query string asks for.

    Raises:
        Refused: the method or a parameter is none of ours.
    """
    if request.method not in ("GET", "HEAD"):
        allowed = [("allow", "GET, HEAD")]
        raise Refused(Fault.METHOD_NOT_ALLOWED, "This endpoint takes GET, HEAD.", headers=allowed)
    try:
        query = parse_qs(
            request.query.decode("latin-1"), strict_parsing=bool(request.query), max_num_fields=20
        )
    except ValueError as error:
        raise Refused(Fault.INVALID_REQUEST, "The query string cannot be read.") from error
    if unknown := sorted(query.keys() - export.filters.keys()):
        raise Refused(
            Fault.INVALID_REQUEST,
            f"{unknown[0][:60]!r} is not a parameter; these are: {', '.join(export.filters)}.",
        )
    return {
        export.filters[name]: values[-1].upper() if name in export.enums else values[-1]
        for name, values in query.items()
    }


async def _page(
    export: Export, request: Request, actor: Actor, where: Mapping[str, str], *, after: str | None
) -> Any:
    context = Context(actor=actor, request_id=request.request_id, source_address=request.address)
    variables = {"filter": dict(where), "first": PAGE, "after": after}
    result = await execute(export.list.document, variables, context)
    if result.errors or result.data is None:
        first = result.errors[0]
        raise Refused(first.code, first.message, details=first.details, in_our_words=True)
    return result.data["organization"][export.list.field]


async def _send(send: Send, rows: Sequence[Line]) -> None:
    await send({"type": "http.response.body", "body": csv_lines(rows), "more_body": True})


async def _start(
    send: Send, status: int, media_type: str, headers: list[tuple[str, str]], request: Request
) -> None:
    pairs = [("content-type", media_type), *request.answer_headers, *headers]
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
