"""The pixel and the links in tracked mail: answered at once, written down afterwards.

They are served in front of everything else, since nothing of it concerns them: no sign-in and no
database. Nobody is refused; what one network asks for too often is not written down any more.
"""

import re
from datetime import datetime
from http import HTTPStatus

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from ..core import clock
from ..core.ids import new_id
from ..tracking.machines import HitKind
from ..tracking.tokens import Mark, read_click, read_open
from ..tracking.work.erasing import ERASED, Erased
from ..tracking.work.linking import CLICK_PATH, OPEN_PATH
from ..tracking.work.recording import RECORDER, Noted, Recorder
from ..tracking.work.repeats import Repeats
from .edge import failure, send_json

LIVE_SECONDS = 365 * 24 * 60 * 60
"""How long a link leads somewhere."""
PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
"""A transparent GIF of one pixel, 43 bytes."""
PIXEL_HEADERS = [
    (b"content-type", b"image/gif"),
    (b"content-length", str(len(PIXEL)).encode()),
    (b"cache-control", b"no-store, private, max-age=0"),
    # Web mail shows it on pages of another origin.
    (b"cross-origin-resource-policy", b"cross-origin"),
]
SAFE_TARGET = re.compile(r"https?://[!-~]+")
"""What may stand in a header, and leads nowhere but to a site."""
PURPOSES = frozenset({b"purpose", b"sec-purpose", b"x-purpose", b"x-moz"})
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 4rem auto }}</style>
<h1>{title}</h1>
<p>{body}</p>
"""
SAID = {
    404: ("invalid_tracking_token", "This link is not valid.", "It may have been cut off."),
    410: ("tracking_link_expired", "This link no longer works.", "Ask the sender for a new one."),
}


class Tracking:
    """Answers for pixels and links, and hands everything else on to *app*."""

    def __init__(
        self, app: ASGIApp, *, recorder: Recorder = RECORDER, erased: Erased = ERASED
    ) -> None:
        self._app = app
        self._recorder = recorder
        self._erased = erased
        self._repeats = Repeats()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            path: str = scope["path"]
            if path.startswith(OPEN_PATH):
                await self._open(scope, send, path[len(OPEN_PATH) :])
                return
            if path.startswith(CLICK_PATH):
                await self._click(scope, send, path[len(CLICK_PATH) :])
                return
        await self._app(scope, receive, send)

    async def _open(self, scope: HTTPScope, send: Send, token: str) -> None:
        """Answer with the picture, whatever the token is."""
        scope["state"]["route"] = OPEN_PATH + "{token}"
        if not await _may_ask(scope, send):
            return
        await send({"type": "http.response.start", "status": 200, "headers": list(PIXEL_HEADERS)})
        is_get = scope["method"] == "GET"
        body = PIXEL if is_get else b""
        await send({"type": "http.response.body", "body": body, "more_body": False})
        if is_get:
            mark = read_open(token.removesuffix(".gif"))
            now = clock.now()
            await self._erased.keep_fresh()
            if mark is not None and not self._erased.covers(mark) and _is_live(mark, now):
                self._note(scope, HitKind.OPEN, mark, now)

    async def _click(self, scope: HTTPScope, send: Send, token: str) -> None:
        """Send whoever asks to where the link leads."""
        scope["state"]["route"] = CLICK_PATH + "{token}"
        if not await _may_ask(scope, send):
            return
        mark = read_click(token)
        if mark is None or not SAFE_TARGET.fullmatch(mark.url):
            await _refuse(scope, send, 404)
            return
        now = clock.now()
        await self._erased.keep_fresh()
        if not _is_live(mark, now) or self._erased.covers(mark):
            await _refuse(scope, send, 410)
            return
        headers = [(b"location", mark.url.encode("ascii")), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 302, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        if scope["method"] == "GET":
            self._note(scope, HitKind.CLICK, mark, now)

    def _note(self, scope: HTTPScope, kind: HitKind, mark: Mark, now: datetime) -> None:
        hit = _noted(scope, kind, mark, now)
        if not self._repeats.is_one(kind, mark, hit.address, now=now.timestamp()):
            self._recorder.note(hit)


def _is_live(mark: Mark, now: datetime) -> bool:
    return now.timestamp() < mark.made_at + LIVE_SECONDS


def _noted(scope: HTTPScope, kind: HitKind, mark: Mark, now: datetime) -> Noted:
    agent = purpose = b""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent = value[:2_000]
        elif name in PURPOSES:
            purpose = value[:200]
    return Noted(new_id(), now, kind, mark, agent, scope["state"]["client_address"], purpose)


async def _may_ask(scope: HTTPScope, send: Send) -> bool:
    """Refuse methods that nobody needs here."""
    if scope["method"] in ("GET", "HEAD"):
        return True
    message = "This address takes GET, HEAD."
    body = failure(405, "method_not_allowed", message, scope["state"]["request_id"])
    await send_json(send, 405, body, headers=[(b"allow", b"GET, HEAD")])
    return False


async def _refuse(scope: HTTPScope, send: Send, status: int) -> None:
    """Say why a link leads nowhere: to people with a page, to programs as JSON."""
    code, title, body = SAID[status]
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    if b"text/html" not in accept:
        said = failure(status, code, title, scope["state"]["request_id"])
        await send_json(send, HTTPStatus(status), said)
        return
    page = PAGE.format(title=title.rstrip("."), body=body).encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(page)).encode()),
        (
            b"content-security-policy",
            b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": page, "more_body": False})
