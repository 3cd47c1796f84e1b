"""What happens by itself: renewals, dunning, downgrades, trials, usage."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.billing import work
from postlane.billing.provider import find_provider
from postlane.billing.tables import BillingAccount, Invoice, Subscription
from postlane.core import clock
from postlane.core.actor import Actor, OrganizationId
from postlane.core.database import fetch
from postlane.core.ids import new_token
from postlane.messages.work import bytes_delivered
from tests.billing.setup import CHECKOUT, DOWNGRADE, SUBSCRIPTION, make_package, settings_with
from tests.client import Client
from tests.factories import make_actor, make_domain, make_organization
from tests.stripe_server import DECLINED, GOOD, StripeServer

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def stripe() -> Iterator[StripeServer]:
    """A deployment that takes payments."""
    with StripeServer() as running, settings_with(**running.settings()):
        yield running


async def subscriber(plan: str = "starter", *, method: str = GOOD, **values: Any) -> Organization:
    """Make an organization whose May is paid."""
    organization = await make_organization(plan=plan)
    await BillingAccount(
        organization_id=organization.id,
        customer_ref=f"cus_{new_token(12)}",
        payment_method=json.dumps({"type": "card"}),
        payment_method_ref=method,
    ).save()
    await Subscription(
        **{
            "organization_id": organization.id,
            "plan": plan,
            "provider": "stripe",
            "period_start": datetime(2026, 5, 1, tzinfo=UTC),
            "period_end": JUNE,
        }
        | values
    ).save()
    return organization


async def run(at: datetime) -> None:
    """Do what the hourly job does, at a time."""
    with clock.frozen(at):
        await work.begin_periods()
        provider = find_provider()
        if provider is not None:
            await work.collect_due(provider)
        await work.chase_all()


async def state(organization: Organization) -> tuple[str, str, str, str]:
    """Return plan, status and stage of the subscription, and the organization's status."""
    (row,) = await fetch(
        "SELECT s.plan, s.status, s.dunning_stage, o.status AS standing FROM subscriptions s "
        "JOIN organizations o ON o.id = s.organization_id WHERE o.id = {}",
        organization.id,
    )
    return row["plan"], row["status"], row["dunning_stage"], row["standing"]


def charged(stripe: StripeServer, organization: Organization) -> list[int]:
    """Return what was charged; tests before this one have left subscribers of their own."""
    return [
        intent["amount"]
        for intent in stripe.books.intents.values()
        if intent["metadata"]["organization_id"] == str(organization.id)
    ]


async def statuses(organization: Organization) -> list[str]:
    """Return what became of each invoice."""
    rows = await fetch(
        "SELECT status FROM invoices WHERE organization_id = {} ORDER BY id", organization.id
    )
    return [row["status"] for row in rows]


async def told(organization: Organization) -> int:
    """Return how many notices were sent about it."""
    rows = await fetch(
        "SELECT count(*) AS n FROM notices WHERE organization_id = {}", organization.id
    )
    found: int = rows[0]["n"]
    return found


async def test_a_month_is_renewed_paid_and_granted_once(
    database: None, stripe: StripeServer
) -> None:
    organization = await subscriber()

    for _ in range(3):
        await run(JUNE + timedelta(minutes=12))

    row = (
        await Subscription.objects().where(Subscription.organization_id == organization.id).first()
    )
    assert row is not None
    assert (row.period_start, row.period_end) == (JUNE, JULY)
    assert await statuses(organization) == ["paid"]
    lots = await fetch(
        "SELECT granted, expires_at FROM credit_lots WHERE organization_id = {} ORDER BY id",
        organization.id,
    )
    assert lots == [
        {"granted": 100_000, "expires_at": JULY},
        {"granted": 1_000, "expires_at": JULY},
    ]
    assert charged(stripe, organization) == [4_900]


async def test_a_balance_is_used_before_the_card(database: None, stripe: StripeServer) -> None:
    organization = await subscriber()
    await BillingAccount.update({BillingAccount.balance: 900}).where(
        BillingAccount.organization_id == organization.id
    )

    await run(JUNE + timedelta(minutes=12))

    assert charged(stripe, organization) == [4_000]
    rows = await fetch(
        "SELECT balance FROM billing_accounts WHERE organization_id = {}", organization.id
    )
    assert rows == [{"balance": 0}]


