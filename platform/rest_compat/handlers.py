"""From routes to request handlers: one table for each path prefix, one order of checks.

Size, content type, credential, rate limit, role or scope, path, body; then the document
runs, which decides the rest. The first failure answers.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec
from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from ..core.actor import Actor
from ..core.errors import ErrorCode, OperationError
from ..core.room import Room
from ..core.turns import Turns
from ..graphql.context import Context
from ..graphql.execute import Result, execute
from .bodies import (
    ClientGone,
    Request,
    check_size,
    discard_body,
    idempotency_key,
    inflated,
    is_compressed,
    let_finish,
    read_body,
    request_of,
)
from .gate import Gate, admit, as_refused, refuse_once, tell_window
from .route import MIB, Call, CompatRoute, Fault, IdForm, KeyReach, Refused

log = logging.getLogger(__name__)

T = TypeVar("T")

_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ID_FORMS: dict[IdForm, re.Pattern[str]] = {
    IdForm.UUID: re.compile(_UUID, re.ASCII),
    IdForm.UUID_OR_ME: re.compile(f"{_UUID}|me", re.ASCII),
    IdForm.UUID_OR_DOMAIN: re.compile(r"[^\s/\x00-\x1f]{1,253}"),
    IdForm.ANY: re.compile(r"[^\x00]{1,200}"),
}


LARGE_BYTES = 2**20
"""From this size on a body is read in a thread."""

STRANGERS_INFLATED = 3
"""Compressed bodies that are held inflated at once while it is not known yet who sent them."""

STRANGERS_WAIT_BYTES = 256 * MIB
STRANGERS_WAIT_BYTES_EACH = 64 * MIB
"""What compressed bodies that wait for that are together at most, and those of one address."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way out."""

    status: int
    body: Any
    """What becomes JSON; bytes go out as they are."""
    headers: Sequence[tuple[str, str]] = ()
    media_type: str = "application/json"


class Dialect(Protocol):
    """How one foreign API signs in, decodes, and wraps success and failure."""

    prefix: str
    """The path that all its routes begin with, such as `/api/v1`."""
    api: str
    """What the log of requests calls it: a value of its `Api`."""
    routes: Sequence[CompatRoute]
    suffix: str
    """What may stand behind each path and means nothing, such as `.json`."""

    reads_first: bool
    """Who asks is said in the body, which is read before anything else is looked at."""

    inflates: bool
    """Bodies may be compressed by gzip."""

    def open(self, request: Request) -> None:
        """Read the body, in a dialect that reads it first, or raise Refused."""

    def speaks(self, request: Request) -> bool:
        """Say whether a request is in this dialect; those of a prefix are asked in order."""

    def key(self, request: Request) -> str | None:
        """Return the API key from this API's own place; None stands for the usual places."""

    def accept(self, request: Request, route: CompatRoute) -> None:
        """Refuse a content type that cannot be read or an `Accept` that cannot be met."""

    def read(
        self, request: Request, route: CompatRoute, path: Mapping[str, str], body: bytes
    ) -> Call:
        """Return what the request asks, or raise Refused."""

    def success(self, request: Request, route: CompatRoute, data: Any, call: Call) -> Reply:
        """Wrap what the document answered."""

    def failure(self, refused: Refused, request: Request, route: CompatRoute | None) -> Reply:
        """Wrap a refusal."""


