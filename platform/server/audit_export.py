"""`/audit-log.csv`: the audit log as a file, for spreadsheets and archives.

A route and not a field, because a file of any length is streamed: page after page by keyset,
each through GraphQL, none of them kept. The rights are looked up anew for each page, so that
whoever loses them loses the rest of the file, too.
"""

import asyncio
import csv
import io
import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from ..core.actor import Actor, known
from ..core.errors import OperationError
from ..graphql.context import Context
from ..graphql.execute import Document, execute
from ..rest_compat.bodies import Request, request_of
from ..rest_compat.dialects import POSTMTA
from ..rest_compat.gate import Gate, admit, as_refused
from ..rest_compat.route import Fault, Refused

log = logging.getLogger(__name__)

PAGE = 500
FILTERS = {
    "action": "action",
    "target_type": "targetType",
    "target_id": "targetId",
    "user_id": "userId",
    "api_key_id": "apiKeyId",
    "since": "since",
    "until": "until",
}
"""Parameters of the address, and what the schema's filter calls them."""

COLUMNS = (
    "createdAt",
    "action",
    "actorKind",
    "userUuid",
    "apiKeyUuid",
    "targetType",
    "targetId",
    "changes",
    "sourceAddress",
    "requestId",
)
HEADERS = (
    "time",
    "action",
    "actor",
    "user_id",
    "api_key_id",
    "target_type",
    "target_id",
    "changes",
    "source_address",
    "request_id",
)
ENTRIES = Document(
    "query AuditExport($filter: AuditFilterInput, $first: Int, $after: String) { organization { "
    "auditLog(filter: $filter, first: $first, after: $after) { "
    f"nodes {{ {' '.join(COLUMNS)} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet calculate a cell, or fetch what it names.

Source: OWASP, CSV Injection.
"""


def audit_export_handler(gate: Gate) -> ASGIRouteHandler:
    """Return the handler of `/audit-log.csv`."""

    @asgi("/audit-log.csv", copy_scope=False)
    async def audit_log(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        request = request_of(scope)
        try:
            where = _filter(request)
            actor = await admit(gate, request)
            # Before the head of the answer is sent, so that a refusal has its status.
            page = await _page(request, actor, where, after=None)
        except (Refused, OperationError) as refused:
            reply = POSTMTA.failure(as_refused(refused), request, None)
            await _start(send, reply.status, "application/json", [*reply.headers], request)
            body = msgspec.json.encode(reply.body)
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        disposition = ("content-disposition", 'attachment; filename="audit-log.csv"')
        await _start(send, 200, "text/csv; charset=utf-8", [disposition], request)
        if request.method != "HEAD":
            await _stream(gate, request, where, page, receive, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return audit_log


async def _stream(
    gate: Gate,
    request: Request,
    where: Mapping[str, str],
    page: Mapping[str, Any],
    receive: Receive,
    send: Send,
) -> None:
    left = asyncio.create_task(_until_left(receive))
    try:
        await _send(send, [HEADERS])
        while True:
            await _send(send, [row_of(node) for node in page["nodes"]])
            if not page["pageInfo"]["hasNextPage"] or left.done():
                return
            try:
                actor = known(await gate.authenticate(request.scope))
                page = await _page(request, actor, where, after=page["pageInfo"]["endCursor"])
            except (Refused, OperationError) as refused:
                # The status was sent long ago; the file itself says that it is not complete.
                await _send(send, [(f"The log does not end here: {as_refused(refused).message}",)])
                return
    finally:
        left.cancel()


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _filter(request: Request) -> dict[str, str]:
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
    if unknown := sorted(query.keys() - FILTERS.keys()):
        raise Refused(
            Fault.INVALID_REQUEST,
            f"{unknown[0][:60]!r} is not a parameter; these are: {', '.join(FILTERS)}.",
        )
    return {FILTERS[name]: values[-1] for name, values in query.items()}


async def _page(
    request: Request, actor: Actor, where: Mapping[str, str], *, after: str | None
) -> Any:
    context = Context(actor=actor, request_id=request.request_id, source_address=request.address)
    variables = {"filter": dict(where), "first": PAGE, "after": after}
    result = await execute(ENTRIES, variables, context)
    if result.errors or result.data is None:
        first = result.errors[0]
        raise Refused(first.code, first.message, details=first.details, in_our_words=True)
    return result.data["organization"]["auditLog"]


def row_of(node: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of one entry, of which none is a formula to a spreadsheet."""
    values = {**node, "changes": json.dumps(node["changes"], ensure_ascii=False)}
    return tuple(_cell(values[column]) for column in COLUMNS)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


async def _send(send: Send, rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    body = text.getvalue().encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _start(
    send: Send, status: int, media_type: str, headers: list[tuple[str, str]], request: Request
) -> None:
    pairs = [("content-type", media_type), *request.answer_headers, *headers]
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
