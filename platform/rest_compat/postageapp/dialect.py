"""How PostageApp's clients ask and what they are answered: the envelope and its words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.errors import ErrorCode
from ...core.markup import encode_json
from ..bodies import Request
from ..handlers import Reply
from ..route import Call, CompatRoute, Fault, Refused
from .decoding import Envelope, PostageAppError, check_arguments, read_head, read_rest

VERSIONS = ("v.1.1", "v.1.0")
JSON = "application/json; charset=utf-8"
RETRY_AFTER_SECONDS = 5

STATUSES: Mapping[str, int] = {
    "ok": 200,
    "bad_request": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "invalid_json": 406,
    "invalid_utf8": 406,
    "call_error": 406,
    "conflict": 409,
    "precondition_failed": 412,
    "request_too_large": 413,
    "locked": 423,
    "too_many_requests": 429,
    "internal_server_error": 500,
    "service_unavailable": 503,
}
"""HTTP by their word."""

UNAUTHORIZED = "Invalid or inactive account API key used."
LOCKED = "The specified API key is not valid."
WRONG_VERSION = "Invalid API version."
UNKNOWN_METHOD = "Request could not be processed: there is no method '{}'."

WORDS: Mapping[ErrorCode | Fault, str] = {
    Fault.METHOD_NOT_ALLOWED: "method_not_allowed",
    Fault.INVALID_JSON: "invalid_json",
    ErrorCode.NOT_FOUND: "not_found",
    ErrorCode.NOT_AUTHENTICATED: "unauthorized",
    ErrorCode.INVALID_API_KEY: "unauthorized",
    ErrorCode.API_KEY_EXPIRED: "unauthorized",
    ErrorCode.USER_DISABLED: "unauthorized",
    ErrorCode.INSUFFICIENT_SCOPE: "unauthorized",
    ErrorCode.INSUFFICIENT_ROLE: "unauthorized",
    ErrorCode.ADDRESS_NOT_ALLOWED: "unauthorized",
    ErrorCode.ORGANIZATION_SUSPENDED: "locked",
    ErrorCode.MESSAGE_UID_TAKEN: "bad_request",
    ErrorCode.PAYLOAD_TOO_LARGE: "request_too_large",
    ErrorCode.MESSAGE_TOO_LARGE: "request_too_large",
    ErrorCode.RATE_LIMITED: "too_many_requests",
    ErrorCode.QUOTA_EXCEEDED: "too_many_requests",
    ErrorCode.SERVICE_UNAVAILABLE: "service_unavailable",
    ErrorCode.DNS_UNAVAILABLE: "service_unavailable",
    ErrorCode.TIME_LIMIT: "service_unavailable",
    ErrorCode.INTERNAL: "internal_server_error",
}
"""Their word for a refusal of ours; every other one is `precondition_failed`."""


class PostageAppDialect:
    """PostageApp's way of asking and answering, in one version."""

    api = "postageapp"
    suffix = ".json"
    reads_first = True
    inflates = True

    def __init__(self, version: str, routes: Sequence[CompatRoute]) -> None:
        self.prefix = f"/{version}"
        self.routes: Sequence[CompatRoute] = tuple(
            replace(route, path=f"{self.prefix}/{route.path}") for route in routes
        )

    def speaks(self, request: Request) -> bool:
        """The path says it all."""
        return True

    def open(self, request: Request) -> None:
        """Read of the body who asks, and no more: it may be large, and anybody's."""
        request.read = read_head(request.body)

    def key(self, request: Request) -> str:
        """The key in the body, and no other place."""
        found = _envelope(request).api_key
        if not found:
            raise PostageAppError("unauthorized", UNAUTHORIZED)
        return found

    def accept(self, request: Request, route: CompatRoute) -> None:
        """Nothing is refused: whatever the type says, the body is JSON."""

    def read(
        self, request: Request, route: CompatRoute, path: Mapping[str, str], body: bytes
    ) -> Call:
        """Return what is asked, of which the route reads what it needs."""
        envelope = _envelope(request)
        if "method" not in path:
            envelope = request.read = read_rest(envelope, body)
            check_arguments(envelope)
        return Call(path, given={"envelope": envelope})

    def success(self, request: Request, route: CompatRoute, data: Any, call: Call) -> Reply:
        """Answer the envelope; what a route answers is its response's additions and the data."""
        answered = route.answer(data, call)
        response = {"status": "ok", "uid": _envelope(request).uid, **answered.response}
        return _reply(200, {"response": response, "data": answered.data})

    def failure(self, refused: Refused, request: Request, route: CompatRoute | None) -> Reply:
        """Answer the envelope of an error."""
        word, text = _told(refused)
        envelope = request.read if isinstance(request.read, Envelope) else None
        response: dict[str, Any] = {"status": word, "uid": envelope.uid if envelope else None}
        if isinstance(refused, PostageAppError) and refused.uid is not None:
            response["uid"] = refused.uid
        if text is not None:
            response["message"] = text
        status, headers = STATUSES[word], list(refused.headers)
        if status in (429, 503):
            wait = refused.retry_after_seconds or RETRY_AFTER_SECONDS
            headers.append(("retry-after", str(max(1, wait))))
        return _reply(status, {"response": response}, headers)


def _envelope(request: Request) -> Envelope:
    assert isinstance(request.read, Envelope)
    return request.read


def _told(refused: Refused) -> tuple[str, str | None]:
    """Return the word and the sentence of a refusal."""
    if isinstance(refused, PostageAppError):
        return refused.status, refused.text
    word = WORDS.get(refused.code, "precondition_failed")
    if word == "unauthorized":
        # What a key may not do here is told, since nothing else says it.
        is_scope = refused.code in (ErrorCode.INSUFFICIENT_SCOPE, ErrorCode.ADDRESS_NOT_ALLOWED)
        return word, refused.message if is_scope else UNAUTHORIZED
    if word == "locked":
        return word, LOCKED
    if refused.details and word == "precondition_failed":
        return word, refused.details[0].message
    return word, refused.message


def _reply(status: int, body: Mapping[str, Any], headers: Sequence[tuple[str, str]] = ()) -> Reply:
    return Reply(status, encode_json(body), headers, JSON)


_VERSIONED = re.compile(r"/v\.\d+(?:\.\d+)*/[^/]+/?", re.ASCII)


def wrong_version(path: str) -> bytes | None:
    """Return the answer for a path in a version that there is not; None is no such path."""
    if not _VERSIONED.fullmatch(path):
        return None
    response = {"status": "conflict", "uid": None, "message": WRONG_VERSION}
    return encode_json({"response": response})
