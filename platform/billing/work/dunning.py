"""Going after what is overdue, a step at a time."""

import logging
from datetime import datetime

from ...accounts import operations as accounts
from ...accounts.rules import Plan
from ...audit import operations as audit
from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ..notifying import notify
from ..rules import (
    CANCELLED_AFTER,
    GRACE_AFTER,
    STATUS_OF_STAGE,
    SUSPENDED_AFTER,
    DunningStage,
    InvoiceReason,
    InvoiceStatus,
    SubscriptionStatus,
    dunning_stage,
)
from ..settling import void
from ..subscribing import change, lock_subscription, put_on_plan
from ..tables import Subscription

log = logging.getLogger(__name__)

AT_ONCE = 500
STEPS = list(DunningStage)
TOLD = {
    DunningStage.PAST_DUE: (
        N_("Your payment did not come through"),
        N_(
            "We try again in the next days. Nothing is restricted yet; please look after your "
            "payment method."
        ),
    ),
    DunningStage.GRACE: (
        N_("An invoice is overdue"),
        N_("Please pay it. A fortnight after it was due, sending stops."),
    ),
    DunningStage.SUSPENDED: (
        N_("Sending is suspended"),
        N_(
            "An invoice is overdue for a fortnight. You can read everything and send nothing until "
            "it is paid; after thirty days the plan ends."
        ),
    ),
    DunningStage.CANCELLED: (
        N_("Your plan has ended"),
        N_("An invoice was overdue for thirty days. Choose a plan to send again."),
    ),
}


async def chase_all() -> int:
    """Take every overdue subscription to the stage it has come to; return how many went on."""
    now = clock.now()
    # Those that are where they belong are left out: they would crowd out the others.
    rows = await fetch(
        "SELECT i.organization_id FROM invoices i "
        "JOIN subscriptions s ON s.organization_id = i.organization_id "
        "WHERE i.status = {} AND i.reason = {} AND s.status <> {} AND i.due_at < {} "
        "AND (s.dunning_stage = {} OR s.dunning_stage = {} AND i.due_at <= {} "
        "OR s.dunning_stage = {} AND i.due_at <= {} OR s.dunning_stage = {} AND i.due_at <= {}) "
        "GROUP BY i.organization_id ORDER BY min(i.due_at) LIMIT {}",
        InvoiceStatus.OPEN.value,
        InvoiceReason.RENEWAL.value,
        SubscriptionStatus.CANCELLED.value,
        now,
        DunningStage.NONE.value,
        DunningStage.PAST_DUE.value,
        now - GRACE_AFTER,
        DunningStage.GRACE.value,
        now - SUSPENDED_AFTER,
        DunningStage.SUSPENDED.value,
        now - CANCELLED_AFTER,
        AT_ONCE,
    )
    for row in rows:
        try:
            async with transaction() as tx:
                await _chase(tx, OrganizationId(row["organization_id"]))
        except Exception:  # an edge: one that cannot be told must not stop the others
            log.exception("a step of dunning failed", extra=row)
    return len(rows)


async def _chase(tx: Tx, organization_id: OrganizationId) -> None:
    row = await lock_subscription(tx, organization_id)
    due_at = await _overdue_since(organization_id)
    if due_at is None or row.status == SubscriptionStatus.CANCELLED:
        return
    stage = dunning_stage(due_at, clock.now())
    # Only forwards: what was told is told once.
    if STEPS.index(stage) <= STEPS.index(DunningStage(row.dunning_stage)):
        return
    await _step(tx, row, stage)
    headline, what = TOLD[stage]
    await notify(tx, organization_id, headline=headline, what=lambda: _(what))
    await audit.record_for_platform(
        tx,
        organization_id=organization_id,
        action=f"billing.{stage.value}",
        target_type="organization",
        target_id=organization_id,
        changes={"status": row.status, "overdue_since": due_at.isoformat()},
    )


async def _step(tx: Tx, row: Subscription, stage: DunningStage) -> None:
    organization_id = OrganizationId(row.organization_id)
    values = {"status": STATUS_OF_STAGE[stage].value, "dunning_stage": stage.value}
    if stage is not DunningStage.CANCELLED:
        await change(tx, row, **values)
        if stage is DunningStage.SUSPENDED:
            await accounts.suspend_for_debt(tx, organization_id)
        return
    if row.changing_invoice_id is not None:
        await void(tx, row.changing_invoice_id)
    await put_on_plan(tx, row, Plan.TRIAL, pending_plan=None, changing_invoice_id=None, **values)
    await fetch(
        "UPDATE invoices SET status = {}, next_charge_at = NULL, updated_at = {} "
        "WHERE organization_id = {} AND status = {} AND reason = {}",
        InvoiceStatus.UNCOLLECTIBLE.value,
        clock.now(),
        organization_id,
        InvoiceStatus.OPEN.value,
        InvoiceReason.RENEWAL.value,
    )
    # Without a plan there are no credits to send with; whoever comes back can begin anew.
    await accounts.forgive_debt(tx, organization_id)


async def _overdue_since(organization_id: OrganizationId) -> datetime | None:
    rows = await fetch(
        "SELECT min(due_at) AS due_at FROM invoices WHERE organization_id = {} "
        "AND status = {} AND reason = {} AND due_at < {}",
        organization_id,
        InvoiceStatus.OPEN.value,
        InvoiceReason.RENEWAL.value,
        clock.now(),
    )
    found: datetime | None = rows[0]["due_at"]
    return found
