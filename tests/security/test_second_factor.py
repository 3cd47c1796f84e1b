"""Second factors: set up, asked for, used once, lost, and required."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from postlane.accounts.tables import Membership, Organization
from postlane.core import clock
from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.notices.rules import Notice
from tests.client import Client
from tests.factories import (
    make_actor,
    make_api_key,
    make_membership,
    make_organization,
    make_webhook,
)
from tests.mailbox import mailed
from tests.people import LOG_IN, PASSWORD, VIEWER, WHO, registered

BEGIN = """
mutation ($input: BeginSecondFactorInput!) { beginSecondFactor(input: $input) { secret uri } }
"""
CONFIRM = """
mutation ($input: ConfirmSecondFactorInput!) {
  confirmSecondFactor(input: $input) { recoveryCodes signIn { token user { uuid } } }
}
"""
DISABLE = """
mutation ($input: DisableSecondFactorInput!) { disableSecondFactor(input: $input) { token } }
"""
RENEW = """
mutation ($input: RenewRecoveryCodesInput!) {
  renewRecoveryCodes(input: $input) { recoveryCodes }
}
"""
REQUIRE = """
mutation ($input: RequireSecondFactorInput!) { requireSecondFactor(input: $input) { required } }
"""
OWN = "{ viewer { secondFactor { isSetUp isRequired recoveryCodes } } }"
MEMBERS = "{ organization { members { nodes { uuid hasSecondFactor } } } }"


class Person:
    """Somebody with an authenticator."""

    def __init__(self, client: Client, answer: dict[str, Any]) -> None:
        self.client = client
        self.email = answer["user"]["email"]
        self.id = answer["user"]["uuid"]
        self.organization_id = answer["organization"]["uuid"]
        self.token = answer["token"]
        self.secret = ""
        self.recovery_codes: list[str] = []

    async def begin(self) -> str:
        """Ask for a secret."""
        data = await self.client.data(BEGIN, {"input": {"password": PASSWORD}}, token=self.token)
        self.secret = data["beginSecondFactor"]["secret"]
        uri: str = data["beginSecondFactor"]["uri"]
        return uri

    async def set_up(self) -> None:
        """Set a second factor up, with the code before the present one, which is then unused."""
        await self.begin()
        sent = {"input": {"totpCode": self.code(steps=-1)}}
        data = await self.client.data(CONFIRM, sent, token=self.token)
        made = data["confirmSecondFactor"]
        self.token, self.recovery_codes = made["signIn"]["token"], made["recoveryCodes"]

    def code(self, *, steps: int = 0) -> str:
        """Return the authenticator's code, or one that many steps away."""
        return pyotp.TOTP(self.secret).at(clock.now(), counter_offset=steps)

    def log_in(self, **codes: str) -> dict[str, Any]:
        """Return the variables of `LOG_IN`."""
        return {"input": {"email": self.email, "password": PASSWORD, **codes}}


@pytest.fixture
async def person(client: Client) -> Person:
    """Somebody who registered a moment ago."""
    return Person(client, await registered(client))


async def test_a_second_factor_is_set_up_and_asked_for(client: Client, person: Person) -> None:
    uri = await person.begin()
    before = await client.data(OWN, token=person.token)
    await person.set_up()

    assert before == {
        "viewer": {"secondFactor": {"isSetUp": False, "isRequired": False, "recoveryCodes": 0}}
    }
    asked = parse_qs(urlsplit(uri).query)
    assert asked["issuer"] == ["Postlane"]
    assert len(asked["secret"][0]) == 32
    assert await client.refusal(LOG_IN, person.log_in()) == "SECOND_FACTOR_REQUIRED"
    assert await client.data(LOG_IN, person.log_in(totpCode=person.code()))
    after = await client.data(OWN, token=person.token)
    assert after["viewer"]["secondFactor"] == {
        "isSetUp": True,
        "isRequired": False,
        "recoveryCodes": 10,
    }


async def test_setting_up_ends_what_was_signed_in_without_it(
    client: Client, person: Person
) -> None:
    old = person.token

    await person.set_up()

    assert await client.refusal(WHO, token=old) == "TOKEN_REVOKED"
    assert await client.data(WHO, token=person.token)
    assert [each.notice for each in await mailed(person.email)] == [Notice.SECOND_FACTOR_CHANGED]


async def test_a_secret_without_a_right_code_protects_nothing(
    client: Client, person: Person
) -> None:
    await person.begin()
    wrong = {"input": {"totpCode": person.code(steps=40)}}

    assert await client.refusal(CONFIRM, wrong, token=person.token) == "SECOND_FACTOR_WRONG"
    assert await client.data(LOG_IN, person.log_in())
    assert await client.data(WHO, token=person.token)


