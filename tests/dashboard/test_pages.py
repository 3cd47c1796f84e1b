"""Pages: shown to who may see them, and to nobody else; forms that do what they say."""

import re
from html import unescape

import pyotp
import pytest

from postlane.accounts.tables import Membership
from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.core.ids import new_id, new_token
from postlane.credits.tables import CreditPackage
from postlane.dashboard.pages import ACTIONS, PAGES
from postlane.delivery.rules import DeliveryState
from postlane.delivery.work import roll_up
from postlane.domains.tables import Domain
from postlane.messages.tables import Message
from postlane.removals.tables import Removal
from postlane.security.tables import ApiKey
from postlane.suppressions.tables import Suppression
from postlane.webhooks.postal import CHOOSABLE
from tests.client import Client
from tests.dashboard.browser import Browser, member
from tests.delivery.spool import make_spooled
from tests.factories import make_actor, make_api_key, make_domain, make_membership
from tests.people import PASSWORD, new_person, registered
from tests.security.test_second_factor import Person

INSIDE = [page for page in PAGES if not page.is_public]
SIMPLE = [
    page.path.removeprefix("/o/{org:str}")
    for page in INSIDE
    if page.path.count("{") == 1 and "{org" in page.path
]
"""The pages of an organization that need nothing else to exist."""


def address(path: str, *, slug: str, thing: str) -> str:
    """Return *path* with its places filled in."""
    return re.sub(r"\{\w+:str\}", thing, path.replace("{org:str}", slug))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("path", SIMPLE)
async def test_every_role_gets_a_page_or_is_told_why_not(
    client: Client, role: Role, path: str
) -> None:
    browser, organization = await member(client, role=role)

    answer = await browser.get(f"/o/{organization.slug}{path}")

    sees_all = role in (Role.OWNER, Role.ADMIN)
    assert answer.status_code in ((200,) if sees_all else (200, 403))
    assert "<h1>" in answer.text
    shown = await browser.get(f"/o/{organization.slug}")
    linked = f'href="/o/{organization.slug}{path}"' in shown.text
    # What the menu leads to can be opened.
    assert answer.status_code == 200 or not linked


async def test_the_core_pages_show_what_there_is(client: Client) -> None:
    browser, organization = await member(client)
    domain = await make_domain(organization.id)
    await make_api_key(organization, name="Shop <b>")
    home = f"/o/{organization.slug}"
    sent = await browser.submit(
        f"{home}/messages/new",
        f"{home}/messages/new",
        {
            "local": "shop",
            "domain": domain.name,
            "to": "ada@dest.example",
            "subject": "A <i>test",
            "text": "Hello.",
        },
    )
    assert sent.status_code == 303, sent.text
    message = await Message.objects().where(Message.organization_id == organization.id).first()
    assert message is not None

    shown = {
        path: (await browser.get(home + path)).text
        for path in ("", "/messages", f"/messages/{message.id}", "/domains", "/keys")
    }

    assert sent.status_code == 303
    assert sent.headers["location"] == f"{home}/messages/{message.id}?done=message-sent"
    for path in ("", "/messages", f"/messages/{message.id}"):
        assert "A &lt;i&gt;test" in shown[path], path
        assert "<i>test" not in shown[path]
    assert domain.name in shown["/domains"]
    assert "Shop &lt;b&gt;" in shown["/keys"]


@pytest.mark.parametrize("state", [DeliveryState.BOUNCED, DeliveryState.DEFERRED])
async def test_the_overview_shows_what_went_wrong(client: Client, state: DeliveryState) -> None:
    browser, organization = await member(client)
    domain = await make_domain(organization.id)
    home = f"/o/{organization.slug}"
    sent = await browser.submit(
        f"{home}/messages/new",
        f"{home}/messages/new",
        {"local": "shop", "domain": domain.name, "to": "ada@dest.example", "text": "Hello."},
    )
    where = sent.headers["location"].partition("?")[0]
    await fetch(
        "UPDATE spooled_messages SET status = {} WHERE organization_id = {}",
        state.value,
        organization.id,
    )

    shown = await browser.get(home)

    assert shown.status_code == 200
    problems = shown.text.partition("<h2>Problems</h2>")[2].partition("</section>")[0]
    assert where in problems


