"""Who looks after the deployment: granted, revoked, never given up by the last one."""

import asyncio
from typing import Any

import pytest

from postlane.accounts.tables import User
from postlane.audit.tables import AuditEntry
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch
from postlane.core.errors import Conflict, NotFound
from postlane.security.operations import change_platform_admin_here
from tests.billing.setup import MARK_PAID, make_invoice
from tests.client import Client
from tests.factories import make_api_key, make_membership, make_organization, make_user
from tests.people import PASSWORD, VIEWER, registered

from .test_races import held, until_waiting
from .test_second_factor import Person

GRANT = """
mutation ($input: GrantPlatformAdminInput!) { grantPlatformAdmin(input: $input) { granted } }
"""
REVOKE = """
mutation ($input: RevokePlatformAdminInput!) { revokePlatformAdmin(input: $input) { revoked } }
"""
ADMINS = "{ platformAdmins }"


def who(email: str, **values: Any) -> dict[str, Any]:
    """Return the variables of `GRANT` and `REVOKE`."""
    return {"input": {"email": email, "password": PASSWORD} | values}


@pytest.fixture
async def admin(client: Client) -> Person:
    """The only one who looks after the deployment."""
    person = Person(client, await registered(client))
    await fetch("UPDATE users SET platform_admin = (email = {}) RETURNING id", person.email)
    return person


@pytest.fixture
async def colleague(client: Client) -> Person:
    """Somebody who registered a moment ago."""
    return Person(client, await registered(client))


async def test_a_grant_counts_from_the_next_request_on(
    client: Client, admin: Person, colleague: Person
) -> None:
    granted = await client.data(GRANT, who(colleague.email.upper()), token=admin.token)
    again = await client.data(GRANT, who(colleague.email), token=admin.token)

    viewer = (await client.data(VIEWER, token=colleague.token))["viewer"]
    admins = (await client.data(ADMINS, token=colleague.token))["platformAdmins"]
    logged = await AuditEntry.objects().where(
        (AuditEntry.target_id == colleague.id) & AuditEntry.action.like("platform_admin.%")
    )
    assert granted == {"grantPlatformAdmin": {"granted": True}}
    assert again == {"grantPlatformAdmin": {"granted": False}}
    assert viewer["platformAdmin"] is True
    assert sorted(admins) == sorted([admin.email, colleague.email])
    assert [(row.action, str(row.user_id)) for row in logged] == [
        ("platform_admin.granted", admin.id)
    ]


async def test_a_revoked_admin_is_one_no_longer_at_once(
    client: Client, admin: Person, colleague: Person
) -> None:
    await client.data(GRANT, who(colleague.email), token=admin.token)

    revoked = await client.data(REVOKE, who(colleague.email), token=admin.token)
    again = await client.data(REVOKE, who(colleague.email), token=admin.token)

    assert (revoked, again) == (
        {"revokePlatformAdmin": {"revoked": True}},
        {"revokePlatformAdmin": {"revoked": False}},
    )
    assert await client.refusal(ADMINS, token=colleague.token) == "INSUFFICIENT_ROLE"
    assert (
        await client.refusal(GRANT, who(colleague.email), token=colleague.token)
        == "INSUFFICIENT_ROLE"
    )


async def test_the_last_admin_stays(client: Client, admin: Person) -> None:
    code = await client.refusal(REVOKE, who(admin.email), token=admin.token)

    assert code == "CONFLICT"
    with pytest.raises(Conflict):
        await change_platform_admin_here(email=admin.email, granted=False)
    assert await client.data(ADMINS, token=admin.token) == {"platformAdmins": [admin.email]}


async def test_two_who_revoke_each_other_leave_one(
    client: Client, admin: Person, colleague: Person, database_url: str
) -> None:
    await client.data(GRANT, who(colleague.email), token=admin.token)
    lock = "SELECT FROM users WHERE platform_admin FOR UPDATE"

    async with held(database_url, lock):
        both = [
            asyncio.create_task(client.graphql(REVOKE, who(other.email), token=one.token))
            for one, other in ((admin, colleague), (colleague, admin))
        ]
        await until_waiting(2)
    answers = await asyncio.gather(*both)

    left = await User.count().where(User.platform_admin.eq(True))
    assert sorted("errors" in answer for answer in answers) == [False, True]
    assert left == 1


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"password": "not the password"}, "INVALID_CREDENTIALS"),
        ({"email": "nobody@example.org"}, "NOT_FOUND"),
    ],
)
async def test_a_grant_needs_a_password_and_somebody(
    client: Client, admin: Person, colleague: Person, values: dict[str, str], code: str
) -> None:
    refused = await client.refusal(
        GRANT, {"input": who(colleague.email)["input"] | values}, token=admin.token
    )

    assert refused == code
    assert await User.count().where(User.platform_admin.eq(True)) == 1


async def test_who_has_a_second_factor_proves_it_anew(
    client: Client, admin: Person, colleague: Person
) -> None:
    await admin.set_up()

    without = await client.refusal(GRANT, who(colleague.email), token=admin.token)
    wrong = await client.refusal(
        GRANT, who(colleague.email, recoveryCode="aaaaa-aaaaa"), token=admin.token
    )
    good = await client.data(GRANT, who(colleague.email, totpCode=admin.code()), token=admin.token)

    assert (without, wrong) == ("SECOND_FACTOR_REQUIRED", "SECOND_FACTOR_WRONG")
    assert good == {"grantPlatformAdmin": {"granted": True}}


async def test_somebody_disabled_is_not_granted_it(
    client: Client, admin: Person, colleague: Person
) -> None:
    await fetch("UPDATE users SET status = 'disabled' WHERE email = {}", colleague.email)

    assert await client.refusal(GRANT, who(colleague.email), token=admin.token) == "NOT_FOUND"
    with pytest.raises(NotFound):
        await change_platform_admin_here(email=colleague.email, granted=True)


async def test_a_key_of_an_admin_looks_after_nothing(client: Client) -> None:
    organization = await make_organization()
    membership = await make_membership(organization, await make_user(platform_admin=True))
    key = await make_api_key(organization, membership=membership)
    invoice = await make_invoice(OrganizationId((await make_organization()).id))
    paid = {"input": {"invoiceId": str(invoice.id)}}

    refused = [
        await client.refusal(ADMINS, key=key.secret),
        await client.refusal(GRANT, who("ada@example.org"), key=key.secret),
        await client.refusal(MARK_PAID, paid, key=key.secret),
    ]

    (row,) = await fetch("SELECT status FROM invoices WHERE id = {}", invoice.id)
    assert refused == ["INSUFFICIENT_ROLE", "INSUFFICIENT_ROLE", "INSUFFICIENT_ROLE"]
    assert row["status"] == "open"