async def test_a_code_is_good_once(client: Client, person: Person) -> None:
    await person.set_up()
    sent = person.log_in(totpCode=person.code())

    answers = await asyncio.gather(*(client.graphql(LOG_IN, sent) for _ in range(3)))

    codes = [a["errors"][0]["extensions"]["code"] for a in answers if "errors" in a]
    assert codes == ["SECOND_FACTOR_WRONG", "SECOND_FACTOR_WRONG"]
    assert await client.refusal(LOG_IN, sent) == "SECOND_FACTOR_WRONG"


async def test_an_older_code_is_not_good_after_a_later_one(client: Client, person: Person) -> None:
    await person.set_up()
    older = person.log_in(totpCode=person.code(steps=-1))
    await client.data(LOG_IN, person.log_in(totpCode=person.code()))

    assert await client.refusal(LOG_IN, older) == "SECOND_FACTOR_WRONG"


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (1, True), (2, False)])
async def test_clocks_may_differ_by_one_step(
    client: Client, frozen: datetime, person: Person, steps: int, good: bool
) -> None:
    await person.begin()
    code = person.code(steps=steps)

    answer = await client.graphql(CONFIRM, {"input": {"totpCode": code}}, token=person.token)

    assert ("errors" not in answer) is good


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "0" * 5_000])
async def test_what_is_no_code_is_wrong(client: Client, person: Person, code: str) -> None:
    await person.set_up()

    answer = await client.graphql(LOG_IN, person.log_in(totpCode=code))

    assert answer["errors"][0]["extensions"]["code"] == "SECOND_FACTOR_WRONG"


async def test_the_code_of_somebody_else_is_wrong(client: Client, person: Person) -> None:
    await person.set_up()
    other = Person(client, await registered(client))
    await other.set_up()

    sent = person.log_in(totpCode=other.code())
    recovery = person.log_in(recoveryCode=other.recovery_codes[0])

    assert await client.refusal(LOG_IN, sent) == "SECOND_FACTOR_WRONG"
    assert await client.refusal(LOG_IN, recovery) == "SECOND_FACTOR_WRONG"


async def test_a_recovery_code_is_good_once_and_told(client: Client, person: Person) -> None:
    await person.set_up()
    code = person.recovery_codes[3]

    await client.data(LOG_IN, person.log_in(recoveryCode=code.upper().replace("-", " ")))

    assert await client.refusal(LOG_IN, person.log_in(recoveryCode=code)) == "SECOND_FACTOR_WRONG"
    assert await client.data(LOG_IN, person.log_in(recoveryCode=person.recovery_codes[0]))
    told = [m for m in await mailed(person.email) if m.notice is Notice.RECOVERY_CODE_USED]
    assert [m.values["left"] for m in told] == ["9", "8"]


@pytest.mark.parametrize("code", ["", "-", "aaaaa-aaaaa", "'; DROP TABLE users", "é" * 10])
async def test_a_wrong_recovery_code_is_refused(client: Client, person: Person, code: str) -> None:
    await person.set_up()

    sent = person.log_in(recoveryCode=code)

    assert await client.refusal(LOG_IN, sent) == "SECOND_FACTOR_WRONG"
    own = await client.data(OWN, token=person.token)
    assert own["viewer"]["secondFactor"]["recoveryCodes"] == 10


async def test_neither_secret_nor_codes_are_readable_in_the_database(
    client: Client, person: Person
) -> None:
    await person.set_up()

    factors = await fetch("SELECT * FROM second_factors WHERE user_id = {}", person.id)
    codes = await fetch("SELECT * FROM recovery_codes WHERE user_id = {}", person.id)

    assert person.secret.encode() not in bytes(factors[0]["secret"])
    assert len(codes) == 10
    assert all(code not in str(codes) for code in person.recovery_codes)


async def test_five_wrong_codes_lock_the_address(client: Client, person: Person) -> None:
    await person.set_up()
    wrong = person.log_in(totpCode=person.code(steps=40))
    for _ in range(4):
        assert await client.refusal(LOG_IN, wrong) == "SECOND_FACTOR_WRONG"
    # Saying the password without a code must not begin the count anew.
    assert await client.refusal(LOG_IN, person.log_in()) == "SECOND_FACTOR_REQUIRED"
    assert await client.refusal(LOG_IN, wrong) == "SECOND_FACTOR_WRONG"

    right = person.log_in(totpCode=person.code())

    assert await client.refusal(LOG_IN, right) == "ACCOUNT_LOCKED"


