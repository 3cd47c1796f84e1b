"""Acting on what the payment provider tells, once, whenever and however often it comes."""

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from ...audit import operations as audit
from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_id
from ...core.money import Money
from ..charging import refused
from ..invoicing import NewInvoice, NewLine, issue
from ..provider import MANUAL, Charge, Notification, NotificationKind, PaymentProvider, StoredMethod
from ..rules import (
    CheckoutStatus,
    CheckoutType,
    Granularity,
    InvoiceReason,
    InvoiceStatus,
    SubscriptionStatus,
    period_end,
    period_start,
)
from ..settling import Receipt, book, is_booked, lock_account, settle
from ..subscribing import NEVER_PAID, lock_subscription
from ..tables import BillingAccount, Checkout, Invoice

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of a notification."""

    DONE = "done"
    IGNORED = "ignored"
    """It is about nothing of ours, or says what is not true any more."""
    SEEN = "seen"


async def take_notification(provider: PaymentProvider, told: Notification) -> Outcome:
    """Act on what *provider* told, and remember that we did, in one transaction.

    What was paid stays paid, whatever older or later notification says otherwise. A crash
    leaves nothing behind, so that the provider tells it once more.

    Raises:
        PaymentProviderError: the provider cannot be asked for what the notification leaves
            out; it is to tell it again.
    """
    if await _seen(provider, told):
        return Outcome.SEEN
    method = None
    checkout = await _find_checkout(provider, told)
    if checkout is not None and _may_store(told, checkout):
        # Asked for here, since no transaction may wait for the network.
        method = await provider.find_method(str(told.checkout_ref))
    async with transaction() as tx:
        if not await _remember(tx, provider, told):
            return Outcome.SEEN
        organization_id = await _act(tx, provider, told, checkout, method)
        outcome = Outcome.IGNORED if organization_id is None else Outcome.DONE
        await fetch(
            "UPDATE provider_events SET outcome = {}, organization_id = {} "
            "WHERE provider = {} AND event_id = {}",
            outcome.value,
            organization_id,
            provider.name,
            told.id,
        )
    return outcome


def _may_store(told: Notification, checkout: Checkout) -> bool:
    """Say whether what the checkout was paid with is stored, to be charged again."""
    is_paid = told.kind is NotificationKind.CHECKOUT_PAID
    return is_paid and bool(checkout.type != CheckoutType.CREDITS)


async def _act(
    tx: Tx,
    provider: PaymentProvider,
    told: Notification,
    checkout: Checkout | None,
    method: StoredMethod | None,
) -> OrganizationId | None:
    """Return whose money it was about, or None if it was nobody's."""
    if told.kind is NotificationKind.CHECKOUT_PAID and checkout is not None:
        return await _complete(tx, provider, told, checkout, method)
    if told.kind is NotificationKind.CHECKOUT_EXPIRED and checkout is not None:
        return await _expire(tx, checkout)
    if told.kind in (NotificationKind.PAYMENT_SUCCEEDED, NotificationKind.PAYMENT_FAILED):
        return await _payment(tx, provider, told)
    if told.kind is NotificationKind.METHOD_REMOVED and told.method_ref is not None:
        return await _forget_method(tx, told)
    return None


async def _complete(
    tx: Tx,
    provider: PaymentProvider,
    told: Notification,
    checkout: Checkout,
    method: StoredMethod | None,
) -> OrganizationId | None:
    organization_id = OrganizationId(checkout.organization_id)
    subscription = await lock_subscription(tx, organization_id)
    row = await Checkout.objects().where(Checkout.id == checkout.id).lock_rows("UPDATE").first()
    assert row is not None
    if method is not None:
        await _remember_method(tx, organization_id, method, told.sent_at)
    if row.status == CheckoutStatus.COMPLETED:
        return None
    due = Money(row.amount, row.currency)
    if row.amount and told.amount != due:
        log.error("a checkout was paid with another amount", extra={"checkout_id": str(row.id)})
        return await _credit(tx, provider, told, organization_id)
    receipt = Receipt(provider.name, _reference(told), due)
    if row.amount and await is_booked(receipt):
        log.error("a payment was told of two checkouts", extra={"checkout_id": str(row.id)})
        return None
    is_second = row.type == CheckoutType.PLAN and (
        subscription.plan not in NEVER_PAID and subscription.status != SubscriptionStatus.CANCELLED
    )
    if is_second:
        # Another checkout of a plan was paid before this one: the money is theirs to use.
        await book(tx, organization_id, receipt, invoice_id=None)
    elif row.type != CheckoutType.PAYMENT_METHOD:
        invoice = await issue(tx, organization_id, _invoice(row))
        row.invoice_id = invoice.id
        if invoice.status == InvoiceStatus.OPEN:
            await settle(tx, invoice.id, receipt)
    row.status, row.completed_at = CheckoutStatus.COMPLETED.value, clock.now()
    await row.save([Checkout.status, Checkout.completed_at, Checkout.invoice_id])
    await audit.record_for_platform(
        tx,
        organization_id=organization_id,
        action="billing.checkout_completed",
        target_type="checkout",
        target_id=row.id,
        changes={"type": row.type, "amount": {"amount": row.amount, "currency": row.currency}},
    )
    return organization_id


def _reference(told: Notification) -> str:
    return told.payment_ref or str(told.checkout_ref)


async def _credit(
    tx: Tx, provider: PaymentProvider, told: Notification, organization_id: OrganizationId
) -> OrganizationId | None:
    """Keep money that buys nothing for whom it came from."""
    if told.amount is None or told.amount.amount <= 0:
        return None
    receipt = Receipt(provider.name, _reference(told), told.amount)
    is_new = await book(tx, organization_id, receipt, invoice_id=None)
    return organization_id if is_new else None


