"""How a person and an organization begin."""

import asyncio
from typing import Any

import pytest

from postlane.accounts.operations import NewUser, add_user, is_first_user
from postlane.accounts.tables import Organization, User
from postlane.audit.tables import AuditEntry
from postlane.core.actor import Origin
from postlane.core.database import fetch, transaction
from postlane.core.errors import ErrorCode, OperationError
from postlane.core.settings import settings
from postlane.credits.tables import CreditLot
from postlane.registration.operations import Registration, register
from postlane.vmtas.tables import Pool
from tests.client import Client
from tests.factories import make_actor, make_organization, make_user
from tests.people import PASSWORD, REGISTER, VIEWER, new_person, registered


class ChangedMind(Exception):
    """Ends a transaction whose effects must not stay."""


async def people() -> tuple[int, int]:
    """Count the people and the organizations of the deployment."""
    return await User.count(), await Organization.count()


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Change a setting for one test, through the environment as an operator would."""

    def change(name: str, value: str) -> None:
        monkeypatch.setenv(f"POSTLANE_{name}", value)
        settings.cache_clear()

    yield change
    monkeypatch.undo()
    settings.cache_clear()


async def test_registering_makes_an_owner_and_signs_in(client: Client) -> None:
    person = new_person(name="  Ada Admin ", timezone="Europe/Paris")

    answer = (await client.data(REGISTER, {"input": person}))["register"]

    assert answer["tokenType"] == "Bearer"
    assert answer["expiresInSeconds"] == 86_400
    assert answer["user"] == {
        "uuid": answer["user"]["uuid"],
        "email": person["email"],
        "name": "Ada Admin",
        "role": "OWNER",
        "status": "ACTIVE",
        "timezone": "Europe/Paris",
    }
    assert answer["organization"] == {
        "uuid": answer["organization"]["uuid"],
        "slug": person["organizationName"].lower().replace(" ", "-"),
        "name": person["organizationName"],
        "plan": "SELF_HOSTED",
        "status": "ACTIVE",
        "projects": {"nodes": [{"slug": "default"}]},
    }
    viewer = (await client.data(VIEWER, token=answer["token"]))["viewer"]
    assert viewer["user"]["uuid"] == answer["user"]["uuid"]
    assert viewer["credential"]["kind"] == "USER"


async def test_new_organization_has_a_pool_and_an_audit_trail(client: Client) -> None:
    answer = await registered(client)

    organization = answer["organization"]["uuid"]
    pools = await Pool.select(Pool.name).where(Pool.organization_id == organization)
    entries = (
        await AuditEntry.select(AuditEntry.action, AuditEntry.source_address)
        .where(AuditEntry.organization_id == organization)
        .order_by(AuditEntry.id)
    )
    assert pools == [{"name": "default"}]
    assert entries == [
        {"action": "organization.created", "source_address": client.address},
        {"action": "user.registered", "source_address": client.address},
    ]


async def test_new_organization_is_told_before_its_credits_run_out(client: Client) -> None:
    document = (
        "{ organization { credits { alerts "
        "{ type threshold unit channels recipients enabled state } } } }"
    )

    answer = await registered(client)

    found = (await client.data(document, token=answer["token"]))["organization"]["credits"]
    every = {
        "type": "EMAIL",
        "unit": "PERCENT",
        "channels": ["EMAIL", "WEBHOOK"],
        "recipients": [],
        "enabled": True,
        "state": "ARMED",
    }
    assert found["alerts"] == [every | {"threshold": 5}, every | {"threshold": 20}]


async def test_names_alike_get_slugs_of_their_own(client: Client) -> None:
    first = await registered(client, organizationName="Zoë & Söhne GmbH")
    second = await registered(client, organizationName="Zoë & Söhne GmbH")

    assert first["organization"]["slug"].startswith("zoe-sohne-gmbh")
    assert second["organization"]["slug"].startswith("zoe-sohne-gmbh-")
    assert first["organization"]["slug"] != second["organization"]["slug"]


@pytest.mark.parametrize("change", [str.upper, str])
async def test_address_is_registered_once(client: Client, change: Any) -> None:
    person = new_person()
    await client.data(REGISTER, {"input": person})
    before = await people()

    again = person | {"email": change(person["email"].split("@")[0]) + "@EXAMPLE.org"}
    code = await client.refusal(REGISTER, {"input": again})

    assert code == "EMAIL_TAKEN"
    assert await people() == before


async def test_of_two_who_register_at_once_one_wins(client: Client) -> None:
    person = new_person()
    users, organizations = await people()

    answers = await asyncio.gather(*(client.graphql(REGISTER, {"input": person}) for _ in range(3)))

    codes = [answer["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer]
    assert codes == ["EMAIL_TAKEN"] * 2
    assert await people() == (users + 1, organizations + 1)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short pass", "at least 12"),
        ("x" * 129, "at most 128"),
        ("password1234", "common"),
        ("qwertyuiop12", "common"),
        ("aaaaaaaaaaaaaaaa", "common"),
        ("iloveyouiloveyou", "common"),
        ("ADA-LOVELACE@example.org", "address or name"),
        ("Ada Lovelace", "address or name"),
    ],
)
async def test_weak_passwords_are_refused(client: Client, password: str, why: str) -> None:
    before = await people()
    person = new_person(email="ada-lovelace@example.org", name="Ada Lovelace", password=password)

    answer = await client.graphql(REGISTER, {"input": person})

    error = answer["errors"][0]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["extensions"]["details"][0]["field"] == "password"
    assert error["extensions"]["details"][0]["code"] == "WEAK_PASSWORD"
    assert why in error["message"]
    assert await people() == before


@pytest.mark.parametrize(
    ("field", "value", "detail"),
    [
        ("email", "not-an-address", "INVALID_EMAIL"),
        ("email", "Ada <ada@example.org>", "INVALID_EMAIL"),
        ("email", "a@example.org, b@example.org", "INVALID_EMAIL"),
        ("email", "x" * 250 + "@example.org", "INVALID_EMAIL"),
        ("email", "ada@example.org\r\nBcc: all@example.org", "INVALID_EMAIL"),
        ("name", "   ", "REQUIRED"),
        ("name", "x" * 101, "TOO_LONG"),
        ("name", "Ada\x00Admin", "INVALID_FORMAT"),
        ("name", "Ada\nAdmin", "INVALID_FORMAT"),
        ("name", "Ada \u202emdA", "INVALID_FORMAT"),
        ("organizationName", "", "REQUIRED"),
        ("organizationName", None, "REQUIRED"),
        ("timezone", "Mars/Olympus", "NOT_ALLOWED"),
        ("timezone", "../../etc/passwd", "NOT_ALLOWED"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    client: Client, field: str, value: Any, detail: str
) -> None:
    before = await people()

    answer = await client.graphql(REGISTER, {"input": new_person(**{field: value})})

    extensions = answer["errors"][0]["extensions"]
    assert extensions["code"] == "INVALID_INPUT"
    assert [(d["field"], d["code"]) for d in extensions["details"]] == [(field, detail)]
    assert await people() == before


async def test_sixth_registration_of_an_hour_from_one_address_is_refused(client: Client) -> None:
    for _ in range(5):
        await registered(client)
    before = await people()

    answer = await client.graphql(REGISTER, {"input": new_person()})

    extensions = answer["errors"][0]["extensions"]
    assert extensions["code"] == "RATE_LIMITED"
    assert 3_500 < extensions["retryAfterSeconds"] <= 3_600
    assert await people() == before


async def test_closed_registration_is_refused(client: Client, setting: Any) -> None:
    setting("REGISTRATION", "closed")
    before = await people()

    code = await client.refusal(REGISTER, {"input": new_person()})

    assert code == "REGISTRATION_CLOSED"
    assert await people() == before


async def test_only_the_first_may_register_where_that_is_set(client: Client, setting: Any) -> None:
    await registered(client)
    setting("REGISTRATION", "first_user")
    before = await people()

    code = await client.refusal(REGISTER, {"input": new_person()})

    assert code == "REGISTRATION_CLOSED"
    assert await people() == before


async def test_trial_begins_with_credits_where_payment_is_taken(
    client: Client, setting: Any
) -> None:
    setting("STRIPE_SECRET_KEY", "sk_test_registering")
    setting("STRIPE_WEBHOOK_SECRET", "whsec_registering")

    answer = await registered(client)

    lots = await CreditLot.select(CreditLot.type, CreditLot.granted, CreditLot.source).where(
        CreditLot.organization_id == answer["organization"]["uuid"]
    )
    assert answer["organization"]["plan"] == "TRIAL"
    assert lots == [{"type": "email", "granted": 10_000, "source": "included"}]
    bearer = {"authorization": f"Bearer {answer['token']}"}
    shown = (await client.get("/api/v1/credits/email", headers=bearer)).json()
    # Nothing follows them at the turn of the month.
    assert shown["included"]["resets_at"] == shown["lots"][0]["expires_at"]


async def test_commands_register_without_a_limit(database: None) -> None:
    for _ in range(6):
        person = new_person()
        asked = Registration(
            email=person["email"],
            password=PASSWORD,
            name="Ada",
            organization_name=person["organizationName"],
        )
        assert (await register(asked, Origin())).actor.organization_id


async def test_refusals_carry_public_codes(database: None) -> None:
    asked = Registration(
        email="a@example.org", password=PASSWORD, name="Ada", invitation_token="nobody-made-this"
    )

    with pytest.raises(OperationError) as refusal:
        await register(asked, Origin())

    assert refusal.value.error_code is ErrorCode.INVITATION_EXPIRED
    assert await User.count().where(User.email_key == "a@example.org") == 0


async def test_first_person_of_a_deployment_looks_after_it(database: None) -> None:
    await make_user()

    answers = []

    async def ask_where_nobody_is() -> None:
        async with transaction() as tx:
            answers.append(await is_first_user(tx))
            await fetch("TRUNCATE users CASCADE")
            answers.append(await is_first_user(tx))
            await add_user(tx, NewUser("a@example.org", "Ada", "!", "UTC"), platform_admin=True)
            answers.append(await is_first_user(tx))
            raise ChangedMind

    with pytest.raises(ChangedMind):
        await ask_where_nobody_is()

    assert answers == [False, True, False]


async def test_suspended_person_begins_no_other_organization(client: Client) -> None:
    actor = await make_actor(await make_organization(status="suspended"), suspended=True)
    before = await people()

    code = await client.refusal(
        'mutation { createOrganization(input: {name: "Again"}) { token } }', actor=actor
    )

    assert code == "ORGANIZATION_SUSPENDED"
    assert await people() == before


async def test_person_begins_another_organization(client: Client) -> None:
    person = await registered(client)

    data = await client.data(
        'mutation { createOrganization(input: {name: "Second"}) '
        "{ token organization { name } user { role } } }",
        token=person["token"],
    )

    assert data["createOrganization"]["organization"] == {"name": "Second"}
    assert data["createOrganization"]["user"] == {"role": "OWNER"}
    viewer = (await client.data(VIEWER, token=data["createOrganization"]["token"]))["viewer"]
    assert len(viewer["memberships"]) == 2
