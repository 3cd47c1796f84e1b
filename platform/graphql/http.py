"""`/graphql` over HTTP: which request means what, and which status and media type it gets.

Source: https://graphql.github.io/graphql-over-http/draft/
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec
from litestar.types import HTTPScope, Receive, Send

from ..core.actor import Actor
from ..core.errors import ErrorCode, LimitReached, OperationError, Unavailable
from . import limits
from .context import Context
from .documents import DocumentRefused, Documents
from .errors import Refusal, is_unreachable, refuse
from .execute import run
from .media import GRAPHQL_RESPONSE, JSON, accepted
from .request import (
    Body,
    GraphQLRequest,
    Headers,
    HttpRefusal,
    request_of_body,
    request_of_query,
)
from .scalars import write_time

log = logging.getLogger(__name__)

T = TypeVar("T")

Authenticate: TypeAlias = Callable[[HTTPScope], Awaitable[Actor | None]]
"""Returns who sent the request, None for nobody, or raises what is wrong with the credential."""


class Rate(Protocol):
    """How much of a credential's rate limit is left after a request."""

    @property
    def limit(self) -> int:
        """Requests per minute."""

    @property
    def remaining(self) -> int:
        """Requests that may follow at once."""

    @property
    def reset_at(self) -> int:
        """Unix seconds at which nothing is used."""

    @property
    def retry_after_seconds(self) -> int | None:
        """How long to wait, if this request is one too many."""


Meter: TypeAlias = Callable[[Actor], Awaitable[Rate | None]]
"""Counts one request of an actor; None is for those without a limit."""

STATUS = {
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.ACCOUNT_LOCKED: 429,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.ADDRESS_NOT_ALLOWED: 403,
    ErrorCode.ORGANIZATION_SUSPENDED: 403,
    ErrorCode.USER_DISABLED: 403,
    ErrorCode.INTERNAL: 500,
}
"""For refusals before a document is read; any other one of a credential is 401."""
CORS = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Idempotent-Replayed, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, "
        b"X-RateLimit-Reset, X-Request-Id",
    ),
)
PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Idempotency-Key, X-API-Key, X-Request-Id",
    ),
    (b"access-control-max-age", b"86400"),
)
"""Any page may ask with a token of its own: no cookie is ever sent along with `*`."""


@dataclass(slots=True)
class Answer:
    """What goes back: a status, a media type, a body, and headers of its own."""

    status: int
    body: dict[str, Any]
    media_type: str = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()


