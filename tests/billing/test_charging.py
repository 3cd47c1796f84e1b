"""Charging what is stored: no attempt twice, and none that holds up the others."""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from postlane.accounts.tables import Organization
from postlane.billing import work
from postlane.billing.tables import BillingAccount, Invoice
from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from tests.billing.setup import CHECKOUT, UPGRADE, settings_with
from tests.billing.test_periods import JUNE, charged, run, state, statuses, subscriber
from tests.billing.test_stripe import outcome
from tests.client import Client
from tests.factories import make_actor
from tests.stripe_server import DECLINED, DOWN, GONE, GOOD, LOST, SLOW, StripeServer, event

SOON = JUNE + timedelta(minutes=12)


@pytest.fixture
def stripe() -> Iterator[StripeServer]:
    """A deployment that takes payments."""
    with StripeServer() as running, settings_with(**running.settings()):
        yield running


@pytest.fixture(autouse=True)
async def _nobody_is_left(database: None) -> AsyncIterator[None]:
    """Cards that answer nothing are asked again for ever, and other tests count what is asked."""
    yield
    await fetch("UPDATE invoices SET next_charge_at = NULL WHERE status = 'open'")


async def set_method(organization: Organization, method: str | None) -> None:
    await BillingAccount.update({BillingAccount.payment_method_ref: method}).where(
        BillingAccount.organization_id == organization.id
    )


async def attempts(organization: Organization) -> int:
    rows = await fetch(
        "SELECT charge_attempts FROM invoices WHERE organization_id = {}", organization.id
    )
    found: int = rows[0]["charge_attempts"]
    return found


@pytest.mark.parametrize("method", [DOWN, GONE])
async def test_one_card_that_cannot_be_asked_holds_up_nobody_else(
    database: None, stripe: StripeServer, method: str
) -> None:
    first, second = await subscriber(method=method), await subscriber()
    with_invoice = JUNE + timedelta(seconds=1)
    await run(with_invoice)
    await Invoice.update({Invoice.next_charge_at: JUNE, Invoice.status: "open"}).where(
        Invoice.organization_id == first.id
    )

    await run(SOON)

    assert charged(stripe, first) == []
    assert charged(stripe, second) == [4_900]


