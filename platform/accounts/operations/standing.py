"""What an organization may do for what it pays: its plan, and being suspended for debt."""

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch
from ..rules import OrganizationStatus, Plan, Suspension


async def change_plan(tx: Tx, organization_id: OrganizationId, plan: Plan) -> None:
    """Put an organization on *plan*; who asked for it has been settled."""
    await fetch(
        "UPDATE organizations SET plan = {}, updated_at = {} WHERE id = {}",
        plan.value,
        clock.now(),
        organization_id,
    )


async def suspend_for_debt(tx: Tx, organization_id: OrganizationId) -> bool:
    """Suspend an organization that does not pay, and say whether it was active until now."""
    rows = await fetch(
        "UPDATE organizations SET status = {}, suspended_for = {}, updated_at = {} "
        "WHERE id = {} AND status = {} RETURNING id",
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
        "UPDATE organizations SET status = {}, suspended_for = NULL, updated_at = {} "
        "WHERE id = {} AND suspended_for = {} RETURNING id",
        OrganizationStatus.ACTIVE.value,
        clock.now(),
        organization_id,
        Suspension.DEBT.value,
    )
    return bool(rows)