class GraphQLOverHttp:
    """The ASGI application behind `/graphql`."""

    def __init__(
        self,
        authenticate: Authenticate,
        *,
        meter: Meter | None = None,
        introspection_is_public: bool,
    ) -> None:
        self._authenticate = authenticate
        self._meter = meter
        self._introspection_is_public = introspection_is_public
        self._documents = Documents()

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] == "OPTIONS":
            await _send(send, 204, b"", [*PREFLIGHT, *CORS])
            return
        answer = await self._answer(scope, receive)
        body = msgspec.json.encode(answer.body)
        content_type = (b"content-type", f"{answer.media_type}; charset=utf-8".encode())
        if scope["method"] == "HEAD":
            body = b""
        await _send(send, answer.status, body, [content_type, *answer.headers, *CORS])

    async def _answer(self, scope: HTTPScope, receive: Receive) -> Answer:
        headers = Headers(scope)
        body = Body(headers, receive)
        state = scope["state"]
        request_id: str = state["request_id"]
        media_type = accepted(headers.get("accept"))
        rate: Rate | None = None
        try:
            if media_type is None:
                raise HttpRefusal(
                    406, f"Accept {GRAPHQL_RESPONSE} or {JSON}; there is nothing else to give."
                )
            if scope["method"] not in ("GET", "HEAD", "POST"):
                raise HttpRefusal(405, "Send a POST, or a GET for a query.", allow="GET, POST")
            actor = await self._who(scope)
            rate = await self._counted(actor)
            _check_rate(rate)
            context = Context(
                actor=actor,
                request_id=request_id,
                source_address=state["client_address"],
                user_agent=headers.get("user-agent") or "",
                idempotency_key=headers.idempotency_key(),
                may_introspect=actor is not None or self._introspection_is_public,
            )
            request = await self._request(scope, body, headers, actor)
            answer = await self._run(request, context, scope["method"], media_type, rate=rate)
        except HttpRefusal as refused:
            answer = _refused(
                refused.status, [refused.refusal], request_id, media_type, allow=refused.allow
            )
        except OperationError as error:
            refusal = refuse(error)
            status = STATUS.get(refusal.code, 401)
            answer = _refused(status, [refusal], request_id, media_type)
        await body.discard()
        answer.headers = [*answer.headers, *_rate_headers(rate)]
        return answer

    async def _who(self, scope: HTTPScope) -> Actor | None:
        return await _asked(self._authenticate(scope))

    async def _counted(self, actor: Actor | None) -> Rate | None:
        if self._meter is None or actor is None:
            return None
        return await _asked(self._meter(actor))

    async def _request(
        self, scope: HTTPScope, body: Body, headers: Headers, actor: Actor | None
    ) -> GraphQLRequest:
        if scope["method"] != "POST":
            return request_of_query(scope["query_string"])
        headers.check_body_is_json()
        most = limits.BODY_BYTES if actor else limits.STRANGERS_BODY_BYTES
        return request_of_body(await body.read(most=most))

    async def _run(
        self,
        request: GraphQLRequest,
        context: Context,
        method: str,
        media_type: str,
        *,
        rate: Rate | None,
    ) -> Answer:
        request_id = context.request_id
        try:
            prepared = self._documents.prepared(request.query, request.sha256)
            operation = prepared.operation(request.operation_name)
            if method != "POST" and not operation.is_query:
                raise HttpRefusal(405, "Send a mutation by POST, not by GET.", allow="POST")
            cost = operation.price.of(request.variables)
            limits.check_limit("points of cost", found=cost, most=limits.COST)
        except DocumentRefused as refused:
            return _not_run(refused.refusals, request_id, media_type)
        except OperationError as error:
            return _not_run([refuse(error)], request_id, media_type)
        result = await run(prepared.node, operation.node, request.variables, context)
        if not result.ran:
            return _not_run(result.errors, request_id, media_type)
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [refusal.formatted(request_id) for refusal in result.errors]
        body["extensions"] = {"cost": {"requested": cost, "throttle": _throttle(rate)}}
        is_replayed = context.replayed or any(error.replayed for error in result.errors)
        replayed = [(b"idempotent-replayed", b"true")] if is_replayed else []
        return Answer(200, body, media_type, replayed)


async def _asked(question: Awaitable[T]) -> T:
    """Return what the database says about a credential.

    Raises:
        Unavailable: it cannot be asked.
    """
    try:
        return await question
    except Exception as error:
        if not is_unreachable(error):
            raise
        log.error("a credential could not be looked up: %r", error)
        raise Unavailable(retry_after_seconds=5) from error


def _not_run(errors: Sequence[Refusal], request_id: str, media_type: str) -> Answer:
    # The draft wants 4xx only under its own media type: who reads plain JSON may take the
    # status for the transport's.
    status = 400 if media_type == GRAPHQL_RESPONSE else 200
    return Answer(status, {"errors": [e.formatted(request_id) for e in errors]}, media_type)


def _refused(
    status: int,
    errors: Sequence[Refusal],
    request_id: str,
    media_type: str | None,
    *,
    allow: str | None = None,
) -> Answer:
    headers: list[tuple[bytes, bytes]] = []
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="postlane"'))
    if allow:
        headers.append((b"allow", allow.encode()))
    if errors[0].retry_after_seconds is not None:
        headers.append((b"retry-after", str(errors[0].retry_after_seconds).encode()))
    body = {"errors": [error.formatted(request_id) for error in errors]}
    return Answer(status, body, media_type or JSON, headers)


def _check_rate(rate: Rate | None) -> None:
    if rate is not None and rate.retry_after_seconds is not None:
        raise LimitReached(
            f"This credential may make {rate.limit} requests a minute.",
            retry_after_seconds=rate.retry_after_seconds,
        )


def _throttle(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    reset_at = write_time(datetime.fromtimestamp(rate.reset_at, UTC))
    return {"limit": rate.limit, "remaining": rate.remaining, "resetAt": reset_at}


def _rate_headers(rate: Rate | None) -> Sequence[tuple[bytes, bytes]]:
    if rate is None:
        return ()
    return (
        (b"x-ratelimit-limit", str(rate.limit).encode()),
        (b"x-ratelimit-remaining", str(rate.remaining).encode()),
        (b"x-ratelimit-reset", str(rate.reset_at).encode()),
    )


async def _send(
    send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