async def test_a_reset_password_does_not_replace_the_second_factor(
    client: Client, person: Person
) -> None:
    await person.set_up()
    await client.data(
        "mutation ($input: RequestPasswordResetInput!) "
        "{ requestPasswordReset(input: $input) { accepted } }",
        {"input": {"email": person.email}},
    )
    token = (await mailed(person.email))[-1].token
    new = {"token": token, "newPassword": "four purple umbrellas"}
    await client.data(
        "mutation ($input: ResetPasswordInput!) "
        "{ resetPassword(input: $input) { passwordChanged } }",
        {"input": new},
    )

    login = {"input": {"email": person.email, "password": "four purple umbrellas"}}

    assert await client.refusal(LOG_IN, login) == "SECOND_FACTOR_REQUIRED"


async def test_a_second_factor_is_removed_with_password_and_code(
    client: Client, person: Person
) -> None:
    await person.set_up()
    proof = {"password": PASSWORD, "totpCode": person.code()}

    wrong = {"input": proof | {"password": "wrong"}}
    assert await client.refusal(DISABLE, wrong, token=person.token) == "INVALID_CREDENTIALS"
    without = {"input": {"password": PASSWORD}}
    assert await client.refusal(DISABLE, without, token=person.token) == "SECOND_FACTOR_WRONG"
    await client.data(DISABLE, {"input": proof}, token=person.token)

    assert await client.data(LOG_IN, person.log_in())
    rows = await fetch("SELECT FROM recovery_codes WHERE user_id = {}", person.id)
    assert rows == []


async def test_new_recovery_codes_end_the_old_ones(client: Client, person: Person) -> None:
    await person.set_up()
    proof = {"password": PASSWORD, "totpCode": person.code()}

    data = await client.data(RENEW, {"input": proof}, token=person.token)

    new = data["renewRecoveryCodes"]["recoveryCodes"]
    old = person.log_in(recoveryCode=person.recovery_codes[0])
    assert len(set(new)) == 10
    assert await client.refusal(LOG_IN, old) == "SECOND_FACTOR_WRONG"
    assert await client.data(LOG_IN, person.log_in(recoveryCode=new[0]))


async def test_rest_signs_in_with_a_code(client: Client, person: Person) -> None:
    await person.set_up()
    body = {"email": person.email, "password": PASSWORD}

    without = await client.post("/api/v1/auth/login", json=body)
    wrong = await client.post("/api/v1/auth/login", json=body | {"totp_code": "000000"})
    right = await client.post("/api/v1/auth/login", json=body | {"totp_code": person.code()})

    assert (without.status_code, without.json()["error"]["code"]) == (401, "second_factor_required")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "second_factor_wrong")
    assert right.status_code == 200
    assert await client.data(WHO, token=right.json()["token"])


async def member_of(client: Client, owner: Person, role: Role) -> Person:
    """Make a member without a second factor, signed in to the owner's organization."""
    answer = await registered(client)
    organization = await Organization.objects().get(Organization.id == owner.organization_id)
    assert organization is not None
    await Membership(
        organization_id=organization.id, user_id=answer["user"]["uuid"], role=role.value
    ).save()
    data = await client.data(
        "mutation ($input: SwitchOrganizationInput!) { switchOrganization(input: $input) "
        "{ token user { uuid email } organization { uuid } } }",
        {"input": {"organizationId": str(organization.id)}},
        token=answer["token"],
    )
    return Person(client, data["switchOrganization"])


async def test_members_without_one_can_only_set_one_up(client: Client, person: Person) -> None:
    await person.set_up()
    member = await member_of(client, person, Role.ADMIN)
    assert await client.data(MEMBERS, token=member.token)

    await client.data(REQUIRE, {"input": {"required": True}}, token=person.token)

    assert await client.data(MEMBERS, token=person.token)
    for document, variables in (
        (MEMBERS, {}),
        (REQUIRE, {"input": {"required": False}}),
        (
            "mutation ($input: CreateApiKeyInput!) "
            "{ createApiKey(input: $input) { apiKey { uuid } } }",
            {"input": {"name": "Way out", "scopes": ["*"]}},
        ),
        (
            "mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { token } }",
            {"input": {"email": "x@example.org", "role": "VIEWER"}},
        ),
        (
            "mutation ($input: CreateOrganizationInput!) { createOrganization(input: $input) "
            "{ token } }",
            {"input": {"name": "Way round"}},
        ),
        (
            "mutation ($input: AcceptInvitationInput!) { acceptInvitation(input: $input) "
            "{ token } }",
            {"input": {"token": "x" * 43}},
        ),
        (
            "mutation ($input: UpdateViewerInput!) { updateViewer(input: $input) "
            "{ user { name } } }",
            {"input": {"name": "Somebody Else"}},
        ),
    ):
        code = await client.refusal(document, variables, token=member.token)
        assert code == "SECOND_FACTOR_SETUP_REQUIRED"
    viewer = await client.data(VIEWER, token=member.token)
    assert viewer["viewer"]["credential"]["scopes"] == []
    await member.set_up()
    assert await client.data(MEMBERS, token=member.token)


