"""One request of a person: who asks, what is asked of the schema, what is answered."""

import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.types import ASGIApp, HTTPScope

from ..core.actor import Actor
from ..core.errors import ErrorCode, OperationError
from ..core.languages import gettext as _
from ..core.languages import speak, wished
from ..graphql.context import Context
from ..graphql.errors import Refusal
from ..graphql.execute import Document, Result, execute
from . import format as formats
from .faults import Fault, fault_of, show_fault
from .notes import NOTES
from .page import Action, Call, Done, Page, Passage, Trouble, Upload
from .policy import HEADERS
from .render import has_block, render
from .session import FORM_FIELD, FORM_HEADER, SessionCookie, form_token, is_ours

WORTH_COMPRESSING = 1_000
"""Bytes of a page."""
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


class AdmitStranger(Protocol):
    """Counts a request of nobody in particular; raises LimitReached if it is one too many."""

    async def __call__(self, scope: HTTPScope) -> None: ...


@dataclass(frozen=True, slots=True)
class Door:
    """What `server` hands in."""

    enter: Enter
    admit_stranger: AdmitStranger
    public_url: str
    explorer: Callable[[Callable[[HTTPScope], Awaitable[Actor | None]]], ASGIApp]
    """Returns what answers documents of clients' own, for whom it is told."""

    @property
    def cookie(self) -> SessionCookie:
        """The session's cookie."""
        return SessionCookie(self.public_url)


