"""What goes wrong with money elsewhere: month ends, wrong amounts, two ways to pay at once."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from postlane.accounts.rules import Plan
from postlane.accounts.tables import Organization
from postlane.billing import work
from postlane.billing.invoicing import NewInvoice, issue, plan_line
from postlane.billing.provider import find_provider
from postlane.billing.rules import InvoiceReason
from postlane.billing.subscribing import lock_subscription
from postlane.billing.tables import BillingAccount, Subscription
from postlane.core import clock
from postlane.core.actor import Actor, OrganizationId
from postlane.core.database import fetch, transaction
from tests.billing.setup import SUBSCRIPTION, UPGRADE, granted, make_package, settings_with
from tests.billing.test_periods import JUNE, charged, run, state, statuses, subscriber
from tests.billing.test_stripe import buy, outcome
from tests.client import Client
from tests.factories import make_actor, make_organization
from tests.stripe_server import SLOW, StripeServer, event

ROLLUP = """query ($granularity: UsageGranularity!, $since: DateTime, $until: DateTime) {
  organization { billing { usageRollup(granularity: $granularity, since: $since, until: $until) {
    periodStart } } } }"""


@pytest.fixture
def stripe() -> Iterator[StripeServer]:
    """A deployment that takes payments."""
    with StripeServer() as running, settings_with(**running.settings()):
        yield running


@pytest.fixture
async def organization(database: None) -> Organization:
    """An organization on trial."""
    await make_package()
    return await make_organization(plan="trial")


@pytest.fixture
async def owner(organization: Organization) -> Actor:
    """Its owner."""
    return await make_actor(organization)


async def balance(organization: Organization) -> int:
    rows = await fetch(
        "SELECT balance FROM billing_accounts WHERE organization_id = {}", organization.id
    )
    return rows[0]["balance"] if rows else 0


@pytest.mark.parametrize(
    ("offered", "first_of_month"),
    [
        (datetime(2027, 1, 31, 23, 59, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, 23, 59, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2027, 12, 31, 23, 59, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)),
    ],
)
async def test_what_is_left_of_a_month_buys_no_other_month(
    client: Client,
    stripe: StripeServer,
    organization: Organization,
    owner: Actor,
    offered: datetime,
    first_of_month: datetime,
) -> None:
    with clock.frozen(offered):
        await buy(client, owner, type="PLAN", plan="professional")
    with clock.frozen(offered + timedelta(minutes=3)):
        told = stripe.pay(next(iter(stripe.books.sessions)))
        assert await outcome(client, told) == "done"
        before = await granted(organization.id, "included")
        for _ in range(2):
            await work.begin_periods()
        data = await client.data(SUBSCRIPTION, actor=owner)

    invoices = await fetch(
        "SELECT reason, total, period_start FROM invoices WHERE organization_id = {} ORDER BY id",
        organization.id,
    )
    assert before == []
    assert invoices == [
        {"reason": "plan", "total": 50, "period_start": offered.replace(day=1, hour=0, minute=0)},
        {"reason": "renewal", "total": 19_900, "period_start": first_of_month},
    ]
    assert data["organization"]["billing"]["subscription"]["status"] == "ACTIVE"
    assert await granted(organization.id, "included") == [10_000_000, 10_000]


async def test_money_of_another_amount_is_kept_for_whom_it_came_from(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await buy(client, owner, type="CREDITS", packageId="email-100k")
    told = stripe.pay(next(iter(stripe.books.sessions)))
    told["data"]["object"]["amount_total"] = 3_999

    first = await outcome(client, told)
    again = await outcome(client, told | {"id": "evt_same_money_again"})

    assert (first, again) == ("done", "ignored")
    assert await granted(organization.id) == []
    assert await balance(organization) == 3_999


async def test_one_payment_pays_for_one_checkout(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    for _ in range(2):
        await buy(client, owner, type="CREDITS", packageId="email-100k")
    first, second = map(stripe.pay, list(stripe.books.sessions))
    second["data"]["object"]["payment_intent"] = first["data"]["object"]["payment_intent"]

    outcomes = [await outcome(client, first), await outcome(client, second)]

    assert outcomes == ["done", "ignored"]
    assert await granted(organization.id) == [100_000]
    assert await statuses(organization) == ["paid"]


@pytest.mark.parametrize(
    "change",
    [
        {"amount_total": 10**30},
        {"amount_total": -5},
        {"currency": "dollars"},
        {"currency": "\ud800"},
    ],
)
async def test_what_is_no_money_is_not_booked(
    client: Client,
    stripe: StripeServer,
    organization: Organization,
    owner: Actor,
    change: dict[str, object],
) -> None:
    await buy(client, owner, type="CREDITS", packageId="email-100k")
    told = stripe.pay(next(iter(stripe.books.sessions)))
    told["data"]["object"] |= change

    assert await outcome(client, told) == "ignored"
    assert await granted(organization.id) == []
    assert await balance(organization) == 0


async def test_a_plan_bought_while_an_upgrade_is_paid_is_granted_once(
    client: Client,
    stripe: StripeServer,
    frozen: datetime,
    organization: Organization,
    owner: Actor,
) -> None:
    await buy(client, owner, type="PAYMENT_METHOD")
    stored = stripe.pay(list(stripe.books.sessions)[-1], method=SLOW)
    assert await outcome(client, stored) == "done"
    await buy(client, owner, type="PLAN", plan="starter")
    await client.refusal(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
    (intent,) = stripe.books.intents.values()

    assert await outcome(client, stripe.pay(list(stripe.books.sessions)[-1])) == "done"
    await outcome(client, event("payment_intent.succeeded", intent))

    assert await state(organization) == ("starter", "active", "none", "active")
    assert await granted(organization.id, "included") == [98_333, 983]
    assert await balance(organization) == intent["amount"]
    assert await statuses(organization) == ["void", "paid"]


@pytest.mark.parametrize("granularity", ["DAY", "WEEK", "MONTH"])
@pytest.mark.parametrize(
    "times",
    [
        {"since": "9999-12-31T00:00:00Z", "until": "9999-12-31T23:59:59Z"},
        {"until": "9999-12-31T23:59:59Z"},
        {"until": "0001-01-05T00:00:00Z"},
        {"since": "0001-01-01T00:00:00Z", "until": "0001-01-05T00:00:00Z"},
        {"since": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z"},
    ],
)
async def test_the_ends_of_time_are_refused(
    client: Client, granularity: str, times: dict[str, str]
) -> None:
    actor = await make_actor()

    code = await client.refusal(ROLLUP, {"granularity": granularity, **times}, actor=actor)

    assert code in ("INVALID_INPUT", "RANGE_TOO_LARGE")


async def test_what_a_balance_leaves_over_can_be_collected(
    database: None, stripe: StripeServer
) -> None:
    organization = await subscriber()
    await BillingAccount.update({BillingAccount.balance: 4_890}).where(
        BillingAccount.organization_id == organization.id
    )

    await run(JUNE + timedelta(minutes=12))

    assert charged(stripe, organization) == [50]
    assert await balance(organization) == 40


async def test_whoever_reads_the_bills_is_told_too(client: Client, stripe: StripeServer) -> None:
    organization = await subscriber(method="pm_declined")
    owner = await make_actor(organization)
    await client.data(
        "mutation ($input: UpdateBillingDetailsInput!) { updateBillingDetails(input: $input) "
        "{ details { legalName } } }",
        {"input": {"billingEmail": "bills@customer.example"}},
        actor=owner,
    )

    for days in (0.01, 1.1):
        await run(JUNE + timedelta(days=days))

    rows = await fetch("SELECT recipient FROM notices WHERE organization_id = {}", organization.id)
    assert "bills@customer.example" in {row["recipient"] for row in rows}
    assert len(rows) == 2


@pytest.mark.parametrize("name", ["Bad \u202egro.elpmaxe", "a\u2066b"])
async def test_names_do_not_turn_the_text_around_them(client: Client, name: str) -> None:
    code = await client.refusal(
        "mutation ($input: UpdateBillingDetailsInput!) { updateBillingDetails(input: $input) "
        "{ details { legalName } } }",
        {"input": {"legalName": name}},
        actor=await make_actor(),
    )

    assert code == "INVALID_INPUT"


async def test_one_subscription_that_cannot_be_renewed_stops_nobody_else(
    database: None, stripe: StripeServer
) -> None:
    broken, sound = await subscriber(), await subscriber()
    await Subscription.update(
        {Subscription.plan: "of_old", Subscription.period_end: JUNE - timedelta(days=1)}
    ).where(Subscription.organization_id == broken.id)

    await run(JUNE + timedelta(minutes=12))
    await Subscription.update({Subscription.plan: "starter", Subscription.period_end: JUNE}).where(
        Subscription.organization_id == broken.id
    )

    assert charged(stripe, sound) == [4_900]


async def test_months_that_were_slept_through_are_not_charged(
    database: None, stripe: StripeServer
) -> None:
    organization = await subscriber()

    for _ in range(5):
        await run(datetime(2026, 10, 3, tzinfo=UTC))

    rows = await fetch(
        "SELECT period_start, period_end FROM subscriptions WHERE organization_id = {}",
        organization.id,
    )
    assert charged(stripe, organization) == [4_900]
    assert rows == [
        {
            "period_start": datetime(2026, 10, 1, tzinfo=UTC),
            "period_end": datetime(2026, 11, 1, tzinfo=UTC),
        }
    ]
    assert await granted(organization.id, "included") == [100_000, 1_000]


async def test_an_ended_plan_is_not_brought_back_by_an_upgrade_that_came_too_late(
    client: Client, stripe: StripeServer, frozen: datetime
) -> None:
    month = frozen.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    organization = await subscriber(
        method=SLOW, period_start=month, period_end=(month + timedelta(days=32)).replace(day=1)
    )
    owner = await make_actor(organization)
    await client.refusal(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
    (intent,) = stripe.books.intents.values()
    await overdue_for(organization, frozen - timedelta(days=31))

    await work.chase_all()
    told = await outcome(client, event("payment_intent.succeeded", intent))

    assert told == "ignored"
    assert await state(organization) == ("trial", "cancelled", "cancelled", "active")
    assert await balance(organization) == intent["amount"]


async def overdue_for(organization: Organization, due_at: datetime) -> None:
    """Make out an invoice for a month that was due long ago."""
    owner = OrganizationId(organization.id)
    async with transaction() as tx:
        await lock_subscription(tx, owner)
        reason = InvoiceReason.RENEWAL
        line = plan_line(Plan.STARTER, 4_900, reason, due_at)
        await issue(tx, owner, NewInvoice(reason, "stripe", "USD", [line], due_at=due_at))


async def test_a_customer_whose_making_was_lost_may_be_renamed_meanwhile(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await buy(client, owner, type="CREDITS", packageId="email-100k")
    await BillingAccount.update({BillingAccount.customer_ref: None}).where(
        BillingAccount.organization_id == organization.id
    )
    await Organization.update({Organization.name: "Another Name"}).where(
        Organization.id == organization.id
    )

    made = await buy(client, owner, type="CREDITS", packageId="email-100k")

    assert made["status"] == "OPEN"


async def test_invoices_of_many_at_once_are_paid_once_each(
    client: Client, stripe: StripeServer
) -> None:
    organizations = [await subscriber() for _ in range(6)]
    with clock.frozen(JUNE + timedelta(minutes=1)):
        await asyncio.gather(*(work.begin_periods() for _ in range(4)))
        provider = find_provider()
        assert provider is not None
        await asyncio.gather(*(work.collect_due(provider) for _ in range(4)))

    assert [charged(stripe, each) for each in organizations] == [[4_900]] * 6
    assert [await statuses(each) for each in organizations] == [["paid"]] * 6
    assert [await granted(each.id, "included") for each in organizations] == [[100_000, 1_000]] * 6
