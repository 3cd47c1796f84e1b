"""A colleague's year at an organization, typed with curl; every link is read from the mail."""

import re
from email import message_from_bytes, policy
from typing import Any

import pytest

from tests.parts import CURL, needs

from .curl import Curl
from .shop import person, sign_up
from .stack import PASSWORD, World

pytestmark = [pytest.mark.slow, needs(CURL)]

NEW_PASSWORD = "four purple umbrellas"


async def graphql(curl: Curl, document: str, **values: Any) -> Any:
    """Run a mutation or a query and return what its only field came to."""
    body = {"query": document, "variables": {"input": values} if values else {}}
    answer = (await curl("POST", "/graphql", body)).body
    assert "errors" not in answer, answer
    (found,) = answer["data"].values()
    return found


async def refusal(curl: Curl, document: str, **values: Any) -> str:
    """Run a document that is refused and return the code."""
    body = {"query": document, "variables": {"input": values} if values else {}}
    answer = (await curl("POST", "/graphql", body)).body
    code: str = answer["errors"][0]["extensions"]["code"]
    return code


async def link(world: World, address: str, kind: str, *, count: int) -> str:
    """Return the token of the link in the latest mail to somebody."""
    received = (await world.mail_for(address, count=count))[-1]
    mail = message_from_bytes(received.data, policy=policy.default)
    text = mail.get_body(("plain",))
    assert text is not None
    found = re.search(rf"{re.escape(world.url)}/{kind}/(\w{{43}})\s", text.get_content())
    assert found, text.get_content()
    return found[1]


def with_token(curl: Curl, token: str) -> Curl:
    """Return the same person, signed in."""
    return Curl(curl.url, [*curl.headers, f"Authorization: Bearer {token}"])


async def test_invited_promoted_demoted_locked_out_and_back(world: World) -> None:
    owner = await sign_up(world)
    address = f"bob@{world.name()}"
    invite = "mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { token } }"
    await graphql(owner, invite, email=address, role="VIEWER")

    # Bob finds the link in his mail, and joins.
    token = await link(world, address, "invite", count=1)
    bob = person(world)
    joined = await bob(
        "POST",
        "/api/v1/auth/register",
        {"email": address, "password": PASSWORD, "name": "Bob", "invite_token": token},
        status=201,
    )
    assert joined.body["user"]["role"] == "viewer"
    bob_id = joined.body["user"]["id"]
    signed_in = with_token(bob, joined.body["token"])
    again = {"email": f"eve@{world.name()}", "password": PASSWORD, "name": "Eve"}
    used = await person(world)(
        "POST", "/api/v1/auth/register", again | {"invite_token": token}, status=410
    )
    assert used.code == "invite_expired"

    # Promoted, his open session may do more; demoted, it may not at once.
    key = {"name": "Key", "scopes": ["messages:read"]}
    await signed_in("POST", "/api/v1/api-keys", key, status=403)
    await owner("PUT", f"/api/v1/users/{bob_id}/role", {"role": "developer"})
    made = await signed_in("POST", "/api/v1/api-keys", key, status=201)
    role = await signed_in("PUT", f"/api/v1/users/{bob_id}/role", {"role": "admin"}, status=403)
    assert role.code == "insufficient_role"
    await owner("PUT", f"/api/v1/users/{bob_id}/role", {"role": "billing"})
    await signed_in("POST", "/api/v1/api-keys", key, status=403)
    with_key = bob.with_key(made.body["key"])
    assert (await with_key("GET", "/api/v1/messages", status=403)).code == "insufficient_scope"

    # Five wrong passwords lock his address, also for the right one.
    login = {"email": address, "password": "wrong"}
    for _ in range(5):
        wrong = await person(world)("POST", "/api/v1/auth/login", login, status=401)
        assert wrong.code == "invalid_credentials"
    right = login | {"password": PASSWORD}
    locked = await person(world)("POST", "/api/v1/auth/login", right, status=429)
    assert locked.code == "account_locked"

    # He asks for a new password; the link ends every session, and is good once.
    ask = (
        "mutation ($input: RequestPasswordResetInput!) "
        "{ requestPasswordReset(input: $input) { accepted } }"
    )
    assert await graphql(bob, ask, email=address) == {"accepted": True}
    token = await link(world, address, "reset", count=2)
    reset = (
        "mutation ($input: ResetPasswordInput!) "
        "{ resetPassword(input: $input) { passwordChanged } }"
    )
    await graphql(bob, reset, token=token, newPassword=NEW_PASSWORD)
    assert await refusal(bob, reset, token=token, newPassword=PASSWORD) == "RESET_EXPIRED"
    await signed_in("GET", "/api/v1/auth/me", status=401)
    back = await bob("POST", "/api/v1/auth/login", login | {"password": NEW_PASSWORD})
    assert back.body["user"]["role"] == "billing"
    assert len(await world.mail_for(address, count=3)) == 3

    # The owner reads all of it in the log.
    log = "{ organization { auditLog(first: 50) { nodes { action targetId } } } }"
    nodes = (await graphql(owner, log))["auditLog"]["nodes"]
    of_bob = [each["action"] for each in reversed(nodes) if each["targetId"] == bob_id]
    assert of_bob == [
        "user.registered",
        "user.role_changed",
        "user.role_changed",
        *["user.login_failed"] * 5,
        "user.password_reset_requested",
        "user.password_reset",
        "user.login",
    ]
