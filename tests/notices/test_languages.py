"""Mail of the platform to people is in the language of who reads it, all of it."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postlane.billing.notifying import notify
from postlane.billing.tables import BillingAccount, Subscription
from postlane.billing.work import begin_periods
from postlane.billing.work.dunning import TOLD
from postlane.core import clock, languages
from postlane.core.actor import Role
from postlane.core.database import fetch, transaction
from postlane.credits.rules import CreditType
from postlane.credits.work import look_at_alerts
from postlane.credits.work.alerts import PAID_FOR
from postlane.notices.rendering import texts
from postlane.notices.rules import Notice
from postlane.notices.work import claim
from postlane.webhooks.rules import DisabledReason
from postlane.webhooks.work.settling import switch_off
from tests.client import Client
from tests.credits.books import give, take
from tests.credits.test_alerts import put
from tests.dashboard.browser import Browser
from tests.dashboard.test_marking import unmarked
from tests.factories import make_actor, make_organization, make_webhook
from tests.mailbox import mailed
from tests.people import LOG_IN, PASSWORD, registered
from tests.pseudo import PSEUDO, pseudo, untranslated
from tests.security.test_resets import ASK, RESET, ask, reset
from tests.security.test_second_factor import DISABLE, RENEW, Person

PLATFORM = Path(__file__).resolve().parents[2] / "platform"
INVITE = "mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { token } }"
DATA = {"Postlane", "Postlane.", "Ada", "Admin", "Acme", "Example"}
"""Names: of the product, of people, of organizations."""
MONTHS = {"Jan", "Feb", "Apr", "Jun", "Jul", "Sep", "Nov", "Dec"}
"""As they are in Esperanto, too."""


async def rendered(to: str) -> dict[tuple[Notice, str], str]:
    """Return what is mailed to an address, by its kind and subject, as a worker makes it."""
    rows = await fetch("SELECT id FROM notices WHERE lower(recipient) = {}", to.lower())
    found = {}
    for row in rows:
        taken = await claim(row["id"])
        assert taken is not None
        told = [each for each in await mailed(to) if each.notice is taken.notice]
        for each in told:
            with languages.speaking(taken.language):
                subject, text, html = texts(each.notice, each.values)
            found[each.notice, subject] = f"<p>{subject}</p><p>{text}</p>{html}"
        assert taken.mail().data
    return found


def english(found: dict[tuple[Notice, str], str]) -> dict[tuple[Notice, str], set[str]]:
    left = {name: untranslated(text) - DATA - MONTHS for name, text in found.items()}
    return {name: words for name, words in left.items() if words}


async def chosen(email: str, language: str = PSEUDO) -> None:
    await fetch("UPDATE users SET language = {} WHERE lower(email) = {}", language, email.lower())


@pytest.mark.usefixtures("another_language")
async def test_what_a_person_is_mailed_is_in_their_language(client: Client) -> None:
    answer = await registered(client, organizationName="Acme")
    person, guest = Person(client, answer), await registered(client)
    await chosen(person.email)
    await chosen(guest["user"]["email"])

    sent = {"input": {"email": guest["user"]["email"], "role": "DEVELOPER"}}
    await client.data(INVITE, sent, token=person.token)
    await person.set_up()
    await client.data(LOG_IN, person.log_in(recoveryCode=person.recovery_codes[0]))
    renewed = await client.data(
        RENEW,
        {"input": {"password": PASSWORD, "recoveryCode": person.recovery_codes[1]}},
        token=person.token,
    )
    code = renewed["renewRecoveryCodes"]["recoveryCodes"][0]
    off = {"input": {"password": PASSWORD, "recoveryCode": code}}
    await client.data(DISABLE, off, token=person.token)
    await client.data(ASK, ask(person.email))
    await client.data(RESET, reset((await mailed(person.email))[-1].token))

    found = await rendered(person.email) | await rendered(guest["user"]["email"])
    assert {notice for notice, _ in found} == {
        Notice.INVITATION,
        Notice.SECOND_FACTOR_CHANGED,
        Notice.RECOVERY_CODE_USED,
        Notice.PASSWORD_RESET,
        Notice.PASSWORD_CHANGED,
    }
    assert english(found) == {}


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Asia/Kolkata", "1 Jan 2027, 04:15 (Asia/Kolkata)"),
        ("UTC", "31 Dec 2026, 22:45 UTC"),
        ("", "31 Dec 2026, 22:45 UTC"),
        ("No/Where", "31 Dec 2026, 22:45 UTC"),
        ("../etc", "31 Dec 2026, 22:45 UTC"),
    ],
)
def test_a_time_is_told_with_its_zone(zone: str, told: str) -> None:
    assert languages.written_in(datetime(2026, 12, 31, 22, 45, tzinfo=UTC), zone) == told


async def test_times_are_told_in_the_time_zone_of_who_reads_them(client: Client) -> None:
    zone, nobody = "Asia/Kolkata", "nobody@times.example"
    owner = Person(client, await registered(client, organizationName="Acme"))
    guest = (await registered(client))["user"]["email"]
    for email in (owner.email, guest):
        await fetch("UPDATE users SET timezone = {} WHERE lower(email) = {}", zone, email.lower())

    for email in (guest, nobody):
        sent = {"input": {"email": email, "role": "DEVELOPER"}}
        await client.data(INVITE, sent, token=owner.token)
    await owner.set_up()
    await client.data(LOG_IN, owner.log_in(recoveryCode=owner.recovery_codes[0]))
    await client.data(ASK, ask(owner.email))
    await client.data(RESET, reset((await mailed(owner.email))[-1].token))

    at = {
        each.notice: each.values["at"] for each in await mailed(owner.email) if "at" in each.values
    }
    assert set(at) == {
        Notice.SECOND_FACTOR_CHANGED,
        Notice.RECOVERY_CODE_USED,
        Notice.PASSWORD_CHANGED,
    }
    assert [told for told in at.values() if not told.endswith(f" ({zone})")] == []
    [invited], [stranger] = await mailed(guest), await mailed(nobody)
    assert invited.values["expires_at"].endswith(f" ({zone})")
    assert stranger.values["expires_at"].endswith(" UTC")


@pytest.mark.usefixtures("another_language")
async def test_what_an_organization_is_mailed_is_in_the_language_of_each(client: Client) -> None:
    organization = await make_organization(name="Acme", plan="trial")
    owner = await make_actor(organization, role=Role.OWNER)
    (row,) = await fetch("SELECT email FROM users WHERE id = {}", owner.user_id)
    await chosen(row["email"])
    await give(organization.id, 10)
    await BillingAccount(organization_id=organization.id, billing_email="bills@example.net").save()
    await Subscription(
        organization_id=organization.id,
        plan="trial",
        status="trialing",
        period_start=clock.now() - timedelta(days=3),
        period_end=clock.now() + timedelta(days=9),
        trial_ends_at=clock.now() - timedelta(hours=1),
    ).save()

    await put(client, owner, threshold=20, channels=["EMAIL"])
    await look_at_alerts()
    await take(organization.id, 10)
    await put(client, owner, threshold=21, channels=["EMAIL"])
    await look_at_alerts()
    for reason in DisabledReason:
        webhook, _, _ = await make_webhook(organization, "https://h.example/hook")
        await switch_off(webhook, reason)
    await begin_periods()
    async with transaction() as tx:
        for headline, what in TOLD.values():
            say = what
            await notify(
                tx,
                owner.organization_id,
                headline=headline,
                what=lambda say=say: languages.gettext(say),  # type: ignore[misc]
            )

    found = await rendered(row["email"])
    others = await rendered("bills@example.net")
    assert {notice for notice, _ in found} == {
        Notice.CREDITS_LOW,
        Notice.WEBHOOK_DISABLED,
        Notice.BILLING,
    }
    assert english(found) == {}
    # Nobody has chosen for an address that is nobody's.
    assert {subject for _, subject in others} == {
        "Your trial has ended",
        *(headline for headline, _ in TOLD.values()),
    }


@pytest.mark.usefixtures("another_language")
async def test_who_chose_nothing_reads_what_the_browser_asked_for(client: Client) -> None:
    email = (await registered(client))["user"]["email"]
    browser = Browser(client, "")

    await browser.submit(
        "/reset", "/reset", {"email": email}, **{"accept-language": "eo, en;q=0.1"}
    )

    assert {subject for _, subject in await rendered(email)} == {pseudo("Choose a new password")}


@pytest.mark.parametrize("path", sorted((PLATFORM / "notices" / "templates").glob("*.jinja")))
def test_every_text_of_a_notice_is_marked(path: Path) -> None:
    assert list(unmarked(path.read_text("utf-8"))) == []


def unmarked_values(source: str) -> Iterator[str]:
    """Yield every text that a notice is told and that is not looked up."""
    for node in ast.walk(ast.parse(source)):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if called in ("notices.send", "notify"):
            assert isinstance(node, ast.Call)
            for each in node.keywords:
                if each.arg in ("values", "headline", "what", "change"):
                    yield from _unmarked(each.value)


def _unmarked(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name(id="_" | "N_")):
            return
        case ast.Dict(values=values):
            for each in values:
                yield from _unmarked(each)
        case ast.JoinedStr(values=values) if "/" in ast.unparse(node):
            return  # An address.
        case ast.Subscript(value=value):
            yield from _unmarked(value)
        case ast.Constant(value=str(value)) if any(map(str.isalpha, value)):
            yield value
        case _:
            for each in ast.iter_child_nodes(node):
                yield from _unmarked(each)


def test_every_text_that_a_notice_is_told_is_looked_up() -> None:
    found = {}
    told = 0
    for path in PLATFORM.rglob("*.py"):
        source = path.read_text("utf-8")
        told += source.count("notices.send(")
        found[path.name] = list(unmarked_values(source))

    assert told == 9
    assert {name: values for name, values in found.items() if values} == {}


def test_a_text_that_a_notice_is_told_and_nobody_looks_up_is_found() -> None:
    source = 'notices.send(tx, values={"a": "Yes" if b else _("No"), "at": f"{at} o\'clock"})'

    assert list(unmarked_values(source)) == ["Yes", " o'clock"]


def test_every_kind_of_credits_has_words() -> None:
    assert PAID_FOR.keys() == set(CreditType)
