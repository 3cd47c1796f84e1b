"""Passkeys: made, signed in with, asked for beside a password, and every way they can be wrong."""

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.crypto import seal
from postlane.core.database import fetch
from postlane.core.settings import settings
from postlane.security import work
from tests.authenticator import PRESENT, VERIFIED, Authenticator
from tests.client import Client
from tests.people import LOG_IN, PASSWORD, WHO, registered
from tests.security.test_second_factor import CONFIRM, DISABLE, Person

CHALLENGE = "{ passkeyChallenge { ticket options } }"
BEGIN = """
mutation ($input: BeginPasskeyInput!) {
  beginPasskey(input: $input) { challenge { ticket options } }
}
"""
ADD = """
mutation ($input: AddPasskeyInput!) {
  addPasskey(input: $input) { passkey { id uuid name isSynced } recoveryCodes signIn { token } }
}
"""
RENAME = "mutation ($input: RenamePasskeyInput!) { renamePasskey(input: $input) { renamedId } }"
REMOVE = """
mutation ($input: RemovePasskeyInput!) { removePasskey(input: $input) { signIn { token } } }
"""
SIGN_IN = """
mutation ($input: LogInWithPasskeyInput!) {
  logInWithPasskey(input: $input) { token user { uuid } }
}
"""
OWN = "{ viewer { passkeys { name lastUsedAt } secondFactor { isSetUp hasAuthenticator } } }"


@pytest.fixture(autouse=True)
def reached_by_https() -> Iterator[None]:
    """Browsers use passkeys at addresses with TLS only."""
    before = os.environ["POSTLANE_PUBLIC_URL"]
    os.environ["POSTLANE_PUBLIC_URL"] = "https://postlane.test"
    settings.cache_clear()
    yield
    os.environ["POSTLANE_PUBLIC_URL"] = before
    settings.cache_clear()


async def challenge(client: Client) -> dict[str, str]:
    found: dict[str, str] = (await client.data(CHALLENGE))["passkeyChallenge"]
    return found


async def begin(client: Client, token: str) -> dict[str, str]:
    sent = {"input": {"password": PASSWORD}}
    found: dict[str, str] = (await client.data(BEGIN, sent, token=token))["beginPasskey"][
        "challenge"
    ]
    return found


def add(answer: dict[str, str], name: str = "Phone") -> dict[str, Any]:
    return {"input": {"answer": answer, "name": name}}


def sign_in(answer: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"input": {"answer": answer, **more}}


class Owner(Person):
    """Somebody with a passkey, their first second factor."""

    def __init__(self, client: Client, answer: dict[str, Any]) -> None:
        super().__init__(client, answer)
        self.device = Authenticator()
        self.passkey_id = ""

    async def add(self) -> None:
        """Add the passkey."""
        sent = add(self.device.create(await begin(self.client, self.token)))
        made = (await self.client.data(ADD, sent, token=self.token))["addPasskey"]
        self.token, self.recovery_codes = made["signIn"]["token"], made["recoveryCodes"]
        self.passkey_id = made["passkey"]["uuid"]


@pytest.fixture
async def owner(client: Client) -> Owner:
    """Somebody who has just added a passkey."""
    found = Owner(client, await registered(client))
    await found.add()
    return found


async def test_a_passkey_signs_in_by_itself(client: Client, owner: Owner) -> None:
    data = await client.data(SIGN_IN, sign_in(owner.device.get(await challenge(client))))

    assert data["logInWithPasskey"]["user"]["uuid"] == owner.id
    assert await client.data(WHO, token=data["logInWithPasskey"]["token"])
    own = (await client.data(OWN, token=owner.token))["viewer"]
    assert own["secondFactor"] == {"isSetUp": True, "hasAuthenticator": False}
    assert [each["name"] for each in own["passkeys"]] == ["Phone"]
    assert own["passkeys"][0]["lastUsedAt"] is not None


async def test_a_password_alone_no_longer_does(client: Client, owner: Owner) -> None:
    assert await client.refusal(LOG_IN, owner.log_in()) == "SECOND_FACTOR_REQUIRED"
    answer = owner.device.get(await challenge(client))
    sent = owner.log_in(passkey=answer)  # type: ignore[arg-type]

    assert await client.data(LOG_IN, sent)
    assert await client.refusal(LOG_IN, sent) == "PASSKEY_WRONG"
    assert await client.data(LOG_IN, owner.log_in(recoveryCode=owner.recovery_codes[0]))
    assert await client.refusal(LOG_IN, owner.log_in(totpCode="123456")) == "CONFLICT"


