"""Members and their roles: who may change whom, and the last owner."""

import asyncio
from typing import Any

import pytest

from postlane.accounts.tables import Membership, Organization
from postlane.audit.tables import AuditEntry
from postlane.core.actor import ROLE_PERMISSIONS, Actor, Role
from tests.client import Client
from tests.factories import (
    make_actor,
    make_api_key,
    make_membership,
    make_organization,
    make_user,
)
from tests.people import WHO, registered

CHANGE_ROLE = """
mutation ($input: ChangeRoleInput!) { changeRole(input: $input) { user { uuid role } } }
"""
REMOVE = "mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { removedId } }"
MEMBERS = """
query ($filter: MemberFilterInput, $orderBy: MemberOrderInput, $first: Int, $after: String) {
  organization {
    members(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
      totalCount
      nodes { uuid email name role apiKeyCount }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
MEMBER = "query ($id: ID!) { organization { member(id: $id) { email } } }"


def change(user_id: Any, role: Role) -> dict[str, Any]:
    """Return the variables of `CHANGE_ROLE`."""
    return {"input": {"userId": str(user_id), "role": role.name}}


def remove(user_id: Any) -> dict[str, Any]:
    """Return the variables of `REMOVE`."""
    return {"input": {"userId": str(user_id)}}


async def roles(organization_id: Any) -> dict[Any, str]:
    """Return the role of each member."""
    rows = await Membership.select(Membership.user_id, Membership.role).where(
        Membership.organization_id == organization_id
    )
    return {row["user_id"]: row["role"] for row in rows}


async def test_role_changes_at_once_and_is_logged(client: Client) -> None:
    organization = await make_organization()
    admin = await make_actor(organization, role=Role.ADMIN)
    member = await make_membership(organization, role=Role.VIEWER)

    data = await client.data(CHANGE_ROLE, change(member.user_id, Role.DEVELOPER), actor=admin)

    assert data["changeRole"]["user"] == {"uuid": str(member.user_id), "role": "DEVELOPER"}
    entry = await AuditEntry.objects().where(AuditEntry.target_id == str(member.user_id)).first()
    assert entry is not None
    assert entry.action == "user.role_changed"
    assert '"from":"viewer"' in entry.changes.replace(" ", "")


async def test_same_role_again_changes_and_logs_nothing(client: Client) -> None:
    organization = await make_organization()
    admin = await make_actor(organization, role=Role.ADMIN)
    member = await make_membership(organization, role=Role.VIEWER)

    await client.data(CHANGE_ROLE, change(member.user_id, Role.VIEWER), actor=admin)

    assert await AuditEntry.count().where(AuditEntry.target_id == str(member.user_id)) == 0


@pytest.mark.parametrize(
    ("own", "before", "after", "code"),
    [
        (Role.ADMIN, Role.OWNER, Role.VIEWER, "INSUFFICIENT_ROLE"),
        (Role.ADMIN, Role.VIEWER, Role.OWNER, "INSUFFICIENT_ROLE"),
        (Role.ADMIN, Role.VIEWER, Role.BILLING, "INSUFFICIENT_ROLE"),
        (Role.DEVELOPER, Role.VIEWER, Role.DEVELOPER, "INSUFFICIENT_ROLE"),
        (Role.BILLING, Role.VIEWER, Role.DEVELOPER, "INSUFFICIENT_ROLE"),
        (Role.VIEWER, Role.VIEWER, Role.DEVELOPER, "INSUFFICIENT_ROLE"),
    ],
)
async def test_roles_out_of_reach_stay(
    client: Client, own: Role, before: Role, after: Role, code: str
) -> None:
    organization = await make_organization()
    await make_membership(organization)
    actor = await make_actor(organization, role=own)
    member = await make_membership(organization, role=before)
    unchanged = await roles(organization.id)

    assert await client.refusal(CHANGE_ROLE, change(member.user_id, after), actor=actor) == code

    assert await roles(organization.id) == unchanged


async def test_nobody_changes_their_own_role(client: Client) -> None:
    organization = await make_organization()
    owner = await make_actor(organization)
    await make_membership(organization)

    code = await client.refusal(CHANGE_ROLE, change(owner.user_id, Role.ADMIN), actor=owner)

    assert code == "CANNOT_CHANGE_OWN_ROLE"
    assert (await roles(organization.id))[owner.user_id] == "owner"


async def test_two_owners_who_demote_each_other_leave_one(client: Client) -> None:
    organization = await make_organization()
    first, second = await make_actor(organization), await make_actor(organization)

    answers = await asyncio.gather(
        client.graphql(CHANGE_ROLE, change(second.user_id, Role.VIEWER), actor=first),
        client.graphql(CHANGE_ROLE, change(first.user_id, Role.VIEWER), actor=second),
    )

    assert sum("errors" in answer for answer in answers) == 1
    assert sorted((await roles(organization.id)).values()) == ["owner", "viewer"]


async def test_last_owner_cannot_leave(client: Client) -> None:
    organization = await make_organization()
    owner = await make_actor(organization)

    assert await client.refusal(REMOVE, remove(owner.user_id), actor=owner) == "LAST_OWNER"
    assert list((await roles(organization.id)).values()) == ["owner"]


async def test_two_last_owners_who_leave_at_once_leave_one(client: Client) -> None:
    organization = await make_organization()
    owners = [await make_actor(organization) for _ in range(2)]

    answers = await asyncio.gather(
        *(client.graphql(REMOVE, remove(owner.user_id), actor=owner) for owner in owners)
    )

    codes = [a["errors"][0]["extensions"]["code"] for a in answers if "errors" in a]
    assert codes == ["LAST_OWNER"]
    assert list((await roles(organization.id)).values()) == ["owner"]


async def test_removed_member_loses_tokens_and_keys_for_good(client: Client) -> None:
    person = await registered(client)
    organization = await Organization.objects().get(
        Organization.id == person["organization"]["uuid"]
    )
    assert organization is not None
    membership = await Membership.objects().get(Membership.organization_id == organization.id)
    assert membership is not None
    key = await make_api_key(organization, membership=membership)
    other_owner = await make_actor(organization)
    assert await client.data(WHO, key=key.secret)

    await client.data(REMOVE, remove(person["user"]["uuid"]), actor=other_owner)

    assert await client.refusal(WHO, token=person["token"]) == "TOKEN_REVOKED"
    assert await client.refusal(WHO, key=key.secret) == "INVALID_API_KEY"
    user = await make_user()
    user.id = membership.user_id
    await make_membership(organization, user)
    assert await client.refusal(WHO, key=key.secret) == "INVALID_API_KEY"


async def test_viewer_may_leave(client: Client) -> None:
    organization = await make_organization()
    await make_membership(organization)
    viewer = await make_actor(organization, role=Role.VIEWER)

    await client.data(REMOVE, remove(viewer.user_id), actor=viewer)

    assert viewer.user_id not in await roles(organization.id)


async def test_admin_cannot_remove_an_owner(client: Client) -> None:
    organization = await make_organization()
    owner = await make_membership(organization)
    await make_membership(organization)
    admin = await make_actor(organization, role=Role.ADMIN)

    assert await client.refusal(REMOVE, remove(owner.user_id), actor=admin) == "INSUFFICIENT_ROLE"
    assert owner.user_id in await roles(organization.id)


@pytest.mark.parametrize("document", [CHANGE_ROLE, REMOVE, MEMBER])
async def test_member_of_another_tenant_is_not_found(client: Client, document: str) -> None:
    stranger = await make_membership(await make_organization(), role=Role.VIEWER)
    actor = await make_actor()
    variables: dict[str, Any] = {"id": str(stranger.user_id)}
    if document != MEMBER:
        variables = (
            change(stranger.user_id, Role.ADMIN) if "Role" in document else remove(stranger.user_id)
        )

    assert await client.refusal(document, variables, actor=actor) == "NOT_FOUND"


async def test_members_are_found_by_role_and_by_part_of_a_name(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    ada = await make_user(name="Ada 100% Lovelace", email="ada.l@example.net")
    await make_membership(organization, ada, role=Role.DEVELOPER)

    async def found(**where: Any) -> list[str]:
        data = await client.data(MEMBERS, {"filter": where}, actor=actor)
        return [node["name"] for node in data["organization"]["members"]["nodes"]]

    assert await found(role="DEVELOPER") == ["Ada 100% Lovelace"]
    assert await found(search="100% LOVE") == ["Ada 100% Lovelace"]
    assert await found(search="ADA.L@") == ["Ada 100% Lovelace"]
    assert await found(search="%") == ["Ada 100% Lovelace"]
    assert await found(status="DISABLED") == []


@pytest.mark.parametrize("field", ["CREATED_AT", "EMAIL", "NAME", "LAST_LOGIN_AT"])
async def test_pages_of_members_hold_everybody_once(client: Client, field: str) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    for n in range(4):
        await make_membership(organization, await make_user(name=f"N{n % 2}"))
    seen: list[str] = []
    variables: dict[str, Any] = {"first": 2, "orderBy": {"field": field, "descending": True}}

    for _ in range(3):
        data = await client.data(MEMBERS, variables, actor=actor)
        page = data["organization"]["members"]
        seen += [node["uuid"] for node in page["nodes"]]
        variables = variables | {"after": page["pageInfo"]["endCursor"]}

    assert page["pageInfo"]["hasNextPage"] is False
    assert page["totalCount"] == 5
    assert len(seen) == len(set(seen)) == 5


async def test_keys_of_each_member_are_counted(client: Client) -> None:
    organization = await make_organization()
    membership = await make_membership(organization)
    actor = await make_actor(organization)
    for _ in range(2):
        await make_api_key(organization, membership=membership)

    data = await client.data(MEMBERS, {}, actor=actor)

    counts = {n["uuid"]: n["apiKeyCount"] for n in data["organization"]["members"]["nodes"]}
    assert counts == {str(membership.user_id): 2, str(actor.user_id): 0}


async def test_key_without_the_scope_reads_no_members(client: Client) -> None:
    actor: Actor = await make_actor(
        permissions=ROLE_PERMISSIONS[Role.OWNER]
        - {p for p in ROLE_PERMISSIONS[Role.OWNER] if p.value.startswith("users:")}
    )

    assert await client.refusal(MEMBERS, {}, actor=actor) == "INSUFFICIENT_ROLE"


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ADMIN, Role.OWNER, Role.BILLING])
async def test_a_key_gives_nobody_what_it_does_not_hold(client: Client, role: Role) -> None:
    organization = await make_organization()
    key = await make_api_key(organization, scopes=["users:read", "users:write"])
    member = await make_membership(organization, role=Role.VIEWER)
    unchanged = await roles(organization.id)

    code = await client.refusal(CHANGE_ROLE, change(member.user_id, role), key=key.secret)

    assert code == "INSUFFICIENT_SCOPE"
    assert await roles(organization.id) == unchanged


async def test_a_key_lowers_a_role_within_its_scope(client: Client) -> None:
    organization = await make_organization()
    key = await make_api_key(organization, scopes=["users:read", "users:write"])
    member = await make_membership(organization, role=Role.ADMIN)

    await client.data(CHANGE_ROLE, change(member.user_id, Role.DEVELOPER), key=key.secret)

    assert (await roles(organization.id))[member.user_id] == "developer"


async def test_a_key_of_a_demoted_maker_promotes_nobody(client: Client) -> None:
    organization = await make_organization()
    owner = await make_actor(organization)
    maker = await make_membership(organization, role=Role.ADMIN)
    key = await make_api_key(organization, membership=maker)
    member = await make_membership(organization, role=Role.VIEWER)
    await client.data(CHANGE_ROLE, change(maker.user_id, Role.DEVELOPER), actor=owner)

    code = await client.refusal(CHANGE_ROLE, change(member.user_id, Role.ADMIN), key=key.secret)

    assert code == "INSUFFICIENT_SCOPE"
    assert (await roles(organization.id))[member.user_id] == "viewer"


async def test_rights_that_are_taken_end_open_tokens_and_keys_rights_at_once(
    client: Client,
) -> None:
    person = await registered(client)
    organization = await Organization.objects().get(
        Organization.id == person["organization"]["uuid"]
    )
    assert organization is not None
    membership = await Membership.objects().get(Membership.organization_id == organization.id)
    assert membership is not None
    key = await make_api_key(organization, membership=membership)
    other = await make_membership(organization, role=Role.VIEWER)
    owner = await make_actor(organization)

    await client.data(CHANGE_ROLE, change(person["user"]["uuid"], Role.VIEWER), actor=owner)

    asked = change(other.user_id, Role.DEVELOPER)
    assert await client.refusal(CHANGE_ROLE, asked, token=person["token"]) == "INSUFFICIENT_ROLE"
    assert await client.refusal(CHANGE_ROLE, asked, key=key.secret) == "INSUFFICIENT_SCOPE"
    assert await client.data(WHO, token=person["token"])
