"""A lost password: who asks, who is told, and what a link is good for."""

import asyncio
import statistics
import time
from datetime import timedelta
from typing import Any

import pytest

from postlane.accounts.tables import User
from postlane.audit.tables import AuditEntry
from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.ids import new_token
from postlane.notices.rules import Notice
from tests.client import Client
from tests.mailbox import mailed
from tests.people import LOG_IN, PASSWORD, WHO, registered

ASK = """
mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { accepted } }
"""
RESET = """
mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { passwordChanged } }
"""
NEW = "four purple umbrellas"


def ask(email: str) -> dict[str, Any]:
    """Return the variables of `ASK`."""
    return {"input": {"email": email}}


def reset(token: str, new: str = NEW) -> dict[str, Any]:
    """Return the variables of `RESET`."""
    return {"input": {"token": token, "newPassword": new}}


def log_in(email: str, password: str) -> dict[str, Any]:
    """Return the variables of `LOG_IN`."""
    return {"input": {"email": email, "password": password}}


async def link(client: Client, email: str) -> str:
    """Ask for a link and return its token, as it is mailed."""
    await client.data(ASK, ask(email))
    return (await mailed(email))[-1].token


async def test_a_lost_password_is_replaced_by_a_mailed_link(client: Client) -> None:
    person = await registered(client)
    email = person["user"]["email"]

    await client.data(RESET, reset(await link(client, email.upper())))

    assert await client.refusal(LOG_IN, log_in(email, PASSWORD)) == "INVALID_CREDENTIALS"
    assert await client.data(LOG_IN, log_in(email, NEW))


async def test_everything_signed_in_ends_and_the_person_is_told(client: Client) -> None:
    person = await registered(client)
    email = person["user"]["email"]
    other = await client.data(LOG_IN, log_in(email, PASSWORD))

    await client.data(RESET, reset(await link(client, email)))

    for token in (person["token"], other["logIn"]["token"]):
        assert await client.refusal(WHO, token=token) == "TOKEN_REVOKED"
    told = [each.notice for each in await mailed(email)]
    assert told == [Notice.PASSWORD_RESET, Notice.PASSWORD_CHANGED]
    logged = await (
        AuditEntry.select(AuditEntry.action)
        .where(
            AuditEntry.target_id == person["user"]["uuid"],
            AuditEntry.action.like("user.password%"),
        )
        .order_by(AuditEntry.id)
    )
    assert [row["action"] for row in logged] == [
        "user.password_reset_requested",
        "user.password_reset",
    ]


async def test_the_answer_is_the_same_for_an_address_that_nobody_has(client: Client) -> None:
    person = await registered(client)
    unknown = f"nobody-{new_token(8)}@example.org"
    before = await fetch("SELECT count(*) AS n FROM notices WHERE due_at IS NOT NULL")

    known = await client.graphql(ASK, ask(person["user"]["email"]))
    other = await client.graphql(ASK, ask(unknown))

    assert known["data"] == other["data"]
    after = await fetch("SELECT count(*) AS n FROM notices WHERE due_at IS NOT NULL")
    assert after[0]["n"] - before[0]["n"] == 1
    assert await mailed(unknown) == []


async def test_the_time_tells_nothing(client: Client) -> None:
    async def seconds(email: str) -> float:
        started = time.perf_counter()
        await client.data(ASK, ask(email))
        return time.perf_counter() - started

    known = (await registered(client))["user"]["email"]
    taken: dict[str, list[float]] = {known: [], "unknown": []}
    for _ in range(2):
        taken[known].append(await seconds(known))
        taken["unknown"].append(await seconds(f"nobody-{new_token(8)}@example.org"))

    first, second = (statistics.median(each) for each in taken.values())
    assert abs(first - second) < 0.1


async def test_a_disabled_person_gets_no_link(client: Client) -> None:
    person = await registered(client)
    email = person["user"]["email"]
    await User.update({User.status: "disabled"}).where(User.email == email)

    assert await client.data(ASK, ask(email)) == {"requestPasswordReset": {"accepted": True}}

    assert await mailed(email) == []


