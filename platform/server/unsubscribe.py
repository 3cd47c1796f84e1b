"""One-click unsubscribes, and a page for people who open the link."""

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import MediaType, Request, Response, post, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from ..security.errors import TooManyRequests
from ..tracking.work import BY_PAGE, ONE_CLICK, PATH, unsubscribe

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 4rem auto }}
button {{ font: inherit; padding: .5rem 1rem }}
</style>
<h1>{title}</h1>
{body}
"""
ASK = (
    "<p>You will get no more mail of this kind. Mail that you ask for yourself, such as "
    "receipts, still comes.</p>"
    '<form method="post"><input type="hidden" name="by" value="page">'
    "<button>Unsubscribe</button></form>"
)
BUTTON = b"by=page"
"""What the button of the page sends."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # The address holds a token that unsubscribes; no other site is to see it.
    "Referrer-Policy": "no-referrer",
}
Token = Annotated[str, Parameter(description="What the message's header held.")]


def build_handlers() -> list[HTTPRouteHandler]:
    """Return the handlers."""
    return [ask, leave]


@route(
    PATH + "{token:str}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    media_type=MediaType.HTML,
    sync_to_thread=False,
)
def ask(token: Token) -> Response[str]:
    """Ask a person who opened the link; programs that fetch links change nothing by it."""
    return _page("Unsubscribe?", ASK)


@post(PATH + "{token:str}", media_type=MediaType.HTML, status_code=200)
async def leave(token: Token, request: Request[Any, Any, Any]) -> Response[str]:
    """Unsubscribe the token's recipient; no cookie, no sign-in, no question.

    Whatever is sent, somebody asked: some programs send another body than they should.

    Source: RFC 8058 section 3.2.
    """
    is_by_page = await request.body() == BUTTON
    try:
        is_good = await unsubscribe(token, method=BY_PAGE if is_by_page else ONE_CLICK)
    except TooManyRequests as refusal:
        body = "<p>This link was used often just now. Try again in a minute.</p>"
        again = {"Retry-After": str(refusal.retry_after_seconds)}
        return _page("Too many requests", body, status=429, headers=again)
    if is_good:
        return _page("You are unsubscribed", "<p>You can close this page.</p>")
    body = "<p>Ask the sender to take you off the list.</p>"
    return _page("This link is not valid", body, status=404)


def _page(
    title: str, body: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[str]:
    text = PAGE.format(title=title, body=body)
    return Response(text, status_code=status, headers={**HEADERS, **(headers or {})})