def _invoice(row: Checkout) -> NewInvoice:
    now = clock.now()
    lines = [NewLine(**line) for line in json.loads(row.lines)]
    if row.type == CheckoutType.CREDITS:
        return NewInvoice(InvoiceReason.CREDITS, row.provider, row.currency, lines, due_at=now)
    # What was offered is the rest of that month, even if it is paid in the next one.
    start = period_start(Granularity.MONTH, row.created_at)
    return NewInvoice(
        InvoiceReason.PLAN,
        row.provider,
        row.currency,
        lines,
        due_at=now,
        period_start=start,
        period_end=period_end(Granularity.MONTH, start),
    )


async def _expire(tx: Tx, checkout: Checkout) -> OrganizationId | None:
    # Only what is open: paid first and expired later means paid.
    rows = await fetch(
        "UPDATE checkouts SET status = {} WHERE id = {} AND status = {} RETURNING id",
        CheckoutStatus.EXPIRED.value,
        checkout.id,
        CheckoutStatus.OPEN.value,
    )
    return OrganizationId(checkout.organization_id) if rows else None


async def _payment(tx: Tx, provider: PaymentProvider, told: Notification) -> OrganizationId | None:
    if told.invoice_id is None or told.payment_ref is None:
        return None
    invoice = (
        await Invoice.objects()
        .where(Invoice.id == told.invoice_id)
        .where(Invoice.provider == provider.name)
        .first()
    )
    if invoice is None or told.amount is None:
        return None
    organization_id = OrganizationId(invoice.organization_id)
    if not await _is_customer(organization_id, told.customer_ref):
        return None
    if told.kind is NotificationKind.PAYMENT_SUCCEEDED:
        receipt = Receipt(provider.name, told.payment_ref, told.amount)
        return organization_id if await settle(tx, invoice.id, receipt) else None
    # The answer to the charge itself has counted most attempts; one whose answer was lost, or
    # came first as "it takes days", is counted here.
    if invoice.status != InvoiceStatus.OPEN or invoice.charge_attempts >= (told.attempt or 1):
        return None
    await refused(tx, _attempt(invoice, told), keeps_trying=invoice.reason == "renewal")
    return organization_id


def _attempt(invoice: Invoice, told: Notification) -> Charge:
    return Charge(
        invoice_id=invoice.id,
        organization_id=OrganizationId(invoice.organization_id),
        number=invoice.number,
        attempt=told.attempt or 1,
        amount=Money(invoice.amount_due, invoice.currency),
        customer_ref=told.customer_ref or "",
        method_ref="",
    )


async def _remember_method(
    tx: Tx, organization_id: OrganizationId, method: StoredMethod, at: datetime
) -> None:
    """Store a payment method, unless what is stored is newer."""
    account = await lock_account(tx, organization_id)
    if account.payment_method_at is not None and account.payment_method_at > at:
        return
    account.payment_method_ref, account.payment_method_at = method.ref, at
    account.payment_method = json.dumps(_shown(method))
    await account.save(
        [
            BillingAccount.payment_method_ref,
            BillingAccount.payment_method_at,
            BillingAccount.payment_method,
        ]
    )
    # What is overdue is asked of it at once, however often another was refused.
    await fetch(
        "UPDATE invoices SET next_charge_at = {} WHERE organization_id = {} AND status = {} "
        "AND reason = {} AND provider <> {}",
        clock.now(),
        organization_id,
        InvoiceStatus.OPEN.value,
        InvoiceReason.RENEWAL.value,
        MANUAL,
    )


def _shown(method: StoredMethod) -> Mapping[str, Any]:
    return {
        "type": method.type,
        "brand": method.brand,
        "last4": method.last4,
        "expires": method.expires,
    }


async def _forget_method(tx: Tx, told: Notification) -> OrganizationId | None:
    rows = await fetch(
        "UPDATE billing_accounts SET payment_method_ref = NULL, payment_method = {}, "
        "payment_method_at = {} WHERE payment_method_ref = {} "
        "AND (payment_method_at IS NULL OR payment_method_at <= {}) RETURNING organization_id",
        "{}",
        told.sent_at,
        told.method_ref,
        told.sent_at,
    )
    return OrganizationId(rows[0]["organization_id"]) if rows else None


async def _find_checkout(provider: PaymentProvider, told: Notification) -> Checkout | None:
    if told.checkout_ref is None:
        return None
    row = (
        await Checkout.objects()
        .where(Checkout.provider == provider.name)
        .where(Checkout.provider_ref == told.checkout_ref)
        .first()
    )
    if row is None:
        return None
    owner = OrganizationId(row.organization_id)
    return row if await _is_customer(owner, told.customer_ref) else None


async def _is_customer(organization_id: OrganizationId, customer_ref: str | None) -> bool:
    rows = await fetch(
        "SELECT 1 FROM billing_accounts WHERE organization_id = {} AND customer_ref = {}",
        organization_id,
        customer_ref,
    )
    return bool(rows)


async def _seen(provider: PaymentProvider, told: Notification) -> bool:
    rows = await fetch(
        "SELECT 1 FROM provider_events WHERE provider = {} AND event_id = {}",
        provider.name,
        told.id,
    )
    return bool(rows)


async def _remember(tx: Tx, provider: PaymentProvider, told: Notification) -> bool:
    rows = await fetch(
        "INSERT INTO provider_events (id, provider, event_id, type, outcome, sent_at, "
        "received_at) VALUES ({}, {}, {}, {}, 'ignored', {}, {}) "
        "ON CONFLICT (provider, event_id) DO NOTHING RETURNING id",
        new_id(),
        provider.name,
        told.id,
        told.type,
        told.sent_at,
        clock.now(),
    )
    return bool(rows)