async def test_who_does_not_pay_is_warned_suspended_and_ended_and_can_pay_in_between(
    client: Client, stripe: StripeServer
) -> None:
    organization = await subscriber(method=DECLINED)
    owner = await make_actor(organization)
    seen = []

    for days in (0.01, 1.1, 3.1, 13.9, 14.1, 29.9, 30.1):
        await run(JUNE + timedelta(days=days))
        seen.append((days, *await state(organization)))

    assert seen == [
        (0.01, "starter", "active", "none", "active"),
        (1.1, "starter", "past_due", "past_due", "active"),
        (3.1, "starter", "past_due", "grace", "active"),
        (13.9, "starter", "past_due", "grace", "active"),
        (14.1, "starter", "suspended", "suspended", "suspended"),
        (29.9, "starter", "suspended", "suspended", "suspended"),
        (30.1, "trial", "cancelled", "cancelled", "active"),
    ]
    assert await statuses(organization) == ["uncollectible"]
    assert await told(organization) == 4
    assert owner.user_id is not None


async def test_who_owes_while_the_platform_suspends_them_is_suspended_for_it_afterwards(
    client: Client, stripe: StripeServer
) -> None:
    organization = await subscriber(method=DECLINED)
    operator = await make_actor(platform_admin=True)
    said = {"slug": organization.slug, "reason": "Fraud"}
    await client.data(
        "mutation ($slug: String!, $reason: String!) { suspendOrganization("
        "input: {slug: $slug, reason: $reason}) { organization { status } } }",
        said,
        actor=operator,
    )
    for days in (0.01, 14.1):
        await run(JUNE + timedelta(days=days))

    resumed = await client.data(
        "mutation ($slug: String!) { resumeOrganization(input: {slug: $slug}) "
        "{ organization { status suspendedFor } } }",
        {"slug": organization.slug},
        actor=operator,
    )

    assert resumed["resumeOrganization"]["organization"] == {
        "status": "SUSPENDED",
        "suspendedFor": "DEBT",
    }


async def test_paying_ends_the_suspension(client: Client, stripe: StripeServer) -> None:
    organization = await subscriber(method=DECLINED)
    for days in (0.01, 14.1):
        await run(JUNE + timedelta(days=days))
    before = await state(organization)
    await BillingAccount.update({BillingAccount.payment_method_ref: GOOD}).where(
        BillingAccount.organization_id == organization.id
    )
    await Invoice.update({Invoice.next_charge_at: JUNE}).where(
        Invoice.organization_id == organization.id
    )

    await run(JUNE + timedelta(days=15))

    assert before == ("starter", "suspended", "suspended", "suspended")
    assert await state(organization) == ("starter", "active", "none", "active")
    assert await statuses(organization) == ["paid"]


async def test_a_suspended_organization_reads_and_pays_and_does_nothing_else(
    client: Client, stripe: StripeServer
) -> None:
    await make_package()
    actor: Actor = await make_actor(await make_organization(), suspended=True)
    domain = 'mutation { createDomain(input: {name: "a.example"}) { domain { uuid } } }'

    assert await client.refusal(domain, actor=actor) == "ORGANIZATION_SUSPENDED"
    await client.data(SUBSCRIPTION, actor=actor)
    await client.data(
        CHECKOUT, {"input": {"type": "CREDITS", "packageId": "email-100k"}}, actor=actor
    )


async def test_a_downgrade_takes_effect_with_the_next_period(
    database: None, stripe: StripeServer
) -> None:
    organization = await subscriber("professional", pending_plan="starter")

    await run(JUNE + timedelta(minutes=12))

    assert await state(organization) == ("starter", "active", "none", "active")
    assert charged(stripe, organization) == [4_900]
    rows = await fetch("SELECT plan FROM organizations WHERE id = {}", organization.id)
    assert rows == [{"plan": "starter"}]


async def test_a_downgrade_that_does_not_fit_any_more_is_dropped_and_told(
    database: None, stripe: StripeServer
) -> None:
    organization = await subscriber("professional", pending_plan="starter")
    await make_actor(organization)
    for _ in range(2):
        await make_domain(organization.id)

    await run(JUNE + timedelta(minutes=12))

    assert await state(organization) == ("professional", "active", "none", "active")
    assert charged(stripe, organization) == [19_900]
    assert await told(organization) == 1


