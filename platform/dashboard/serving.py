"""From pages and actions to request handlers: who asks, what is answered, in which form."""

import gzip
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from litestar import Request, Response, route
from litestar.datastructures import Cookie
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.types import HTTPScope

from ..core.actor import Actor
from ..core.errors import ErrorCode, OperationError
from ..graphql.context import Context
from ..graphql.errors import Refusal
from ..graphql.execute import Result, execute
from . import format as formats
from .assets import PREFIX, by_url
from .faults import Fault, fault_of, show_fault
from .notes import NOTES
from .page import Action, Call, Done, Page, Trouble
from .policy import HEADERS
from .render import has_block, render
from .session import FORM_FIELD, FORM_HEADER, SessionCookie, form_token, is_foreign, is_ours

log = logging.getLogger(__name__)

LARGEST_FORM = 2**20
WORTH_COMPRESSING = 1_000
"""Bytes of a page."""
STOP_ASKING = 286
"""Ends htmx's asking again and again. Source: https://htmx.org/docs/#polling"""
SIGNED_OUT = frozenset(
    {
        ErrorCode.NOT_AUTHENTICATED,
        ErrorCode.INVALID_TOKEN,
        ErrorCode.TOKEN_EXPIRED,
        ErrorCode.TOKEN_REVOKED,
        ErrorCode.USER_DISABLED,
    }
)
"""The session is over: whoever comes with it signs in again."""


class Enter(Protocol):
    """Returns who holds a session, acting for the organization named by its slug.

    Without a slug, for the one that the session began in. It raises what is wrong with the
    session, NotFound where the person does not belong, and LimitReached if it asks too often.
    """

    async def __call__(self, scope: HTTPScope, token: str, *, slug: str | None) -> Actor: ...


@dataclass(frozen=True, slots=True)
class Door:
    """What `server` hands in."""

    enter: Enter
    public_url: str

    @property
    def cookie(self) -> SessionCookie:
        """The session's cookie."""
        return SessionCookie(self.public_url)


def build_handlers(
    pages: Sequence[Page], actions: Sequence[Action], door: Door
) -> list[HTTPRouteHandler]:
    """Return a handler for each address, and for the files that pages use."""
    return [
        _asset_handler(),
        *(_handler(page.path, HttpMethod.GET, _shows(page, door)) for page in pages),
        *(_handler(action.path, HttpMethod.POST, _does(action, door)) for action in actions),
    ]


Handle = Callable[[Request[Any, Any, Any]], Awaitable[Response[Any]]]


def _handler(path: str, method: HttpMethod, handle: Handle) -> HTTPRouteHandler:
    methods = [method, HttpMethod.HEAD] if method is HttpMethod.GET else [method]

    async def serve(request: Request[Any, Any, Any]) -> Response[Any]:
        return await handle(request)

    made = route(path, http_method=methods, request_max_body_size=LARGEST_FORM)
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


def _does(action: Action, door: Door) -> Handle:
    async def handle(request: Request[Any, Any, Any]) -> Response[Any]:
        visit = Visit(request, door)
        try:
            if is_foreign(request.headers, door.public_url):
                raise Fault(403, "This form was sent by another site, so nothing was done.")
            await visit.enter(is_public=action.is_public)
            await visit.read_form()
            return await visit.carry_out(action)
        except Fault as fault:
            return visit.fail(fault)

    return handle