async def test_a_link_is_good_once(client: Client) -> None:
    email = (await registered(client))["user"]["email"]
    token = await link(client, email)

    answers = await asyncio.gather(
        *(client.graphql(RESET, reset(token, f"{NEW} {n}")) for n in range(3))
    )

    codes = [a["errors"][0]["extensions"]["code"] for a in answers if "errors" in a]
    assert codes == ["RESET_EXPIRED", "RESET_EXPIRED"]
    assert await client.refusal(RESET, reset(token)) == "RESET_EXPIRED"


async def test_using_one_link_ends_the_others(client: Client) -> None:
    email = (await registered(client))["user"]["email"]
    first, second = await link(client, email), await link(client, email)

    await client.data(RESET, reset(first))

    assert await client.refusal(RESET, reset(second, "another good password")) == "RESET_EXPIRED"


async def test_a_link_is_good_for_an_hour(client: Client) -> None:
    email = (await registered(client))["user"]["email"]
    token = await link(client, email)

    with clock.frozen(clock.now() + timedelta(hours=1, seconds=1)):
        code = await client.refusal(RESET, reset(token))

    assert code == "RESET_EXPIRED"
    assert await client.data(LOG_IN, log_in(email, PASSWORD))


@pytest.mark.parametrize("token", ["", "x", "\N{SNOWMAN}" * 43, "a" * 5_000, "' OR 1=1 --"])
async def test_a_made_up_link_is_refused(client: Client, token: str) -> None:
    assert await client.refusal(RESET, reset(token)) == "RESET_EXPIRED"


async def test_a_weak_password_is_refused_and_the_link_stays_good(client: Client) -> None:
    person = await registered(client)
    email = person["user"]["email"]
    token = await link(client, email)

    weak = await client.graphql(RESET, reset(token, email))
    await client.data(RESET, reset(token))

    details = weak["errors"][0]["extensions"]["details"]
    assert [(d["field"], d["code"]) for d in details] == [("newPassword", "WEAK_PASSWORD")]


async def test_changing_the_password_ends_the_links(client: Client) -> None:
    person = await registered(client)
    email = person["user"]["email"]
    token = await link(client, email)

    await client.data(
        "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { token } }",
        {"input": {"currentPassword": PASSWORD, "newPassword": NEW}},
        token=person["token"],
    )

    assert await client.refusal(RESET, reset(token, "another good password")) == "RESET_EXPIRED"
    assert (await mailed(email))[-1].notice is Notice.PASSWORD_CHANGED


async def test_a_locked_address_is_opened_by_a_reset(client: Client) -> None:
    email = (await registered(client))["user"]["email"]
    for _ in range(5):
        assert await client.refusal(LOG_IN, log_in(email, "wrong")) == "INVALID_CREDENTIALS"
    assert await client.refusal(LOG_IN, log_in(email, PASSWORD)) == "ACCOUNT_LOCKED"

    await client.data(RESET, reset(await link(client, email)))

    assert await client.data(LOG_IN, log_in(email, NEW))


async def test_three_links_an_hour_go_to_one_address(client: Client) -> None:
    email = f"nobody-{new_token(8)}@example.org"
    for _ in range(3):
        await client.data(ASK, ask(email))

    body = await client.graphql(ASK, ask(email))

    extensions = body["errors"][0]["extensions"]
    assert extensions["code"] == "RATE_LIMITED"
    assert 3_500 < extensions["retryAfterSeconds"] <= 3_600


async def test_five_links_in_a_quarter_of_an_hour_go_to_one_network(client: Client) -> None:
    for _ in range(5):
        await client.data(ASK, ask(f"nobody-{new_token(8)}@example.org"))

    assert await client.refusal(ASK, ask(f"n-{new_token(8)}@example.org")) == "RATE_LIMITED"