async def test_the_first_factor_ends_every_older_token(client: Client) -> None:
    owner = Owner(client, await registered(client))
    old = owner.token

    await owner.add()

    assert await client.refusal(WHO, token=old) == "TOKEN_REVOKED"
    assert len(owner.recovery_codes) == 10
    second = Authenticator()
    sent = add(second.create(await begin(client, owner.token)), "Key")
    made = (await client.data(ADD, sent, token=owner.token))["addPasskey"]
    assert (made["recoveryCodes"], made["signIn"]) == ([], None)
    assert await client.data(WHO, token=owner.token)


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://postlane.test"},
        {"origin": "https://postlane.test:444"},
        {"rp_id": "evil.example"},
        {"rp_id": "test"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"flags": 0},
        {"user_handle": b"somebody else"},
        {"id": b"no passkey of anybody here"},
        {"key": Authenticator().key},
    ],
)
async def test_an_answer_that_is_not_quite_right_signs_nobody_in(
    client: Client, owner: Owner, change: dict[str, Any]
) -> None:
    for name, value in change.items():
        setattr(owner.device, name, value)

    answer = owner.device.get(await challenge(client))

    assert await client.refusal(SIGN_IN, sign_in(answer)) == "PASSKEY_WRONG"


@pytest.mark.parametrize(
    "change",
    [{"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"flags": PRESENT}],
)
async def test_a_passkey_of_another_site_is_not_added(
    client: Client, change: dict[str, Any]
) -> None:
    person = Person(client, await registered(client))
    device = Authenticator(**change)

    sent = add(device.create(await begin(client, person.token)))

    assert await client.refusal(ADD, sent, token=person.token) == "PASSKEY_WRONG"
    own = (await client.data(OWN, token=person.token))["viewer"]
    assert own == {"passkeys": [], "secondFactor": {"isSetUp": False, "hasAuthenticator": False}}


async def test_an_answer_is_taken_once(client: Client, owner: Owner) -> None:
    sent = sign_in(owner.device.get(await challenge(client)))

    answers = await asyncio.gather(*(client.graphql(SIGN_IN, sent) for _ in range(5)))

    assert sum("errors" not in answer for answer in answers) == 1
    assert await client.refusal(SIGN_IN, sent) == "PASSKEY_WRONG"


async def test_an_answer_comes_within_a_quarter_of_an_hour(client: Client, owner: Owner) -> None:
    with clock.frozen(clock.now() - timedelta(minutes=16)):
        old = await challenge(client)

    assert await client.refusal(SIGN_IN, sign_in(owner.device.get(old))) == "PASSKEY_WRONG"


async def test_a_ticket_is_good_for_what_it_was_made_for(client: Client, owner: Owner) -> None:
    other = Person(client, await registered(client))
    to_add = await begin(client, owner.token)
    to_sign_in = await challenge(client)
    device = Authenticator()

    assert await client.refusal(SIGN_IN, sign_in(owner.device.get(to_add))) == "PASSKEY_WRONG"
    sent = add(device.create(to_add))
    assert await client.refusal(ADD, sent, token=other.token) == "PASSKEY_WRONG"
    mixed = device.create(to_add) | {"ticket": to_sign_in["ticket"]}
    assert await client.refusal(ADD, add(mixed), token=owner.token) == "PASSKEY_WRONG"


async def test_a_copy_that_counts_less_is_refused(client: Client, owner: Owner) -> None:
    owner.device.count = 7
    assert await client.data(SIGN_IN, sign_in(owner.device.get(await challenge(client))))

    for count in (7, 3, 0):
        owner.device.count = count
        answer = owner.device.get(await challenge(client))
        assert await client.refusal(SIGN_IN, sign_in(answer)) == "PASSKEY_WRONG"

    owner.device.count = 8
    assert await client.data(SIGN_IN, sign_in(owner.device.get(await challenge(client))))


async def test_somebody_elses_passkey_is_no_second_factor(client: Client, owner: Owner) -> None:
    other = Owner(client, await registered(client))
    await other.add()

    answer = other.device.get(await challenge(client))
    sent = owner.log_in(passkey=answer)  # type: ignore[arg-type]

    assert await client.refusal(LOG_IN, sent) == "PASSKEY_WRONG"


async def test_a_passkey_belongs_to_one_account(client: Client, owner: Owner) -> None:
    other = Person(client, await registered(client))

    sent = add(owner.device.create(await begin(client, other.token)))

    assert await client.refusal(ADD, sent, token=other.token) == "PASSKEY_EXISTS"


async def test_what_is_done_with_passkeys_is_logged(client: Client, owner: Owner) -> None:
    await client.data(SIGN_IN, sign_in(owner.device.get(await challenge(client))))
    sent = {"input": {"passkeyId": owner.passkey_id, "password": PASSWORD}}
    await client.data(REMOVE, sent, token=owner.token)

    rows = await fetch(
        "SELECT action, changes FROM audit_entries WHERE user_id = {} ORDER BY id", owner.id
    )
    assert [row["action"] for row in rows] == [
        "organization.created",
        "user.registered",
        "user.passkey_added",
        "user.login",
        "user.passkey_removed",
    ]
    assert json.loads(rows[3]["changes"]) == {"by": "passkey"}


async def test_twenty_are_enough(client: Client, owner: Owner) -> None:
    await fetch(
        "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, "
        "is_synced, created_at) SELECT gen_random_uuid(), {}, uuid_send(gen_random_uuid()), "
        "'x', 0, 'Key', false, now() FROM generate_series(1, 19)",
        owner.id,
    )

    sent = add(Authenticator().create(await begin(client, owner.token)))

    assert await client.refusal(ADD, sent, token=owner.token) == "PASSKEY_LIMIT_REACHED"


async def test_the_last_one_is_removed_with_the_password(client: Client, owner: Owner) -> None:
    wrong = {"input": {"passkeyId": owner.passkey_id, "password": "not it, I am afraid"}}
    assert await client.refusal(REMOVE, wrong, token=owner.token) == "INVALID_CREDENTIALS"

    sent = {"input": {"passkeyId": owner.passkey_id, "password": PASSWORD}}
    data = await client.data(REMOVE, sent, token=owner.token)

    token = data["removePasskey"]["signIn"]["token"]
    assert await client.refusal(WHO, token=owner.token) == "TOKEN_REVOKED"
    assert await client.refusal(REMOVE, sent, token=token) == "NOT_FOUND"
    answer = owner.device.get(await challenge(client))
    assert await client.refusal(SIGN_IN, sign_in(answer)) == "PASSKEY_WRONG"
    assert await client.data(LOG_IN, owner.log_in())


async def test_the_last_one_stays_where_a_second_factor_is_asked_for(
    client: Client, owner: Owner
) -> None:
    await Organization.update({Organization.requires_second_factor: True}).where(
        Organization.id == owner.organization_id
    )
    sent = {"input": {"passkeyId": owner.passkey_id, "password": PASSWORD}}

    code = await client.refusal(REMOVE, sent, token=owner.token)

    assert code == "SECOND_FACTOR_SETUP_REQUIRED"
    own = (await client.data(OWN, token=owner.token))["viewer"]
    assert len(own["passkeys"]) == 1


async def test_an_authenticator_and_a_passkey_stand_for_each_other(
    client: Client, owner: Owner
) -> None:
    await owner.begin()
    confirmed = await client.data(
        CONFIRM, {"input": {"totpCode": owner.code(steps=-1)}}, token=owner.token
    )
    owner.token = confirmed["confirmSecondFactor"]["signIn"]["token"]
    sent = {"input": {"passkeyId": owner.passkey_id, "password": PASSWORD}}
    assert (await client.data(REMOVE, sent, token=owner.token))["removePasskey"]["signIn"] is None
    assert await client.refusal(LOG_IN, owner.log_in()) == "SECOND_FACTOR_REQUIRED"

    off = {"input": {"password": PASSWORD, "totpCode": owner.code()}}
    await client.data(DISABLE, off, token=owner.token)

    assert await client.data(LOG_IN, owner.log_in())


async def test_without_the_authenticator_a_passkey_still_counts(
    client: Client, owner: Owner
) -> None:
    await owner.begin()
    confirmed = await client.data(
        CONFIRM, {"input": {"totpCode": owner.code(steps=-1)}}, token=owner.token
    )
    made = confirmed["confirmSecondFactor"]

    off = {"input": {"password": PASSWORD, "totpCode": owner.code()}}
    await client.data(DISABLE, off, token=made["signIn"]["token"])

    assert await client.refusal(LOG_IN, owner.log_in()) == "SECOND_FACTOR_REQUIRED"
    assert await client.data(LOG_IN, owner.log_in(recoveryCode=made["recoveryCodes"][0]))


async def test_names_are_ones_own(client: Client, owner: Owner) -> None:
    other = Person(client, await registered(client))
    sent = {"input": {"passkeyId": owner.passkey_id, "name": " Work laptop "}}

    await client.data(RENAME, sent, token=owner.token)

    assert await client.refusal(RENAME, sent, token=other.token) == "NOT_FOUND"
    own = (await client.data(OWN, token=owner.token))["viewer"]
    assert [each["name"] for each in own["passkeys"]] == ["Work laptop"]
    for name in ("", "   ", "x" * 101, "a\nb"):
        bad = {"input": {"passkeyId": owner.passkey_id, "name": name}}
        assert await client.refusal(RENAME, bad, token=owner.token) == "INVALID_INPUT"


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        '{"id": 1}',
        '{"id": "a", "rawId": "a"}',
        "x" * 30_000,
        '{"id":"AA","rawId":"AA","type":"public-key","response":{}}',
        "[" * 10_000,
    ],
)
async def test_garbage_is_refused_as_a_wrong_passkey(
    client: Client, owner: Owner, credential: str
) -> None:
    asked = await challenge(client)
    garbage = {"ticket": asked["ticket"], "credential": credential}

    assert await client.refusal(SIGN_IN, sign_in(garbage)) == "PASSKEY_WRONG"
    sent = add({**garbage, "ticket": (await begin(client, owner.token))["ticket"]})
    assert await client.refusal(ADD, sent, token=owner.token) == "PASSKEY_WRONG"


