"""Passwords that were used before do not come back."""

from typing import Any

from postlane.core.database import fetch
from tests.client import Client
from tests.people import LOG_IN, PASSWORD, registered
from tests.security.test_resets import RESET, link, reset

CHANGE = """
mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { token } }
"""
OTHERS = [f"{number} patient grey herons" for number in ("two", "three", "four", "five", "six")]


def change(current: str, new: str) -> dict[str, Any]:
    return {"input": {"currentPassword": current, "newPassword": new}}


async def test_none_of_the_last_five_comes_back(client: Client) -> None:
    person = await registered(client)
    token, current = person["token"], PASSWORD
    for new in OTHERS[:4]:
        found = await client.data(CHANGE, change(current, new), token=token)
        token, current = found["changePassword"]["token"], new

    refused = [
        await client.graphql(CHANGE, change(current, old), token=token)
        for old in (PASSWORD, *OTHERS[:4])
    ]

    codes = {each["errors"][0]["extensions"]["details"][0]["code"] for each in refused}
    assert codes == {"WEAK_PASSWORD"}
    found = await client.data(CHANGE, change(current, OTHERS[4]), token=token)
    # The sixth has made room for the first.
    token = found["changePassword"]["token"]
    assert await client.data(CHANGE, change(OTHERS[4], PASSWORD), token=token)
    rows = await fetch(
        "SELECT password_hash FROM used_passwords WHERE user_id = {}", person["user"]["uuid"]
    )
    assert len(rows) == 4
    assert all(row["password_hash"].startswith("$argon2id$") for row in rows)


async def test_a_mailed_link_does_not_bring_it_back_either(client: Client) -> None:
    person = await registered(client)
    email = person["user"]["email"]
    token = await link(client, email)

    assert await client.refusal(RESET, reset(token, PASSWORD)) == "INVALID_INPUT"

    # The link is still good for another one.
    await client.data(RESET, reset(token, OTHERS[0]))
    assert await client.data(LOG_IN, {"input": {"email": email, "password": OTHERS[0]}})
