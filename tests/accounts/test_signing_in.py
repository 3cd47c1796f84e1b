"""Signing in and out, with lock-out, and moving between organizations."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.accounts.tables import User
from postlane.audit.tables import AuditEntry
from postlane.core import clock
from postlane.security import passwords
from tests.client import Client
from tests.factories import make_api_key, make_membership, make_organization, make_user
from tests.people import LOG_IN, PASSWORD, VIEWER, WHO, registered

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LOG_OUT = "mutation { logOut { loggedOut } }"
SWITCH = """
mutation ($input: SwitchOrganizationInput!) {
  switchOrganization(input: $input) { token organization { uuid } }
}
"""
CHANGE_PASSWORD = """
mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { token } }
"""


def log_in(email: str, password: str = PASSWORD, **values: Any) -> dict[str, Any]:
    """Return the variables of `LOG_IN`."""
    return {"input": {"email": email, "password": password, **values}}


async def make_person(**values: Any) -> User:
    """Make somebody with the password that everybody has."""
    return await make_user(password_hash=await passwords.hashed(PASSWORD), **values)


async def test_right_password_signs_in(client: Client) -> None:
    person = await registered(client)

    answer = (await client.data(LOG_IN, log_in(person["user"]["email"].upper())))["logIn"]

    assert answer["user"]["uuid"] == person["user"]["uuid"]
    assert answer["organization"]["uuid"] == person["organization"]["uuid"]
    assert answer["token"] != person["token"]


async def test_unknown_address_and_wrong_password_get_one_answer(client: Client) -> None:
    person = await registered(client)

    wrong = await client.graphql(LOG_IN, log_in(person["user"]["email"], "not the password"))
    unknown = await client.graphql(LOG_IN, log_in("nobody@example.org", "not the password"))

    assert wrong["errors"][0]["message"] == unknown["errors"][0]["message"]
    assert wrong["errors"][0]["extensions"]["code"] == "INVALID_CREDENTIALS"
    assert unknown["errors"][0]["extensions"]["code"] == "INVALID_CREDENTIALS"


async def test_unknown_address_costs_a_hash_as_well(database: None) -> None:
    loop = asyncio.get_running_loop()
    stored = await passwords.hashed(PASSWORD)
    await passwords.verify(PASSWORD, None)

    async def seconds(password_hash: str | None) -> float:
        began = loop.time()
        assert not await passwords.verify("not the password", password_hash)
        return loop.time() - began

    known = min([await seconds(stored) for _ in range(3)])
    unknown = min([await seconds(None) for _ in range(3)])

    assert unknown > known / 2


async def test_sixth_failure_locks_the_address_for_a_quarter_of_an_hour(client: Client) -> None:
    person = await make_person()
    await make_membership(await make_organization(), person)
    with clock.frozen(NOON):
        for _ in range(5):
            assert await client.refusal(LOG_IN, log_in(person.email, "wrong")) == (
                "INVALID_CREDENTIALS"
            )

        locked = await client.graphql(LOG_IN, log_in(person.email))

    extensions = locked["errors"][0]["extensions"]
    assert (extensions["code"], extensions["retryAfterSeconds"]) == ("ACCOUNT_LOCKED", 900)
    with clock.frozen(NOON + timedelta(minutes=15)):
        assert (await client.data(LOG_IN, log_in(person.email)))["logIn"]["token"]


async def test_unknown_address_is_locked_alike(client: Client) -> None:
    with clock.frozen(NOON):
        for _ in range(5):
            await client.graphql(LOG_IN, log_in("never-was@example.org"))

        code = await client.refusal(LOG_IN, log_in("never-was@example.org"))

    assert code == "ACCOUNT_LOCKED"


async def test_success_forgets_earlier_failures(client: Client) -> None:
    person = await make_person()
    await make_membership(await make_organization(), person)
    for _ in range(4):
        await client.graphql(LOG_IN, log_in(person.email, "wrong"))

    await client.data(LOG_IN, log_in(person.email))

    assert await client.refusal(LOG_IN, log_in(person.email, "wrong")) == "INVALID_CREDENTIALS"


async def test_guesses_sent_at_once_are_not_all_tried(client: Client) -> None:
    person = await make_person()
    await make_membership(await make_organization(), person)

    answers = await asyncio.gather(
        *(client.graphql(LOG_IN, log_in(person.email, f"guess {n}")) for n in range(9))
    )

    codes = sorted(answer["errors"][0]["extensions"]["code"] for answer in answers)
    assert codes == ["ACCOUNT_LOCKED"] * 4 + ["INVALID_CREDENTIALS"] * 5


async def test_eleventh_attempt_of_a_minute_from_one_address_is_refused(client: Client) -> None:
    with clock.frozen(NOON):
        for n in range(10):
            await client.graphql(LOG_IN, log_in(f"nobody-{n}@example.org"))

        answer = await client.graphql(LOG_IN, log_in("nobody-11@example.org"))

    extensions = answer["errors"][0]["extensions"]
    assert (extensions["code"], extensions["retryAfterSeconds"]) == ("RATE_LIMITED", 60)


async def test_disabled_person_is_told_only_with_the_right_password(client: Client) -> None:
    person = await make_person(status="disabled")
    await make_membership(await make_organization(), person)

    assert await client.refusal(LOG_IN, log_in(person.email, "wrong")) == "INVALID_CREDENTIALS"
    assert await client.refusal(LOG_IN, log_in(person.email)) == "USER_DISABLED"


async def test_sign_ins_and_failures_are_logged(client: Client) -> None:
    organization = await make_organization()
    person = await make_person()
    await make_membership(organization, person)

    await client.graphql(LOG_IN, log_in(person.email, "wrong"))
    await client.data(LOG_IN, log_in(person.email))

    entries = (
        await AuditEntry.select(AuditEntry.action, AuditEntry.user_id)
        .where(AuditEntry.organization_id == organization.id)
        .order_by(AuditEntry.id)
    )
    assert entries == [
        {"action": "user.login_failed", "user_id": person.id},
        {"action": "user.login", "user_id": person.id},
    ]


async def test_hash_with_old_parameters_is_replaced(client: Client) -> None:
    old = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    person = await make_user(password_hash=old)
    await make_membership(await make_organization(), person)

    await client.data(LOG_IN, log_in(person.email))

    now = await User.objects().get(User.id == person.id)
    assert now is not None
    assert now.password_hash != old
    assert await passwords.verify(PASSWORD, now.password_hash)


@pytest.mark.parametrize("password", ["", "x" * 129])
async def test_impossible_password_is_refused_before_any_hash(
    client: Client, password: str
) -> None:
    assert await client.refusal(LOG_IN, log_in("a@example.org", password)) == "INVALID_INPUT"


async def test_password_of_half_characters_is_refused_not_broken(client: Client) -> None:
    content = json.dumps({"query": LOG_IN, "variables": log_in("h@example.org", "\ud800" * 12)})

    answer = await client.post(
        "/graphql", content=content, headers={"content-type": "application/json"}
    )

    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_signed_out_token_is_refused_and_another_one_is_not(client: Client) -> None:
    person = await registered(client)
    other = (await client.data(LOG_IN, log_in(person["user"]["email"])))["logIn"]["token"]

    await client.data(LOG_OUT, token=person["token"])

    assert await client.refusal(WHO, token=person["token"]) == "TOKEN_REVOKED"
    assert (await client.data(WHO, token=other))["viewer"]["user"] == {
        "uuid": person["user"]["uuid"]
    }


async def test_api_key_cannot_be_signed_out(client: Client) -> None:
    key = await make_api_key(await make_organization())

    assert await client.refusal(LOG_OUT, key=key.secret) == "INSUFFICIENT_ROLE"


async def test_person_moves_to_another_organization_of_theirs(client: Client) -> None:
    person, other = await registered(client), await make_organization(name="Second")
    user = await User.objects().get(User.id == person["user"]["uuid"])
    assert user is not None
    await make_membership(other, user)

    moved = await client.data(
        SWITCH, {"input": {"organizationId": str(other.id)}}, token=person["token"]
    )

    viewer = (await client.data(VIEWER, token=moved["switchOrganization"]["token"]))["viewer"]
    assert viewer["organization"] == {"uuid": str(other.id), "name": "Second"}
    assert {m["name"] for m in viewer["memberships"]} == {
        "Second",
        person["organization"]["name"],
    }


async def test_nobody_moves_where_they_do_not_belong(client: Client) -> None:
    person, other = await registered(client), await make_organization()
    variables = {"input": {"organizationId": str(other.id)}}

    assert await client.refusal(SWITCH, variables, token=person["token"]) == "NOT_FOUND"
    elsewhere = log_in(person["user"]["email"], organizationSlug=other.slug)
    assert await client.refusal(LOG_IN, elsewhere) == "NOT_FOUND"


async def test_new_password_ends_every_token_but_the_new_one(client: Client) -> None:
    person = await registered(client)
    variables = {"input": {"currentPassword": PASSWORD, "newPassword": "eight purple tractors"}}

    answer = await client.data(CHANGE_PASSWORD, variables, token=person["token"])

    assert await client.refusal(WHO, token=person["token"]) == "TOKEN_REVOKED"
    assert await client.data(WHO, token=answer["changePassword"]["token"])
    assert await client.refusal(LOG_IN, log_in(person["user"]["email"])) == "INVALID_CREDENTIALS"
    again = log_in(person["user"]["email"], "eight purple tractors")
    assert (await client.data(LOG_IN, again))["logIn"]["token"]


@pytest.mark.parametrize(
    ("current", "new", "code"),
    [
        ("wrong", "eight purple tractors", "INVALID_CREDENTIALS"),
        (PASSWORD, "password1234", "INVALID_INPUT"),
    ],
)
async def test_refused_change_leaves_the_password(
    client: Client, current: str, new: str, code: str
) -> None:
    person = await registered(client)
    variables = {"input": {"currentPassword": current, "newPassword": new}}

    assert await client.refusal(CHANGE_PASSWORD, variables, token=person["token"]) == code

    assert await client.data(WHO, token=person["token"])
    assert await client.data(LOG_IN, log_in(person["user"]["email"]))