@pytest.mark.parametrize("ticket", ["", "zz", "00", "01" * 40, "é"])
async def test_a_ticket_of_others_is_refused(client: Client, owner: Owner, ticket: str) -> None:
    answer = owner.device.get(await challenge(client)) | {"ticket": ticket}

    assert await client.refusal(SIGN_IN, sign_in(answer)) == "PASSKEY_WRONG"


async def test_a_sealed_value_of_another_purpose_is_no_ticket(client: Client, owner: Owner) -> None:
    answer = owner.device.get(await challenge(client))
    answer["ticket"] = seal(b"{}", purpose="dashboard_sign_in").hex()

    assert await client.refusal(SIGN_IN, sign_in(answer)) == "PASSKEY_WRONG"


async def test_a_disabled_person_is_not_signed_in(client: Client, owner: Owner) -> None:
    await fetch("UPDATE users SET status = 'disabled' WHERE id = {}", owner.id)

    answer = owner.device.get(await challenge(client))

    assert await client.refusal(SIGN_IN, sign_in(answer)) == "USER_DISABLED"


async def test_guessing_is_limited_by_address(client: Client, owner: Owner) -> None:
    garbage = {"ticket": "00", "credential": "{}"}

    codes = [await client.refusal(SIGN_IN, sign_in(garbage)) for _ in range(11)]

    assert codes == ["PASSKEY_WRONG"] * 10 + ["RATE_LIMITED"]


@pytest.mark.parametrize(
    "url", ["http://postlane.test", "https://192.0.2.1", "http://127.0.0.1:8000", "https://[::1]"]
)
async def test_where_browsers_use_none_nothing_is_offered(
    client: Client, owner: Owner, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    signed_in = await registered(client)
    monkeypatch.setenv("POSTLANE_PUBLIC_URL", url)
    settings.cache_clear()
    token = (
        await client.data(
            LOG_IN, {"input": {"email": signed_in["user"]["email"], "password": PASSWORD}}
        )
    )["logIn"]["token"]

    assert await client.data(CHALLENGE) == {"passkeyChallenge": None}
    sent = {"input": {"password": PASSWORD}}
    assert await client.refusal(BEGIN, sent, token=token) == "SERVICE_UNAVAILABLE"


async def test_answers_are_forgotten_once_they_would_be_too_late(
    client: Client, owner: Owner
) -> None:
    with clock.frozen(clock.now() + timedelta(minutes=20)):
        await work.tidy()

    assert await fetch("SELECT FROM spent_challenges") == []
