"""From pages and actions to request handlers: which address shows or does what."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from litestar import Request, Response, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from ..core.languages import gettext as _
from .assets import PREFIX, by_url
from .explorer import GRAPHQL, SCHEMA, explorer_of, shown_schema
from .faults import Fault
from .handing import Handed
from .live import LIVE, follow
from .page import LARGEST_FORM, Action, Page, Passage
from .session import is_foreign
from .visit import Door, Visit


def build_handlers(
    pages: Sequence[Page], actions: Sequence[Action], passages: Sequence[Passage], door: Door
) -> list[HTTPRouteHandler]:
    """Return a handler for each address, and for the files that pages use."""
    return [
        _asset_handler(),
        _handler(LIVE, HttpMethod.GET, _for_members(door, follow)),
        _handler(SCHEMA, HttpMethod.GET, _for_members(door, shown_schema)),
        _handler(GRAPHQL, HttpMethod.POST, _explores(door)),
        *(_handler(page.path, HttpMethod.GET, _shows(page, door)) for page in pages),
        *(
            _handler(action.path, HttpMethod.POST, _does(action, door), largest=action.largest)
            for action in actions
        ),
        *(_handler(each.path, HttpMethod.GET, _passes(each, door)) for each in passages),
    ]


Handle = Callable[[Request[Any, Any, Any]], Awaitable[Response[Any]]]


def _handler(
    path: str, method: HttpMethod, handle: Handle, *, largest: int = LARGEST_FORM
) -> HTTPRouteHandler:
    methods = [method, HttpMethod.HEAD] if method is HttpMethod.GET else [method]

    async def serve(request: Request[Any, Any, Any]) -> Response[Any]:
        return await handle(request)

    made = route(path, http_method=methods, request_max_body_size=largest)
    return made(serve)


def _shows(page: Page, door: Door) -> Handle:
    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        visit = Visit(request, door)
        try:
            await visit.enter(is_public=page.is_public)
            return await visit.show(page)
        except Fault as fault:
            return visit.fail(fault)

    return handle


def _passes(passage: Passage, door: Door) -> Handle:
    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        visit = Visit(request, door)
        try:
            await visit.enter(is_public=passage.is_public)
            return await visit.pass_through(passage)
        except Fault as fault:
            return visit.fail(fault)

    return handle


def _for_members(door: Door, answer: Callable[[Visit], Awaitable[Response[Any]]]) -> Handle:
    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        visit = Visit(request, door)
        try:
            await visit.enter(is_public=False)
            return await answer(visit)
        except Fault as fault:
            return visit.fail(fault)

    return handle


def _explores(door: Door) -> Handle:
    explorer = explorer_of(door)

    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        visit = Visit(request, door)
        try:
            _refuse_foreign(request, door)
            visit.check_form({})
        except Fault as fault:
            return visit.fail(fault)
        return Handed(explorer)

    return handle


def _refuse_foreign(request: Request[Any, Any, Any], door: Door) -> None:
    if is_foreign(request.headers, door.public_url):
        raise Fault(403, _("This form was sent by another site, so nothing was done."))


def _does(action: Action, door: Door) -> Handle:
    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        visit = Visit(request, door)
        try:
            _refuse_foreign(request, door)
            await visit.enter(is_public=action.is_public)
            await visit.read_form()
            return await visit.carry_out(action)
        except Fault as fault:
            return visit.fail(fault)

    return handle


def _asset_handler() -> HTTPRouteHandler:
    @route(PREFIX + "/{name:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def asset(request: Request[Any, Any, Any]) -> Response[Any]:
        """Answer a file that pages use."""
        found = by_url().get(request.scope["path"])
        if found is None:
            return Response(b"", status_code=404, media_type="text/plain")
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
        }
        content = found.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["Content-Encoding"] = found.compressed, "gzip"
        return Response(content, media_type=found.media_type, headers=headers)

    return asset
