"""Beginning the first period of an organization, and every next one."""

import logging
from datetime import datetime, timedelta

from ...accounts.queries import get_plan
from ...accounts.rules import Plan
from ...audit import operations as audit
from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ..invoicing import NewInvoice, issue, plan_line
from ..notifying import notify
from ..plans import offer_of
from ..provider import MANUAL
from ..rules import (
    PAYMENT_TERM,
    CheckoutStatus,
    Granularity,
    InvoiceReason,
    SubscriptionStatus,
    period_end,
    period_start,
)
from ..subscribing import NEVER_PAID, change, grant_included, lock_subscription, put_on_plan
from ..tables import Subscription
from ..using import exceeded

log = logging.getLogger(__name__)

LIMITED = {"domains": N_("domains"), "vmtas": N_("vMTAs"), "users": N_("users")}
"""What plans allow so many of, as mail has it."""
AT_ONCE = 500
"""Subscriptions that one run begins a period of; the next run finds the others."""


async def begin_subscription(tx: Tx, organization_id: OrganizationId) -> None:
    """Begin the subscription of a new organization, with the credits of its trial."""
    row = await lock_subscription(tx, organization_id)
    if row.trial_ends_at is not None:
        await grant_included(tx, organization_id, row.plan, until=row.trial_ends_at)


async def begin_periods() -> int:
    """Begin the next period of every subscription whose period is over; return how many.

    It may run twice at once: each period begins once.
    """
    rows = await fetch(
        "SELECT organization_id FROM subscriptions WHERE changing_invoice_id IS NULL "
        "AND (period_end <= {} AND status <> {} OR trial_ends_at <= {} AND status = {}) "
        "ORDER BY period_end LIMIT {}",
        clock.now(),
        SubscriptionStatus.SUSPENDED.value,
        clock.now(),
        SubscriptionStatus.TRIALING.value,
        AT_ONCE,
    )
    for row in rows:
        try:
            async with transaction() as tx:
                await _begin_next(tx, OrganizationId(row["organization_id"]))
        except Exception:  # an edge: one that cannot be renewed must not stop the others
            log.exception("a period could not begin", extra=row)
    return len(rows)


async def _begin_next(tx: Tx, organization_id: OrganizationId) -> None:
    row = await lock_subscription(tx, organization_id)
    now = clock.now()
    if row.status == SubscriptionStatus.TRIALING and (row.trial_ends_at or now) <= now:
        await change(tx, row, status=SubscriptionStatus.CANCELLED.value)
        await notify(
            tx,
            organization_id,
            headline=N_("Your trial has ended"),
            what=lambda: _("Its credits have ended with it. Choose a plan to go on sending."),
        )
    if row.period_end > now or row.changing_invoice_id is not None:
        return
    if row.status == SubscriptionStatus.SUSPENDED:
        return
    if row.pending_plan is not None:
        await _downgrade(tx, row)
    if row.plan in NEVER_PAID or row.status == SubscriptionStatus.CANCELLED:
        start = period_start(Granularity.MONTH, now)
        await change(tx, row, period_start=start, period_end=period_end(Granularity.MONTH, start))
        return
    # A month that nobody began brought no credits, so that it is not charged either.
    await _renew(tx, row, start=max(row.period_end, period_start(Granularity.MONTH, now)))


async def _downgrade(tx: Tx, row: Subscription) -> None:
    """Make the scheduled change, unless what is in use has outgrown it."""
    organization_id = OrganizationId(row.organization_id)
    wanted, previous = Plan(row.pending_plan), row.plan
    # Whoever makes a domain or the like asks for the plan first, and waits here meanwhile.
    await get_plan(tx, organization_id)
    too_much = await exceeded(organization_id, offer_of(wanted).limits)
    if too_much:
        await change(tx, row, pending_plan=None)
        await notify(
            tx,
            organization_id,
            headline=N_("Your plan was not changed"),
            what=lambda: _(
                "You have more of these than the plan %(wanted)s allows: %(names)s. So you stay "
                "on %(previous)s.",
                names=", ".join(_(LIMITED[name]) for name, _used, _limit in too_much),
                wanted=offer_of(wanted).name,
                previous=offer_of(previous).name,
            ),
        )
        action = "billing.downgrade_dropped"
    else:
        ended = wanted in NEVER_PAID
        status = SubscriptionStatus.CANCELLED if ended else SubscriptionStatus.ACTIVE
        values = {"status": status.value} if ended else {}
        await put_on_plan(tx, row, wanted, pending_plan=None, **values)
        action = "billing.downgraded"
    await audit.record_for_platform(
        tx,
        organization_id=organization_id,
        action=action,
        target_type="organization",
        target_id=organization_id,
        changes={"plan": {"from": previous, "to": row.plan}},
    )


async def _renew(tx: Tx, row: Subscription, *, start: datetime) -> None:
    organization_id, offer = OrganizationId(row.organization_id), offer_of(row.plan)
    end, now = period_end(Granularity.MONTH, start), clock.now()
    await change(tx, row, period_start=start, period_end=end)
    is_manual = row.provider == MANUAL
    if not offer.by_contract:
        amount, reason = offer.price.amount, InvoiceReason.RENEWAL
        await issue(
            tx,
            organization_id,
            NewInvoice(
                reason=reason,
                provider=row.provider,
                currency=offer.price.currency,
                lines=[plan_line(offer.plan, amount, reason, start)],
                due_at=now + (PAYMENT_TERM if is_manual else timedelta()),
                period_start=start,
                period_end=end,
                next_charge_at=None if is_manual else now,
                uses_balance=True,
            ),
        )
    # Before it is paid: nobody's mail stops because a card is asked at midnight.
    await grant_included(tx, organization_id, row.plan, until=end)


async def expire_checkouts() -> None:
    """End checkouts that nobody paid in time; what is paid nevertheless counts."""
    await fetch(
        "UPDATE checkouts SET status = {} WHERE status = {} AND expires_at < {} "
        "AND invoice_id IS NULL",
        CheckoutStatus.EXPIRED.value,
        CheckoutStatus.OPEN.value,
        clock.now(),
    )
