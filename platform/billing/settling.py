"""Settling invoices: money is booked once, and each grant is given once."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from ..accounts import operations as accounts
from ..accounts.rules import Plan
from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from ..core.ids import new_id
from ..core.money import Money
from ..credits.lots import grant
from ..credits.rules import CreditType, LotSource
from .plans import offer_of, part_of
from .rules import CURRENCY, DunningStage, InvoiceReason, InvoiceStatus, SubscriptionStatus
from .subscribing import NEVER_PAID, change, grant_included, lock_subscription, put_on_plan
from .tables import BillingAccount, Invoice, InvoiceLine, Subscription

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that came in, under a name that it has once."""

    provider: str
    reference: str
    amount: Money


async def settle(tx: Tx, invoice_id: UUID, receipt: Receipt) -> bool:
    """Book money for an invoice, and say whether that paid it.

    The same receipt is booked once. Money for an invoice that is not open any more, or of
    another amount than is due, goes to the organization's balance and grants nothing.
    """
    found = await Invoice.objects().where(Invoice.id == invoice_id).first()
    if found is None:
        return False
    organization_id = OrganizationId(found.organization_id)
    subscription = await lock_subscription(tx, organization_id)
    # Read again: whoever held the subscription may have settled it.
    row = await Invoice.objects().where(Invoice.id == invoice_id).lock_rows("UPDATE").first()
    assert row is not None
    pays = row.status == InvoiceStatus.OPEN and receipt.amount == Money(
        row.amount_due, row.currency
    )
    if not await book(tx, organization_id, receipt, invoice_id=row.id if pays else None):
        return False
    if pays:
        await mark(tx, row, subscription)
    return pays


async def book(
    tx: Tx, organization_id: OrganizationId, receipt: Receipt, *, invoice_id: UUID | None
) -> bool:
    """Write a receipt down and say whether it was new; without an invoice it is credited."""
    rows = await fetch(
        "INSERT INTO payments (id, organization_id, invoice_id, provider, reference, currency, "
        "amount, created_at) VALUES ({}, {}, {}, {}, {}, {}, {}, {}) "
        "ON CONFLICT (provider, reference) DO NOTHING RETURNING id",
        new_id(),
        organization_id,
        invoice_id,
        receipt.provider,
        receipt.reference,
        receipt.amount.currency,
        receipt.amount.amount,
        clock.now(),
    )
    if rows and invoice_id is None:
        await lock_account(tx, organization_id)
        credited = await fetch(
            "UPDATE billing_accounts SET balance = balance + {} "
            "WHERE organization_id = {} AND currency = {} RETURNING id",
            receipt.amount.amount,
            organization_id,
            receipt.amount.currency,
        )
        if not credited:
            log.error("money of another currency was paid", extra={"payment_id": rows[0]["id"]})
    return bool(rows)


async def is_booked(receipt: Receipt) -> bool:
    """Say whether a receipt has been booked, for whatever."""
    return bool(
        await fetch(
            "SELECT 1 FROM payments WHERE provider = {} AND reference = {}",
            receipt.provider,
            receipt.reference,
        )
    )


async def void(tx: Tx, invoice_id: UUID) -> None:
    """Let an open invoice ask for nothing any more; its number stays taken."""
    await fetch(
        "UPDATE invoices SET status = {}, amount_due = 0, next_charge_at = NULL, updated_at = {} "
        "WHERE id = {} AND status = {}",
        InvoiceStatus.VOID.value,
        clock.now(),
        invoice_id,
        InvoiceStatus.OPEN.value,
    )


async def lock_account(tx: Tx, organization_id: OrganizationId) -> BillingAccount:
    """Return the organization's billing details, made if there were none, and locked."""
    await fetch(
        "INSERT INTO billing_accounts (id, organization_id, address, currency, balance, "
        "payment_method, created_at, updated_at) "
        "VALUES ({}, {}, {}, {}, 0, {}, {}, {}) ON CONFLICT (organization_id) DO NOTHING",
        new_id(),
        organization_id,
        "{}",
        CURRENCY,
        "{}",
        clock.now(),
        clock.now(),
    )
    row = (
        await BillingAccount.objects()
        .where(BillingAccount.organization_id == organization_id)
        .lock_rows("UPDATE")
        .first()
    )
    assert row is not None
    return row


def facts(row: Invoice) -> dict[str, Any]:
    """Return what webhooks tell of an invoice."""
    return {
        "id": str(row.id),
        "number": row.number,
        "status": row.status,
        "total": {"amount": row.total, "currency": row.currency},
        "amount_due": {"amount": row.amount_due, "currency": row.currency},
    }


