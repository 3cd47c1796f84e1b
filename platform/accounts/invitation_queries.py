"""Reading invitations."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from piccolo.query import Objects

from ..core import clock
from ..core.actor import Actor, Permission, Role
from ..core.crypto import digests
from ..core.database import fetch
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..core.tenants import across_organizations
from .rules import INVITATION_PURPOSE
from .tables import Invitation


@dataclass(frozen=True, slots=True)
class Offer:
    """What an invitation says to whoever holds its link."""

    organization_name: str
    invited_by: str | None
    email: str
    role: Role
    expires_at: datetime


@across_organizations
async def find_offer(token: str) -> Offer | None:
    """Return what the invitation with *token* offers; None if it cannot be accepted.

    There is no actor: the token, which only the invited person was sent, says who asks.
    """
    if not token.isascii():
        return None
    rows = await fetch(
        "SELECT o.name, u.name AS invited_by, i.email, i.role, i.expires_at FROM invitations i "
        "JOIN organizations o ON o.id = i.organization_id LEFT JOIN users u ON u.id = i.invited_by "
        "WHERE i.token_digest = ANY({}::text[]) AND i.accepted_at IS NULL AND i.expires_at > {}",
        [each.hex() for each in digests(token, purpose=INVITATION_PURPOSE)],
        clock.now(),
    )
    if not rows:
        return None
    row = rows[0]
    return Offer(row["name"], row["invited_by"], row["email"], Role(row["role"]), row["expires_at"])


async def find_invitations(
    actor: Actor, invitation_ids: Sequence[uuid.UUID]
) -> Mapping[uuid.UUID, Invitation]:
    """Return those of *invitation_ids* that are open."""
    actor.require(Permission.WRITE_USERS)
    rows = await _open_invitations(actor).where(Invitation.id.is_in(list(invitation_ids)))
    return {row.id: row for row in rows}


async def list_invitations(actor: Actor, request: PageRequest) -> Page[Invitation]:
    """Return a page of the invitations that can still be accepted, the newest first."""
    actor.require(Permission.WRITE_USERS)
    return await fetch_page(_open_invitations(actor), request, by_id())


async def count_invitations(actor: Actor) -> int:
    """Return how many invitations can still be accepted."""
    actor.require(Permission.WRITE_USERS)
    query = (
        Invitation.count()
        .where(Invitation.organization_id == actor.organization_id)
        .where(Invitation.accepted_at.is_null())
        .where(Invitation.expires_at > clock.now())
    )
    return int(await query)


def _open_invitations(actor: Actor) -> "Objects[Invitation]":
    return (
        Invitation.objects()
        .where(Invitation.organization_id == actor.organization_id)
        .where(Invitation.accepted_at.is_null())
        .where(Invitation.expires_at > clock.now())
    )
