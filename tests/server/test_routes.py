"""Every route of the application: its answers are safe, whatever they are, and a stranger's things
are not there.

The routes are found in the application itself: a new one is asked here from its first day, and
one that is no part of an API or of the dashboard fails here until it is said what it names.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString
from urllib.parse import quote

import httpx
import pytest
from litestar import Litestar

from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.core.settings import settings
from postlane.dashboard.assets import by_url
from postlane.dashboard.live import LIVE
from postlane.dashboard.pages import ACTIONS, PAGES, PASSAGES
from postlane.graphql.nodes import global_id
from postlane.rest_compat.dialects import DIALECTS
from postlane.server import app as application
from postlane.server import auth
from postlane.server.edge import Edge
from postlane.tracking.work.linking import CLICK_PATH, OPEN_PATH
from tests.client import Client
from tests.dashboard.browser import Browser
from tests.dashboard.test_pages import form_token_of
from tests.dashboard.test_strangers import Tenant
from tests.people import PASSWORD
from tests.test_tenancy import World, fingerprint, make_world

PLACE = re.compile(r"\{(\w+)(?::\w+)?\}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")
NOT_JSON = {"content-type": "application/json"}
TOO_LARGE = {"content-type": "application/json", "content-length": "1000000000"}
CACHED = {
    "/favicon.ico": "public, max-age=86400",
    "/robots.txt": "public, max-age=86400",
    "/.well-known/jwks.json": "public, max-age=3600",
    "/o/{org:str}/explorer/schema": "private, max-age=300",
    **dict.fromkeys(by_url(), "public, max-age=31536000, immutable"),
}
"""What browsers may keep; all the rest they may not."""
TRACKING = (OPEN_PATH + "{token}", CLICK_PATH + "{token}")
"""Answered before any route is looked for."""


@dataclass
class Routes:
    """The application, and the routes that are in it."""

    app: Edge
    inner: Litestar
    broken: Edge
    """The same, where finding out who asks fails."""

    def paths(self) -> list[str]:
        """Return every path there is, with its places."""
        foreign = {route.path for dialect in DIALECTS for route in dialect.routes}
        return sorted(
            {route.path for route in self.inner.routes} | foreign | {*TRACKING, *by_url()}
        )


@pytest.fixture(scope="module")
def routes() -> Routes:
    made: list[Litestar] = []

    class Kept(Litestar):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            made.append(self)

    async def fail(*arguments: Any, **named: Any) -> Any:
        raise RuntimeError(PASSWORD)

    found = replace(settings(), strangers_per_minute=0, public_url="https://postlane.test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "Litestar", Kept)
        app = application.build_app(found, opens_pool=False)
        patch.setattr(auth, "enter", fail)
        broken = application.build_app(found, authenticate=fail, opens_pool=False)
    return Routes(app, made[0], broken)


async def test_every_answer_of_every_route_is_safe(database: None, routes: Routes) -> None:
    """For a stranger: in every method, with a body that is none, and with one that is too large."""
    statuses, wrong = set(), []
    async with Client(routes.app, {}) as client:
        for path in (*routes.paths(), "/nothing/here", "//metrics", "/o"):
            address = PLACE.sub("nonsense", path)
            answers = [await client.request(method, address) for method in METHODS]
            answers += [
                await client.post(address, content=b"{", headers=sent)
                for sent in (NOT_JSON, TOO_LARGE)
            ]
            statuses |= {answer.status_code for answer in answers}
            wrong += [
                f"{answer.request.method} {path}: {answer.status_code} {why}"
                for answer in answers
                for why in unsafe(answer, path)
            ]

    assert wrong == []
    assert statuses >= {200, 303, 400, 401, 403, 404, 405, 413}


async def test_every_answer_of_a_bug_is_safe(
    database: None, routes: Routes, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever somebody has to be known, and finding out fails."""
    statuses, wrong = [], []
    async with Client(routes.broken, {}) as client:
        for path in routes.paths():
            answer = await client.get(
                PLACE.sub("nonsense", path),
                headers={"x-api-key": "k" * 24, "cookie": "__Host-session=anything"},
            )
            statuses.append(answer.status_code)
            wrong += [f"{path}: {why}" for why in unsafe(answer, path)]
    caplog.clear()

    assert wrong == []
    assert statuses.count(500) > 80


async def test_every_page_of_a_person_is_safe(client: Client, routes: Routes) -> None:
    tenant = await Tenant.make(client)
    shown, wrong = 0, []
    async with Client(routes.app, {}) as opened:
        for page in (*PAGES, *PASSAGES):
            path = PLACE.sub("nonsense", page.path.replace("{org:str}", tenant.slug))
            cookie = {"cookie": f"__Host-session={tenant.session}"}
            answer = await opened.get(path, headers=cookie)
            shown += answer.status_code == 200
            wrong += [f"{page.path}: {why}" for why in unsafe(answer, page.path)]

    assert wrong == []
    assert shown > 30