async def test_who_goes_back_to_the_trial_has_cancelled_and_gets_no_other_trial(
    client: Client, stripe: StripeServer
) -> None:
    organization = await subscriber("starter")
    owner = await make_actor(organization)
    with clock.frozen(JUNE - timedelta(days=9)):
        await client.data(DOWNGRADE, {"input": {"plan": "trial"}}, actor=owner)
        shown = await client.data(SUBSCRIPTION, actor=owner)

    for months in range(3):
        await run(JUNE + timedelta(days=31 * months, minutes=12))

    asked = shown["organization"]["billing"]["subscription"]
    assert (asked["plan"], asked["cancelAtPeriodEnd"]) == ({"slug": "starter"}, True)
    assert await state(organization) == ("trial", "cancelled", "none", "active")
    assert charged(stripe, organization) == []
    assert await statuses(organization) == []
    rows = await fetch("SELECT FROM credit_lots WHERE organization_id = {}", organization.id)
    assert rows == []


async def test_a_trial_ends_after_thirty_days(database: None) -> None:
    organization = await subscriber(
        "trial", status="trialing", trial_ends_at=JUNE + timedelta(days=3)
    )

    await run(JUNE + timedelta(days=2))
    before = await state(organization)
    await run(JUNE + timedelta(days=4))

    assert before == ("trial", "trialing", "none", "active")
    assert await state(organization) == ("trial", "cancelled", "none", "active")
    assert await statuses(organization) == []


async def test_nothing_is_summed_up_from_before_there_was_anybody() -> None:
    await make_organization()
    await fetch("DELETE FROM usage_marks")
    [oldest] = await fetch("SELECT min(created_at) AS created_at FROM organizations")
    now: datetime = oldest["created_at"].replace(minute=0, second=0) + timedelta(hours=3)

    with clock.frozen(now + timedelta(minutes=11)):
        hours = await work.roll_up(bytes_delivered)

    assert hours == 3
    with clock.frozen(now + timedelta(days=90)):
        await fetch("DELETE FROM usage_marks")
        assert await work.roll_up(bytes_delivered) == 30 * 24 - 1


async def test_an_hour_is_written_down_once_and_never_changes(client: Client) -> None:
    organization = await make_organization()
    owner = OrganizationId(organization.id)
    hour = datetime.fromtimestamp(time.time() // 3600 * 3600, UTC)
    await fetch(
        "INSERT INTO usage_marks (id, rolled_up_to) VALUES (1, {}) "
        "ON CONFLICT (id) DO UPDATE SET rolled_up_to = excluded.rolled_up_to",
        hour,
    )
    domain = await make_domain(owner)
    actor = await make_actor(organization)
    send = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }"
    message = {
        "from": f"shop@{domain.name}",
        "to": ["ada@example.net", "bob@example.net"],
        "subject": "Hello",
        "text": "Hello.",
    }
    await client.data(send, {"input": message}, actor=actor)

    with clock.frozen(hour + timedelta(hours=1, minutes=9)):
        early = await work.roll_up(bytes_delivered)
    with clock.frozen(hour + timedelta(hours=1, minutes=11)):
        first, second = [await work.roll_up(bytes_delivered) for _ in range(2)]

    assert (early, first, second) == (0, 1, 0)
    rollup = """query ($since: DateTime!, $until: DateTime!) { organization { billing {
      usageRollup(granularity: DAY, since: $since, until: $until) {
        messages recipients delivered closed credits { type used } overage included
      } } } }"""
    times = {"since": hour.isoformat(), "until": (hour + timedelta(minutes=1)).isoformat()}
    data = await client.data(rollup, times, actor=actor)
    (day,) = data["organization"]["billing"]["usageRollup"]
    assert (day["messages"], day["recipients"], day["delivered"]) == (1, 2, 0)
    assert {each["type"]: each["used"] for each in day["credits"]}["EMAIL"] == 2
    assert (day["included"], day["overage"]) == (0, 2)


async def test_too_many_periods_are_refused(client: Client) -> None:
    rollup = """query ($since: DateTime!) { organization { billing {
      usageRollup(granularity: DAY, since: $since) { closed } } } }"""
    actor = await make_actor()

    assert await client.refusal(rollup, {"since": "1990-01-01T00:00:00Z"}, actor=actor) == (
        "RANGE_TOO_LARGE"
    )
    assert await client.refusal(rollup, {"since": "9990-01-01T00:00:00Z"}, actor=actor) == (
        "INVALID_INPUT"
    )
    usual = "{ organization { billing { usageRollup { periodStart } } } }"
    data = await client.data(usual, actor=actor)
    assert len(data["organization"]["billing"]["usageRollup"]) == 12
