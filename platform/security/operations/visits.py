"""Visits: an operator acts in an organization that is not theirs, for a reason and for a while."""

from datetime import datetime

from ...accounts.rules import checked_name
from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, OrganizationId, UserId, require_platform_admin
from ...core.database import Tx, fetch, transaction
from ...core.errors import Conflict, NotFound
from ...core.ids import new_id
from ...core.tenants import across_organizations
from ..rules import VISIT_LIFETIME
from .sessions import person_of


@across_organizations
async def begin_visit(actor: Actor, slug: str, *, reason: str) -> datetime:
    """Let the actor act in the organization with *slug*, and return until when.

    A visit that is open there ends. Both logs say so: the actor's organization's and the
    visited one's.

    Raises:
        NotPermitted: the actor does not look after the deployment.
        NotFound: there is no such organization.
        Conflict: the actor belongs to it.
        InvalidInput: there is no reason, or a long one.
    """
    require_platform_admin(actor)
    user_id = person_of(actor)
    why = checked_name(reason, field="reason")
    now = clock.now()
    ends = now + VISIT_LIFETIME
    async with transaction() as tx:
        organization_id = await _visitable(user_id, slug)
        await _end(organization_id, user_id, now)
        await fetch(
            "INSERT INTO visits (id, user_id, organization_id, reason, expires_at, created_at) "
            "VALUES ({}, {}, {}, {}, {}, {})",
            new_id(),
            user_id,
            organization_id,
            why,
            ends,
            now,
        )
        await _record(tx, actor, organization_id, "visit.begun", {"reason": why})
    return ends


@across_organizations
async def end_visit(actor: Actor, slug: str) -> bool:
    """End the actor's visit to an organization, and say whether there was one.

    Raises:
        NotPermitted: an API key asks.
    """
    user_id = person_of(actor)
    async with transaction() as tx:
        rows = await fetch("SELECT id FROM organizations WHERE slug = {}", slug)
        if not rows:
            return False
        organization_id = OrganizationId(rows[0]["id"])
        was_open = await _end(organization_id, user_id, clock.now())
        if was_open:
            await _record(tx, actor, organization_id, "visit.ended", {})
    return was_open


async def _visitable(user_id: UserId, slug: str) -> OrganizationId:
    rows = await fetch(
        "SELECT o.id, EXISTS (SELECT FROM memberships m WHERE m.organization_id = o.id "
        "AND m.user_id = {}) AS belongs FROM organizations o WHERE o.slug = {}",
        user_id,
        slug,
    )
    if not rows:
        raise NotFound("There is no such organization.")
    if rows[0]["belongs"]:
        raise Conflict("You belong to this organization: act there as yourself.")
    return OrganizationId(rows[0]["id"])


async def _end(organization_id: OrganizationId, user_id: UserId, now: datetime) -> bool:
    rows = await fetch(
        "UPDATE visits SET expires_at = {} WHERE user_id = {} AND organization_id = {} "
        "AND expires_at > {} RETURNING id",
        now,
        user_id,
        organization_id,
        now,
    )
    return bool(rows)


async def _record(
    tx: Tx, actor: Actor, organization_id: OrganizationId, action: str, changes: dict[str, str]
) -> None:
    await audit.record(
        tx,
        actor,
        action=action,
        target_type="organization",
        target_id=organization_id,
        changes=changes,
    )
    if organization_id != actor.organization_id:
        await audit.record_for_user(
            tx,
            person_of(actor),
            organization_id=organization_id,
            action=action,
            target_type="organization",
            target_id=organization_id,
            changes=changes,
            origin=actor.origin,
        )
