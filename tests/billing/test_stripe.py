"""Money through a provider: the official client, a socket, and every way a webhook can come."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from postlane.accounts.tables import Organization
from postlane.billing import work
from postlane.billing.provider import find_provider
from postlane.billing.tables import BillingAccount, Invoice, Subscription
from postlane.core import clock
from postlane.core.actor import Actor, OrganizationId
from postlane.core.database import fetch
from postlane.core.ids import new_token
from tests.billing.setup import (
    BALANCES,
    CHECKOUT,
    DOWNGRADE,
    INVOICES,
    SUBSCRIPTION,
    UPGRADE,
    granted,
    make_package,
    settings_with,
)
from tests.client import Client
from tests.factories import make_actor, make_domain, make_organization
from tests.stripe_server import DECLINED, DOWN, SLOW, StripeServer, event, signed

WEBHOOK = "/internal/billing/stripe"


@pytest.fixture
def stripe(frozen: datetime) -> Iterator[StripeServer]:
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


async def buy(client: Client, actor: Actor, **input: Any) -> Any:
    data = await client.data(CHECKOUT, {"input": input}, actor=actor)
    return data["createCheckout"]["checkout"]


async def tell(client: Client, told: Any, **how: Any) -> httpx.Response:
    body = json.dumps(told).encode()
    headers = {"stripe-signature": signed(body, **how)}
    return await client.post(WEBHOOK, content=body, headers=headers)


async def outcome(client: Client, told: Any) -> str:
    answer = await tell(client, told)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["outcome"]
    return found


async def subscribed(
    client: Client, stripe: StripeServer, actor: Actor, plan: str = "starter", **how: str
) -> None:
    """Buy a plan and have it paid."""
    await buy(client, actor, type="PLAN", plan=plan)
    assert await outcome(client, stripe.pay(list(stripe.books.sessions)[-1], **how)) == "done"


async def subscription(client: Client, actor: Actor) -> tuple[str, str]:
    data = await client.data(SUBSCRIPTION, actor=actor)
    found = data["organization"]["billing"]["subscription"]
    return found["plan"]["slug"], found["status"]


async def invoices(client: Client, actor: Actor) -> Any:
    data = await client.data(INVOICES, actor=actor)
    return data["organization"]["billing"]["invoices"]["nodes"]


async def count(table: str, organization: Organization) -> int:
    sql = f"SELECT count(*) AS n FROM {table} WHERE organization_id = {{}}"
    rows = await fetch(sql, organization.id)  # type: ignore[arg-type]
    found: int = rows[0]["n"]
    return found


async def test_credits_come_with_the_confirmation_and_not_with_the_redirect(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    made = await buy(client, owner, type="CREDITS", packageId="email-100k", quantity=2)
    (session,) = stripe.books.sessions.values()
    before = await granted(organization.id)

    told = stripe.pay(session["id"])
    assert await outcome(client, told) == "done"

    (invoice,) = await invoices(client, owner)
    assert (made["provider"], made["url"]) == ("stripe", session["url"])
    assert session["amount_total"] == 8_000
    assert before == []
    assert await granted(organization.id) == [200_000]
    assert (invoice["status"], invoice["total"]) == ("PAID", {"amount": 8_000, "currency": "USD"})


async def test_what_was_told_before_is_answered_and_does_nothing_again(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await buy(client, owner, type="CREDITS", packageId="email-100k")
    told = stripe.pay(next(iter(stripe.books.sessions)))

    first = await asyncio.gather(*(tell(client, told) for _ in range(5)))
    again = await tell(client, told)
    other_id = await outcome(client, told | {"id": "evt_another"})

    assert {each.status_code for each in (*first, again)} == {200}
    assert sorted(each.json()["outcome"] for each in first) == ["done"] + ["seen"] * 4
    assert (again.json()["outcome"], other_id) == ("seen", "ignored")
    assert await granted(organization.id) == [100_000]
    assert await count("payments", organization) == await count("invoices", organization) == 1


@pytest.mark.parametrize(
    "how",
    [
        {"secret": "whsec_wrong"},
        {"at": time.time() - 301},
        {"at": time.time() - 86_400},
    ],
)
async def test_what_is_not_signed_now_by_the_provider_is_refused(
    client: Client,
    stripe: StripeServer,
    organization: Organization,
    owner: Actor,
    how: Any,
) -> None:
    await buy(client, owner, type="CREDITS", packageId="email-100k")
    told = stripe.pay(next(iter(stripe.books.sessions)))

    answer = await tell(client, told, **how)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert await granted(organization.id) == []
    assert await fetch("SELECT 1 FROM provider_events WHERE event_id = {}", told["id"]) == []


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"{}", None),
        (b"{}", "t=,v1="),
        (b"{}", "t=1"),
        (b"\xff\xfe", "t=99999999999,v1=00"),
        (b"[]", "signed"),
        (b"{}", "signed"),
        (b'{"id": 1, "type": "x", "created": 1, "data": {"object": {}}}', "signed"),
        (b'{"id": "e", "type": "x", "created": 1e400, "data": {"object": {}}}', "signed"),
        (b'{"id": "e", "type": "x", "created": "x", "data": {"object": []}}', "signed"),
        (b"null", "signed"),
        (b'{"id": "e\\ud800", "type": "x", "created": 1, "data": {"object": {}}}', "signed"),
        (b"[" * 100_000, "signed"),
    ],
)
async def test_what_is_no_event_is_refused(
    client: Client, stripe: StripeServer, body: bytes, header: str | None
) -> None:
    headers = {} if header is None else {"stripe-signature": header}
    if header == "signed":
        headers["stripe-signature"] = signed(body)

    answer = await client.post(WEBHOOK, content=body, headers=headers)

    assert answer.status_code == 400, answer.text


async def test_without_a_provider_there_is_no_webhook(client: Client) -> None:
    assert (await tell(client, event("x", {}))).status_code == 404


@pytest.mark.parametrize("change", [{"customer": "cus_unknown"}, {"id": "cs_unknown"}])
async def test_an_unknown_customer_changes_nothing(
    client: Client,
    stripe: StripeServer,
    organization: Organization,
    owner: Actor,
    change: dict[str, str],
) -> None:
    await buy(client, owner, type="CREDITS", packageId="email-100k")
    told = stripe.pay(next(iter(stripe.books.sessions)))
    told["data"]["object"] |= change

    assert await outcome(client, told) == "ignored"
    assert await granted(organization.id) == []


async def test_another_amount_than_asked_for_grants_nothing(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await buy(client, owner, type="CREDITS", packageId="email-100k")
    told = stripe.pay(next(iter(stripe.books.sessions)))
    told["data"]["object"]["amount_total"] = 1

    assert await outcome(client, told) == "done"
    assert await granted(organization.id) == []


async def test_events_of_no_concern_are_answered(client: Client, stripe: StripeServer) -> None:
    assert await outcome(client, event("customer.created", {"id": "cus_1"})) == "ignored"


@pytest.mark.parametrize("paid_first", [True, False])
async def test_paid_wins_over_expired_whichever_comes_first(
    client: Client,
    stripe: StripeServer,
    organization: Organization,
    owner: Actor,
    paid_first: bool,
) -> None:
    await buy(client, owner, type="CREDITS", packageId="email-100k")
    (session,) = stripe.books.sessions.values()
    expired = event("checkout.session.expired", dict(session), at=time.time() - 60)
    events = [stripe.pay(session["id"]), expired]

    for told in events if paid_first else reversed(events):
        await outcome(client, told)

    rows = await fetch("SELECT status FROM checkouts WHERE organization_id = {}", organization.id)
    assert rows == [{"status": "completed"}]
    assert await granted(organization.id) == [100_000]


async def test_a_plan_begins_when_it_is_paid(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await subscribed(client, stripe, owner)

    assert await subscription(client, owner) == ("starter", "ACTIVE")
    assert await granted(organization.id, "included") == [98_333, 983]
    data = await client.data(
        "{ organization { plan billing { details { paymentMethod "
        "{ type brand last4 expires } } } } }",
        actor=owner,
    )
    assert data["organization"]["plan"] == "STARTER"
    assert data["organization"]["billing"]["details"]["paymentMethod"] == {
        "type": "card",
        "brand": "visa",
        "last4": "4242",
        "expires": "2028-04",
    }
    again = {"type": "PLAN", "plan": "professional"}
    assert await client.refusal(CHECKOUT, {"input": again}, actor=owner) == "ALREADY_SUBSCRIBED"


async def test_a_second_plan_that_is_paid_meanwhile_becomes_a_balance(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    for _ in range(2):
        await buy(client, owner, type="PLAN", plan="starter")
    first, second = list(stripe.books.sessions)
    assert await outcome(client, stripe.pay(first)) == "done"

    assert await outcome(client, stripe.pay(second)) == "done"

    account = (
        await BillingAccount.objects()
        .where(BillingAccount.organization_id == organization.id)
        .first()
    )
    assert account is not None
    assert account.balance == stripe.books.sessions[second]["amount_total"]
    assert await granted(organization.id, "included") == [98_333, 983]
    assert await count("invoices", organization) == 1


async def test_an_upgrade_is_charged_once_however_often_it_is_asked_for_at_once(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await subscribed(client, stripe, owner)

    answers = await asyncio.gather(
        *(
            client.graphql(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
            for _ in range(5)
        )
    )

    codes = {answer["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer}
    assert codes <= {"NOT_AN_UPGRADE"}
    assert any("errors" not in answer for answer in answers)
    assert len(stripe.books.intents) == 1
    assert await subscription(client, owner) == ("professional", "ACTIVE")
    assert await granted(organization.id, "included") == [98_333, 983, 9_735_000, 8_850]
    assert [each["reason"] for each in await invoices(client, owner)] == ["UPGRADE", "PLAN"]
    assert "billing.upgraded" in await logged(owner)


@pytest.mark.parametrize(
    ("at", "charged", "credits"),
    [
        (datetime(2026, 6, 1, tzinfo=UTC), 15_000, [9_900_000, 9_000]),
        (datetime(2026, 6, 16, tzinfo=UTC), 7_500, [4_950_000, 4_500]),
        (datetime(2026, 6, 30, 21, tzinfo=UTC), 63, [41_250, 37]),
        (datetime(2026, 6, 30, 23, 59, tzinfo=UTC), 50, [33_000, 30]),
    ],
)
async def test_an_upgrade_brings_as_much_of_a_month_as_is_paid_for(
    client: Client,
    stripe: StripeServer,
    organization: Organization,
    owner: Actor,
    at: datetime,
    charged: int,
    credits: list[int],
) -> None:
    await subscribed(client, stripe, owner)

    with clock.frozen(at):
        data = await client.data(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)

    (intent,) = stripe.books.intents.values()
    assert intent["amount"] == charged
    assert data["upgradePlan"]["proration"] == {"amount": charged, "currency": "USD"}
    assert await subscription(client, owner) == ("professional", "ACTIVE")
    assert (await granted(organization.id, "included"))[2:] == credits


async def test_an_upgrade_billed_before_invoices_said_their_credits_brings_no_whole_month(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await subscribed(client, stripe, owner, method=SLOW)
    with clock.frozen(datetime(2026, 6, 16, tzinfo=UTC)):
        await client.refusal(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
    await fetch(
        "UPDATE invoice_lines SET grants = grants - 'included' WHERE invoice_id IN ("
        "SELECT id FROM invoices WHERE organization_id = {} AND status = 'open')",
        organization.id,
    )
    (intent,) = stripe.books.intents.values()

    told = await outcome(client, event("payment_intent.succeeded", intent))

    assert told == "done"
    assert await subscription(client, owner) == ("professional", "ACTIVE")
    assert (await granted(organization.id, "included"))[2:] == [4_950_000, 4_500]


async def test_the_last_hours_of_a_month_bring_no_whole_months_credits(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    with clock.frozen(datetime(2026, 6, 30, 23, 30, tzinfo=UTC)):
        await subscribed(client, stripe, owner, plan="professional")

        (invoice,) = await invoices(client, owner)
        assert invoice["total"] == {"amount": 50, "currency": "USD"}
        assert await granted(organization.id, "included") == [25_125, 25]


async def test_an_upgrade_that_is_told_by_webhook_too_is_paid_once(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await subscribed(client, stripe, owner)
    await client.data(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
    (intent,) = stripe.books.intents.values()

    succeeded = await outcome(client, event("payment_intent.succeeded", intent))
    failed = event("payment_intent.payment_failed", intent, at=time.time() - 60)

    assert (succeeded, await outcome(client, failed)) == ("ignored", "ignored")
    assert await subscription(client, owner) == ("professional", "ACTIVE")
    assert await count("payments", organization) == 2


async def test_a_declined_card_changes_nothing(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await subscribed(client, stripe, owner, method=DECLINED)
    sent = {"input": {"plan": "professional", "idempotencyKey": "up-1"}}

    first = await client.graphql(UPGRADE, sent, actor=owner)
    again = await client.graphql(UPGRADE, sent, actor=owner)

    assert first["errors"][0]["extensions"]["code"] == "PAYMENT_FAILED"
    assert first["errors"][0]["message"] == "Your card was declined."
    assert again["errors"][0]["message"] == first["errors"][0]["message"]
    assert len(stripe.books.intents) == 1
    assert await subscription(client, owner) == ("starter", "ACTIVE")
    assert [each["status"] for each in await invoices(client, owner)] == ["VOID", "PAID"]


async def test_a_lost_answer_is_asked_for_again_and_charged_once(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await subscribed(client, stripe, owner, method=DOWN)
    sent = {"input": {"plan": "professional"}}

    lost = await client.refusal(UPGRADE, sent, actor=owner)
    other = await client.refusal(DOWNGRADE, {"input": {"plan": "trial"}}, actor=owner)
    await BillingAccount.update({BillingAccount.payment_method_ref: "pm_good"}).where(
        BillingAccount.organization_id == organization.id
    )
    data = await client.data(UPGRADE, sent, actor=owner)

    assert (lost, other) == ("PAYMENT_PROVIDER_ERROR", "PLAN_CHANGE_IN_PROGRESS")
    assert data["upgradePlan"]["plan"] == {"slug": "professional"}
    assert len(stripe.books.intents) == 1
    assert await count("invoices", organization) == 2


async def test_a_payment_that_takes_days_changes_the_plan_when_it_comes(
    client: Client, stripe: StripeServer, owner: Actor
) -> None:
    await subscribed(client, stripe, owner, method=SLOW)
    waiting = await client.refusal(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
    (intent,) = stripe.books.intents.values()
    before = await subscription(client, owner)

    told = await outcome(client, event("payment_intent.succeeded", intent))

    assert (waiting, told) == ("PAYMENT_PROVIDER_ERROR", "done")
    assert before == ("starter", "ACTIVE")
    assert await subscription(client, owner) == ("professional", "ACTIVE")


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ("starter", "NOT_AN_UPGRADE"),
        ("trial", "NOT_AN_UPGRADE"),
        ("enterprise", "CONTACT_SALES"),
        ("gold", "INVALID_INPUT"),
        ("self_hosted", "INVALID_INPUT"),
    ],
)
async def test_what_is_no_upgrade_is_refused(
    client: Client, stripe: StripeServer, owner: Actor, plan: str, code: str
) -> None:
    await subscribed(client, stripe, owner)

    assert await client.refusal(UPGRADE, {"input": {"plan": plan}}, actor=owner) == code


async def test_without_a_payment_method_nothing_is_charged(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    code = await client.refusal(UPGRADE, {"input": {"plan": "starter"}}, actor=owner)

    assert code == "PAYMENT_METHOD_REQUIRED"
    assert await count("invoices", organization) == 0


async def test_a_method_is_stored_and_forgotten_in_the_order_it_happened(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await buy(client, owner, type="PAYMENT_METHOD")
    name = f"pm_{new_token()}"
    stored = stripe.pay(next(iter(stripe.books.sessions)), method=name)
    assert await outcome(client, stored) == "done"
    method = {"id": name, "object": "payment_method", "customer": None}

    late = event("payment_method.detached", method, at=time.time() - 3_600)
    assert await outcome(client, late) == "ignored"
    kept = await client.data(
        "{ organization { billing { details { paymentMethod { last4 } } } } }", actor=owner
    )
    assert await outcome(client, event("payment_method.detached", method)) == "done"

    assert kept["organization"]["billing"]["details"]["paymentMethod"] == {"last4": "4242"}
    code = await client.refusal(UPGRADE, {"input": {"plan": "starter"}}, actor=owner)
    assert code == "PAYMENT_METHOD_REQUIRED"


async def test_what_does_not_fit_the_lesser_plan_blocks_it(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await subscribed(client, stripe, owner, plan="professional")
    for _ in range(3):
        await make_domain(organization.id)

    body = await client.graphql(DOWNGRADE, {"input": {"plan": "starter"}}, actor=owner)

    extensions = body["errors"][0]["extensions"]
    assert extensions["code"] == "DOWNGRADE_BLOCKED"
    assert [(each["field"], each["message"]) for each in extensions["details"]] == [
        ("domains", "You have 3 domains; it allows 1.")
    ]
    data = await client.data(SUBSCRIPTION, actor=owner)
    assert data["organization"]["billing"]["subscription"]["pendingChange"] is None


async def test_a_downgrade_waits_for_the_period_and_can_be_taken_back(
    client: Client, stripe: StripeServer, owner: Actor
) -> None:
    await subscribed(client, stripe, owner, plan="professional")

    data = await client.data(
        DOWNGRADE, {"input": {"plan": "starter", "reason": "Too dear."}}, actor=owner
    )
    kept = await subscription(client, owner)
    back = await client.data(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)

    done = data["downgradePlan"]
    assert done["plan"] == {"slug": "professional"}
    assert done["pendingChange"] == {"plan": {"slug": "starter"}, "effectiveAt": done["periodEnd"]}
    assert kept == ("professional", "ACTIVE")
    assert back["upgradePlan"]["proration"] == {"amount": 0, "currency": "USD"}
    found = await client.data(SUBSCRIPTION, actor=owner)
    assert found["organization"]["billing"]["subscription"]["pendingChange"] is None
    assert await client.refusal(DOWNGRADE, {"input": {"plan": "enterprise"}}, actor=owner) == (
        "NOT_A_DOWNGRADE"
    )
    assert (await logged(owner))[-2:] == [
        "billing.downgrade_scheduled",
        "billing.downgrade_cancelled",
    ]


async def test_a_provider_that_is_down_leaves_nothing_behind(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    stripe.is_down = True

    code = await client.refusal(
        CHECKOUT, {"input": {"type": "CREDITS", "packageId": "email-100k"}}, actor=owner
    )

    assert code == "PAYMENT_PROVIDER_ERROR"
    assert await count("checkouts", organization) == 0


async def test_a_late_payment_gives_no_rights_back_that_were_taken(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await subscribed(client, stripe, owner, method=SLOW)
    await client.refusal(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
    (intent,) = stripe.books.intents.values()
    await Invoice.update({Invoice.status: "uncollectible"}).where(
        (Invoice.organization_id == organization.id) & (Invoice.status == "open")
    )
    await Subscription.update({Subscription.status: "cancelled", Subscription.plan: "trial"}).where(
        Subscription.organization_id == organization.id
    )

    told = await outcome(client, event("payment_intent.succeeded", intent))

    assert told == "ignored"
    assert await subscription(client, owner) == ("trial", "CANCELLED")
    rows = await fetch(
        "SELECT balance FROM billing_accounts WHERE organization_id = {}", organization.id
    )
    assert rows == [{"balance": intent["amount"]}]


async def test_whom_the_platform_suspended_stays_suspended_whatever_they_pay(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await buy(client, owner, type="PLAN", plan="starter")
    told = stripe.pay(next(iter(stripe.books.sessions)))
    await Organization.update(
        {Organization.status: "suspended", Organization.suspended_for: "platform"}
    ).where(Organization.id == organization.id)

    assert await outcome(client, told) == "done"

    rows = await fetch("SELECT status FROM organizations WHERE id = {}", organization.id)
    assert rows == [{"status": "suspended"}]


async def test_balances_show_what_was_bought(
    client: Client, stripe: StripeServer, owner: Actor
) -> None:
    await buy(client, owner, type="CREDITS", packageId="email-100k")
    await outcome(client, stripe.pay(next(iter(stripe.books.sessions))))

    data = await client.data(BALANCES, actor=owner)

    found = {each["type"]: each["balance"] for each in data["organization"]["credits"]["balances"]}
    assert found["EMAIL"] == 100_000


async def test_a_job_finishes_what_nobody_asked_for_again(
    client: Client, stripe: StripeServer, organization: Organization, owner: Actor
) -> None:
    await subscribed(client, stripe, owner, method=DOWN)
    await client.refusal(UPGRADE, {"input": {"plan": "professional"}}, actor=owner)
    await BillingAccount.update({BillingAccount.payment_method_ref: "pm_good"}).where(
        BillingAccount.organization_id == organization.id
    )
    await fetch(
        "UPDATE invoices SET next_charge_at = {} WHERE organization_id = {} "
        "AND next_charge_at IS NOT NULL",
        clock.now(),
        OrganizationId(organization.id),
    )
    provider = find_provider()
    assert provider is not None

    await work.collect_due(provider)

    assert await subscription(client, owner) == ("professional", "ACTIVE")


async def logged(actor: Actor) -> list[str]:
    """Return what the audit log says that the actor did, the first thing first."""
    rows = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {} AND user_id = {} ORDER BY id",
        actor.organization_id,
        actor.user_id,
    )
    return [row["action"] for row in rows]
