"""Going up to a better plan at once."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import Tx, transaction
from ...core.errors import Conflict, InvalidInput, LimitReached
from ...core.money import Money
from ...security import idempotency
from ..charging import ASK_AGAIN_AFTER, charge_of, collect
from ..errors import (
    BillingNotConfigured,
    ChangeInProgress,
    ContactSales,
    NotAnUpgrade,
    PaymentFailed,
    PaymentMethodRequired,
    PaymentProviderError,
)
from ..invoicing import NewInvoice, find_invoice, issue, part_line
from ..plans import PlanOffer, offer_of
from ..provider import Charge, ChargeState, PaymentProvider, find_provider, provider_name
from ..rules import (
    Interval,
    InvoiceReason,
    InvoiceStatus,
    SubscriptionStatus,
    is_upgrade,
)
from ..settling import lock_account
from ..subscribing import NEVER_PAID, change, lock_subscription
from ..tables import BillingAccount, Invoice, Subscription
from .answers import PlanChange, Repeat, answer_of
from .asked import checked_interval, checked_offer

UPGRADE = "upgradePlan"
"""Under this name answers are kept for repeated requests."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """An upgrade that is done already, or whose invoice is to be charged."""

    previous_plan: str
    done: PlanChange | None = None
    charge: Charge | None = None


async def upgrade_plan(
    actor: Actor,
    *,
    plan: str,
    interval: Interval = Interval.MONTH,
    idempotency_key: str | None = None,
) -> PlanChange:
    """Change to a better plan now, and pay the difference for the rest of the period.

    The credits that the better plan includes beyond the present one come in the same
    proportion, and at least as much is paid as a provider collects.

    The present plan stands for "cancel the downgrade that is scheduled". Asked for twice at
    once, it is charged once, and both get the same answer.

    Raises:
        InvalidInput: there is no such plan, or it has no price for the interval.
        BillingNotConfigured: there is no payment provider.
        ContactSales: the plan is agreed by contract.
        NotAnUpgrade: it does not stand above the present one.
        ChangeInProgress: an upgrade to another plan waits for its payment.
        PaymentMethodRequired: nothing is stored that could be charged.
        PaymentFailed: the charge was refused, and the plan is as it was.
        PaymentProviderError: it is not known whether the charge went through; asking again
            finds out, and never charges twice.
    """
    actor.require(Permission.WRITE_BILLING)
    repeat = Repeat(UPGRADE, idempotency_key, idempotency.fingerprint([plan, interval.value]))
    if (known := await repeat.find(actor)) is not None:
        return known
    try:
        offer = checked_offer(plan)
        checked_interval(offer, interval)
        provider = find_provider()
        if provider is None:
            raise BillingNotConfigured
        async with transaction() as tx:
            begun = await _begin(tx, actor, offer)
            if begun.done is not None:
                await repeat.keep(tx, actor, begun.done)
        if begun.done is not None:
            return begun.done
        return await _pay(actor, begun, provider, repeat)
    except (idempotency.KeyReused, idempotency.StillRunning):
        raise
    except (InvalidInput, Conflict, LimitReached) as refusal:
        await repeat.keep_refusal(actor, refusal)
        raise


async def _begin(tx: Tx, actor: Actor, offer: PlanOffer) -> _Begun:
    row = await lock_subscription(tx, actor.organization_id)
    if row.changing_invoice_id is not None:
        return await _resume(tx, row, offer)
    if row.plan == offer.plan and row.pending_plan is not None:
        await change(tx, row, pending_plan=None)
        await _record(tx, actor, "billing.downgrade_cancelled", {"plan": row.plan})
        nothing = Money(0, offer.price.currency)
        done = answer_of(row, row.plan, clock.now(), proration=nothing)
        return _Begun(row.plan, done=done)
    if not is_upgrade(row.plan, offer.plan):
        raise NotAnUpgrade
    if offer.by_contract:
        raise ContactSales
    if row.status in (SubscriptionStatus.PAST_DUE, SubscriptionStatus.SUSPENDED):
        raise PaymentFailed("An invoice is overdue; pay it before you change the plan.")
    if row.period_end <= clock.now():
        raise ChangeInProgress("A new period is about to begin; try again in a minute.")
    account = await lock_account(tx, actor.organization_id)
    if account.payment_method_ref is None or account.customer_ref is None:
        raise PaymentMethodRequired
    return await _bill(tx, actor, row, offer, account)


async def _bill(
    tx: Tx, actor: Actor, row: Subscription, offer: PlanOffer, account: BillingAccount
) -> _Begun:
    now, previous, organization_id = clock.now(), row.plan, actor.organization_id
    is_first = previous in NEVER_PAID or row.status == SubscriptionStatus.CANCELLED
    # From a plan that is not paid for, the plan begins as if it had been bought.
    reason = InvoiceReason.PLAN if is_first else InvoiceReason.UPGRADE
    line = part_line(
        offer,
        reason,
        start=row.period_start,
        end=row.period_end,
        at=now,
        beyond=None if is_first else offer_of(previous),
    )
    invoice = await issue(
        tx,
        organization_id,
        NewInvoice(
            reason=reason,
            provider=provider_name(),
            currency=offer.price.currency,
            lines=[line],
            due_at=now,
            period_start=row.period_start,
            period_end=row.period_end,
            next_charge_at=now + ASK_AGAIN_AFTER,
        ),
    )
    if invoice.status == InvoiceStatus.PAID:
        row = await lock_subscription(tx, organization_id)
        await _record(tx, actor, "billing.upgraded", {"plan": {"from": previous, "to": row.plan}})
        return _Begun(previous, done=_answer(row, previous, invoice))
    await change(tx, row, changing_invoice_id=invoice.id)
    return _Begun(previous, charge=charge_of(invoice, account))


async def _resume(tx: Tx, row: Subscription, offer: PlanOffer) -> _Begun:
    """Ask once more for the charge of an upgrade whose answer is not known."""
    invoice = await find_invoice(row.changing_invoice_id)
    account = await lock_account(tx, row.organization_id)
    if invoice.plan != offer.plan or account.payment_method_ref is None:
        raise ChangeInProgress
    return _Begun(row.plan, charge=charge_of(invoice.row, account))


async def _pay(
    actor: Actor, begun: _Begun, provider: PaymentProvider, repeat: Repeat
) -> PlanChange:
    charge = begun.charge
    assert charge is not None
    charged = await collect(provider, charge, keeps_trying=False)
    if charged.state is ChargeState.FAILED:
        raise PaymentFailed(charged.message or None)
    if charged.state is ChargeState.PENDING:
        raise PaymentProviderError(
            "The payment is being processed; the plan changes when it has come."
        )
    async with transaction() as tx:
        row = await lock_subscription(tx, actor.organization_id)
        invoice = (await find_invoice(charge.invoice_id)).row
        if invoice.status != InvoiceStatus.PAID:
            raise PaymentFailed(
                "Your plan was changed in another way meanwhile; what was paid is in your balance."
            )
        answer = _answer(row, begun.previous_plan, invoice)
        changes = {"plan": {"from": begun.previous_plan, "to": row.plan}, "invoice": invoice.number}
        await _record(tx, actor, "billing.upgraded", changes)
        await repeat.keep(tx, actor, answer)
    return answer


def _answer(row: Subscription, previous: str, invoice: Invoice) -> PlanChange:
    proration = Money(invoice.total, invoice.currency)
    at = invoice.paid_at or clock.now()
    return answer_of(row, previous, at, proration=proration, invoice_id=invoice.id)


async def _record(tx: Tx, actor: Actor, action: str, changes: Mapping[str, object]) -> None:
    await audit.record(
        tx,
        actor,
        action=action,
        target_type="organization",
        target_id=actor.organization_id,
        changes=changes,
    )