class Table:
    """The routes of one dialect by path and method."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._fixed: dict[str, dict[str, CompatRoute]] = {}
        self._open: dict[tuple[str, ...], dict[str, CompatRoute]] = {}
        for route in dialect.routes:
            path = route.path.removeprefix(dialect.prefix).strip("/")
            table: dict[Any, dict[str, CompatRoute]] = self._open if "{" in path else self._fixed
            key = tuple(path.split("/")) if "{" in path else path
            table.setdefault(key, {})[route.method] = route

    def find(self, request: Request) -> tuple[CompatRoute, dict[str, str]]:
        """Return the route of a request and the values in its path; fixed words come first."""
        methods, values = self._match(request.path.removesuffix(self.dialect.suffix))
        if methods is None:
            raise Refused(ErrorCode.NOT_FOUND, "There is no such endpoint.")
        method = "GET" if request.method == "HEAD" else request.method
        route = methods.get(method)
        if route is None:
            allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})
            raise Refused(
                Fault.METHOD_NOT_ALLOWED,
                f"This endpoint takes {', '.join(allowed)}.",
                headers=[("allow", ", ".join(allowed))],
            )
        return route, values

    def _match(self, path: str) -> tuple[dict[str, CompatRoute] | None, dict[str, str]]:
        if (methods := self._fixed.get(path)) is not None:
            return methods, {}
        pieces = path.split("/")
        for pattern, methods in self._open.items():
            if len(pattern) != len(pieces):
                continue
            values = {}
            for wanted, piece in zip(pattern, pieces, strict=True):
                if wanted[0] == "{":
                    values[wanted[1:-1]] = piece
                elif wanted != piece:
                    break
            else:
                return methods, values
        return None, {}


Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]


def build_endpoints(dialects: Sequence[Dialect], gate: Gate) -> dict[str, Endpoint]:
    """Return what answers at each path prefix; dialects of one are told apart by headers."""
    strangers = _Strangers()
    return {
        prefix: _endpoint([Table(d) for d in dialects if d.prefix == prefix], gate, strangers)
        for prefix in dict.fromkeys(dialect.prefix for dialect in dialects)
    }


def build_handlers(endpoints: Mapping[str, Endpoint]) -> list[ASGIRouteHandler]:
    """Return one handler for each path prefix."""
    return [
        asgi(prefix, is_mount=True, copy_scope=False)(endpoint)
        for prefix, endpoint in endpoints.items()
    ]


def fixed_paths(
    dialects: Sequence[Dialect], endpoints: Mapping[str, Endpoint]
) -> dict[tuple[str, str], tuple[Endpoint, str]]:
    """Return, by method and path, the endpoint of each route that has no names in its path.

    Beside it is what is left of the path where it is mounted.
    """
    return {
        (route.method, route.path): (endpoints[d.prefix], route.path.removeprefix(d.prefix))
        for d in dialects
        for route in d.routes
        if "{" not in route.path
    }


def _endpoint(tables: Sequence[Table], gate: Gate, strangers: "_Strangers") -> Endpoint:
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        request = request_of(scope)
        table = next((t for t in tables if t.dialect.speaks(request)), tables[-1])
        try:
            reply = await _answer(table, _Turn(gate, request, receive, strangers))
        except ClientGone:
            return
        if request.is_abandoned:
            await let_finish(receive)
        await _send(reply, request, send)

    return handle


async def _answer(table: Table, turn: "_Turn") -> Reply:
    dialect, route = table.dialect, None
    request = turn.request
    try:
        request.scope["state"]["api"] = dialect.api
        route, path = table.find(request)
        request.scope["state"]["route"] = route.path
        try:
            return await _run(dialect, route, path, turn)
        finally:
            await tell_window(turn.gate, request, route.window)
    except ClientGone:
        raise
    except (Refused, OperationError) as refused:
        # Under no other name: one that outlives this block would keep its traceback, and with
        # that a body of tens of megabytes, until the collector comes by.
        request.scope["state"]["code"] = as_refused(refused).code.value
        try:
            if request.has_body:
                limit_bytes = route.body_limit_bytes if route else MIB
                await discard_body(request, turn.receive, limit_bytes)
        except Refused as larger:
            return dialect.failure(larger, request, route)
        return dialect.failure(as_refused(refused), request, route)
    except Exception:  # an edge: the client gets an id, the log the rest
        log.exception("a compatible route failed", extra={"path": request.path})
        request.scope["state"]["code"] = ErrorCode.INTERNAL.value
        bug = Refused(ErrorCode.INTERNAL, "Something went wrong on our side.")
        return dialect.failure(bug, request, route)


class _Strangers:
    """Who may inflate a body before it is known whose it is: addresses take turns.

    A few kilobytes may become a whole body. Whoever sends many waits for himself.
    """

    def __init__(self) -> None:
        self._turns = Turns(STRANGERS_INFLATED)
        self._room = Room(STRANGERS_WAIT_BYTES, each=STRANGERS_WAIT_BYTES_EACH)

    @contextlib.asynccontextmanager
    async def turn(self, address: str | None, size: int) -> AsyncIterator[None]:
        """Have a turn for the body, with *size* compressed bytes.

        Raises:
            Refused: too many wait already.
        """
        if not self._room.take(address, size):
            message = "Too many compressed bodies wait to be read; send it again in a moment."
            raise Refused(ErrorCode.RATE_LIMITED, message, retry_after_seconds=1)
        try:
            async with self._turns.turn(address):
                yield
        finally:
            self._room.give_back(address, size)


@dataclass(frozen=True, slots=True)
class _Turn:
    gate: Gate
    request: Request
    receive: Receive
    strangers: _Strangers


async def _run(dialect: Dialect, route: CompatRoute, path: Mapping[str, str], turn: _Turn) -> Reply:
    request = turn.request
    check_size(request, route.body_limit_bytes)
    dialect.accept(request, route)
    if dialect.reads_first:
        actor = await _read_and_admit(dialect, turn, route)
    else:
        actor = await _admit(dialect, turn, route)
    if actor is not None:
        _check_reach(route, actor)
        if route.is_closed_while_suspended and actor.suspended:
            raise Refused(ErrorCode.ORGANIZATION_SUSPENDED, "The organization is suspended.")
        if route.permission is not None:
            actor.require(route.permission)
    for name, form in route.ids.items():
        if not _ID_FORMS[form].fullmatch(path[name]):
            raise Refused(ErrorCode.NOT_FOUND, "There is no such thing in this organization.")
    context = Context(
        actor=actor,
        request_id=request.request_id,
        source_address=request.address,
        user_agent=request.headers.get("user-agent") or "",
    )
    body = request.body
    if dialect.reads_first:
        pass
    elif route.body is not None:
        body = await read_body(request, turn.receive, route.body_limit_bytes)
        body = await _inflated(dialect, request, body, route)
    elif request.has_body:
        await discard_body(request, turn.receive, route.body_limit_bytes)
    try:
        if route.is_idempotent:
            context.idempotency_key = idempotency_key(request)
        call = await _in_its_place(dialect.read, request, route, path, body, size=len(body))
        variables = await _in_its_place(route.variables, call, size=len(request.body))
        context.idempotency_mark = call.mark
    except Refused as refused:
        if route.target is not None:
            _data(await execute(route.target, dict(path), context))
        raise await refuse_once(
            turn.gate, request, context, refused, reached=route.document, body=body
        ) from None
    result = await execute(route.document, variables, context)
    if context.replayed or any(error.replayed for error in result.errors):
        request.answer_headers.append(("idempotent-replayed", "true"))
    try:
        data = _data(result)
    except Refused as refused:
        raise route.refused(refused, call) if route.refused else refused from None
    return dialect.success(request, route, data, call)


async def _admit(dialect: Dialect, turn: _Turn, route: CompatRoute) -> Actor | None:
    """Return who asks, or None where that does not matter."""
    if route.is_public:
        return None
    return await admit(turn.gate, turn.request, key=dialect.key(turn.request))


async def _read_and_admit(dialect: Dialect, turn: _Turn, route: CompatRoute) -> Actor | None:
    """Read the body, and return who asks by it.

    Strangers' bodies inflate a few at a time, until it is known whose they are, and of those that
    are refused nothing stays.
    """
    request = turn.request
    body = await read_body(request, turn.receive, route.body_limit_bytes)
    may_grow = dialect.inflates and is_compressed(request)
    strangers = turn.strangers.turn(request.address, len(body))
    async with strangers if may_grow else contextlib.nullcontext():
        request.body = await _inflated(dialect, request, body, route)
        try:
            await _in_its_place(dialect.open, request, size=len(request.body))
            return await _admit(dialect, turn, route)
        except BaseException:
            request.body = b""
            raise


async def _inflated(dialect: Dialect, request: Request, body: bytes, route: CompatRoute) -> bytes:
    """Return the body, inflated where that is done: in a thread, as it may become large."""
    if not dialect.inflates or not is_compressed(request):
        return body
    return await asyncio.to_thread(inflated, body, route.body_limit_bytes)


def _check_reach(route: CompatRoute, actor: Actor) -> None:
    """Do nothing unless the route is for the other kind of key."""
    is_bound = actor.project_id is not None
    if route.reach is not None and is_bound is not (route.reach is KeyReach.PROJECT):
        raise Refused(ErrorCode.INVALID_API_KEY, "The API key is not for this method.")


async def _in_its_place(work: Callable[..., T], *arguments: Any, size: int) -> T:
    """Return what *work* returns; what is large is done in a thread.

    Reading megabytes would keep the loop from everybody else's requests.
    """
    if size > LARGE_BYTES:
        return await asyncio.to_thread(work, *arguments)
    return work(*arguments)


def _data(result: Result) -> Any:
    if result.errors:
        first = result.errors[0]
        raise Refused(
            first.code,
            first.message,
            details=first.details,
            retry_after_seconds=first.retry_after_seconds,
            in_our_words=True,
        )
    return result.data


_encode = msgspec.json.Encoder().encode


async def _send(reply: Reply, request: Request, send: Send) -> None:
    body = reply.body if isinstance(reply.body, bytes) else _encode(reply.body)
    headers = [
        ("content-type", reply.media_type),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        *request.answer_headers,
        *reply.headers,
    ]
    await send(
        {
            "type": "http.response.start",
            "status": reply.status,
            "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers],
        }
    )
    await send(
        {
            "type": "http.response.body",
            "body": b"" if request.method == "HEAD" else body,
            "more_body": False,
        }
    )
