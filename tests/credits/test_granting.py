"""What only the platform's administrator does: granting credits, and keeping the catalogue."""

from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core.actor import Actor, ActorKind
from postlane.core.database import fetch
from postlane.core.ids import new_token
from tests.client import Client
from tests.factories import make_actor, make_organization

from .books import ledger

GRANT = """
    mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) {
      lotUuid organizationUuid type amount expiresAt } }
"""
SET = """
    mutation ($input: SetCreditPackageInput!) { setCreditPackage(input: $input) { package {
      code name type quantity priceAmount priceCurrency validityDays available } } }
"""
PACKAGES = """
    query { organization { credits { packages { code quantity available } } } }
"""


@pytest.fixture
async def admin(database: None) -> Actor:
    """Whoever looks after the deployment."""
    return await make_actor(platform_admin=True)


@pytest.fixture
async def customer(database: None) -> Organization:
    """An organization whose credits are counted."""
    return await make_organization(plan="trial")


def gift(customer: Organization, **values: Any) -> dict[str, Any]:
    organization = {"slug": customer.slug}
    return {"input": {"organization": organization, "type": "EMAIL", "amount": 500} | values}


def refusal(answer: Any) -> tuple[str, list[tuple[str, str]]]:
    (error,) = answer["errors"]
    found = error["extensions"]
    return found["code"], [(each["field"], each["code"]) for each in found.get("details", ())]


async def test_granted_credits_are_a_lot_and_a_line_of_the_ledger(
    client: Client, admin: Actor, customer: Organization
) -> None:
    data = await client.data(GRANT, gift(customer, reference="Sorry!"), actor=admin)

    assert data["grantCredits"] == {
        "lotUuid": data["grantCredits"]["lotUuid"],
        "organizationUuid": str(customer.id),
        "type": "EMAIL",
        "amount": 500,
        "expiresAt": None,
    }
    assert await ledger(customer.id) == [("granted", "balance", "grant", 500)]
    audit = await fetch(
        "SELECT action, target_id FROM audit_entries WHERE organization_id = {}",
        admin.organization_id,
    )
    assert audit == [{"action": "credits.granted", "target_id": str(customer.id)}]


async def test_a_repeated_grant_is_granted_once(
    client: Client, admin: Actor, customer: Organization
) -> None:
    by_id = {"organization": {"id": str(customer.id)}}
    first = await client.data(GRANT, gift(customer, idempotencyKey="g-1"), actor=admin)
    again = await client.data(GRANT, gift(customer, idempotencyKey="g-1"), actor=admin)
    other = await client.graphql(GRANT, gift(customer, idempotencyKey="g-1", amount=1), actor=admin)
    another = await client.data(GRANT, gift(customer, **by_id), actor=admin)

    assert first == again
    assert refusal(other)[0] == "IDEMPOTENCY_KEY_REUSE"
    assert another["grantCredits"]["lotUuid"] != first["grantCredits"]["lotUuid"]
    assert len(await ledger(customer.id)) == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"amount": 0}, [("amount", "TOO_SMALL")]),
        ({"amount": -1}, [("amount", "TOO_SMALL")]),
        ({"amount": 10**12 + 1}, [("amount", "TOO_LARGE")]),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, [("expiresAt", "IN_PAST")]),
        ({"reference": "x" * 129}, [("reference", "TOO_LONG")]),
        ({"reference": "a\u0000"}, [("reference", "INVALID_FORMAT")]),
    ],
)
async def test_a_grant_that_breaks_a_rule_gives_nothing(
    client: Client,
    admin: Actor,
    customer: Organization,
    values: dict[str, Any],
    expected: list[tuple[str, str]],
) -> None:
    answer = await client.graphql(GRANT, gift(customer, **values), actor=admin)

    assert refusal(answer) == ("INVALID_INPUT", expected)
    assert await ledger(customer.id) == []


async def test_nobody_else_grants_anything(client: Client, customer: Organization) -> None:
    owner = await make_actor(customer)
    stranger = await make_actor()
    key = await make_actor(kind=ActorKind.API_KEY, platform_admin=True)

    refused = [
        refusal(await client.graphql(GRANT, gift(customer), actor=actor))[0]
        for actor in (owner, stranger, key)
    ]

    assert refused == ["INSUFFICIENT_ROLE", "NOT_FOUND", "INSUFFICIENT_ROLE"]
    assert await ledger(customer.id) == []


async def test_there_is_nobody_to_grant_to(client: Client, admin: Actor) -> None:
    body = {"input": {"organization": {"slug": "no-such-place"}, "type": "EMAIL", "amount": 1}}

    assert refusal(await client.graphql(GRANT, body, actor=admin))[0] == "NOT_FOUND"


def package(**values: Any) -> dict[str, Any]:
    return {
        "input": {
            "code": "email-100k",
            "name": "100,000 emails",
            "type": "EMAIL",
            "quantity": 100_000,
            "priceAmount": 4000,
            "priceCurrency": "USD",
            "validityDays": 365,
        }
        | values
    }


async def test_the_catalogue_is_everybodys_to_read(
    client: Client, admin: Actor, customer: Organization
) -> None:
    code = f"p-{new_token(8).lower()}"

    made = await client.data(SET, package(code=code), actor=admin)
    await client.data(SET, package(code=code, quantity=5, available=False), actor=admin)
    read = await client.data(PACKAGES, {}, actor=await make_actor(customer))

    assert made["setCreditPackage"]["package"] == package(code=code)["input"] | {"available": True}
    listed = read["organization"]["credits"]["packages"]
    assert [each for each in listed if each["code"] == code] == [
        {"code": code, "quantity": 5, "available": False}
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"code": "Email 100k"}, [("code", "INVALID_FORMAT")]),
        ({"code": ""}, [("code", "INVALID_FORMAT")]),
        ({"name": "a\nb"}, [("name", "INVALID_FORMAT")]),
        ({"quantity": 0}, [("quantity", "TOO_SMALL")]),
        ({"priceAmount": -1}, [("priceAmount", "TOO_SMALL")]),
        ({"priceCurrency": "usd"}, [("priceCurrency", "INVALID_FORMAT")]),
        ({"validityDays": 0}, [("validityDays", "TOO_SMALL")]),
    ],
)
async def test_a_package_that_breaks_a_rule_is_not_sold(
    client: Client, admin: Actor, values: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    before = await client.data(PACKAGES, {}, actor=admin)

    answer = await client.graphql(SET, package(**values), actor=admin)

    assert refusal(answer) == ("INVALID_INPUT", expected)
    assert await client.data(PACKAGES, {}, actor=admin) == before


async def test_nobody_else_keeps_the_catalogue(client: Client) -> None:
    code = f"p-{new_token(8).lower()}"

    answer = await client.graphql(SET, package(code=code), actor=await make_actor())

    assert refusal(answer)[0] == "INSUFFICIENT_ROLE"
    assert await fetch("SELECT id FROM credit_packages WHERE code = {}", code) == []
