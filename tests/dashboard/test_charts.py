"""Charts on pages: what they say is what was counted, in the picture and in the table under it."""

from datetime import timedelta

import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch
from postlane.credits.rules import CreditType
from tests.analytics.setup import make_mail, roll_up_all, tell
from tests.client import Client
from tests.credits.books import give, take
from tests.dashboard.browser import member
from tests.factories import make_actor, make_organization


async def trial() -> Organization:
    """An organization whose credits are counted: it has 1,000."""
    organization = await make_organization(plan="trial")
    await give(OrganizationId(organization.id), 1_000, credit_type=CreditType.EMAIL)
    return organization


async def test_the_burn_of_credits_says_how_long_they_last(client: Client) -> None:
    organization = await trial()
    browser, _ = await member(client, organization)
    await take(OrganizationId(organization.id), 200)
    today = clock.now().date()
    # As if it were three days ago: two hundred in four days.
    await fetch(
        "UPDATE credit_usage SET day = {} WHERE organization_id = {}",
        today - timedelta(days=3),
        organization.id,
    )

    page = (await browser.get(f"/o/{organization.slug}/billing")).text

    assert "50 email credits a day; what is left lasts 16 days" in page
    assert page.count(": Used ") == 30
    assert f"<title>{today - timedelta(days=3)}: Used 200</title>" in page
    assert f'<th scope="row">{today - timedelta(days=3)}</th><td class="number">200</td>' in page


@pytest.mark.parametrize(
    ("used", "told"),
    [
        (2, "1 email credit a day; what is left lasts 998 days"),
        (3, "1.5 email credits a day; what is left lasts 664 days"),
        (1, "0.5 email credits a day; what is left lasts 1998 days"),
    ],
)
async def test_a_part_of_a_credit_is_said_and_not_one(client: Client, used: int, told: str) -> None:
    organization = await trial()
    browser, _ = await member(client, organization)
    await take(OrganizationId(organization.id), used)
    await fetch(
        "UPDATE credit_usage SET day = {} WHERE organization_id = {}",
        clock.now().date() - timedelta(days=1),
        organization.id,
    )

    page = (await browser.get(f"/o/{organization.slug}/billing")).text

    assert told in page.replace("\u202f", "")


async def test_nothing_used_draws_nothing(client: Client) -> None:
    organization = await trial()
    browser, _ = await member(client, organization)

    page = (await browser.get(f"/o/{organization.slug}/billing")).text

    assert "credits a day" not in page
    assert 'class="chart"' not in page


async def test_what_waits_is_drawn_by_when_it_was_accepted(client: Client) -> None:
    browser, organization = await member(client)
    actor = await make_actor(organization)
    hour_ago = clock.now() - timedelta(hours=1)
    addresses = ("a@example.net", "b@example.net", "c@example.net", "d@example.net")
    there, refused, waiting, put_off = await make_mail(actor, *addresses, at=hour_ago)
    await tell(*(each.queued() for each in (there, refused, waiting, put_off)))
    await tell(
        there.delivered(), refused.bounced("invalid_recipient"), put_off.deferred("rate_limited")
    )
    await roll_up_all()

    page = (await browser.get(f"/o/{organization.slug}/analytics?period=24h")).text

    assert "2 recipients still wait, by when the mail was accepted" in page
    assert page.count(": Waiting 2</title>") == 1
    assert page.count(": Waiting 0</title>") >= 23


async def test_nothing_that_waits_is_said_in_words(client: Client) -> None:
    browser, organization = await member(client)

    page = (await browser.get(f"/o/{organization.slug}/analytics?period=7d")).text

    assert "Nothing of it waits" in page
    assert ": Waiting" not in page
