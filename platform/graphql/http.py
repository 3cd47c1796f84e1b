"""`/graphql` over HTTP: which request means what, and which status and media type it gets.

Source: https://graphql.github.io/graphql-over-http/draft/
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.types import HTTPScope, Receive, Send

from ..core.actor import Actor, known
from ..core.errors import ErrorCode, OperationError
from ..requests.rules import Api
from . import limits
from .answers import (
    Authenticate,
    Meter,
    Rate,
    StrangersMeter,
    Wanted,
    asked,
    body_of,
    check_rate,
    counted,
    counted_stranger,
    extensions,
    wanted,
)
from .context import Context
from .documents import DocumentRefused, Documents
from .errors import Refusal, refuse
from .execute import Result, run
from .live import PLACES, Credential, subscribe
from .media import GRAPHQL_RESPONSE, JSON, accepted, takes_events
from .request import (
    Body,
    GraphQLRequest,
    Headers,
    HttpRefusal,
    request_of_body,
    request_of_query,
)
from .sse import EVENT_STREAM, EventStream

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


@dataclass(slots=True)
class Events:
    """What goes back as a stream of events: a body for each, as it comes."""

    bodies: AsyncIterator[dict[str, Any]]
    headers: Sequence[tuple[bytes, bytes]] = ()


class _Asking:
    """How a request wants to be answered, and what is known of who asks."""

    __slots__ = ("headers", "media_type", "method", "rate", "request_id", "scope", "takes_events")

    def __init__(self, scope: HTTPScope, headers: Headers) -> None:
        self.scope = scope
        self.headers = headers
        self.method: str = scope["method"]
        self.request_id: str = scope["state"]["request_id"]
        accept = headers.get("accept")
        self.media_type = accepted(accept)
        """None if only events are taken, or nothing that there is."""
        self.takes_events = takes_events(accept)
        self.rate: Rate | None = None


class GraphQLOverHttp:
    """The ASGI application behind `/graphql`."""

    def __init__(
        self,
        authenticate: Authenticate,
        *,
        meter: Meter | None = None,
        strangers: StrangersMeter | None = None,
        documents: Documents | None = None,
        introspection_is_public: bool,
    ) -> None:
        self._authenticate = authenticate
        self._meter = meter
        self._strangers = strangers
        self._introspection_is_public = introspection_is_public
        self._documents = Documents() if documents is None else documents

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] == "OPTIONS":
            await _send(send, 204, b"", [*PREFLIGHT, *CORS])
            return
        asking = _Asking(scope, Headers(scope))
        scope["state"]["api"] = Api.GRAPHQL
        answer = await self._answer(asking, receive)
        headers = [*answer.headers, *_rate_headers(asking.rate), *CORS]
        if isinstance(answer, Events):
            scope["state"]["is_endless"] = True
            await EventStream(send, receive).run(answer.bodies, headers, asking.request_id)
            return
        if errors := answer.body.get("errors"):
            scope["state"]["code"] = errors[0]["extensions"]["code"]
        body = msgspec.json.encode(answer.body)
        content_type = (b"content-type", f"{answer.media_type}; charset=utf-8".encode())
        if scope["method"] == "HEAD":
            body = b""
        await _send(send, answer.status, body, [content_type, *headers])

    async def _answer(self, asking: "_Asking", receive: Receive) -> "Answer | Events":
        body = Body(asking.headers, receive)
        answer: Answer | Events
        try:
            answer = await self._asked_for(asking, body)
            if asking.media_type is None and isinstance(answer, Answer):
                # Only events are taken, and so refusals come as one, too.
                answer = Events(_one(answer.body), answer.headers)
        except HttpRefusal as refused:
            answer = _refused(
                refused.status,
                [refused.refusal],
                asking.request_id,
                asking.media_type,
                allow=refused.allow,
            )
        except OperationError as error:
            refusal = refuse(error)
            status = STATUS.get(refusal.code, 401)
            answer = _refused(status, [refusal], asking.request_id, asking.media_type)
        await body.discard()
        return answer

    async def _asked_for(self, asking: "_Asking", body: Body) -> "Answer | Events":
        scope, headers = asking.scope, asking.headers
        if asking.media_type is None and not asking.takes_events:
            raise HttpRefusal(
                406, f"Accept {GRAPHQL_RESPONSE} or {JSON}; there is nothing else to give."
            )
        if asking.method not in ("GET", "HEAD", "POST"):
            raise HttpRefusal(405, "Send a POST, or a GET for a query.", allow="GET, POST")
        actor = await asked(self._authenticate(scope))
        await self._count(asking, actor)
        context = Context(
            actor=actor,
            request_id=asking.request_id,
            source_address=scope["state"]["client_address"],
            user_agent=headers.get("user-agent") or "",
            idempotency_key=headers.idempotency_key(),
            may_introspect=actor is not None or self._introspection_is_public,
        )
        request = await self._request(scope, body, headers, actor)
        return await self._run(request, context, asking)

    async def _count(self, asking: "_Asking", actor: Actor | None) -> None:
        if actor is not None:
            asking.rate = await counted(self._meter, actor)
            check_rate(asking.rate)
            return
        address = asking.scope["state"]["client_address"]
        check_rate(await counted_stranger(self._strangers, address), of="Whoever is not signed in")

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
        asking: "_Asking",
    ) -> "Answer | Events":
        request_id = context.request_id
        try:
            what = wanted(self._documents, request)
            operation = what.operation
            asking.scope["state"]["operation"] = operation.label
            if asking.method != "POST" and operation.is_mutation:
                raise HttpRefusal(405, "Send a mutation by POST, not by GET.", allow="POST")
            if operation.is_subscription and not asking.takes_events:
                raise HttpRefusal(
                    406, f"A subscription is answered as {EVENT_STREAM}, or over WebSocket."
                )
        except DocumentRefused as refused:
            told = refused.told(may_introspect=context.may_introspect)
            return _not_run(told, asking)
        except OperationError as error:
            return _not_run([refuse(error)], asking)
        if operation.is_subscription:
            known(context.actor)
            return Events(self._followed(what, request, context, asking))
        result = await run(what.document.node, operation.node, request.variables, context)
        if not result.ran:
            return _not_run(result.errors, asking)
        body = body_of(result, cost=what.cost, rate=asking.rate, request_id=request_id)
        is_replayed = context.replayed or any(error.replayed for error in result.errors)
        replayed = [(b"idempotent-replayed", b"true")] if is_replayed else []
        return Answer(200, body, asking.media_type or JSON, replayed)

    async def _followed(
        self, what: Wanted, request: GraphQLRequest, context: Context, asking: "_Asking"
    ) -> AsyncIterator[dict[str, Any]]:
        """Give the body of each answer of a subscription."""
        async with PLACES.one(known(context.actor)):
            begun = await subscribe(
                what.document.node,
                what.operation,
                request.variables,
                context,
                self._credential(asking.scope),
            )
            if isinstance(begun, Result):
                yield {"errors": [e.formatted(context.request_id) for e in begun.errors]}
                return
            try:
                async for result in begun.answers():
                    yield body_of(
                        result, cost=what.cost, rate=asking.rate, request_id=context.request_id
                    )
            finally:
                begun.stream.close()

    def _credential(self, scope: HTTPScope) -> Credential:
        """Return what the request was signed in with, to be asked again."""
        again: Any = {**scope, "state": {**scope["state"], "is_repeated": True}}
        return Credential(lambda: self._authenticate(again))


async def _one(body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield body


def _not_run(errors: Sequence[Refusal], asking: _Asking) -> Answer:
    # The draft wants 4xx only under its own media type: who reads plain JSON may take the
    # status for the transport's.
    status = 400 if asking.media_type == GRAPHQL_RESPONSE else 200
    body = {
        "errors": [error.formatted(asking.request_id) for error in errors],
        "extensions": extensions(0, asking.rate, asking.request_id),
    }
    return Answer(status, body, asking.media_type or JSON)


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
