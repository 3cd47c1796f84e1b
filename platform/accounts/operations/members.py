"""Changing and ending memberships."""

from ...audit import operations as audit
from ...core import clock
from ...core.actor import (
    ROLE_PERMISSIONS,
    Actor,
    ActorKind,
    OrganizationId,
    Permission,
    Role,
    UserId,
)
from ...core.database import Tx, fetch, transaction
from ...core.errors import NotFound
from ...core.ids import new_id
from ..errors import (
    CannotChangeOwnRole,
    LastOwner,
    MemberExists,
    OwnersOnly,
    RoleBeyondKey,
    RoleBeyondOwn,
)
from ..rules import exceeds, may_handle


async def change_role(actor: Actor, user_id: UserId, *, role: Role) -> None:
    """Give a member another role, effective from their next request on.

    The same role again changes nothing. Open invitations that somebody sent as an owner end
    when they stop being one.

    Raises:
        NotFound: there is no such member.
        OwnersOnly: it touches an owner, or makes one, and the actor is none.
        RoleBeyondOwn: it gives what the actor's own role may not do.
        RoleBeyondKey: it gives what the actor, a key, may not do.
        CannotChangeOwnRole: it is the actor's own.
        LastOwner: nobody would own the organization.
    """
    actor.require(Permission.WRITE_USERS)
    async with transaction() as tx:
        roles = await lock_members(tx, actor.organization_id)
        before = roles.get(user_id)
        if before is None:
            raise NotFound
        own = present_role(actor, roles)
        if not may_handle(own, before, role):
            raise OwnersOnly
        if role is before:
            return
        check_gives(actor, own, role, before=before)
        if user_id == actor.user_id:
            raise CannotChangeOwnRole
        _keep_an_owner(roles, user_id)
        await fetch(
            "UPDATE memberships SET role = {}, updated_at = {} "
            "WHERE organization_id = {} AND user_id = {}",
            role.value,
            clock.now(),
            actor.organization_id,
            user_id,
        )
        await _end_invitations(actor.organization_id, user_id)
        await audit.record(
            tx,
            actor,
            action="user.role_changed",
            target_type="user",
            target_id=user_id,
            changes={"role": {"from": before.value, "to": role.value}},
        )


async def remove_member(actor: Actor, user_id: UserId) -> None:
    """End a membership, and with it the person's tokens and the keys they made here.

    Everybody may leave. The person stays, with their other organizations.

    Raises:
        NotFound: there is no such member.
        OwnersOnly: it is an owner, and the actor is none.
        LastOwner: nobody would own the organization.
    """
    async with transaction() as tx:
        before = await check_removable(tx, actor, user_id)
        # API keys hang on the membership: the foreign key disables them for good.
        await fetch(
            "DELETE FROM memberships WHERE organization_id = {} AND user_id = {}",
            actor.organization_id,
            user_id,
        )
        await fetch("UPDATE users SET token_version = token_version + 1 WHERE id = {}", user_id)
        await _end_invitations(actor.organization_id, user_id)
        await audit.record(
            tx,
            actor,
            action="user.removed",
            target_type="user",
            target_id=user_id,
            changes={"role": {"from": before.value, "to": None}},
        )


async def check_removable(tx: Tx, actor: Actor, user_id: UserId) -> Role:
    """Return the role of a member that may be removed; nobody's changes in this transaction.

    Raises:
        NotFound, OwnersOnly, LastOwner: as `remove_member`.
    """
    leaving = actor.kind is ActorKind.USER and user_id == actor.user_id
    if not leaving:
        actor.require(Permission.WRITE_USERS)
    roles = await lock_members(tx, actor.organization_id)
    before = roles.get(user_id)
    if before is None:
        raise NotFound
    if not leaving and not may_handle(present_role(actor, roles), before):
        raise OwnersOnly
    _keep_an_owner(roles, user_id)
    return before


async def add_member(tx: Tx, actor: Actor, user_id: UserId, *, role: Role) -> None:
    """Make a person a member without asking them, as when a whole organization is taken over.

    Raises:
        MemberExists: the person belongs to the organization already.
    """
    actor.require(Permission.WRITE_USERS)
    await insert_member(actor.organization_id, user_id, role)
    await audit.record(
        tx,
        actor,
        action="user.added",
        target_type="user",
        target_id=user_id,
        changes={"role": role.value},
    )


async def insert_member(organization_id: OrganizationId, user_id: UserId, role: Role) -> None:
    """Write a membership down.

    Raises:
        MemberExists: there is one.
    """
    now = clock.now()
    added = await fetch(
        "INSERT INTO memberships (id, organization_id, user_id, role, created_at, updated_at) "
        "VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT (user_id, organization_id) DO NOTHING "
        "RETURNING id",
        new_id(),
        organization_id,
        user_id,
        role.value,
        now,
        now,
    )
    if not added:
        raise MemberExists


async def lock_members(tx: Tx, organization_id: OrganizationId) -> dict[UserId, Role]:
    """Return who has which role, and let nobody else change that before this transaction ends.

    Two owners who demote each other at the same moment would else leave none.
    """
    await fetch("SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", organization_id)
    rows = await fetch(
        "SELECT user_id, role FROM memberships WHERE organization_id = {}", organization_id
    )
    return {UserId(row["user_id"]): Role(row["role"]) for row in rows}


def check_gives(actor: Actor, own: Role, role: Role, *, before: Role | None = None) -> None:
    """Do nothing if the actor, whose role is *own*, may give *role* to somebody who had *before*.

    A key acts with its maker's role, but within its scopes. Without this, one that may only
    change users could make whoever holds it an admin, and an admin could have the billing of
    the organization changed by somebody they made.

    Raises:
        RoleBeyondOwn: the role may do what the actor's may not.
        RoleBeyondKey: the role may do what the actor, a key, may not.
    """
    if exceeds(role, ROLE_PERMISSIONS[own], before=before):
        raise RoleBeyondOwn
    if actor.kind is ActorKind.API_KEY and exceeds(role, actor.permissions, before=before):
        raise RoleBeyondKey


def present_role(actor: Actor, roles: dict[UserId, Role]) -> Role:
    """Return the actor's role now, among *roles* that are locked.

    It was read before the lock, too; another owner may have taken it since.

    Raises:
        OwnersOnly: the actor is no member any more.
    """
    if actor.user_id is None or actor.user_id not in roles:
        raise OwnersOnly
    return roles[actor.user_id]


def _keep_an_owner(roles: dict[UserId, Role], leaving: UserId) -> None:
    others = (role for user_id, role in roles.items() if user_id != leaving)
    if roles[leaving] is Role.OWNER and Role.OWNER not in others:
        raise LastOwner


async def _end_invitations(organization_id: OrganizationId, user_id: UserId) -> None:
    # Whoever is removed or demoted could come back through a link they made before.
    await fetch(
        "DELETE FROM invitations WHERE organization_id = {} AND invited_by = {} "
        "AND accepted_at IS NULL",
        organization_id,
        user_id,
    )
