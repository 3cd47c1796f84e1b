"""Selling without a payment provider: an invoice, an operator, and credits exactly once."""

import asyncio
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core.actor import Actor, Permission, Role
from postlane.core.database import fetch
from tests.billing.setup import (
    CHECKOUT,
    DOWNGRADE,
    INVOICES,
    MARK_PAID,
    SUBSCRIPTION,
    UPGRADE,
    granted,
    make_package,
)
from tests.client import Client
from tests.factories import make_actor, make_organization

CREDITS = {"type": "CREDITS", "packageId": "email-100k"}


@pytest.fixture
async def organization(database: None) -> Organization:
    """An organization that buys its credits."""
    await make_package()
    return await make_organization(plan="trial")


@pytest.fixture
async def owner(organization: Organization) -> Actor:
    """Its owner."""
    return await make_actor(organization)


@pytest.fixture
async def operator(database: None) -> Actor:
    """Whoever looks after the deployment, in an organization of their own."""
    return await make_actor(platform_admin=True)


async def buy(client: Client, actor: Actor, **values: Any) -> Any:
    data = await client.data(CHECKOUT, {"input": CREDITS | values}, actor=actor)
    return data["createCheckout"]["checkout"]


async def invoices(client: Client, actor: Actor) -> Any:
    data = await client.data(INVOICES, actor=actor)
    return data["organization"]["billing"]["invoices"]["nodes"]


async def test_credits_are_granted_when_the_invoice_is_paid_and_not_before(
    client: Client, organization: Organization, owner: Actor, operator: Actor
) -> None:
    checkout = await buy(client, owner, quantity=3)
    (invoice,) = await invoices(client, owner)
    before = await granted(organization.id)

    data = await client.data(MARK_PAID, {"input": {"invoiceId": invoice["id"]}}, actor=operator)

    assert checkout["amount"] == {"amount": 12000, "currency": "USD"}
    assert (checkout["provider"], checkout["status"]) == ("manual", "OPEN")
    assert checkout["items"] == [{"plan": None, "packageId": "email-100k", "quantity": 3}]
    assert checkout["url"] == invoice["hostedUrl"]
    assert (invoice["status"], invoice["reason"]) == ("OPEN", "CREDITS")
    assert invoice["lines"] == [
        {
            "description": "100,000 emails",
            "quantity": 3,
            "unitPrice": {"amount": 4000},
            "total": {"amount": 12000},
        }
    ]
    assert before == []
    assert data["markInvoicePaid"]["invoice"]["status"] == "PAID"
    assert data["markInvoicePaid"]["invoice"]["amountDue"] == {"amount": 0}
    assert await granted(organization.id) == [300_000]


async def test_an_invoice_that_is_paid_twice_grants_once(
    client: Client, organization: Organization, owner: Actor, operator: Actor
) -> None:
    await buy(client, owner)
    (invoice,) = await invoices(client, owner)
    sent = {"input": {"invoiceId": invoice["uuid"]}}

    answers = await asyncio.gather(
        *(client.graphql(MARK_PAID, sent, actor=operator) for _ in range(6))
    )

    codes = sorted(
        "paid" if "errors" not in answer else answer["errors"][0]["extensions"]["code"]
        for answer in answers
    )
    assert codes == ["INVOICE_NOT_OPEN"] * 5 + ["paid"]
    assert await granted(organization.id) == [100_000]
    booked = await fetch(
        "SELECT amount, currency FROM payments WHERE organization_id = {}", organization.id
    )
    assert booked == [{"amount": 4_000, "currency": "USD"}]


@pytest.mark.parametrize("admin_of", ["nothing", "the organization"])
async def test_nobody_else_says_that_an_invoice_is_paid(
    client: Client, organization: Organization, owner: Actor, admin_of: str
) -> None:
    await buy(client, owner)
    (invoice,) = await invoices(client, owner)
    actor = owner if admin_of == "the organization" else await make_actor()

    code = await client.refusal(MARK_PAID, {"input": {"invoiceId": invoice["id"]}}, actor=actor)

    assert code == ("INSUFFICIENT_ROLE" if actor is owner else "NOT_FOUND")
    assert await granted(organization.id) == []


