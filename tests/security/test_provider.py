"""Signing in with a provider of identities: what is believed, and whose account that is."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.ids import new_token
from postlane.core.settings import SettingsError, load, settings
from postlane.security.provider import REREAD_SECONDS
from tests.client import Client
from tests.identity_provider import CLIENT, SECRET, IdentityProvider, identity_provider
from tests.mailbox import mailed
from tests.people import LOG_IN, PASSWORD, WHO, registered
from tests.security.test_second_factor import Person

BEGIN = """
mutation ($input: BeginProviderSignInInput!) { beginProviderSignIn(input: $input) { url ticket } }
"""
RETURN = """
mutation ($input: LogInWithProviderInput!) {
  logInWithProvider(input: $input) {
    proof signIn { token user { uuid email name role } organization { name } }
  }
}
"""
FINISH = """
mutation ($input: FinishProviderSignInInput!) { finishProviderSignIn(input: $input) { token } }
"""
BEGIN_LINK = "mutation { beginLinkingProvider { url ticket } }"
LINK = """
mutation ($input: LinkProviderInput!) { linkProvider(input: $input) { identity { uuid } } }
"""
UNLINK = "mutation ($input: UnlinkProviderInput!) { unlinkProvider(input: $input) { removedId } }"
INVITE = """
mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { invitation { id } } }
"""


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[IdentityProvider]:
    """A provider that this deployment offers, and a new person there."""
    async with identity_provider() as found:
        monkeypatch.setenv("POSTLANE_OIDC_ISSUER", found.url)
        monkeypatch.setenv("POSTLANE_OIDC_CLIENT_ID", CLIENT)
        monkeypatch.setenv("POSTLANE_OIDC_CLIENT_SECRET", SECRET)
        settings.cache_clear()
        tag = new_token(8).lower()
        found.claims = {
            "sub": f"person-{tag}",
            "email": f"ada-{tag}@example.org",
            "email_verified": True,
            "name": "Ada Provided",
        }
        yield found
    monkeypatch.undo()
    settings.cache_clear()
    assert "POSTLANE_OIDC_ISSUER" not in os.environ


async def there_and_back(
    client: Client, provider: IdentityProvider, **changes: Any
) -> dict[str, Any]:
    """Return the input of somebody who went to the provider and comes back."""
    begun = (await client.data(BEGIN, {"input": {}}))["beginProviderSignIn"]
    return {"input": {"ticket": begun["ticket"], **provider.goes_to(begun["url"]), **changes}}


async def test_somebody_new_gets_an_account(client: Client, provider: IdentityProvider) -> None:
    data = await client.data(RETURN, await there_and_back(client, provider))

    found = data["logInWithProvider"]["signIn"]
    assert found["user"]["email"] == provider.claims["email"]
    assert (found["user"]["name"], found["user"]["role"]) == ("Ada Provided", "OWNER")
    assert found["organization"]["name"] == "Ada Provided"
    assert await client.data(WHO, token=found["token"])
    [asked] = provider.asked
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "http://postlane.test/login/provider/callback"
    assert (asked["scope"], asked["response_type"]) == ("openid email profile", "code")
    again = await client.data(RETURN, await there_and_back(client, provider))
    assert again["logInWithProvider"]["signIn"]["user"]["uuid"] == found["user"]["uuid"]
    # Their password is nobody's.
    guess = {"input": {"email": provider.claims["email"], "password": PASSWORD}}
    assert await client.refusal(LOG_IN, guess) == "INVALID_CREDENTIALS"


async def test_whom_the_provider_knows_is_told_by_its_id_and_not_by_the_address(
    client: Client, provider: IdentityProvider
) -> None:
    first = await client.data(RETURN, await there_and_back(client, provider))
    provider.claims |= {"email": "changed@example.org"}

    again = await client.data(RETURN, await there_and_back(client, provider))

    ids = [each["logInWithProvider"]["signIn"]["user"]["uuid"] for each in (first, again)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "http://evil.example"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": ["another client"]},
        {"aud": [CLIENT, "another client"], "azp": "another client"},
        {"aud": None},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"sub": 7},
        {"sub": ""},
        {"sub": "x" * 300},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": 4_000_000_000},
        {"iat": None},
        {"nbf": 4_000_000_000},
        {"at_hash": "wrong"},
    ],
)
async def test_a_token_that_is_not_for_us_signs_nobody_in(
    client: Client, provider: IdentityProvider, claims: dict[str, Any]
) -> None:
    provider.claims |= claims

    sent = await there_and_back(client, provider)

    assert await client.refusal(RETURN, sent) == "PROVIDER_REFUSED"
    assert await fetch("SELECT FROM users WHERE email = {}", provider.claims["email"]) == []


async def test_a_token_signed_by_others_is_refused(
    client: Client, provider: IdentityProvider
) -> None:
    provider.signing = rsa.generate_private_key(65537, 2048)
    assert await client.refusal(RETURN, await there_and_back(client, provider)) == (
        "PROVIDER_REFUSED"
    )
    provider.signing, provider.algorithm = None, "none"
    assert await client.refusal(RETURN, await there_and_back(client, provider)) == (
        "PROVIDER_REFUSED"
    )
    provider.algorithm = "HS256"
    provider.signing = provider.key.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    provider.metadata = {"id_token_signing_alg_values_supported": ["none", "HS256", "RS256"]}
    assert await client.refusal(RETURN, await there_and_back(client, provider)) == (
        "PROVIDER_REFUSED"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "another"},
        {"state": ""},
        {"state": "é"},
        {"ticket": ""},
        {"ticket": "zz"},
        {"ticket": "00" * 60},
        {"code": ""},
        {"code": "made up"},
        {"code": "x" * 5_000},
        {"issuer": "http://evil.example"},
    ],
)
async def test_the_way_back_fits_the_way_there(
    client: Client, provider: IdentityProvider, changes: dict[str, str]
) -> None:
    sent = await there_and_back(client, provider, **changes)

    assert await client.refusal(RETURN, sent) == "PROVIDER_REFUSED"


async def test_what_belongs_to_two_ways_is_not_mixed(
    client: Client, provider: IdentityProvider
) -> None:
    one = await there_and_back(client, provider)
    other = await there_and_back(client, provider)
    mixed = {"input": one["input"] | {"ticket": other["input"]["ticket"]}}
    swapped = {"input": one["input"] | {"code": other["input"]["code"]}}

    assert await client.refusal(RETURN, mixed) == "PROVIDER_REFUSED"
    assert await client.refusal(RETURN, swapped) == "PROVIDER_REFUSED"


async def test_a_code_is_good_once(client: Client, provider: IdentityProvider) -> None:
    sent = await there_and_back(client, provider)
    await client.data(RETURN, sent)

    assert await client.refusal(RETURN, sent) == "PROVIDER_REFUSED"


async def test_whoever_takes_too_long_begins_again(
    client: Client, provider: IdentityProvider
) -> None:
    with clock.frozen(clock.now() - timedelta(minutes=11)):
        sent = await there_and_back(client, provider)

    assert await client.refusal(RETURN, sent) == "PROVIDER_REFUSED"


async def test_a_provider_that_says_who_it_is_has_to(
    client: Client, provider: IdentityProvider
) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": True}

    without = await there_and_back(client, provider)
    named = await there_and_back(client, provider, issuer=provider.url)

    assert await client.refusal(RETURN, without) == "PROVIDER_REFUSED"
    assert await client.data(RETURN, named)


@pytest.mark.parametrize("verified", [False, None, "true", 1])
async def test_an_address_that_was_not_verified_makes_no_account(
    client: Client, provider: IdentityProvider, verified: Any
) -> None:
    provider.claims |= {"email_verified": verified}

    code = await client.refusal(RETURN, await there_and_back(client, provider))

    assert code == "PROVIDER_UNVERIFIED"
    assert await fetch("SELECT FROM users WHERE email = {}", provider.claims["email"]) == []


async def test_an_account_with_the_address_is_not_taken_over(
    client: Client, provider: IdentityProvider
) -> None:
    """It may be one that somebody else made, who waits for its owner to come."""
    await registered(client, email=provider.claims["email"])

    code = await client.refusal(RETURN, await there_and_back(client, provider))

    assert code == "PROVIDER_UNVERIFIED"


async def link(client: Client, provider: IdentityProvider, token: str) -> dict[str, Any]:
    begun = (await client.data(BEGIN_LINK, token=token))["beginLinkingProvider"]
    return {"input": {"ticket": begun["ticket"], **provider.goes_to(begun["url"])}}


async def test_whoever_is_signed_in_ties_the_provider_to_their_account(
    client: Client, provider: IdentityProvider
) -> None:
    person = await registered(client, email=provider.claims["email"])

    made = await client.data(
        LINK, await link(client, provider, person["token"]), token=person["token"]
    )

    back = await client.data(RETURN, await there_and_back(client, provider))
    assert back["logInWithProvider"]["signIn"]["user"]["uuid"] == person["user"]["uuid"]
    assert provider.asked[0]["redirect_uri"] == "http://postlane.test/account/provider/callback"
    id = made["linkProvider"]["identity"]["uuid"]
    wrong = {"input": {"identityId": id, "password": "not it, I am afraid"}}
    assert await client.refusal(UNLINK, wrong, token=person["token"]) == "INVALID_CREDENTIALS"
    await client.data(
        UNLINK, {"input": {"identityId": id, "password": PASSWORD}}, token=person["token"]
    )
    code = await client.refusal(RETURN, await there_and_back(client, provider))
    assert code == "PROVIDER_UNVERIFIED"


async def test_only_ones_own_verified_address_is_tied(
    client: Client, provider: IdentityProvider
) -> None:
    person = await registered(client)
    token = person["token"]

    other = await link(client, provider, token)
    assert await client.refusal(LINK, other, token=token) == "PROVIDER_UNVERIFIED"
    provider.claims |= {"email": person["user"]["email"], "email_verified": False}
    unverified = await link(client, provider, token)
    assert await client.refusal(LINK, unverified, token=token) == "PROVIDER_UNVERIFIED"
    assert (
        await fetch("SELECT FROM provider_identities WHERE user_id = {}", person["user"]["uuid"])
    ) == []


async def test_nobody_ties_an_account_by_a_link_they_were_sent(
    client: Client, provider: IdentityProvider
) -> None:
    """What another began, or what was begun to sign in, ties nothing."""
    attacker = await registered(client)
    victim = await registered(client, email=provider.claims["email"])

    sent = await link(client, provider, attacker["token"])
    assert await client.refusal(LINK, sent, token=victim["token"]) == "PROVIDER_REFUSED"
    sent = await there_and_back(client, provider)
    assert await client.refusal(LINK, sent, token=victim["token"]) == "PROVIDER_REFUSED"
    sent = await link(client, provider, victim["token"])
    assert await client.refusal(RETURN, sent) == "PROVIDER_REFUSED"


async def test_what_is_done_with_the_provider_is_logged(
    client: Client, provider: IdentityProvider
) -> None:
    person = Person(client, await registered(client, email=provider.claims["email"]))
    made = await client.data(LINK, await link(client, provider, person.token), token=person.token)
    await client.data(RETURN, await there_and_back(client, provider))
    id = made["linkProvider"]["identity"]["uuid"]
    sent = {"input": {"identityId": id, "password": PASSWORD}}
    await client.data(UNLINK, sent, token=person.token)

    rows = await fetch(
        "SELECT action, changes FROM audit_entries WHERE user_id = {} ORDER BY id", person.id
    )
    assert [row["action"] for row in rows] == [
        "organization.created",
        "user.registered",
        "user.provider_linked",
        "user.login",
        "user.provider_unlinked",
    ]
    assert json.loads(rows[3]["changes"]) == {"by": "provider"}


async def test_an_identity_signs_in_to_one_account(
    client: Client, provider: IdentityProvider
) -> None:
    await client.data(RETURN, await there_and_back(client, provider))
    other = await registered(client)
    provider.claims |= {"email": other["user"]["email"]}

    sent = await link(client, provider, other["token"])

    assert await client.refusal(LINK, sent, token=other["token"]) == "PROVIDER_TAKEN"


async def test_a_second_factor_is_asked_for_unless_the_provider_did(
    client: Client, provider: IdentityProvider
) -> None:
    person = Person(client, await registered(client, email=provider.claims["email"]))
    await client.data(LINK, await link(client, provider, person.token), token=person.token)
    await person.set_up()

    back = (await client.data(RETURN, await there_and_back(client, provider)))["logInWithProvider"]

    assert back["signIn"] is None
    proof = {"proof": back["proof"]}
    for codes, refusal in (
        ({}, "SECOND_FACTOR_REQUIRED"),
        ({"totpCode": "000000"}, "SECOND_FACTOR_WRONG"),
    ):
        assert await client.refusal(FINISH, {"input": proof | codes}) == refusal
    assert await client.data(FINISH, {"input": proof | {"totpCode": person.code()}})
    assert await client.refusal(FINISH, {"input": {"proof": "00"}}) == "PROVIDER_REFUSED"
    provider.claims |= {"amr": ["pwd", "mfa"]}
    back = (await client.data(RETURN, await there_and_back(client, provider)))["logInWithProvider"]
    assert back["signIn"] is not None


async def test_a_proof_ends_soon_and_with_everything_else(
    client: Client, provider: IdentityProvider
) -> None:
    person = Person(client, await registered(client, email=provider.claims["email"]))
    await client.data(LINK, await link(client, provider, person.token), token=person.token)
    await person.set_up()
    back = (await client.data(RETURN, await there_and_back(client, provider)))["logInWithProvider"]
    sent = {"input": {"proof": back["proof"], "recoveryCode": person.recovery_codes[0]}}

    with clock.frozen(clock.now() + timedelta(minutes=6)):
        assert await client.refusal(FINISH, sent) == "PROVIDER_REFUSED"
    await fetch("UPDATE users SET token_version = token_version + 1 WHERE id = {}", person.id)
    assert await client.refusal(FINISH, sent) == "PROVIDER_REFUSED"


async def test_an_invitation_is_accepted_on_the_way(
    client: Client, provider: IdentityProvider
) -> None:
    inviter = await registered(client)
    sent = {"input": {"email": provider.claims["email"], "role": "VIEWER"}}
    await client.data(INVITE, sent, token=inviter["token"])
    token = (await mailed(provider.claims["email"]))[-1].token

    begun = (await client.data(BEGIN, {"input": {"invitationToken": token}}))["beginProviderSignIn"]
    back = {"input": {"ticket": begun["ticket"], **provider.goes_to(begun["url"])}}
    found = (await client.data(RETURN, back))["logInWithProvider"]["signIn"]

    assert found["organization"]["name"] == inviter["organization"]["name"]
    assert found["user"]["role"] == "VIEWER"


async def test_closed_registration_is_closed_here_too(
    client: Client, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTLANE_REGISTRATION", "closed")
    settings.cache_clear()

    code = await client.refusal(RETURN, await there_and_back(client, provider))

    assert code == "REGISTRATION_CLOSED"


@pytest.mark.slow
async def test_keys_are_read_anew_when_the_provider_has_others(
    client: Client, provider: IdentityProvider
) -> None:
    await client.data(RETURN, await there_and_back(client, provider))
    provider.key = provider.signing = rsa.generate_private_key(65537, 2048)
    provider.kid = "two"

    assert await client.refusal(RETURN, await there_and_back(client, provider)) == (
        "PROVIDER_REFUSED"
    )
    await asyncio.sleep(REREAD_SECONDS)

    assert await client.data(RETURN, await there_and_back(client, provider))
    assert provider.requests.count("/keys") == 2


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "http://evil.example"},
        {"token_endpoint": None},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": 7},
    ],
)
async def test_a_provider_that_is_not_what_it_should_be_is_not_used(
    client: Client, provider: IdentityProvider, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata

    assert await client.refusal(BEGIN, {"input": {}}) == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize("answer", [{}, {"id_token": 7}, {"id_token": "a.b.c"}, {"id_token": ""}])
async def test_an_answer_without_a_token_signs_nobody_in(
    client: Client, provider: IdentityProvider, answer: dict[str, Any]
) -> None:
    provider.answer = answer | {"access_token": "x"}

    sent = await there_and_back(client, provider)

    assert await client.refusal(RETURN, sent) == "PROVIDER_REFUSED"


async def test_a_provider_that_fails_is_told_as_that(
    client: Client, provider: IdentityProvider
) -> None:
    provider.status = 500

    sent = await there_and_back(client, provider)

    assert await client.refusal(RETURN, sent) == "SERVICE_UNAVAILABLE"


async def test_without_one_nothing_is_offered(client: Client) -> None:
    assert await client.data("{ signInProvider { name } }") == {"signInProvider": None}
    assert await client.refusal(BEGIN, {"input": {}}) == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"ISSUER": "http://id.example.com", "CLIENT_ID": "x"}, "write it as https://host"),
        ({"ISSUER": "id.example.com", "CLIENT_ID": "x"}, "write it as https://host"),
        ({"ISSUER": "https://id.example.com"}, "POSTLANE_OIDC_ISSUER needs POSTLANE_OIDC_CLIENT"),
    ],
)
def test_a_provider_is_named_in_full(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as told:
        load({f"POSTLANE_OIDC_{name}": value for name, value in values.items()})

    assert sentence in str(told.value)
