"""Offering, accepting and withdrawing memberships."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, ActorKind, OrganizationId, Origin, Permission, Role, UserId
from ...core.crypto import digests
from ...core.database import Tx, fetch, transaction
from ...core.errors import DetailCode, InvalidInput, NotFound, NotPermitted
from ...core.ids import new_token
from ...core.languages import gettext as _
from ...core.languages import speaking, written_in
from ...core.settings import settings
from ...core.tenants import across_organizations
from ...notices import operations as notices
from ...notices.queries import count_sent
from ...notices.rules import Notice
from ..errors import InvitationInvalid, MemberExists, OwnersOnly, TooManyInvitations
from ..queries import languages_of, timezone_of
from ..rules import (
    INVITATION_LIFETIME,
    INVITATION_PURPOSE,
    MOST_INVITATIONS,
    checked_email,
    email_key,
    may_handle,
)
from ..tables import Invitation, User
from .members import check_gives, insert_member, lock_members, present_role

TOKEN_LENGTH = 43


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """An invitation just made, and the token that accepts it; it is shown this once."""

    row: Invitation
    token: str


async def invite_member(actor: Actor, *, email: str, role: Role) -> NewInvitation:
    """Offer *role* by mail to whoever has *email*; a second offer to an address replaces it.

    Raises:
        InvalidInput: it is not an address.
        OwnersOnly: the role is owner, and the actor is none.
        RoleBeyondOwn: the role may do what the actor's may not.
        RoleBeyondKey: the actor is an API key that may do less than the role.
        MemberExists: the person belongs to the organization already.
        TooManyInvitations: the organization has had fifty mailed within an hour.
    """
    actor.require(Permission.WRITE_USERS)
    address = checked_email(email)
    token = new_token(TOKEN_LENGTH)
    async with transaction() as tx:
        roles = await lock_members(tx, actor.organization_id)
        _check_may_invite(actor, roles, role)
        user = await User.objects().where(User.email_key == email_key(address)).first()
        if user is not None and user.id in roles:
            raise MemberExists
        await fetch(
            "DELETE FROM invitations WHERE organization_id = {} AND lower(email) = {} "
            "AND accepted_at IS NULL",
            actor.organization_id,
            email_key(address),
        )
        row = Invitation(
            organization_id=actor.organization_id,
            email=address,
            role=role.value,
            token_digest=_digest(token),
            invited_by=actor.user_id,
            expires_at=clock.now() + INVITATION_LIFETIME,
        )
        await Invitation.insert(row)
        await _tell(tx, row, token)
        await audit.record(
            tx,
            actor,
            action="user.invited",
            target_type="invitation",
            target_id=row.id,
            changes={"email": address, "role": role.value},
        )
    return NewInvitation(row, token)


async def resend_invitation(actor: Actor, invitation_id: uuid.UUID) -> NewInvitation:
    """Mail an invitation again, with a new link for another 7 days; the old link ends.

    It is then the actor's, and ends with their role like any that they made.

    Raises:
        NotFound: there is none, or it has been accepted.
        OwnersOnly: the role is owner, and the actor is none.
        RoleBeyondOwn: the role may do what the actor's may not.
        RoleBeyondKey: the actor is an API key that may do less than the role.
        TooManyInvitations: the organization has had fifty mailed within an hour.
    """
    actor.require(Permission.WRITE_USERS)
    token = new_token(TOKEN_LENGTH)
    async with transaction() as tx:
        roles = await lock_members(tx, actor.organization_id)
        row = (
            await Invitation.objects()
            .where(Invitation.id == invitation_id)
            .where(Invitation.organization_id == actor.organization_id)
            .where(Invitation.accepted_at.is_null())
            .lock_rows("NO KEY UPDATE")
            .first()
        )
        if row is None:
            raise NotFound
        _check_may_invite(actor, roles, Role(row.role))
        row.token_digest, row.invited_by = _digest(token), actor.user_id
        row.expires_at = clock.now() + INVITATION_LIFETIME
        await row.save([Invitation.token_digest, Invitation.invited_by, Invitation.expires_at])
        await _tell(tx, row, token)
        await audit.record(
            tx,
            actor,
            action="user.invitation_resent",
            target_type="invitation",
            target_id=invitation_id,
            changes={"email": row.email},
        )
    return NewInvitation(row, token)


def _check_may_invite(actor: Actor, roles: dict[UserId, Role], role: Role) -> None:
    own = present_role(actor, roles)
    if not may_handle(own, role):
        raise OwnersOnly
    check_gives(actor, own, role)


async def _tell(tx: Tx, row: Invitation, token: str) -> None:
    organization_id = OrganizationId(row.organization_id)
    an_hour_ago = clock.now() - timedelta(hours=1)
    # The members are locked, so that of many at once none is overlooked.
    sent = await count_sent(tx, organization_id, Notice.INVITATION, since=an_hour_ago)
    if sent >= MOST_INVITATIONS:
        raise TooManyInvitations(retry_after_seconds=3600)
    names = await fetch(
        "SELECT o.name AS organization, u.name AS invited_by FROM organizations o, users u "
        "WHERE o.id = {} AND u.id = {}",
        row.organization_id,
        row.invited_by,
    )
    # Whoever has no account yet reads what the one who invites them does.
    with speaking((await languages_of([row.email]))[row.email]):
        await notices.send(
            tx,
            to=row.email,
            notice=Notice.INVITATION,
            values={
                "organization": names[0]["organization"],
                "invited_by": names[0]["invited_by"],
                "role": _(row.role.capitalize()),
                "link": f"{settings().public_url}/invite/{token}",
                "expires_at": written_in(row.expires_at, await timezone_of(row.email)),
            },
            organization_id=organization_id,
        )


@across_organizations
async def accept_invitation(actor: Actor, *, token: str) -> OrganizationId:
    """Make the signed-in person a member of the inviting organization, and return it.

    Raises:
        NotPermitted: an API key cannot accept, nor who has to set up a second factor first.
        InvitationInvalid: the token is unknown, withdrawn, used or too old.
        InvalidInput: the invitation is for another address.
        MemberExists: the person belongs to the organization already.
    """
    if actor.kind is not ActorKind.USER or actor.user_id is None:
        raise NotPermitted("An invitation is accepted by a person who is signed in.")
    actor.require_second_factor()
    async with transaction() as tx:
        user = await User.objects().where(User.id == actor.user_id).first()
        if user is None:
            raise NotFound
        organization_id, _ = await join_by_invitation(
            tx, actor.user_id, email=user.email, token=token, origin=actor.origin
        )
    return organization_id


async def join_by_invitation(
    tx: Tx,
    user_id: UserId,
    *,
    email: str,
    token: str,
    origin: Origin,
) -> tuple[OrganizationId, Role]:
    """Use an invitation up, and return the organization and the role it gave.

    Raises:
        InvitationInvalid: the token is unknown, withdrawn, used or too old.
        InvalidInput: the invitation is for another address.
        MemberExists: the person belongs to the organization already.
    """
    # One conditional UPDATE: of two who accept at the same moment, one wins.
    rows = await fetch(
        "UPDATE invitations SET accepted_at = {} WHERE token_digest = ANY({}::text[]) "
        "AND accepted_at IS NULL AND expires_at > {} RETURNING id, organization_id, email, role",
        clock.now(),
        _digests(token),
        clock.now(),
    )
    if not rows:
        raise InvitationInvalid
    found = rows[0]
    if email_key(found["email"]) != email_key(email):
        raise InvalidInput.of(
            "email", DetailCode.NOT_ALLOWED, "The invitation is for another email address."
        )
    organization_id, role = OrganizationId(found["organization_id"]), Role(found["role"])
    await insert_member(organization_id, user_id, role)
    await audit.record_for_user(
        tx,
        user_id,
        organization_id=organization_id,
        action="user.joined",
        target_type="invitation",
        target_id=found["id"],
        changes={"role": role.value},
        origin=origin,
    )
    return organization_id, role


async def withdraw_invitation(actor: Actor, invitation_id: uuid.UUID) -> None:
    """End an invitation that has not been accepted.

    Raises:
        NotFound: there is none, or it has been accepted.
    """
    actor.require(Permission.WRITE_USERS)
    async with transaction() as tx:
        rows = await fetch(
            "DELETE FROM invitations WHERE id = {} AND organization_id = {} "
            "AND accepted_at IS NULL RETURNING email",
            invitation_id,
            actor.organization_id,
        )
        if not rows:
            raise NotFound
        await audit.record(
            tx,
            actor,
            action="user.invitation_withdrawn",
            target_type="invitation",
            target_id=invitation_id,
            changes={"email": rows[0]["email"]},
        )


def _digest(token: str) -> str:
    return _digests(token)[0]


def _digests(token: str) -> list[str]:
    if not token.isascii():
        raise InvitationInvalid
    return [each.hex() for each in digests(token, purpose=INVITATION_PURPOSE)]
