"""Sessions: listed with where they came from, ended one by one or all at once."""

from typing import Any

from postlane.security import seen
from tests.client import Client
from tests.factories import make_api_key, make_organization
from tests.people import LOG_IN, PASSWORD, WHO, registered

SESSIONS = """
{
  viewer {
    sessions {
      nodes { id uuid isCurrent organizationName sourceAddress userAgent lastUsedAt }
    }
  }
}
"""
END = "mutation ($input: EndSessionInput!) { endSession(input: $input) { endedId } }"
END_OTHERS = "mutation { endOtherSessions { ended } }"


async def sessions(client: Client, token: str) -> list[dict[str, Any]]:
    """Return the sessions of whoever has a token."""
    data = await client.data(SESSIONS, token=token)
    found: list[dict[str, Any]] = data["viewer"]["sessions"]["nodes"]
    return found


async def log_in(client: Client, person: Any, agent: str = "curl/8") -> str:
    """Sign in with a program, and return the token."""
    sent = {"input": {"email": person["user"]["email"], "password": PASSWORD}}
    data = await client.data(LOG_IN, sent, headers={"user-agent": agent})
    token: str = data["logIn"]["token"]
    return token


async def test_sessions_say_where_they_came_from(client: Client) -> None:
    person = await registered(client)
    second = await log_in(client, person, "Browser \t~" + "x" * 300)

    found = await sessions(client, second)

    assert [each["isCurrent"] for each in found] == [True, False]
    assert found[0]["sourceAddress"] == client.address
    assert found[0]["organizationName"] == person["organization"]["name"]
    assert found[0]["userAgent"].startswith("Browser ~xxx")
    assert len(found[0]["userAgent"]) == 200


async def test_a_rest_sign_in_is_a_session_like_any(client: Client) -> None:
    person = await registered(client)
    body = {"email": person["user"]["email"], "password": PASSWORD}
    await client.post("/api/v1/auth/login", json=body, headers={"user-agent": "Shop/1.0"})

    found = await sessions(client, person["token"])

    assert found[0]["userAgent"] == "Shop/1.0"


async def test_a_session_knows_when_it_was_last_used(client: Client) -> None:
    person = await registered(client)
    await seen.flush()
    await client.data(WHO, token=person["token"])
    await seen.flush()

    (found,) = await sessions(client, person["token"])

    assert found["lastUsedAt"] is not None


async def test_one_session_is_ended_and_the_others_go_on(client: Client) -> None:
    person = await registered(client)
    second = await log_in(client, person)
    first_id = (await sessions(client, person["token"]))[1]["id"]

    await client.data(END, {"input": {"sessionId": first_id}}, token=second)

    assert await client.refusal(WHO, token=person["token"]) == "TOKEN_REVOKED"
    assert len(await sessions(client, second)) == 1
    again = {"input": {"sessionId": first_id}}
    assert await client.refusal(END, again, token=second) == "NOT_FOUND"


async def test_all_others_are_ended_at_once(client: Client) -> None:
    person = await registered(client)
    tokens = [await log_in(client, person) for _ in range(2)]

    data = await client.data(END_OTHERS, token=tokens[1])

    assert data == {"endOtherSessions": {"ended": 2}}
    for token in (person["token"], tokens[0]):
        assert await client.refusal(WHO, token=token) == "TOKEN_REVOKED"
    assert await client.data(WHO, token=tokens[1])
    assert await client.data(END_OTHERS, token=tokens[1]) == {"endOtherSessions": {"ended": 0}}


async def test_somebody_elses_session_is_not_there(client: Client) -> None:
    person, other = await registered(client), await registered(client)
    theirs = (await sessions(client, other["token"]))[0]["uuid"]

    asked = {"input": {"sessionId": theirs}}

    assert await client.refusal(END, asked, token=person["token"]) == "NOT_FOUND"
    assert await client.data(WHO, token=other["token"])


async def test_what_was_signed_out_is_not_listed(client: Client) -> None:
    person = await registered(client)
    second = await log_in(client, person)

    await client.data("mutation { logOut { loggedOut } }", token=person["token"])

    assert [each["isCurrent"] for each in await sessions(client, second)] == [True]


async def test_a_key_has_no_sessions(client: Client) -> None:
    key = await make_api_key(await make_organization())

    assert await client.refusal(SESSIONS, key=key.secret) == "INSUFFICIENT_ROLE"
    assert await client.refusal(END_OTHERS, key=key.secret) == "INSUFFICIENT_ROLE"