@pytest.mark.parametrize(
    ("asked", "field", "code"),
    [
        ({"packageId": "email-1"}, "packageId", "NOT_FOUND"),
        ({"packageId": None}, "packageId", "REQUIRED"),
        ({"quantity": 0}, "quantity", "TOO_SMALL"),
        ({"quantity": 101}, "quantity", "TOO_LARGE"),
        ({"successUrl": "https://evil.example/"}, "successUrl", "INVALID_URL"),
        ({"successUrl": "javascript:alert(1)//postlane.test"}, "successUrl", "INVALID_URL"),
        ({"cancelUrl": "https://u:p@postlane.test/"}, "cancelUrl", "INVALID_URL"),
        ({"cancelUrl": "https://postlane.test/\n"}, "cancelUrl", "INVALID_URL"),
        ({"type": "PLAN", "plan": "gold"}, "plan", "NOT_FOUND"),
        ({"type": "PLAN", "plan": "self_hosted"}, "plan", "NOT_FOUND"),
        ({"type": "PLAN"}, "plan", "REQUIRED"),
        ({"type": "PLAN", "plan": "starter", "interval": "YEAR"}, "interval", "NOT_ALLOWED"),
    ],
)
async def test_what_cannot_be_bought_is_refused_and_leaves_nothing(
    client: Client, organization: Organization, owner: Actor, asked: Any, field: str, code: str
) -> None:
    body = await client.graphql(CHECKOUT, {"input": CREDITS | asked}, actor=owner)

    (error,) = body["errors"]
    (detail,) = error["extensions"]["details"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert (detail["field"], detail["code"]) == (field, code)
    for table in ("checkouts", "invoices", "audit_entries"):
        sql = f"SELECT 1 FROM {table} WHERE organization_id = {{}}"
        assert await fetch(sql, organization.id) == []  # type: ignore[arg-type]


async def test_what_is_not_available_is_not_sold(client: Client, owner: Actor) -> None:
    await make_package("email-gone", available=False)

    code = await client.refusal(
        CHECKOUT, {"input": CREDITS | {"packageId": "email-gone"}}, actor=owner
    )

    assert code == "INVALID_INPUT"


@pytest.mark.parametrize(
    ("document", "input"),
    [
        (UPGRADE, {"plan": "professional"}),
        (DOWNGRADE, {"plan": "trial"}),
        (CHECKOUT, {"type": "PLAN", "plan": "starter"}),
        (CHECKOUT, {"type": "PAYMENT_METHOD"}),
    ],
)
async def test_plans_are_not_for_sale_without_a_provider(
    client: Client, owner: Actor, document: str, input: Any
) -> None:
    assert await client.refusal(document, {"input": input}, actor=owner) == "BILLING_NOT_CONFIGURED"


async def test_a_repeated_checkout_makes_nothing(
    client: Client, organization: Organization, owner: Actor
) -> None:
    first = await buy(client, owner, idempotencyKey="order-1")
    second = await buy(client, owner, idempotencyKey="order-1")

    assert first == second
    assert len(await invoices(client, owner)) == 1
    reused = {"input": CREDITS | {"quantity": 2, "idempotencyKey": "order-1"}}
    assert await client.refusal(CHECKOUT, reused, actor=owner) == "IDEMPOTENCY_KEY_REUSE"


@pytest.mark.parametrize(
    ("role", "may_read", "may_buy"),
    [
        (Role.VIEWER, False, False),
        (Role.DEVELOPER, False, False),
        (Role.ADMIN, True, False),
        (Role.BILLING, True, True),
        (Role.OWNER, True, True),
    ],
)
async def test_roles_see_and_spend_money_as_the_contract_says(
    client: Client, organization: Organization, role: Role, may_read: bool, may_buy: bool
) -> None:
    actor = await make_actor(organization, role=role)

    read = await client.graphql(INVOICES, actor=actor)
    bought = await client.graphql(CHECKOUT, {"input": CREDITS}, actor=actor)

    assert ("errors" not in read, "errors" not in bought) == (may_read, may_buy)


async def test_a_key_without_the_scope_sees_no_invoice(
    client: Client, organization: Organization
) -> None:
    actor = await make_actor(organization, permissions=[Permission.READ_CREDITS])

    assert await client.refusal(INVOICES, actor=actor) == "INSUFFICIENT_ROLE"
    assert await client.refusal(SUBSCRIPTION, actor=actor) == "INSUFFICIENT_ROLE"


async def test_another_tenants_invoice_is_not_there(
    client: Client, organization: Organization, owner: Actor
) -> None:
    await buy(client, owner)
    (invoice,) = await invoices(client, owner)
    stranger = await make_actor()
    one = "query ($id: ID!) { organization { billing { invoice(id: $id) { html } } } }"
    node = "query ($id: ID!) { node(id: $id) { uuid } }"

    assert await client.refusal(one, {"id": invoice["id"]}, actor=stranger) == "NOT_FOUND"
    assert await client.refusal(one, {"id": invoice["uuid"]}, actor=stranger) == "NOT_FOUND"
    assert await client.data(node, {"id": invoice["id"]}, actor=stranger) == {"node": None}
    for ending in ("", "/pdf"):
        path = f"/billing/invoices/{invoice['uuid']}{ending}"
        hidden = await client.get(path, headers=client.as_actor(stranger))
        nobody = await client.get(path)
        shown = await client.get(path, headers=client.as_actor(owner))
        garbage = await client.get(
            f"/billing/invoices/' or 1=1{ending}", headers=client.as_actor(owner)
        )
        assert (hidden.status_code, nobody.status_code) == (404, 401)
        assert (shown.status_code, garbage.status_code) == (200, 404)
        assert invoice["number"] not in hidden.text + nobody.text


async def test_every_change_of_money_is_in_the_audit_log(
    client: Client, organization: Organization, owner: Actor, operator: Actor
) -> None:
    await buy(client, owner)
    (invoice,) = await invoices(client, owner)
    await client.data(MARK_PAID, {"input": {"invoiceId": invoice["id"]}}, actor=operator)

    rows = await fetch(
        "SELECT action, user_id FROM audit_entries WHERE organization_id = {} ORDER BY id",
        organization.id,
    )
    assert [(row["action"], row["user_id"]) for row in rows] == [
        ("billing.checkout_created", owner.user_id),
        ("billing.invoice_marked_paid", operator.user_id),
    ]


async def test_every_organization_has_a_plan(client: Client, organization: Organization) -> None:
    trial = await client.data(SUBSCRIPTION, actor=await make_actor(organization))
    hosted = await client.data(SUBSCRIPTION, actor=await make_actor())

    found = trial["organization"]["billing"]["subscription"]
    assert (found["plan"]["slug"], found["status"]) == ("trial", "TRIALING")
    found = hosted["organization"]["billing"]["subscription"]
    assert (found["plan"]["slug"], found["status"]) == ("self_hosted", "ACTIVE")
    assert found["trialEndsAt"] is None
