"""Pages that say what went wrong, why, and what to do next."""

import re
from typing import Any

from litestar import Request, Response

from ..core.errors import ErrorCode
from ..core.languages import gettext as _
from ..core.languages import marked as N_
from ..core.languages import speak, wished
from .policy import HEADERS
from .render import render

TITLES = {
    400: N_("This request cannot be read"),
    403: N_("You may not do this"),
    404: N_("There is nothing here"),
    405: N_("This page takes no such request"),
    410: N_("This link has ended"),
    413: N_("This is too large"),
    422: N_("Something in the form is not right"),
    429: N_("Too many requests"),
    500: N_("Something went wrong on our side"),
    503: N_("This is not available for the moment"),
}
NEXT = {
    403: N_("Ask an owner or administrator of the organization for the role that may."),
    404: N_(
        "The address may be mistyped, or what was here is gone, or it belongs to somebody else."
    ),
    429: N_("Wait a moment, then load the page again."),
    500: N_("Load the page again. If it happens again, tell us the request id."),
    503: N_("Load the page again in a few seconds."),
}
STATUSES = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.INSUFFICIENT_ROLE: 403,
    ErrorCode.INSUFFICIENT_SCOPE: 403,
    ErrorCode.ADDRESS_NOT_ALLOWED: 403,
    ErrorCode.ORGANIZATION_SUSPENDED: 403,
    ErrorCode.INVALID_INPUT: 404,
    ErrorCode.INVALID_CURSOR: 404,
    ErrorCode.INVITATION_EXPIRED: 410,
    ErrorCode.RESET_EXPIRED: 410,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.QUOTA_EXCEEDED: 429,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
    ErrorCode.TIME_LIMIT: 503,
}
"""The status of a page that cannot be shown; an id or a cursor in an address is no form."""


PEOPLE = re.compile(
    r"/(login|logout|register|reset|invite|orgs|o|account|explorer|gallery|admin)(/|$)"
)
"""The addresses that people open; every other one is spoken to by programs."""


class Fault(Exception):
    """A page is not shown: the status, a sentence, and where it can be mended, if anywhere."""

    def __init__(self, status: int, sentence: str, *, to: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.to = to


def fault_of(code: ErrorCode, sentence: str) -> Fault:
    """Return what a refusal of the schema comes to for a page."""
    if code is ErrorCode.SECOND_FACTOR_SETUP_REQUIRED:
        return Fault(403, sentence)
    return Fault(STATUSES.get(code, 500), sentence)


def show_fault(fault: Fault, *, request_id: str, home: str) -> str:
    """Return the page."""
    variables = {
        "title": _(TITLES.get(fault.status, TITLES[500])),
        "sentence": fault.sentence if fault.status != 500 else "",
        "advice": _(NEXT.get(fault.status, "")),
        "status": fault.status,
        "request_id": request_id,
        "home": home,
    }
    return render("fault.html", variables)


def page_of_status(
    request: Request[Any, Any, Any], status: int, sentence: str
) -> Response[Any] | None:
    """Return the page for what Litestar refuses; None where no page was asked for."""
    if not PEOPLE.match(request.scope["path"]):
        return None
    speak(wished(request.headers.get("accept-language", "")))
    request_id = request.scope["state"]["request_id"]
    text = show_fault(Fault(status, sentence), request_id=request_id, home="/orgs")
    return Response(
        text.encode(),
        status_code=status,
        media_type="text/html; charset=utf-8",
        headers=dict(HEADERS),
    )