@pytest.mark.parametrize("tab", ["timeline", "preview", "headers", "raw", "events", "nonsense"])
async def test_a_message_has_all_its_parts(client: Client, tab: str) -> None:
    browser, organization = await member(client)
    domain = await make_domain(organization.id)
    home = f"/o/{organization.slug}"
    sent = await browser.submit(
        f"{home}/messages/new",
        f"{home}/messages/new",
        {"local": "shop", "domain": domain.name, "to": "ada@dest.example", "text": "Hello."},
    )
    where = sent.headers["location"].partition("?")[0]

    answer = await browser.get(f"{where}?tab={tab}")

    assert answer.status_code == 200
    expected = {
        "headers": "No header fields of its own were given.",
        "raw": "Subject: A test from Postlane",
        "preview": "Hello.",
        "events": "queued",
    }
    assert expected.get(tab, "ada@dest.example") in answer.text


@pytest.mark.parametrize("page", INSIDE, ids=lambda page: page.path)
async def test_nobody_is_sent_to_the_sign_in_and_back(client: Client, page: object) -> None:
    path = address(page.path, slug="acme", thing="x")  # type: ignore[attr-defined]

    answer = await Browser(client).get(path)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next={path}"


@pytest.mark.parametrize("page", [p for p in INSIDE if "{org" in p.path], ids=lambda p: p.path)
async def test_a_stranger_is_told_that_there_is_nothing(client: Client, page: object) -> None:
    stranger, _ = await member(client)
    _, organization = await member(client)
    domain = await make_domain(organization.id)
    things = {"{domain:str}": domain.name, "{id:str}": str(new_id())}
    path = page.path.replace("{org:str}", organization.slug)  # type: ignore[attr-defined]
    for place, thing in things.items():
        path = path.replace(place, thing)

    theirs = await stranger.get(path)
    nobodys = await stranger.get(path.replace(organization.slug, "there-is-no-such"))

    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    hidden = re.compile(r"request [0-9a-f]+")
    assert hidden.sub("", theirs.text) == hidden.sub("", nobodys.text)


@pytest.mark.parametrize("action", [a for a in ACTIONS if "{org" in a.path], ids=lambda a: a.path)
async def test_a_strangers_form_does_nothing(client: Client, action: object) -> None:
    stranger, own = await member(client)
    _, organization = await member(client)
    domain = await make_domain(organization.id)
    key = await make_api_key(organization)
    path = action.path.replace("{org:str}", organization.slug)  # type: ignore[attr-defined]
    for place, thing in {"{domain:str}": domain.name, "{key:str}": str(key.row.id)}.items():
        path = path.replace(place, thing)
    path = re.sub(r"\{\w+:str\}", str(new_id()), path)
    proof = form_token_of(await stranger.get("/orgs"))

    answer = await stranger.post(path, {"_csrf": proof, "name": "", "typed": domain.name})
    inside = await stranger.post(
        path.replace(organization.slug, own.slug),
        {"_csrf": proof, "name": "", "typed": domain.name},
    )

    assert answer.status_code in (404, 422)
    # A form that names nothing of theirs does what it says, to one's own organization.
    names_nothing = action.path.count("{") == 1  # type: ignore[attr-defined]
    assert inside.status_code in (404, 422) or names_nothing
    assert await Domain.exists().where(Domain.id == domain.id)
    assert await ApiKey.exists().where(ApiKey.id == key.row.id)


def form_token_of(answer: object) -> str:
    """Return the proof that a page's forms carry."""
    found = re.search(r'name="_csrf" value="([^"]+)"', answer.text)  # type: ignore[attr-defined]
    assert found is not None
    return unescape(found[1])


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
    ids=str,
)
async def test_a_form_of_another_site_is_refused(client: Client, headers: dict[str, str]) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}"
    proof = form_token_of(await browser.get(f"{home}/domains"))

    answer = await browser.post(
        f"{home}/domains", {"_csrf": proof, "name": "new.example"}, **headers
    )

    assert answer.status_code == 403
    assert not await Domain.exists().where(Domain.organization_id == organization.id)


