"""An organization's subscription: made when it is first needed, locked before it changes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..accounts import operations as accounts
from ..accounts.rules import Plan
from ..accounts.work import Tenant, get_tenant
from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from ..credits.lots import grant
from ..credits.rules import CreditType, LotSource
from ..events.operations import NewEvent, append
from ..events.rules import EventType
from .plans import offer_of
from .provider import provider_name
from .rules import TRIAL_LENGTH, Granularity, SubscriptionStatus, period_end, period_start
from .tables import Subscription

NEVER_PAID = frozenset({Plan.TRIAL, Plan.SELF_HOSTED})
"""Plans that cost nothing."""


def first_subscription(organization_id: OrganizationId, tenant: Tenant) -> Subscription:
    """Return the subscription of an organization that has not needed one yet; not stored."""
    now = clock.now()
    start = period_start(Granularity.MONTH, now)
    is_trial = tenant.plan == Plan.TRIAL
    return Subscription(
        organization_id=organization_id,
        plan=tenant.plan,
        status=(SubscriptionStatus.TRIALING if is_trial else SubscriptionStatus.ACTIVE).value,
        provider=provider_name(),
        period_start=start,
        period_end=period_end(Granularity.MONTH, start),
        trial_ends_at=tenant.created_at + TRIAL_LENGTH if is_trial else None,
        created_at=tenant.created_at,
        updated_at=now,
    )


async def lock_subscription(tx: Tx, organization_id: OrganizationId) -> Subscription:
    """Return the organization's subscription, which nobody else changes until *tx* ends.

    Every change of what an organization owes or has paid begins here, so that changes come
    one after another and none of them deadlocks.
    """
    found = await _locked(organization_id)
    if found is None:
        row = first_subscription(organization_id, await get_tenant(organization_id))
        await fetch(
            "INSERT INTO subscriptions (id, organization_id, plan, interval, status, provider, "
            "period_start, period_end, trial_ends_at, dunning_stage, created_at, updated_at) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, 'none', {}, {}) "
            "ON CONFLICT (organization_id) DO NOTHING",
            row.id,
            organization_id,
            row.plan,
            row.interval,
            row.status,
            row.provider,
            row.period_start,
            row.period_end,
            row.trial_ends_at,
            row.created_at,
            row.updated_at,
        )
        found = await _locked(organization_id)
    assert found is not None
    return found


async def _locked(organization_id: OrganizationId) -> Subscription | None:
    return (
        await Subscription.objects()
        .where(Subscription.organization_id == organization_id)
        .lock_rows("UPDATE")
        .first()
    )


async def change(tx: Tx, row: Subscription, **values: Any) -> None:
    """Store new values of a locked subscription."""
    for name, value in values.items():
        setattr(row, name, value)
    row.updated_at = clock.now()
    # Nothing but these: the rest of the row may have changed since it was read.
    await row.save([*(getattr(Subscription, name) for name in values), Subscription.updated_at])


async def put_on_plan(tx: Tx, row: Subscription, plan: Plan, **values: Any) -> None:
    """Give an organization another plan, and tell it."""
    previous = row.plan
    await change(tx, row, plan=plan.value, **values)
    organization_id = OrganizationId(row.organization_id)
    await accounts.change_plan(tx, organization_id, plan)
    if previous != plan:
        told = {"plan": {"id": plan.value, "previous": previous, "status": row.status}}
        await tell(tx, organization_id, EventType.BILLING_PLAN_CHANGED, told)


async def grant_included(
    tx: Tx,
    organization_id: OrganizationId,
    plan: str,
    *,
    until: datetime,
    amounts: Mapping[CreditType, int] | None = None,
) -> None:
    """Grant what *plan* includes until its period ends, or *amounts* where only part is bought.

    Of a period that is over nothing is granted.
    """
    if until <= clock.now():
        return
    granted = offer_of(plan).included if amounts is None else amounts
    for credit_type, amount in granted.items():
        if amount > 0:
            await grant(
                tx,
                organization_id,
                amount=amount,
                source=LotSource.INCLUDED,
                credit_type=credit_type,
                expires_at=until,
                reference=plan,
            )


async def tell(
    tx: Tx, organization_id: OrganizationId, type: EventType, data: Mapping[str, Any]
) -> None:
    """Write down what happened, for webhooks."""
    event = NewEvent(
        organization_id=organization_id,
        project_id=None,
        message_id=None,
        delivery_id=None,
        type=type,
        data=data,
        occurred_at=clock.now(),
    )
    await append(tx, [event])