class Visit:
    """One request: who asks, and what it is answered."""

    def __init__(self, request: Request[Any, Any, Any], door: Door) -> None:
        self._request = request
        self._door = door
        self._session = door.cookie.read(request.cookies)
        path = {name: str(value) for name, value in request.path_params.items()}
        self._call = Call(path, dict(request.query_params.items()))
        self._headers: dict[str, str] = dict(HEADERS)
        self._cookies: list[Cookie] = []

    async def enter(self, *, is_public: bool) -> None:
        """Find out who asks.

        Raises:
            Fault: nobody does, or somebody who does not belong here.
        """
        slug = self._call.path.get("org")
        actor = None
        if self._session is not None:
            try:
                actor = await self._door.enter(self._request.scope, self._session, slug=slug)
            except OperationError as error:
                if error.error_code not in SIGNED_OUT:
                    raise fault_of(error.error_code, error.sentence) from error
                self._session = None
                self._cookies.append(self._door.cookie.forget())
        if actor is None and not is_public:
            raise Fault(303, "Sign in first.", to=self._sign_in_address())
        self._call = Call(self._call.path, self._call.query, actor=actor)

    async def read_form(self) -> None:
        """Read the form.

        Raises:
            Fault: it is not one of ours, or an old one.
        """
        found = await self._request.form()
        chosen: dict[str, list[str]] = {}
        for name, value in found.multi_items():
            if isinstance(value, str):
                chosen.setdefault(name, []).append(value)
        form = {name: values[-1] for name, values in chosen.items()}
        token = self._request.headers.get(FORM_HEADER) or form.pop(FORM_FIELD, "")
        if not is_ours(token, self._session):
            raise Fault(403, "This form is too old. Go back, load the page again, and try again.")
        call = self._call
        self._call = Call(call.path, call.query, form, chosen, call.actor)

    async def show(
        self,
        page: Page,
        *,
        status: int = 200,
        form: str = "",
        trouble: Trouble | None = None,
        done: Any = None,
        more: Mapping[str, Any] | None = None,
    ) -> Response[Any]:
        """Answer the page, or the block of it that htmx asks for."""
        data: Any = {}
        if page.document is not None:
            result = await self._run(page.document, page.variables(self._call))
            if result.errors:
                raise self._fault(result.errors[0])
            data = result.data
        variables = {
            **self._around(page, data),
            **page.view(data, self._call),
            "trouble": trouble,
            "form": form,
            "done": done,
            **(more or {}),
        }
        if page.policy is not None:
            self._headers["Content-Security-Policy"] = page.policy
            self._headers["X-Frame-Options"] = "SAMEORIGIN"
        return self._answer(page.template, variables, status=status)

    async def carry_out(self, action: Action) -> Response[Any]:
        """Run the mutation; go on where it leads, or show its page again with why not."""
        result = await self._run(action.document, action.variables(self._call))
        if result.errors:
            first = result.errors[0]
            if first.code in SIGNED_OUT or first.code is ErrorCode.INTERNAL:
                raise self._fault(first)
            trouble = Trouble.of(first, action.names)
            more = action.again(trouble, self._call) if action.again else {}
            return await self.show(
                action.page, status=422, form=action.form, trouble=trouble, more=more
            )
        done = action.then(result.data, self._call)
        if done.to:
            return self._leave(done)
        if done.session is not None:
            # Every other token has ended, that of this request, too.
            self._keep(done.session)
            await self.enter(is_public=False)
        return await self.show(action.page, status=201, form=action.form, done=result.data)

    def fail(self, fault: Fault) -> Response[Any]:
        """Answer a page that says what went wrong, or lead where it can be mended."""
        if fault.to is not None:
            return self._leave(Done(fault.to))
        request_id = self._request.scope["state"]["request_id"]
        text = show_fault(fault, request_id=request_id, home=self._home())
        return self._reply(text, status=fault.status)

    async def _run(self, document: Any, variables: dict[str, Any]) -> Result:
        state = self._request.scope["state"]
        context = Context(
            actor=self._call.actor,
            request_id=state["request_id"],
            source_address=state["client_address"],
            user_agent=self._request.headers.get("user-agent") or "",
        )
        return await execute(document, variables, context)

    def _fault(self, refusal: Refusal) -> Fault:
        if refusal.code in SIGNED_OUT:
            return Fault(303, refusal.message, to=self._sign_in_address())
        return fault_of(refusal.code, refusal.message)

    def _around(self, page: Page, data: Any) -> dict[str, Any]:
        """Return what every template may use."""
        viewer = data.get("viewer") if isinstance(data, dict) else None
        slug = self._call.path.get("org")
        here = None
        if viewer is not None and slug is not None:
            here = next((m for m in viewer["memberships"] if m["slug"] == slug), None)
        zone = formats.zone_named(viewer["user"]["timezone"] if viewer else "UTC")
        return {
            "title": page.title,
            "viewer": viewer,
            "here": here,
            "zone": zone,
            "call": self._call,
            "path": self._request.scope["path"],
            "base": self._door.public_url,
            "csrf": form_token(self._session),
            "note": NOTES.get(self._call.query.get("done", "")),
        }

    def _answer(self, template: str, variables: dict[str, Any], *, status: int) -> Response[Any]:
        block = self._block(template)
        if block is not None and variables.get("is_final"):
            # htmx asks no more: nothing changes any more.
            status = STOP_ASKING
        return self._reply(render(template, variables, block=block), status=status)

    def _block(self, template: str) -> str | None:
        headers = self._request.headers
        is_part = headers.get("hx-request") == "true"
        if not is_part or headers.get("hx-boosted") or headers.get("hx-history-restore-request"):
            return None
        target = headers.get("hx-target", "").replace("-", "_")
        return target if target and has_block(template, target) else None

    def _leave(self, done: Done) -> Response[Any]:
        if done.session is not None:
            self._keep(done.session)
        if done.signs_out:
            self._cookies.append(self._door.cookie.forget())
        if self._request.headers.get("hx-request") == "true":
            self._headers["HX-Redirect"] = done.to
            return self._reply("", status=204)
        self._headers["Location"] = done.to
        return self._reply("", status=303)

    def _keep(self, session: tuple[str, int]) -> None:
        self._session, lifetime = session
        self._cookies.append(self._door.cookie.keep(self._session, seconds=lifetime))

    def _reply(self, text: str, *, status: int) -> Response[Any]:
        content = text.encode()
        headers = dict(self._headers)
        accepted = self._request.headers.get("accept-encoding", "")
        if len(content) > WORTH_COMPRESSING and "gzip" in accepted:
            content = gzip.compress(content, compresslevel=5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        response = Response(
            content, status_code=status, media_type="text/html; charset=utf-8", headers=headers
        )
        for cookie in self._cookies:
            response.set_cookie(cookie)
        return response

    def _sign_in_address(self) -> str:
        request = self._request
        here = request.scope["path"]
        if request.method != "GET":
            # What was to be done is not done by coming back.
            here = request.headers.get("referer", "").partition("://")[2].partition("/")[2]
            here = f"/{here.partition('?')[0]}"
        return f"/login?next={quote(here)}"

    def _home(self) -> str:
        slug = self._call.path.get("org")
        if self._call.actor is not None and slug is not None:
            return f"/o/{quote(slug)}"
        return "/orgs"


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
