"""How Postal's clients ask and what they are answered: the envelope, and HTTP 200 on errors."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import ErrorCode
from ...core.markup import encode_json
from ..bodies import Request
from ..fields import Findings
from ..handlers import Reply
from ..route import Call, CompatRoute, Fault, Refused
from .decoding import NotJson, NotParams, read_parameters
from .fields import AnyKind

PREFIX = "/api/v1"
KEY_HEADER = "x-server-api-key"
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"

HTTP_STATUSES: Mapping[ErrorCode | Fault, int] = {
    Fault.METHOD_NOT_ALLOWED: 404,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.QUOTA_EXCEEDED: 429,
    ErrorCode.SCANNER_UNAVAILABLE: 503,
    ErrorCode.DNS_UNAVAILABLE: 503,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
    ErrorCode.TIME_LIMIT: 503,
    ErrorCode.INTERNAL: 500,
}
"""Of what Postal has no error for, so that clients and proxies try again; all else is 200."""

RETRY_AFTER_SECONDS = 5

ACCESS_DENIED = ("AccessDenied", "Must be authenticated as a server.")
INVALID_KEY = (
    "InvalidServerAPIKey",
    "The API token provided in X-Server-API-Key was not valid.",
)
NOT_AUTHORISED = (
    "UnauthenticatedFromAddress",
    "The From address is not authorised to send mail from this server",
)
SUSPENDED = "ServerSuspended"

_UNKNOWN_KEY = frozenset(
    {
        ErrorCode.INVALID_API_KEY,
        ErrorCode.API_KEY_EXPIRED,
        ErrorCode.INVALID_TOKEN,
        ErrorCode.TOKEN_EXPIRED,
        ErrorCode.TOKEN_REVOKED,
    }
)
_NOT_LET_IN = frozenset(
    {
        ErrorCode.INSUFFICIENT_SCOPE,
        ErrorCode.INSUFFICIENT_ROLE,
        ErrorCode.ADDRESS_NOT_ALLOWED,
        ErrorCode.USER_DISABLED,
    }
)


class PostalError(Refused):
    """A refusal in Postal's words; without a code it is a `parameter-error`.

    *extra* comes first among the details; without a message there is none in the answer.
    """

    def __init__(
        self, postal_code: str | None, text: str | None, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(ErrorCode.INVALID_INPUT, text or "")
        self.postal_code = postal_code
        self.text = text
        self.extra = dict(extra or {})


class PostalDialect:
    """Postal's way of asking and answering."""

    prefix = PREFIX
    api = "postal"
    suffix = ".json"
    reads_first = False
    inflates = True

    def __init__(self, routes: Sequence[CompatRoute]) -> None:
        self.routes = routes
        self._paths = {route.path.removeprefix(PREFIX).strip("/") for route in routes}

    def open(self, request: Request) -> None:
        """Nothing is read before it is known who asks."""

    def speaks(self, request: Request) -> bool:
        """Whatever brings the header; and what brings no credential at all, to our paths."""
        headers = request.headers
        if KEY_HEADER in headers:
            return True
        is_ours = request.path.removesuffix(self.suffix) in self._paths
        return is_ours and "authorization" not in headers and "x-api-key" not in headers

    def key(self, request: Request) -> str:
        """The header, and no other place."""
        found = request.headers.get(KEY_HEADER, "").strip()
        if not found:
            raise PostalError(*ACCESS_DENIED)
        return found

    def accept(self, request: Request, route: CompatRoute) -> None:
        """Nothing is refused: a body that is not understood has no parameters."""

    def read(
        self, request: Request, route: CompatRoute, path: Mapping[str, str], body: bytes
    ) -> Call:
        """Return the parameters, whatever the method."""
        try:
            given = read_parameters(request, body)
        except NotJson as error:
            raise Refused(Fault.INVALID_JSON, str(error)) from error
        except NotParams as error:
            raise PostalError(None, "`params` is not valid JSON") from error
        call, found = Call(path, given=given), Findings()
        assert route.body is not None
        for declared in route.body.fields:
            kind: AnyKind = declared.kind  # type: ignore[assignment]
            if declared.required and kind.is_missing(given.get(declared.name)):
                text = f"`{declared.name}` parameter is required but is missing"
                raise PostalError(None, text)
        call.body = route.body.read(given, found)
        if found.details:
            raise PostalError(None, found.details[0].message)
        return call

    def success(self, request: Request, route: CompatRoute, data: Any, call: Call) -> Reply:
        """Answer the envelope of success."""
        return _envelope(request, "success", route.answer(data, call))

    def failure(self, refused: Refused, request: Request, route: CompatRoute | None) -> Reply:
        """Answer the envelope of an error, or what a web server answers by itself."""
        if route is None and refused.code in (ErrorCode.NOT_FOUND, Fault.METHOD_NOT_ALLOWED):
            return _bare(request, 404, "Not Found")
        if refused.code is Fault.INVALID_JSON:
            return _bare(request, 400, "Bad Request")
        error = refused if isinstance(refused, PostalError) else _translated(refused, request)
        status = 200 if error is refused else HTTP_STATUSES.get(refused.code, 200)
        headers = list(refused.headers)
        if status in (429, 503):
            wait = refused.retry_after_seconds or RETRY_AFTER_SECONDS
            headers.append(("retry-after", str(max(1, wait))))
        told = {"message": error.text} if error.text is not None else {}
        if error.postal_code is None:
            return _envelope(request, "parameter-error", told, status, headers)
        data = {**told, **error.extra, "code": error.postal_code}
        return _envelope(request, "error", data, status, headers)


def _translated(refused: Refused, request: Request) -> PostalError:
    """Return a refusal of ours in the words that come nearest."""
    code = refused.code
    if code in _UNKNOWN_KEY:
        return PostalError(*INVALID_KEY, {"token": request.headers.get(KEY_HEADER, "").strip()})
    if code is ErrorCode.NOT_AUTHENTICATED:
        return PostalError(*ACCESS_DENIED)
    if code in _NOT_LET_IN:
        return PostalError("AccessDenied", refused.message)
    if code is ErrorCode.ORGANIZATION_SUSPENDED:
        return PostalError(SUSPENDED, None)
    if code is ErrorCode.INVALID_INPUT:
        return PostalError(None, refused.details[0].message if refused.details else refused.message)
    words = "".join(word.capitalize() for word in code.value.split("_"))
    return PostalError(words, refused.message)


def _envelope(
    request: Request,
    status: str,
    data: Any,
    http_status: int = 200,
    headers: Sequence[tuple[str, str]] = (),
) -> Reply:
    took = round(time.perf_counter() - request.began, 3)
    body = {"status": status, "time": took, "flags": {}, "data": data}
    return Reply(http_status, encode_json(body), headers, JSON)


def _bare(request: Request, status: int, reason: str) -> Reply:
    """Answer what is no envelope: a page, or a word for who asks for JSON."""
    if "application/json" in request.headers.get("accept", ""):
        return Reply(status, encode_json({"status": status, "error": reason}), (), JSON)
    page = f"<!DOCTYPE html>\n<title>{reason}</title>\n<h1>{reason}</h1>\n" if status == 404 else ""
    return Reply(status, page.encode(), (), HTML)