async def test_webhooks_and_their_secrets_are_for_who_has_the_one_that_is_asked_for(
    client: Client,
) -> None:
    organization = await make_organization()
    webhook, call, _ = await make_webhook(organization, "https://h.example/hook")
    person = await make_actor(organization)
    lacking = replace(person, permissions=frozenset(), must_set_up_second_factor=True)
    of_it = {"webhookId": str(webhook)}
    asked: dict[str, dict[str, Any]] = {
        "createWebhook": {"url": "https://h.example/new", "events": ["*"]},
        "updateWebhook": {**of_it, "rotateSecret": True},
        "testWebhook": of_it,
        "replayWebhookCall": {"callId": str(call)},
        "replayWebhookCalls": {**of_it, "since": "2026-01-01T00:00:00Z"},
        "deleteWebhook": of_it,
        "startExport": {"subject": {"auditLog": {}}},
    }
    before = await fetch("SELECT * FROM webhooks WHERE organization_id = {}", organization.id)

    codes = {
        name: await client.refusal(
            f"mutation ($input: {name[0].upper()}{name[1:]}Input!) "
            f"{{ {name}(input: $input) {{ __typename }} }}",
            {"input": given},
            actor=lacking,
        )
        for name, given in asked.items()
    }
    codes["webhooks"] = await client.refusal(
        "{ organization { webhooks { nodes { url } } } }", actor=lacking
    )

    assert set(codes.values()) == {"SECOND_FACTOR_SETUP_REQUIRED"}, codes
    after = await fetch("SELECT * FROM webhooks WHERE organization_id = {}", organization.id)
    assert before == after


async def test_who_is_asked_for_one_does_not_remove_it(client: Client, person: Person) -> None:
    await person.set_up()
    await client.data(REQUIRE, {"input": {"required": True}}, token=person.token)
    proof = {"input": {"password": PASSWORD, "totpCode": person.code()}}

    code = await client.refusal(DISABLE, proof, token=person.token)

    assert code == "SECOND_FACTOR_SETUP_REQUIRED"
    own = await client.data(OWN, token=person.token)
    assert own["viewer"]["secondFactor"]["isSetUp"] is True


async def test_a_sign_in_elsewhere_is_no_way_around(client: Client, person: Person) -> None:
    await person.set_up()
    member = await member_of(client, person, Role.ADMIN)
    await client.data(REQUIRE, {"input": {"required": True}}, token=person.token)
    organization = await Organization.objects().get(Organization.id == person.organization_id)
    assert organization is not None

    login = member.log_in(organizationSlug=organization.slug)
    fresh = (await client.data(LOG_IN, login))["logIn"]["token"]

    assert await client.refusal(MEMBERS, token=fresh) == "SECOND_FACTOR_SETUP_REQUIRED"


async def test_only_who_has_one_asks_others_for_one(client: Client, person: Person) -> None:
    asked = {"input": {"required": True}}

    assert await client.refusal(REQUIRE, asked, token=person.token) == "CONFLICT"


async def test_a_key_neither_sets_the_rule_nor_a_factor(client: Client) -> None:
    organization = await make_organization()
    key = await make_api_key(organization, membership=await make_membership(organization))
    for document, given in (
        (REQUIRE, {"required": False}),
        (BEGIN, {"password": PASSWORD}),
        (CONFIRM, {"totpCode": "000000"}),
        (DISABLE, {"password": PASSWORD, "totpCode": "000000"}),
    ):
        code = await client.refusal(document, {"input": given}, key=key.secret)
        assert code == "INSUFFICIENT_ROLE"


async def test_members_show_who_has_one(client: Client, person: Person) -> None:
    await person.set_up()

    data = await client.data(MEMBERS, token=person.token)

    nodes = data["organization"]["members"]["nodes"]
    assert nodes == [{"uuid": person.id, "hasSecondFactor": True}]