async def mark(tx: Tx, row: Invoice, subscription: Subscription) -> None:
    """Mark a locked invoice as paid, and grant what it sells."""
    now = clock.now()
    row.status, row.paid_at, row.amount_due = InvoiceStatus.PAID.value, now, 0
    row.next_charge_at, row.updated_at = None, now
    await row.save()
    await fetch(
        "UPDATE checkouts SET status = 'completed', completed_at = {} "
        "WHERE invoice_id = {} AND status = 'open'",
        now,
        row.id,
    )
    lines = (
        await InvoiceLine.objects()
        .where(InvoiceLine.invoice_id == row.id)
        .order_by(InvoiceLine.position)
    )
    for line in lines:
        given = json.loads(line.grants)
        if given.get("kind") == "credits":
            await _grant_credits(tx, row, given)
        elif given.get("kind") == "plan":
            await _grant_plan(tx, row, subscription, given)


async def _grant_credits(tx: Tx, row: Invoice, given: Mapping[str, Any]) -> None:
    days = given["validity_days"]
    await grant(
        tx,
        OrganizationId(row.organization_id),
        amount=given["quantity"],
        source=LotSource.PURCHASE,
        credit_type=CreditType(given["type"]),
        expires_at=None if days is None else clock.now() + timedelta(days=days),
        reference=row.number,
    )


async def _grant_plan(
    tx: Tx, row: Invoice, subscription: Subscription, given: Mapping[str, Any]
) -> None:
    plan, reason = Plan(given["plan"]), InvoiceReason(given["reason"])
    organization_id = OrganizationId(row.organization_id)
    if reason is InvoiceReason.RENEWAL:
        await _renewed(tx, subscription)
        return
    amounts = _included(given)
    if amounts is None:
        amounts = _included_of_old(row, subscription, plan, reason)
    if reason is InvoiceReason.UPGRADE:
        await put_on_plan(tx, subscription, plan, pending_plan=None, changing_invoice_id=None)
        until = subscription.period_end
        await grant_included(tx, organization_id, plan, until=until, amounts=amounts)
        return
    if subscription.changing_invoice_id not in (None, row.id):
        # One of two ways to pay was first; what the other brings goes to the balance.
        await void(tx, subscription.changing_invoice_id)
    await put_on_plan(
        tx,
        subscription,
        plan,
        status=SubscriptionStatus.ACTIVE.value,
        provider=row.provider,
        period_start=row.period_start,
        period_end=row.period_end,
        trial_ends_at=None,
        pending_plan=None,
        changing_invoice_id=None,
        dunning_stage=DunningStage.NONE.value,
    )
    await accounts.forgive_debt(tx, organization_id)
    await grant_included(tx, organization_id, plan, until=subscription.period_end, amounts=amounts)


def _included(given: Mapping[str, Any]) -> Mapping[CreditType, int] | None:
    """Return the credits that a line sells; None if it does not say."""
    found: Mapping[str, int] | None = given.get("included")
    return None if found is None else {CreditType(name): count for name, count in found.items()}


def _included_of_old(
    row: Invoice, subscription: Subscription, plan: Plan, reason: InvoiceReason
) -> Mapping[CreditType, int] | None:
    """Return the credits of a part of a period whose invoice does not say them.

    Those that were made out before invoices said it are paid as any other, and bring no more.
    """
    if row.period_start is None or row.period_end is None:
        return None
    beyond = offer_of(subscription.plan) if reason is InvoiceReason.UPGRADE else None
    period = row.period_start, row.period_end
    return part_of(offer_of(plan), period, at=row.created_at, beyond=beyond).included


async def _renewed(tx: Tx, subscription: Subscription) -> None:
    """Forgive what was overdue, unless more is."""
    organization_id = OrganizationId(subscription.organization_id)
    others = await fetch(
        "SELECT 1 FROM invoices WHERE organization_id = {} AND status = {} AND reason = {} "
        "AND due_at < {} LIMIT 1",
        organization_id,
        InvoiceStatus.OPEN.value,
        InvoiceReason.RENEWAL.value,
        clock.now(),
    )
    is_over = subscription.status == SubscriptionStatus.CANCELLED
    if others or is_over or subscription.plan in NEVER_PAID:
        return
    await change(
        tx,
        subscription,
        status=SubscriptionStatus.ACTIVE.value,
        dunning_stage=DunningStage.NONE.value,
    )
    await accounts.forgive_debt(tx, organization_id)
