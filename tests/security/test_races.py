"""Two who change one person's credentials at the same moment: one waits, and nothing is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from postlane.core.database import fetch
from postlane.security import passwords
from tests.client import Client
from tests.people import LOG_IN, PASSWORD, VIEWER, registered

from .test_resets import NEW, RESET, link, reset
from .test_second_factor import BEGIN, CONFIRM, DISABLE, Person

CHANGE = """
mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { token } }
"""
OTHER = "nine silent lighthouses"


@asynccontextmanager
async def held(database_url: str, statement: str, *args: Any) -> AsyncIterator[None]:
    """Have somebody else run *statement* and commit it when the body ends."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(statement, *args)
            yield
    finally:
        await connection.close()


async def until_waiting(count: int) -> None:
    """Return once *count* statements of ours wait for somebody's lock."""
    for _ in range(200):
        rows = await fetch(
            "SELECT count(*) AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        if rows[0]["waiting"] >= count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{count} statements never waited")


NEW_PASSWORD = (
    "UPDATE users SET password_hash = $2, token_version = token_version + 1 WHERE email = $1"
)


async def test_an_old_password_gets_nobody_in_while_it_is_changed(
    client: Client, database_url: str
) -> None:
    email = (await registered(client))["user"]["email"]
    new_hash = await passwords.hashed(NEW)

    async with held(database_url, NEW_PASSWORD, email, new_hash):
        sent = {"input": {"email": email, "password": PASSWORD}}
        signing_in = asyncio.create_task(client.refusal(LOG_IN, sent))
        await until_waiting(1)
    refused = await signing_in

    assert refused == "INVALID_CREDENTIALS"


async def test_hashing_anew_never_brings_an_old_password_back(
    client: Client, database_url: str
) -> None:
    email = (await registered(client))["user"]["email"]
    outdated = passwords.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    await fetch(
        "UPDATE users SET password_hash = {} WHERE email = {} RETURNING id",
        outdated.hash(PASSWORD),
        email,
    )
    new_hash = await passwords.hashed(NEW)

    async with held(database_url, NEW_PASSWORD, email, new_hash):
        sent = {"input": {"email": email, "password": PASSWORD}}
        signing_in = asyncio.create_task(client.refusal(LOG_IN, sent))
        await until_waiting(1)
    await signing_in

    (row,) = await fetch("SELECT password_hash FROM users WHERE email = {}", email)
    assert row["password_hash"] == new_hash


async def test_a_password_that_was_replaced_meanwhile_replaces_nothing(
    client: Client, database_url: str
) -> None:
    person = await registered(client)
    email, new_hash = person["user"]["email"], await passwords.hashed(NEW)

    async with held(database_url, NEW_PASSWORD, email, new_hash):
        sent = {"input": {"currentPassword": PASSWORD, "newPassword": OTHER}}
        changing = asyncio.create_task(client.refusal(CHANGE, sent, token=person["token"]))
        await until_waiting(1)
    refused = await changing

    (row,) = await fetch("SELECT password_hash FROM users WHERE email = {}", email)
    assert (refused, row["password_hash"]) == ("TOKEN_REVOKED", new_hash)


async def test_of_two_links_used_at_once_one_is_good(client: Client, database_url: str) -> None:
    email = (await registered(client))["user"]["email"]
    tokens = [await link(client, email), await link(client, email)]

    async with held(database_url, "SELECT FROM users WHERE email = $1 FOR UPDATE", email):
        both = [asyncio.create_task(client.graphql(RESET, reset(token))) for token in tokens]
        await until_waiting(2)
    answers = await asyncio.gather(*both)

    codes = [code(answer) for answer in answers]
    assert sorted(codes) == ["", "RESET_EXPIRED"]


async def test_a_second_factor_is_removed_once_by_two_codes_at_once(
    client: Client, database_url: str
) -> None:
    person = Person(client, await registered(client))
    await person.set_up()
    proofs = [{"totpCode": person.code()}, {"recoveryCode": person.recovery_codes[0]}]
    lock = "SELECT FROM second_factors WHERE user_id = $1::text::uuid FOR UPDATE"

    async with held(database_url, lock, person.id):
        both = []
        for waiting, proof in enumerate(proofs, start=1):
            sent = {"input": {"password": PASSWORD, **proof}}
            both.append(asyncio.create_task(client.graphql(DISABLE, sent, token=person.token)))
            await until_waiting(waiting)
    answers = await asyncio.gather(*both)

    assert sorted(code(answer) for answer in answers) == ["", "CONFLICT"]


async def test_a_second_factor_is_set_up_once_by_two_codes_at_once(
    client: Client, database_url: str
) -> None:
    person = Person(client, await registered(client))
    await person.begin()
    lock = "SELECT FROM second_factors WHERE user_id = $1::text::uuid FOR UPDATE"

    async with held(database_url, lock, person.id):
        both = []
        for waiting, steps in enumerate((-1, 0), start=1):
            sent = {"input": {"totpCode": person.code(steps=steps)}}
            both.append(asyncio.create_task(client.graphql(CONFIRM, sent, token=person.token)))
            await until_waiting(waiting)
    answers = await asyncio.gather(*both)

    assert sorted(code(answer) for answer in answers) == ["", "CONFLICT"]
    (good,) = [answer for answer in answers if not code(answer)]
    token = good["data"]["confirmSecondFactor"]["signIn"]["token"]
    assert await client.data(VIEWER, token=token)
    begun = {"input": {"password": PASSWORD}}
    assert await client.refusal(BEGIN, begun, token=token) == "SECOND_FACTOR_EXISTS"


def code(answer: dict[str, Any]) -> str:
    """Return the code of the refusal, or nothing."""
    found: str = answer["errors"][0]["extensions"]["code"] if "errors" in answer else ""
    return found