class Visit:
    """One request: who asks, and what it is answered."""

    def __init__(self, request: Request[Any, Any, Any], door: Door) -> None:
        self._request = request
        self._door = door
        self._session = door.cookie.read(request.cookies)
        path = {name: str(value) for name, value in request.path_params.items()}
        self._call = Call(
            path,
            dict(request.query_params.items()),
            ticket=door.cookie.read_ticket(request.cookies),
        )
        self._headers: dict[str, str] = dict(HEADERS)
        self._cookies: list[Cookie] = []
        self._wish = wished(request.headers.get("accept-language", ""))
        speak(self._wish)

    @property
    def call(self) -> Call:
        """The request, as pages see it."""
        return self._call

    async def who(self, *, is_repeated: bool = False) -> Actor | None:
        """Return who holds the session now, acting for the organization in the path.

        Raises:
            OperationError: it is over, they do not belong there, or ask too often.
        """
        if self._session is None:
            return None
        scope: Any = self._request.scope
        if is_repeated:
            scope = {**scope, "state": {**scope["state"], "is_repeated": True}}
        slug = self._call.path.get("org")
        return await self._door.enter(scope, self._session, slug=slug)

    async def enter(self, *, is_public: bool) -> None:
        """Find out who asks.

        Raises:
            Fault: nobody does, or somebody who does not belong here.
        """
        actor = None
        try:
            actor = await self.who()
        except OperationError as error:
            if error.error_code not in SIGNED_OUT:
                raise fault_of(error.error_code, error.sentence) from error
            self._session = None
            self._cookies.append(self._door.cookie.forget())
        if actor is None and not is_public:
            raise Fault(303, _("Sign in first."), to=self._sign_in_address())
        if actor is None:
            await self._admit_stranger()
        elif actor.language:
            # A page whose document has no viewer, or that fails, is theirs all the same.
            speak(actor.language)
        self._call = replace(self._call, actor=actor)

    async def _admit_stranger(self) -> None:
        scope: Any = self._request.scope
        try:
            await self._door.admit_stranger(scope)
        except OperationError as error:
            if error.retry_after_seconds is not None:
                self._headers["Retry-After"] = str(error.retry_after_seconds)
            raise fault_of(error.error_code, error.sentence) from error

    async def read_form(self) -> None:
        """Read the form.

        Raises:
            Fault: it is not one of ours, or an old one.
        """
        found = await self._request.form()
        chosen: dict[str, list[str]] = {}
        files: dict[str, Upload] = {}
        for name, value in found.multi_items():
            if isinstance(value, str):
                chosen.setdefault(name, []).append(value)
            else:
                files[name] = Upload(value.filename, await value.read())
        form = {name: values[-1] for name, values in chosen.items()}
        self.check_form(form)
        self._call = replace(self._call, form=form, chosen=chosen, files=files)

    def check_form(self, form: dict[str, str]) -> None:
        """Do nothing if a page of this session sent the request; take the proof out of *form*.

        Raises:
            Fault: it is not one of ours, or an old one.
        """
        token = self._request.headers.get(FORM_HEADER) or form.pop(FORM_FIELD, "")
        if not is_ours(token, self._session):
            raise Fault(
                403, _("This form is too old. Go back, load the page again, and try again.")
            )

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
            result = await self.run(page.document, page.variables(self._call))
            if result.errors:
                raise self.fault(result.errors[0])
            data = result.data
        self._speak(data)
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
        result = await self.run(action.document, action.variables(self._call))
        if result.errors:
            first = result.errors[0]
            if first.code in SIGNED_OUT or first.code is ErrorCode.INTERNAL:
                raise self.fault(first)
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

    async def pass_through(self, passage: Passage) -> Response[Any]:
        """Send somebody on to another site, or take them in who come back from it."""
        if self._call.ticket:
            # It is good for one way back, whatever comes of it.
            self._cookies.append(self._door.cookie.keep_ticket(""))
        result = await self.run(passage.document, passage.variables(self._call))
        if result.errors:
            first = result.errors[0]
            if first.code is ErrorCode.INTERNAL:
                raise self.fault(first)
            status = 404 if first.code is ErrorCode.NOT_FOUND else 422
            return await self.show(passage.page, status=status, trouble=Trouble.of(first, {}))
        done = passage.then(result.data, self._call)
        if done.to:
            return self._leave(done)
        return await self.show(passage.page, more=done.more)

    def fail(self, fault: Fault) -> Response[Any]:
        """Answer a page that says what went wrong, or lead where it can be mended."""
        if fault.to is not None:
            return self._leave(Done(fault.to))
        request_id = self._request.scope["state"]["request_id"]
        text = show_fault(fault, request_id=request_id, home=self._home())
        return self._reply(text, status=fault.status)

    async def run(self, document: Document, variables: dict[str, Any]) -> Result:
        """Return what a document comes to for who asks."""
        return await execute(document, variables, self.context())

    def context(self) -> Context:
        """Return what resolvers know of this request."""
        state = self._request.scope["state"]
        return Context(
            actor=self._call.actor,
            request_id=state["request_id"],
            source_address=state["client_address"],
            user_agent=self._request.headers.get("user-agent") or "",
            may_introspect=self._call.actor is not None,
        )

    def fault(self, refusal: Refusal) -> Fault:
        """Return what a refusal of the schema comes to for this page."""
        if refusal.code in SIGNED_OUT:
            return Fault(303, refusal.message, to=self._sign_in_address())
        return fault_of(refusal.code, refusal.message)

    def _speak(self, data: Any) -> None:
        """Go on in the language that the person has chosen by now, if the page says which."""
        viewer = data.get("viewer") if isinstance(data, dict) else None
        if viewer is not None:
            speak(viewer["preferences"]["language"] or self._wish)

    def _around(self, page: Page, data: Any) -> dict[str, Any]:
        """Return what every template may use."""
        viewer = data.get("viewer") if isinstance(data, dict) else None
        slug = self._call.path.get("org")
        here = None
        if viewer is not None and slug is not None:
            here = next((m for m in viewer["memberships"] if m["slug"] == slug), None)
            here = here or (viewer["visit"] or {}).get("organization")
        zone = formats.zone_named(viewer["user"]["timezone"] if viewer else "UTC")
        return {
            "title": _(page.title),
            "viewer": viewer,
            "captures": viewer is not None and data["shell"]["capturesMail"],
            "here": here,
            "zone": zone,
            "call": self._call,
            "path": self._request.scope["path"],
            "base": self._door.public_url,
            "csrf": form_token(self._session),
            "note": _(NOTES.get(self._call.query.get("done", ""), "")),
        }

    def _answer(self, template: str, variables: dict[str, Any], *, status: int) -> Response[Any]:
        text = render(template, variables, block=self._block(template))
        return self._reply(text, status=status)

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
        if done.ticket:
            self._cookies.append(self._door.cookie.keep_ticket(done.ticket))
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