def unsafe(answer: httpx.Response, path: str) -> Iterator[str]:
    """Yield what is wrong with the headers of an answer."""
    headers = answer.headers
    policy = headers.get("content-security-policy", "")
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    scripts = directives.get("script-src", "'none'")
    is_framed_by_us = directives.get("frame-ancestors") == "'self'"
    if headers.get("x-content-type-options") != "nosniff":
        yield "its type may be guessed"
    if directives.get("default-src") != "'none'" or "unsafe" in scripts or "*" in policy:
        yield f"its policy is {policy!r}"
    if not is_framed_by_us and directives.get("frame-ancestors") != "'none'":
        yield "anybody may frame it"
    if headers.get("x-frame-options") != ("SAMEORIGIN" if is_framed_by_us else "DENY"):
        yield "old browsers let anybody frame it"
    if is_framed_by_us and not policy.startswith("sandbox"):
        yield "it may be framed and do everything"
    if headers.get("referrer-policy") not in ("no-referrer", "same-origin"):
        yield "others learn its address"
    if headers.get("strict-transport-security") != "max-age=31536000":
        yield "it may come without TLS the next time"
    kept = CACHED.get(path) if answer.status_code == 200 else None
    if "no-store" not in headers.get("cache-control", "") and headers["cache-control"] != kept:
        yield f"it may be kept: {headers.get('cache-control')!r}"
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", headers.get("x-request-id", "")):
        yield "it has no id"
    for cookie in headers.get_list("set-cookie"):
        if not re.match(r"__Host-.*; (?=.*HttpOnly)(?=.*Secure)", cookie):
            yield f"its cookie is {cookie!r}"
    if "Traceback" in answer.text or "RuntimeError" in answer.text or PASSWORD in answer.text:
        yield "it tells what broke"


NAMING = {
    "/audit-log.csv": (
        "?user_id={User}",
        "?api_key_id={ApiKey}",
        "?target_id={Template uuid}",
        "?target_id={Organization uuid}",
    ),
    "/suppressions.csv": ("?email={Suppression address}",),
    "/api/v1/analytics/export": (
        "?domain={Domain}",
        "?vmta={Vmta}",
        "?dataset=messages&vmta={Vmta}",
    ),
    "/billing/invoices/{invoice_id:str}": ("/billing/invoices/{Invoice}",),
    "/billing/invoices/{invoice_id:str}/pdf": ("/billing/invoices/{Invoice}/pdf",),
}
"""Routes outside of the tables of APIs and pages, and how they are told what is asked for."""
OF_AN_ORGANIZATION = (LIVE, "/o/{org:str}/explorer/schema", "/o/{org:str}/graphql")
"""They name nothing but whose they are."""
PROOFS = ("/exports/{token:str}", "/track/unsubscribe/{token:str}")
"""Good for whoever holds them."""
NAMELESS = {
    "/": "the front door",
    "/.well-known/jwks.json": "the deployment's public key",
    "/api/v1": "an API, asked by its own table",
    "/favicon.ico": "a picture",
    "/graphql": "an API, asked field by field",
    "/health": "the deployment's",
    "/internal/billing/stripe": "signed by the payment provider",
    "/metrics": "the asker's own series",
    "/openapi.json": "what the API is",
    "/robots.txt": "a constant",
    "/static/{name:str}": "files of the code",
    "/v.1.0": "an API, asked by its own table",
    "/v.1.1": "an API, asked by its own table",
}
"""What nobody names anything of a tenant's to, and why."""


def test_every_route_says_what_it_names(routes: Routes) -> None:
    of_pages = {each.path for each in (*PAGES, *PASSAGES, *ACTIONS)}
    said = {*NAMING, *OF_AN_ORGANIZATION, *PROOFS, *NAMELESS}

    assert {route.path for route in routes.inner.routes} - of_pages == said


@pytest.mark.parametrize("path", NAMING)
async def test_what_is_anothers_is_not_there_for_a_file_or_an_invoice(
    client: Client, path: str, frozen: datetime
) -> None:
    ours, theirs = await make_world(client), await make_world(client)
    nobodys = {name: _absent(name) for name in theirs.names}

    async def ask(world: World, asked: str, names: Mapping[str, str]) -> httpx.Response:
        address = PLACE_OF_KIND.sub(lambda place: quote(names[place[1]], safe=""), asked)
        address = path + address if asked.startswith("?") else address
        return await client.get(address, headers=client.as_actor(world.person))

    count: LiteralString = "SELECT count(*) AS n FROM audit_entries WHERE organization_id = {}"
    logged = await fetch(count, theirs.actor.organization_id)
    before = await fingerprint()
    for asked in NAMING[path]:
        hidden, absent = [await ask(ours, asked, names) for names in (theirs.names, nobodys)]
        assert told(hidden) == told(absent), asked
    after = await fingerprint()
    # That one made a file is in one's own log.
    assert {name for name in before if after[name] != before[name]} <= {"audit_entries"}
    assert await fetch(count, theirs.actor.organization_id) == logged
    shown = [await ask(theirs, asked, theirs.names) for asked in NAMING[path]]
    assert {answer.status_code for answer in shown} == {200}


PLACE_OF_KIND = re.compile(r"\{([\w ]+)\}")


def _absent(name: str) -> str:
    """Return what looks like the name of something, and is nothing's."""
    kind, _, form = name.partition(" ")
    if form == "address":
        return "nobody@absent.example"
    return str(new_id()) if form else str(global_id(kind, new_id()))


def told(answer: httpx.Response) -> tuple[int, str]:
    """Return an answer without the id of its request."""
    return answer.status_code, answer.text.replace(answer.headers["x-request-id"], "")


@pytest.mark.parametrize("path", OF_AN_ORGANIZATION)
async def test_anothers_organization_is_not_there(client: Client, path: str) -> None:
    ours, theirs = await Tenant.make(client), await Tenant.make(client)
    browser = Browser(client, ours.session)
    proof = form_token_of(await browser.get("/orgs"))

    async def ask(slug: str) -> httpx.Response:
        address = path.replace("{org:str}", slug)
        if path.endswith("/graphql"):
            return await browser.post(address, {}, x_csrf_token=proof)
        return await browser.get(address)

    hidden, absent, own = [await ask(slug) for slug in (theirs.slug, "absent", ours.slug)]

    assert hidden.status_code in (401, 403, 404)
    assert told(hidden) == (told(absent)[0], told(absent)[1].replace("absent", theirs.slug))
    assert told(own) != told(hidden)
