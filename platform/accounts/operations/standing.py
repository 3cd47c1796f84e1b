"""What an organization may do: its plan, and being suspended, for debt or by the platform."""

from typing import LiteralString

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, OrganizationId, require_platform_admin
from ...core.database import Tx, fetch, transaction
from ...core.errors import Conflict, NotFound
from ...core.tenants import across_organizations
from ..rules import OrganizationStatus, Plan, Suspension, checked_name


async def change_plan(tx: Tx, organization_id: OrganizationId, plan: Plan) -> None:
    """Put an organization on *plan*; who asked for it has been settled."""
    await fetch(
        "UPDATE organizations SET plan = {}, updated_at = {} WHERE id = {}",
        plan.value,
        clock.now(),
        organization_id,
    )


async def suspend_for_debt(tx: Tx, organization_id: OrganizationId) -> bool:
    """Suspend an organization that does not pay, and say whether it was not for that until now.

    Of one that the platform has suspended it is noted, and holds once that is over.
    """
    rows = await fetch(
        "UPDATE organizations SET in_debt = true, status = {}, "
        "suspended_for = coalesce(suspended_for, {}), updated_at = {} "
        "WHERE id = {} AND (NOT in_debt OR status = {}) RETURNING id",
        OrganizationStatus.SUSPENDED.value,
        Suspension.DEBT.value,
        clock.now(),
        organization_id,
        OrganizationStatus.ACTIVE.value,
    )
    return bool(rows)


async def forgive_debt(tx: Tx, organization_id: OrganizationId) -> bool:
    """End a suspension for debt, and say whether there was one.

    Whom the platform suspended for another reason stays suspended, whatever they pay.
    """
    rows = await fetch(
        "UPDATE organizations SET in_debt = false, updated_at = {}, "
        "status = CASE WHEN suspended_for = {} THEN {} ELSE status END, "
        "suspended_for = nullif(suspended_for, {}) WHERE id = {} AND in_debt RETURNING id",
        clock.now(),
        Suspension.DEBT.value,
        OrganizationStatus.ACTIVE.value,
        Suspension.DEBT.value,
        organization_id,
    )
    return bool(rows)


@across_organizations
async def suspend_organization(actor: Actor, slug: str, *, reason: str) -> OrganizationId:
    """Let an organization read and change nothing, until `resume_organization`.

    The reason is in its own audit log, too, without saying who decided.

    Raises:
        NotPermitted: the actor does not look after the deployment.
        NotFound: there is no such organization.
        Conflict: the platform suspended it already.
        InvalidInput: there is no reason, or a long one.
    """
    require_platform_admin(actor)
    checked = checked_name(reason, field="reason")
    return await _decide(actor, slug, suspended=True, reason=checked)


@across_organizations
async def resume_organization(actor: Actor, slug: str) -> OrganizationId:
    """End a suspension by the platform or, where there is none, the one for debt.

    Whoever was suspended for both is suspended for debt from then on.

    Raises:
        NotPermitted: the actor does not look after the deployment.
        NotFound: there is no such organization.
        Conflict: it is not suspended.
    """
    require_platform_admin(actor)
    return await _decide(actor, slug, suspended=False, reason=None)


async def _decide(
    actor: Actor, slug: str, *, suspended: bool, reason: str | None
) -> OrganizationId:
    async with transaction() as tx:
        rows = await fetch(_SUSPEND if suspended else _RESUME, clock.now(), slug)
        if not rows:
            await _explain(slug, suspended=suspended)
        found = OrganizationId(rows[0]["id"])
        action = "organization.suspended" if suspended else "organization.resumed"
        changes = {"reason": reason} if reason else {}
        await audit.record(
            tx,
            actor,
            action=action,
            target_type="organization",
            target_id=found,
            changes=changes,
        )
        if found != actor.organization_id:
            await audit.record_for_platform(
                tx,
                organization_id=found,
                action=action,
                target_type="organization",
                target_id=found,
                changes=changes,
            )
    return found


_SUSPEND: LiteralString = (
    "UPDATE organizations SET status = 'suspended', suspended_for = 'platform', updated_at = {} "
    "WHERE slug = {} AND suspended_for IS DISTINCT FROM 'platform' RETURNING id"
)
_RESUME: LiteralString = (
    "UPDATE organizations SET updated_at = {}, "
    "status = CASE WHEN in_debt AND suspended_for = 'platform' THEN status ELSE 'active' END, "
    "suspended_for = CASE WHEN in_debt AND suspended_for = 'platform' THEN 'debt' END, "
    "in_debt = in_debt AND suspended_for IS NOT DISTINCT FROM 'platform' "
    "WHERE slug = {} AND status = 'suspended' RETURNING id"
)


async def _explain(slug: str, *, suspended: bool) -> None:
    """Say why nothing was changed.

    Raises:
        NotFound: there is no such organization.
        Conflict: it is as it was to become.
    """
    if not await fetch("SELECT FROM organizations WHERE slug = {}", slug):
        raise NotFound("There is no such organization.")
    raise Conflict("It is suspended already." if suspended else "It is not suspended.")
