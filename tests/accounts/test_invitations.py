"""Invitations: offered, accepted once, by whom they are for."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Invitation, Membership, User
from postlane.accounts.work import remove_old_invitations
from postlane.core import clock
from postlane.core.actor import ROLE_PERMISSIONS, Actor, ActorKind, Permission, Role
from tests.client import Client
from tests.factories import make_actor, make_membership, make_organization, make_user
from tests.mailbox import mailed
from tests.people import LOG_IN, PASSWORD, REGISTER, VIEWER, new_person, registered

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
INVITE = """
mutation ($input: InviteMemberInput!) {
  inviteMember(input: $input) { token invitation { id uuid email role } }
}
"""
ACCEPT = """
mutation ($input: AcceptInvitationInput!) {
  acceptInvitation(input: $input) { token organization { uuid } user { role } }
}
"""
WITHDRAW = """
mutation ($input: WithdrawInvitationInput!) { withdrawInvitation(input: $input) { withdrawnId } }
"""
RESEND = """
mutation ($input: ResendInvitationInput!) {
  resendInvitation(input: $input) { token invitation { email expiresAt invitedBy { uuid } } }
}
"""
OFFER = """
query ($token: String!) {
  invitationOffer(token: $token) { organizationName invitedBy email role expiresAt }
}
"""
LIST = "{ organization { invitations { totalCount nodes { email role invitedBy { uuid } } } } }"


async def invited(
    client: Client, actor: Actor, email: str, role: Role = Role.DEVELOPER
) -> dict[str, Any]:
    """Invite somebody and return the answer."""
    data = await client.data(INVITE, {"input": {"email": email, "role": role.name}}, actor=actor)
    answer: dict[str, Any] = data["inviteMember"]
    return answer


async def test_invited_person_registers_into_the_organization(client: Client) -> None:
    organization = await make_organization(name="Inviting")
    actor = await make_actor(organization, role=Role.ADMIN)
    person = new_person(organizationName=None)
    offer = await invited(client, actor, person["email"].upper())

    answer = await client.data(REGISTER, {"input": person | {"invitationToken": offer["token"]}})

    viewer = (await client.data(VIEWER, token=answer["register"]["token"]))["viewer"]
    assert viewer["organization"] == {"uuid": str(organization.id), "name": "Inviting"}
    assert viewer["user"]["role"] == "DEVELOPER"
    assert [m["name"] for m in viewer["memberships"]] == ["Inviting"]


async def test_signed_in_person_accepts_and_is_signed_in_there(client: Client) -> None:
    organization = await make_organization()
    person = await registered(client)
    offer = await invited(client, await make_actor(organization), person["user"]["email"])

    data = await client.data(ACCEPT, {"input": {"token": offer["token"]}}, token=person["token"])

    assert data["acceptInvitation"]["organization"]["uuid"] == str(organization.id)
    assert data["acceptInvitation"]["user"]["role"] == "DEVELOPER"


async def test_person_who_belongs_nowhere_signs_in_with_an_invitation(client: Client) -> None:
    person = await registered(client)
    await Membership.delete().where(Membership.user_id == person["user"]["uuid"])
    login = {"email": person["user"]["email"], "password": PASSWORD}
    assert await client.refusal(LOG_IN, {"input": login}) == "USER_DISABLED"
    organization = await make_organization()
    offer = await invited(client, await make_actor(organization), person["user"]["email"])

    data = await client.data(LOG_IN, {"input": login | {"invitationToken": offer["token"]}})

    assert data["logIn"]["organization"]["uuid"] == str(organization.id)


async def test_invitation_is_accepted_once(client: Client) -> None:
    actor = await make_actor()
    person = new_person(organizationName=None)
    offer = await invited(client, actor, person["email"])
    variables = {"input": person | {"invitationToken": offer["token"]}}

    answers = await asyncio.gather(*(client.graphql(REGISTER, variables) for _ in range(2)))
    again = await client.refusal(REGISTER, {"input": new_person(invitationToken=offer["token"])})

    assert sum("errors" not in answer for answer in answers) == 1
    assert again == "INVITATION_EXPIRED"


async def test_invitation_for_another_address_is_refused_and_stays_open(client: Client) -> None:
    offer = await invited(client, await make_actor(), "somebody-else@example.org")
    person = new_person(invitationToken=offer["token"])

    answer = await client.graphql(REGISTER, {"input": person})

    details = answer["errors"][0]["extensions"]["details"]
    assert [(d["field"], d["code"]) for d in details] == [("email", "NOT_ALLOWED")]
    assert await User.count().where(User.email_key == person["email"]) == 0
    row = await Invitation.objects().get(Invitation.id == offer["invitation"]["uuid"])
    assert row is not None
    assert row.accepted_at is None


@pytest.mark.parametrize("token", ["nobody-made-this", "", "x" * 5_000, "töken"])
async def test_made_up_token_is_refused(client: Client, token: str) -> None:
    before = await User.count()

    code = await client.refusal(REGISTER, {"input": new_person(invitationToken=token)})

    assert code == "INVITATION_EXPIRED"
    assert await User.count() == before


async def test_invitation_ends_after_a_week(client: Client) -> None:
    with clock.frozen(NOON):
        person = new_person()
        offer = await invited(client, await make_actor(), person["email"])

    with clock.frozen(NOON + timedelta(days=7)):
        code = await client.refusal(
            REGISTER, {"input": person | {"invitationToken": offer["token"]}}
        )

    assert code == "INVITATION_EXPIRED"


async def test_second_invitation_replaces_the_first(client: Client) -> None:
    actor, person = await make_actor(), new_person()
    first = await invited(client, actor, person["email"], Role.ADMIN)
    await invited(client, actor, person["email"], Role.VIEWER)

    data = await client.data(LIST, actor=actor)
    code = await client.refusal(REGISTER, {"input": person | {"invitationToken": first["token"]}})

    assert data["organization"]["invitations"] == {
        "totalCount": 1,
        "nodes": [
            {
                "email": person["email"],
                "role": "VIEWER",
                "invitedBy": {"uuid": str(actor.user_id)},
            }
        ],
    }
    assert code == "INVITATION_EXPIRED"


async def test_withdrawn_invitation_is_refused(client: Client) -> None:
    actor, person = await make_actor(), new_person()
    offer = await invited(client, actor, person["email"])
    variables = {"input": {"invitationId": offer["invitation"]["id"]}}

    data = await client.data(WITHDRAW, variables, actor=actor)

    assert data["withdrawInvitation"]["withdrawnId"] == offer["invitation"]["id"]
    assert await client.refusal(WITHDRAW, variables, actor=actor) == "NOT_FOUND"
    code = await client.refusal(REGISTER, {"input": person | {"invitationToken": offer["token"]}})
    assert code == "INVITATION_EXPIRED"


async def test_demoted_owner_leaves_no_invitation_behind(client: Client) -> None:
    organization = await make_organization()
    owner, leaving = await make_actor(organization), await make_actor(organization)
    offer = await invited(client, leaving, "friend@example.org", Role.OWNER)

    await client.data(
        "mutation ($input: ChangeRoleInput!) { changeRole(input: $input) { user { role } } }",
        {"input": {"userId": str(leaving.user_id), "role": "VIEWER"}},
        actor=owner,
    )

    assert await Invitation.exists().where(Invitation.id == offer["invitation"]["uuid"]) is False


async def test_admin_cannot_invite_an_owner(client: Client) -> None:
    actor = await make_actor(role=Role.ADMIN)

    code = await client.refusal(
        INVITE, {"input": {"email": "a@example.org", "role": "OWNER"}}, actor=actor
    )

    assert code == "INSUFFICIENT_ROLE"
    assert await Invitation.count().where(Invitation.organization_id == actor.organization_id) == 0


async def test_member_is_not_invited_again(client: Client) -> None:
    organization = await make_organization()
    actor, user = await make_actor(organization), await make_user()
    await make_membership(organization, user, role=Role.VIEWER)

    code = await client.refusal(
        INVITE, {"input": {"email": user.email.upper(), "role": "ADMIN"}}, actor=actor
    )

    assert code == "MEMBER_EXISTS"


async def test_invitation_of_another_tenant_cannot_be_withdrawn(client: Client) -> None:
    offer = await invited(client, await make_actor(), "a@example.org")
    variables = {"input": {"invitationId": offer["invitation"]["uuid"]}}

    assert await client.refusal(WITHDRAW, variables, actor=await make_actor()) == "NOT_FOUND"
    assert await Invitation.exists().where(Invitation.id == offer["invitation"]["uuid"])


@pytest.mark.parametrize("role", [Role.OWNER, Role.DEVELOPER])
async def test_a_key_invites_nobody_who_may_do_more_than_it(client: Client, role: Role) -> None:
    organization = await make_organization()
    key = await make_actor(
        organization,
        kind=ActorKind.API_KEY,
        permissions=[Permission.WRITE_USERS, *ROLE_PERMISSIONS[Role.VIEWER]],
    )

    code = await client.refusal(
        INVITE, {"input": {"email": "a@example.org", "role": role.name}}, actor=key
    )
    viewer = await invited(client, key, "b@example.org", Role.VIEWER)

    assert code == "INSUFFICIENT_SCOPE"
    assert viewer["invitation"]["role"] == "VIEWER"


async def test_an_invitation_is_mailed_with_its_link(client: Client) -> None:
    organization = await make_organization(name="Inviting <b>")
    actor = await make_actor(organization, role=Role.ADMIN)
    email = new_person()["email"]

    offer = await invited(client, actor, email)

    (mail,) = await mailed(email)
    assert mail.values["link"] == f"http://postlane.test/invite/{offer['token']}"
    assert mail.values["organization"] == "Inviting <b>"
    assert mail.values["invited_by"] == "Robin Example"
    assert mail.values["role"] == "Developer"


async def test_a_refused_invitation_mails_nothing(client: Client) -> None:
    organization = await make_organization()
    member = await make_membership(organization, await make_user(email="m@mailed-not.example"))
    actor = await make_actor(organization)

    variables = {"input": {"email": "m@mailed-not.example", "role": "VIEWER"}}

    assert await client.refusal(INVITE, variables, actor=actor) == "MEMBER_EXISTS"
    assert member.role == "owner"
    assert await mailed("m@mailed-not.example") == []


async def test_the_link_says_what_is_offered_until_it_is_used(client: Client) -> None:
    organization = await make_organization(name="Inviting")
    person = new_person(organizationName=None)
    offer = await invited(client, await make_actor(organization), person["email"])
    asked = {"token": offer["token"]}

    shown = (await client.data(OFFER, asked))["invitationOffer"]
    await client.data(REGISTER, {"input": person | {"invitationToken": offer["token"]}})
    used = await client.data(OFFER, asked)

    assert shown["organizationName"] == "Inviting"
    assert (shown["email"], shown["role"]) == (person["email"], "DEVELOPER")
    assert used == {"invitationOffer": None}
    assert await client.data(OFFER, {"token": "\N{SNOWMAN}"}) == {"invitationOffer": None}


async def test_an_invitation_that_is_sent_again_has_a_new_link_only(client: Client) -> None:
    organization = await make_organization()
    first, second = await make_actor(organization), await make_actor(organization)
    person = new_person(organizationName=None)
    offer = await invited(client, first, person["email"])
    asked = {"input": {"invitationId": offer["invitation"]["id"]}}

    later = clock.now() + timedelta(days=8)
    with clock.frozen(later):
        data = await client.data(RESEND, asked, actor=second)
        again = data["resendInvitation"]
        old = REGISTER, {"input": person | {"invitationToken": offer["token"]}}
        assert await client.refusal(*old) == "INVITATION_EXPIRED"
        await client.data(REGISTER, {"input": person | {"invitationToken": again["token"]}})

    assert again["invitation"]["invitedBy"] == {"uuid": str(second.user_id)}
    assert [mail.token for mail in await mailed(person["email"])] == [
        offer["token"],
        again["token"],
    ]


async def test_an_accepted_invitation_is_not_sent_again(client: Client) -> None:
    actor = await make_actor()
    person = new_person(organizationName=None)
    offer = await invited(client, actor, person["email"])
    await client.data(REGISTER, {"input": person | {"invitationToken": offer["token"]}})

    asked = {"input": {"invitationId": offer["invitation"]["id"]}}

    assert await client.refusal(RESEND, asked, actor=actor) == "NOT_FOUND"
    assert len(await mailed(person["email"])) == 1


async def test_an_admin_does_not_send_an_owners_invitation_again(client: Client) -> None:
    organization = await make_organization()
    offer = await invited(client, await make_actor(organization), "o@owner.example", Role.OWNER)
    admin = await make_actor(organization, role=Role.ADMIN)

    asked = {"input": {"invitationId": offer["invitation"]["id"]}}

    assert await client.refusal(RESEND, asked, actor=admin) == "INSUFFICIENT_ROLE"


async def test_fifty_invitations_an_hour_are_mailed(client: Client) -> None:
    actor = await make_actor()
    for n in range(50):
        await invited(client, actor, f"n{n}@many.example")

    variables = {"input": {"email": "more@many.example", "role": "VIEWER"}}

    assert await client.refusal(INVITE, variables, actor=actor) == "RATE_LIMITED"
    with clock.frozen(clock.now() + timedelta(hours=1, minutes=1)):
        await client.data(INVITE, variables, actor=actor)


async def test_invitations_are_forgotten_a_month_after_their_end(client: Client) -> None:
    actor = await make_actor(role=Role.ADMIN)
    with clock.frozen(NOON):
        await invited(client, actor, "old@example.org")
    with clock.frozen(NOON + timedelta(days=2)):
        await invited(client, actor, "newer@example.org")

    with clock.frozen(NOON + timedelta(days=38)):
        await remove_old_invitations()

    rows = await Invitation.objects().where(Invitation.organization_id == actor.organization_id)
    assert [row.email for row in rows] == ["newer@example.org"]