async def test_a_form_without_proof_of_this_session_is_refused(client: Client) -> None:
    browser, organization = await member(client)
    other, _ = await member(client)
    foreign = form_token_of(await other.get("/orgs"))

    answers = [
        await browser.post(f"/o/{organization.slug}/domains", {"name": "new.example", **proof})
        for proof in ({}, {"_csrf": "x"}, {"_csrf": foreign}, {"_csrf": "\u00e9"})
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert not await Domain.exists().where(Domain.organization_id == organization.id)


@pytest.mark.parametrize(
    ("wanted", "leads"),
    [
        ("/o/x/messages?q=a", "/o/x/messages?q=a"),
        ("//evil.example", None),
        ("/\\evil.example", None),
        ("https://evil.example", None),
        ("/a\r\nSet-Cookie: x=1", None),
    ],
)
async def test_signing_in_leads_to_what_was_wanted_on_this_site(
    client: Client, wanted: str, leads: str | None
) -> None:
    person = await registered(client)
    browser = Browser(client)

    answer = await browser.submit(
        "/login",
        "/login",
        {"email": person["user"]["email"], "password": PASSWORD, "next": wanted},
    )

    home = f"/o/{person['organization']['slug']}"
    assert (answer.status_code, answer.headers["location"]) == (303, leads or home)
    assert (await browser.get(home)).status_code == 200


async def test_registering_leads_into_the_new_organization(client: Client) -> None:
    new = new_person()
    browser = Browser(client)

    answer = await browser.submit(
        "/register",
        "/register",
        {
            "name": new["name"],
            "email": new["email"],
            "password": PASSWORD,
            "organization": new["organizationName"],
            "timezone": "Europe/Berlin",
        },
    )

    assert answer.status_code == 303
    shown = await browser.get(answer.headers["location"])
    assert "Add the domain you send from" in shown.text


async def test_a_refused_form_says_why_at_the_field(client: Client) -> None:
    browser = Browser(client)

    answer = await browser.submit(
        "/register",
        "/register",
        {"name": "Ada", "email": "ada@example.org", "password": "short", "organization": "Acme"},
    )

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert 'href="#password"' in answer.text
    assert 'value="ada@example.org"' in answer.text
    assert "short" not in re.sub(r"<label.*?</label>", "", answer.text).split("</form>")[0][-400:]


async def test_a_second_factor_is_asked_for_without_the_password_again(client: Client) -> None:
    person = Person(client, await registered(client))
    await person.set_up()
    browser = Browser(client)

    asked = await browser.submit("/login", "/login", {"email": person.email, "password": PASSWORD})
    waiting = re.search(r'name="waiting" value="([^"]+)"', asked.text)
    assert waiting is not None
    wrong = await browser.post(
        "/login",
        {"_csrf": form_token_of(asked), "waiting": waiting[1], "code": "000000", "next": ""},
    )
    recovered = await browser.post(
        "/login",
        {
            "_csrf": form_token_of(asked),
            "waiting": waiting[1],
            "code": person.recovery_codes[0],
            "next": "",
        },
    )

    assert asked.status_code == 422
    assert PASSWORD not in asked.text
    assert (wrong.status_code, recovered.status_code) == (422, 303)


async def test_a_made_up_waiting_password_signs_nobody_in(client: Client) -> None:
    person = await registered(client)
    browser = Browser(client)
    proof = form_token_of(await browser.get("/login"))

    answer = await browser.post(
        "/login", {"_csrf": proof, "waiting": "00ff", "email": person["user"]["email"], "code": "1"}
    )

    assert answer.status_code == 422
    assert browser.session is None


async def test_signing_out_ends_the_session(client: Client) -> None:
    browser, organization = await member(client)
    session = browser.session

    answer = await browser.submit(f"/o/{organization.slug}", "/logout")
    again = await Browser(client, session).get(f"/o/{organization.slug}")

    assert answer.headers["location"] == "/login?done=signed-out"
    assert browser.session is None
    assert again.status_code == 303


async def test_a_member_is_invited_and_their_role_is_changed(client: Client) -> None:
    browser, organization = await member(client)
    other = await make_membership(organization, role=Role.VIEWER)
    members = f"/o/{organization.slug}/members"

    invited = await browser.submit(members, members, {"email": "bo@example.org", "role": "ADMIN"})
    changed = await browser.submit(
        members, f"{members}/{other.user_id}/role", {"role": "DEVELOPER"}
    )
    shown = await browser.get(members)
    row = await Membership.objects().get(Membership.id == other.id)

    assert invited.headers["location"] == f"{members}?done=invited"
    assert changed.headers["location"] == f"{members}?done=role-changed"
    assert "bo@example.org" in shown.text
    assert row is not None
    assert row.role == "developer"


async def test_a_suppression_is_added_found_and_removed(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/suppressions"

    added = await browser.submit(home, home, {"address": "ada@dest.example"})
    wrong = await browser.submit(home, home, {"address": "no address"})
    found = await browser.get(f"{home}?address=ada@dest.example")
    missed = await browser.get(f"{home}?address=bo@dest.example")
    (row,) = await Suppression.objects().where(Suppression.organization_id == organization.id)
    removed = await browser.submit(home, f"{home}/{row.id}/remove")
    waiting = await browser.get(home)
    (removal,) = await Removal.objects().where(Removal.target_id == row.id)
    undone = await browser.submit(home, f"{home}/removals/{removal.id}/undo")
    too_late = await browser.post(
        f"{home}/removals/{removal.id}/undo",
        {"_csrf": form_token_of(await browser.get(home))},
        sec_fetch_site="same-origin",
    )

    assert added.headers["location"] == f"{home}?done=suppression-added"
    assert wrong.status_code == 422
    assert "ada@dest.example" in found.text
    assert "Nothing matches" in missed.text
    assert removed.headers["location"] == f"{home}?done=removal-begun"
    assert "Is being removed" in waiting.text
    assert undone.headers["location"] == f"{home}?done=removal-undone"
    assert too_late.status_code == 422
    assert "too late" in too_late.text


async def test_a_queue_is_held_and_released(client: Client) -> None:
    spooled = await make_spooled("ada@dest.example")
    await roll_up()
    browser, organization = await member(client, spooled.organization)
    home = f"/o/{organization.slug}/queues"

    held = await browser.submit(home, f"{home}/{spooled.queue_id}/hold")
    shown = await browser.get(home)
    released = await browser.submit(home, f"{home}/{spooled.queue_id}/release")

    assert held.headers["location"] == f"{home}?done=queue-hold"
    assert "Held" in shown.text
    assert released.headers["location"] == f"{home}?done=queue-release"


async def test_a_second_factor_is_set_up_on_the_account_page(client: Client) -> None:
    person = await registered(client)
    browser = Browser(client, person["token"])

    begun = await browser.submit("/account", "/account/factor", {"password": PASSWORD})
    secret = re.search(r'class="secret">([^<]+)<', begun.text)
    assert secret is not None
    wrong = await browser.post(
        "/account/factor/confirm", {"_csrf": form_token_of(begun), "code": "000000"}
    )
    code = pyotp.TOTP(secret[1].replace(" ", "")).now()
    confirmed = await browser.post(
        "/account/factor/confirm", {"_csrf": form_token_of(begun), "code": code}
    )

    assert (begun.status_code, wrong.status_code, confirmed.status_code) == (201, 422, 201)
    assert "recovery codes are shown this once" in confirmed.text
    assert (await browser.get("/account")).status_code == 200
    assert (await Browser(client, person["token"]).get("/account")).status_code == 303


async def test_a_new_password_ends_every_other_session(client: Client) -> None:
    person = await registered(client)
    browser = Browser(client, person["token"])

    wrong = await browser.submit(
        "/account", "/account/password", {"current": "another one", "password": f"{PASSWORD} more"}
    )
    changed = await browser.submit(
        "/account", "/account/password", {"current": PASSWORD, "password": f"{PASSWORD} more"}
    )

    assert wrong.status_code == 422
    assert changed.headers["location"] == "/account?done=password-changed"
    assert (await browser.get("/account")).status_code == 200
    assert (await Browser(client, person["token"]).get("/account")).status_code == 303


async def test_what_was_used_is_on_the_billing_page(client: Client) -> None:
    person = await registered(client)
    browser = Browser(client, person["token"])
    home = f"/o/{person['organization']['slug']}/billing"

    shown = await browser.get(home)
    missing = await browser.get(f"{home}/invoices/{new_id()}")

    assert "Email credits" in shown.text
    assert "Plan" in shown.text
    assert missing.status_code == 404


async def test_buying_leads_to_the_invoice_where_an_operator_confirms(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/billing"
    code = f"pack-{new_token(8).lower()}"
    await CreditPackage(
        code=code, name="A pack", type="email", quantity=500, price_amount=900, price_currency="USD"
    ).save()
    proof = form_token_of(await browser.get(home))

    bought = await browser.post(f"{home}/buy", {"_csrf": proof, "package": code, "once": code})
    unknown = await browser.post(f"{home}/buy", {"_csrf": proof, "package": "no-such"})
    found = re.search(rf'href="({home}/invoices/[^"]+)"', bought.text)
    assert found is not None
    invoice = await browser.get(found[1])

    assert (bought.status_code, unknown.status_code) == (201, 422)
    assert invoice.status_code == 200
    assert "A pack" in invoice.text
    assert "script-src" not in invoice.headers["content-security-policy"]


async def test_a_secret_is_shown_once(client: Client) -> None:
    browser, organization = await member(client)
    keys = f"/o/{organization.slug}/keys"

    made = await browser.submit(keys, keys, {"name": "Shop", "scopes": "send", "mode": "sandbox"})
    secret = re.search(r'class="secret">([^<]+)<', made.text)

    assert made.status_code == 201
    assert secret is not None
    assert secret[1] not in (await browser.get(keys)).text
    answer = await client.get("/api/v1/messages", headers={"x-api-key": secret[1]})
    assert answer.status_code == 200


async def test_a_key_is_revoked(client: Client) -> None:
    browser, organization = await member(client)
    key = await make_api_key(organization)
    keys = f"/o/{organization.slug}/keys"

    await browser.submit(keys, f"{keys}/{key.row.id}/remove")
    answer = await browser.submit(keys, f"{keys}/{key.row.id}/revoke")

    assert answer.headers["location"] == f"{keys}?done=key-revoked"
    refused = await client.get("/api/v1/messages", headers={"x-api-key": key.secret})
    assert refused.status_code == 401


@pytest.mark.parametrize("kind", ["keys", "members"])
async def test_a_key_and_a_member_are_removed_with_time_to_undo(client: Client, kind: str) -> None:
    browser, organization = await member(client)
    key = await make_api_key(organization)
    membership = await make_membership(organization, role=Role.VIEWER)
    home = f"/o/{organization.slug}/{kind}"
    thing = key.row.id if kind == "keys" else membership.user_id

    begun = await browser.submit(home, f"{home}/{thing}/remove")
    waiting = await browser.get(home)
    (removal,) = await Removal.objects().where(Removal.target_id == thing)
    undone = await browser.submit(home, f"{home}/removals/{removal.id}/undo")

    assert begun.headers["location"] == f"{home}?done=removal-begun"
    assert "Is being re" in waiting.text
    assert undone.headers["location"] == f"{home}?done=removal-undone"
    assert "Is being re" not in (await browser.get(home)).text


async def test_nobody_is_offered_to_take_their_own_removal_back(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/members"
    own = await Membership.objects().get(Membership.organization_id == organization.id)
    other = await make_actor(organization)
    await client.data(
        "mutation ($id: ID!) { removeLater(input: {subject: {userId: $id}}) { __typename } }",
        {"id": str(own.user_id)},
        actor=other,
    )

    page = (await browser.get(home)).text

    (removal,) = await Removal.objects().where(Removal.target_id == own.user_id)
    assert f"{removal.name} is removed" in page
    assert f"{removal.id}/undo" not in page


async def test_a_domain_is_added_and_deleted_by_its_name_only(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/domains"
    name = f"{new_token(8).lower()}.example"

    added = await browser.submit(home, home, {"name": name})
    shown = await browser.get(f"{home}/{name}")
    kept = await browser.submit(f"{home}/{name}", f"{home}/{name}/delete", {"typed": "other"})
    deleted = await browser.submit(f"{home}/{name}", f"{home}/{name}/delete", {"typed": name})

    assert added.headers["location"] == f"{home}/{name}?done=domain-added"
    assert f"._domainkey.{name}" in unescape(shown.text)
    assert kept.status_code in (404, 422)
    assert deleted.headers["location"] == f"{home}?done=domain-deleted"
    assert not await Domain.exists().where(Domain.name == name)


async def test_htmx_gets_the_part_that_it_asks_for(client: Client) -> None:
    browser, organization = await member(client)
    messages = f"/o/{organization.slug}/messages"

    part = await browser.get(f"{messages}?q=nothing", hx_request="true", hx_target="found")
    whole = await browser.get(f"{messages}?q=nothing")
    boosted = await browser.get(messages, hx_request="true", hx_target="found", hx_boosted="true")

    assert part.text.lstrip().startswith("<div")
    assert "<html" not in part.text
    assert "Nothing matches" in part.text
    assert "Nothing matches" in whole.text
    assert "<html" in whole.text
    assert "<html" in boosted.text
    assert "HX-Request" in whole.headers["vary"]


@pytest.mark.parametrize(
    "query", ["?q=%00", "?after=nonsense", "?status=nonsense", "?range=1y", "?q=" + "x" * 5_000]
)
async def test_an_odd_address_is_answered(client: Client, query: str) -> None:
    browser, organization = await member(client)

    answer = await browser.get(f"/o/{organization.slug}/messages{query}")

    assert answer.status_code in (200, 404)
    assert "Traceback" not in answer.text


async def test_pages_are_guarded_whatever_they_answer(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}"
    answers = [
        await browser.get(home),
        await browser.get(f"{home}/messages/{new_id()}"),
        await browser.get("/o/nope"),
        await browser.get(f"{home}/no/such/page"),
        await browser.post(f"{home}/domains", {}),
        await browser.post(home, {}),
        await Browser(client).get("/login"),
    ]

    assert [a.status_code for a in answers] == [200, 404, 404, 404, 403, 405, 200]
    for answer in answers:
        assert answer.headers["content-type"].startswith("text/html"), answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "<script>" not in answer.text
        assert " style=" not in answer.text
        assert not re.search(r"\son[a-z]+=", answer.text)


async def test_a_preview_can_do_nothing(client: Client) -> None:
    browser, organization = await member(client)

    answer = await browser.get(f"/o/{organization.slug}/messages/{new_id()}/preview")

    assert answer.status_code == 404


async def test_files_are_kept_by_browsers_under_their_content(client: Client) -> None:
    page = (await Browser(client).get("/login")).text
    files = re.findall(r'(?:href|src)="(/static/[^"#]+)"', page)

    answers = [await client.get(path) for path in files]

    assert len(files) == 4
    assert all(answer.status_code == 200 for answer in answers)
    assert {a.headers["cache-control"] for a in answers} == {"public, max-age=31536000, immutable"}
    assert (await client.get("/static/app.000000000000.css")).status_code == 404
    assert (await client.get("/static/..%2frender.py")).status_code == 404


async def test_a_webhook_is_made_in_postals_format(client: Client) -> None:
    browser, organization = await member(client)
    at = f"/o/{organization.slug}/webhooks"

    made = await browser.submit(
        at,
        at,
        {"url": "https://postals.example/", "format": "POSTAL", "events": "MessageBounced"},
    )

    assert made.status_code == 201
    assert "is called as Postal calls" in made.text
    assert "whsec_" not in made.text
    (link,) = set(re.findall(rf'href="({at}/[0-9a-f-]+)"', made.text))
    shown = await browser.get(link)
    assert "<code>MessageBounced</code>" in shown.text
    assert "in Postal&#39;s format" in shown.text or "in Postal's format" in shown.text
    assert "New secret" not in shown.text


async def test_the_form_offers_every_name_of_postals(client: Client) -> None:
    browser, organization = await member(client)
    at = f"/o/{organization.slug}/webhooks"

    shown = await browser.get(at)
    ours = await browser.submit(at, at, {"url": "https://ours.example/", "events": "message.*"})
    wrong = await browser.submit(at, at, {"url": "https://x.example/", "events": "MessageSent"})

    offered = set(re.findall(r'<option value="([A-Z]\w+[a-z])"', shown.text))
    assert offered == set(CHOOSABLE)
    assert "whsec_" in ours.text
    assert "There is no such event." in wrong.text


async def test_who_does_not_see_a_part_is_told_so(client: Client) -> None:
    browser, organization = await member(client, role=Role.BILLING)
    home = f"/o/{organization.slug}"

    shown = {path: (await browser.get(home + path)).text for path in ("", "/developers")}

    assert "Your role does not see messages." in shown[""]
    assert "Your role does not see API keys." in shown["/developers"]