async def test_one_invoice_that_cannot_be_booked_holds_up_nobody_else(
    database: None, stripe: StripeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It was charged, and what it sells is written in a way that nobody understands."""
    first, second = await subscriber(), await subscriber()
    with clock.frozen(JUNE + timedelta(seconds=1)):
        await work.begin_periods()
    sells = (
        "UPDATE invoice_lines SET grants = {} "
        "WHERE invoice_id IN (SELECT id FROM invoices WHERE organization_id = {})"
    )
    await fetch(sells, '{"kind": "plan", "plan": "gold", "reason": "renewal"}', first.id)
    await Invoice.update({Invoice.next_charge_at: JUNE}).where(Invoice.organization_id == first.id)

    await run(SOON)
    await run(SOON)

    assert charged(stripe, second) == [4_900]
    assert await statuses(second) == ["paid"]
    assert (charged(stripe, first), await statuses(first)) == ([4_900], ["open"])
    assert caplog.text.count("an invoice could not be collected") == 1
    assert await work.count_stuck() == 1

    await fetch(sells, '{"kind": "plan", "plan": "starter", "reason": "renewal"}', first.id)
    await run(SOON + timedelta(minutes=20))

    assert (charged(stripe, first), await statuses(first)) == ([4_900], ["paid"])
    assert await work.count_stuck() == 0


async def test_a_card_the_provider_does_not_know_counts_as_refused(
    database: None, stripe: StripeServer
) -> None:
    organization = await subscriber(method=GONE)

    for _ in range(2):
        await run(SOON)

    assert await attempts(organization) == 1
    assert await statuses(organization) == ["open"]


async def test_a_charge_whose_answer_is_lost_for_days_is_found_and_not_made_again(
    database: None, stripe: StripeServer
) -> None:
    organization = await subscriber(method=LOST)
    await run(SOON)
    before = await statuses(organization)
    stripe.forget_keys()
    await set_method(organization, GOOD)

    await run(SOON + timedelta(days=2))

    assert before == ["open"]
    assert charged(stripe, organization) == [4_900]
    assert await statuses(organization) == ["paid"]


async def test_a_payment_that_takes_days_is_not_made_again_and_may_fail_late(
    client: Client, stripe: StripeServer
) -> None:
    organization = await subscriber(method=SLOW)
    for days in (0, 0.5, 1.5, 2.5):
        await run(SOON + timedelta(days=days))
        if days:
            stripe.forget_keys()
    intents = [
        each
        for each in stripe.books.intents.values()
        if each["metadata"]["organization_id"] == str(organization.id)
    ]
    before = await attempts(organization)

    failed = event("payment_intent.payment_failed", intents[0] | {"status": "canceled"})
    first = await outcome(client, failed)
    again = await outcome(client, failed | {"id": f"evt_again_{time.time_ns()}"})

    assert len(intents) == 1
    assert (before, first, again) == (0, "done", "ignored")
    assert await attempts(organization) == 1


async def test_a_new_card_is_asked_for_what_is_overdue(
    client: Client, stripe: StripeServer
) -> None:
    organization = await subscriber(method=DECLINED)
    owner = await make_actor(organization)
    for days in (0.01, 1.1, 3.1, 5.1, 7.1, 10.1, 14.1):
        await run(JUNE + timedelta(days=days))
    before = await state(organization)
    await make_known(stripe, organization)

    await client.data(CHECKOUT, {"input": {"type": "PAYMENT_METHOD"}}, actor=owner)
    with clock.frozen(JUNE + timedelta(days=14.5)):
        assert await outcome(client, stripe.pay(list(stripe.books.sessions)[-1])) == "done"
    await run(JUNE + timedelta(days=15))

    assert before == ("starter", "suspended", "suspended", "suspended")
    assert await state(organization) == ("starter", "active", "none", "active")
    assert await statuses(organization) == ["paid"]


async def make_known(stripe: StripeServer, organization: Organization) -> None:
    """Have the stand-in know a customer that was put into our tables only."""
    rows = await fetch(
        "SELECT customer_ref FROM billing_accounts WHERE organization_id = {}", organization.id
    )
    ref = rows[0]["customer_ref"]
    stripe.books.customers[ref] = {"id": ref, "object": "customer"}


@pytest.mark.parametrize("method", [GOOD, None])
async def test_an_upgrade_whose_answer_was_lost_ends_also_with_another_card_or_none(
    client: Client, stripe: StripeServer, frozen: datetime, method: str | None
) -> None:
    month = frozen.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    organization = await subscriber(
        method=LOST, period_start=month, period_end=(month + timedelta(days=32)).replace(day=1)
    )
    owner: Actor = await make_actor(organization)
    lost = await client.refusal(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
    await set_method(organization, method)

    await run(frozen + timedelta(minutes=20))

    assert lost == "PAYMENT_PROVIDER_ERROR"
    assert len(charged(stripe, organization)) == 1
    assert (await state(organization))[0] == "professional"


async def test_an_upgrade_that_was_never_charged_is_let_go_when_the_card_is(
    client: Client, stripe: StripeServer, frozen: datetime
) -> None:
    month = frozen.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    organization = await subscriber(
        method=DOWN, period_start=month, period_end=(month + timedelta(days=32)).replace(day=1)
    )
    owner = await make_actor(organization)
    await client.refusal(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
    await set_method(organization, None)

    await run(frozen + timedelta(minutes=20))

    rows = await fetch(
        "SELECT changing_invoice_id, plan FROM subscriptions WHERE organization_id = {}",
        organization.id,
    )
    assert rows == [{"changing_invoice_id": None, "plan": "starter"}]
    assert await statuses(organization) == ["void"]


async def test_who_has_come_as_far_as_the_day_says_is_not_looked_at_again(
    database: None, stripe: StripeServer
) -> None:
    await subscriber(method=DECLINED)
    await run(SOON)
    await run(JUNE + timedelta(days=4))

    with clock.frozen(JUNE + timedelta(days=4, minutes=1)):
        assert await work.chase_all() == 0
