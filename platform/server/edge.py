"""What is true of every answer: a request id, safe headers, and never a stack trace."""

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from ..core.logs import bound
from ..core.measuring import Counter, Histogram
from ..core.settings import Settings
from ..core.tracing import Kind, span
from ..requests.noting import NOTEBOOK, Asked
from ..requests.rules import Api
from .addresses import client_address

log = logging.getLogger(__name__)

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
"""Set unless the answer brings its own: what can be cached or has a page says so itself."""
REQUESTS = Counter("api_requests", "HTTP requests answered.", labels=("route", "method", "status"))
REQUEST_SECONDS = Histogram(
    "api_request_seconds",
    "From the first byte of a request to the last of its answer.",
    labels=("route",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BODY_SECONDS = 30.0
"""How long a body may take to come, and a second more for each `SLOWEST_BYTES` of it.

A server takes a limited number of connections at once. Without this, a stranger who opens as
many and never ends a body keeps everybody else out.
"""
SLOWEST_BYTES = 32_768
BROKEN = "Something went wrong on our side. The request id helps us to find it."
TOO_SLOW = "The body came too slowly."


class Edge:
    """The outermost application: everything that is served passes through it.

    For those within, `scope["state"]` holds `request_id` and `client_address`. They may put there
    `route`, the template of the path, if Litestar does not know it; and for the log of requests
    `caller`, whose API key it is, the `api`, the `operation` and the `code` of a refusal.
    """

    def __init__(
        self,
        app: ASGIApp,
        found: Settings,
        *,
        body_seconds: float = BODY_SECONDS,
        after_slash: Sequence[str] = (),
    ) -> None:
        """Paths that begin like one of *after_slash* may have more slashes before them."""
        self.app = app
        self._after_slash = tuple(each.encode() for each in after_slash)
        self._body_seconds = body_seconds
        self._trusted = found.trusted_proxies
        headers = dict(HEADERS)
        if found.public_url.startswith("https://"):
            headers[b"strict-transport-security"] = b"max-age=31536000"
        self._headers = tuple(headers.items())
        self._names = frozenset(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._connection(scope, receive, send)
            return
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        head = _Head(scope["headers"])
        request_id = head.request_id
        state = self._begin(scope, head)
        began = answered = time.perf_counter()
        status: int | None = None
        body = PunctualBody(receive, seconds=self._body_seconds)

        def send_completed(message: Message) -> Awaitable[None]:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                self._complete(message, request_id, is_last=body.is_late)
            return send(message)

        method = _method(scope)
        about = {"http.request.method": method, "postlane.request_id": request_id}
        with (
            bound(request_id=request_id),
            span("HTTP", Kind.SERVER, about=about, headers=scope["headers"]) as current,
        ):
            try:
                refusal = _refusal(scope, head, after_slash=self._after_slash)
                if refusal is not None:
                    await send_json(send_completed, refusal["error"]["status"], refusal)
                    return
                await self.app(scope, body, send_completed)
                if status is None:
                    await _answer_late(send_completed, request_id, is_late=body.is_late)
            except Exception:  # an edge: nothing but a masked answer leaves
                log.exception("a request failed")
                if status is None:
                    await send_json(send_completed, 500, broken(request_id))
            route = _route(scope)
            current.note("http.route", route)
            current.note("http.response.status_code", status or 0)
        if status is not None:
            # How long a stream of events lasts says nothing of us.
            is_endless = state.get("is_endless", False)
            seconds = (answered if is_endless else time.perf_counter()) - began
            if (caller := state.get("caller")) is not None:
                asked = _asked(state, method, route, status)
                NOTEBOOK.note(caller, asked, request_id=request_id, seconds=seconds)
            if not is_endless:
                # What is not ours to name has one name: labels that strangers choose have no end.
                REQUESTS.add(route, method, str(status))
                REQUEST_SECONDS.observe(seconds, route)

    async def _connection(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve a WebSocket."""
        head = _Head(scope["headers"])
        request_id = head.request_id
        self._begin(scope, head)
        can_answer = "websocket.http.response" in (scope.get("extensions") or {})
        is_open = False

        async def send_completed(message: Any) -> None:
            nonlocal is_open
            is_open = is_open or message["type"] == "websocket.accept"
            if message["type"] == "websocket.close" and not is_open and can_answer:
                # Left to the server, it would be a 403 without a single header.
                await self._refuse(send, request_id)
            else:
                await send(message)

        with bound(request_id=request_id):
            try:
                await self.app(scope, receive, send_completed)
            except Exception:  # an edge: the server closes what is still open
                log.exception("a connection failed")

    async def _refuse(self, send: Send, request_id: str) -> None:
        """Refuse a WebSocket before it is one."""
        answer: Any = {
            "type": "websocket.http.response.start",
            "status": 403,
            "headers": [(b"content-length", b"0")],
        }
        self._complete(answer, request_id, is_last=False)
        await send(answer)
        body: Any = {"type": "websocket.http.response.body", "body": b"", "more_body": False}
        await send(body)

    def _begin(self, scope: Any, head: "_Head") -> dict[str, Any]:
        """Give the request a state of its own: Granian hands the same one to every request."""
        peer = scope.get("client")
        state = dict(scope.get("state") or ())
        state["request_id"] = head.request_id
        state["client_address"] = client_address(
            peer[0] if peer else None, head.forwarded, trusted=self._trusted
        )
        scope["state"] = state
        return state

    def _complete(self, message: Any, request_id: str, *, is_last: bool) -> None:
        headers = list(message.get("headers", ()))
        if is_last:
            headers.append((b"connection", b"close"))
        given = self._names.intersection([name.lower() for name, _ in headers])
        if given:
            headers += [each for each in self._headers if each[0] not in given]
        else:
            headers += self._headers
        headers.append((b"x-request-id", request_id.encode()))
        message["headers"] = headers


class _Head:
    """What the edge wants to know of a request's headers, read in one pass."""

    __slots__ = ("forwarded", "hosts", "request_id")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        request_id: str | None = None
        self.forwarded: list[str] = []
        """The values of every `X-Forwarded-For`, in order."""
        self.hosts = 0
        for name, value in headers:
            if name == b"host":
                # The server puts an empty one where there is none.
                self.hosts += value != b""
            elif name == b"x-forwarded-for":
                self.forwarded.append(value.decode("latin-1"))
            elif name == b"x-request-id" and request_id is None and REQUEST_ID.fullmatch(value):
                request_id = value.decode("ascii")
        self.request_id = uuid.uuid4().hex if request_id is None else request_id


class PunctualBody:
    """What comes from a client, as long as its body comes fast enough.

    For those within, a client that is too slow has gone.
    """

    def __init__(self, receive: Receive, *, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._began: float | None = None
        self._size = 0
        self._is_over = False
        self.is_late = False

    async def __call__(self) -> Any:
        if self.is_late:
            return {"type": "http.disconnect"}
        if self._is_over:
            # The end of the connection is waited for, which may take as long as it likes.
            return await self._receive()
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
        allowed = self._seconds + self._size / SLOWEST_BYTES
        try:
            async with asyncio.timeout_at(self._began + allowed):
                message: Any = await self._receive()
        except TimeoutError:
            self.is_late = True
            return {"type": "http.disconnect"}
        self._size += len(message.get("body", b""))
        self._is_over = not message.get("more_body", False)
        return message


def _refusal(scope: Any, head: _Head, *, after_slash: tuple[bytes, ...]) -> dict[str, Any] | None:
    """Return how to refuse a request that proxies in front may have understood otherwise."""
    path = scope.get("raw_path") or b""
    if path.startswith(b"//") and (single := b"/" + path.lstrip(b"/")).startswith(after_slash):
        path = single
    if b"//" in path or b"%2f" in path.lower():
        # A rule of a proxy for `/metrics` does not see `//metrics`, and we would.
        return failure(404, "not_found", "There is nothing at this address.", head.request_id)
    if head.hosts > 1 or (head.hosts == 0 and scope.get("http_version") == "1.1"):
        # RFC 9112 section 3.2.
        message = "A request has exactly one Host header."
        return failure(400, "invalid_request", message, head.request_id)
    return None


async def _answer_late(send: Send, request_id: str, *, is_late: bool) -> None:
    """Answer a request whose body did not come to its end, if there is still somebody."""
    if is_late:
        body = failure(408, "request_timeout", TOO_SLOW, request_id)
    else:
        body = failure(400, "invalid_request", "The body broke off, or is malformed.", request_id)
    try:
        await send_json(send, body["error"]["status"], body)
    except Exception as error:  # an edge: nobody is left to be answered
        log.debug("a client that was gone could not be answered: %r", error)


def _route(scope: Any) -> str:
    route: str = scope["state"].get("route") or scope.get("path_template") or "unknown"
    return route


def _method(scope: Any) -> str:
    method: str = scope["method"]
    return method if method in METHODS else "other"


def _asked(state: Mapping[str, Any], method: str, route: str, status: int) -> Asked:
    """Return what the log of requests says of one that was answered."""
    return Asked(
        api=state.get("api", Api.REST),
        method=method,
        route=route,
        operation=state.get("operation"),
        status=status,
        code=state.get("code"),
    )


def failure(status: int, code: str, message: str, request_id: str) -> dict[str, Any]:
    """Return the body of an error that no API in particular answers, as the REST API's are."""
    error = {
        "code": code,
        "message": message,
        "status": status,
        "details": [],
        "request_id": request_id,
    }
    return {"error": error}


def broken(request_id: str) -> dict[str, Any]:
    """Return the body of an answer that hides a mistake of ours."""
    return failure(500, "internal_error", BROKEN, request_id)


async def send_json(
    send: Send, status: int, body: dict[str, Any], *, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with *body* and nothing else."""
    content = json.dumps(body).encode()
    sent = [
        *headers,
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": content, "more_body": False})
