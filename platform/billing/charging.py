"""Charging a stored payment method for an invoice, and booking the answer."""

from datetime import datetime, timedelta

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch, transaction
from ..core.money import Money
from ..events.rules import EventType
from .provider import Charge, Charged, ChargeState, PaymentProvider
from .rules import InvoiceStatus, next_charge_at
from .settling import Receipt, facts, settle, void
from .subscribing import change, lock_subscription, tell
from .tables import BillingAccount, Invoice

KNOWN_FOR = timedelta(hours=20)
"""How long a provider surely knows a repeated attempt. Source: Stripe, 24 hours at least."""

ASK_AGAIN_AFTER = timedelta(minutes=15)
"""When a job asks what became of a charge whose answer was lost."""

LOOK_AGAIN_AFTER = timedelta(hours=6)
"""When it asks about one that takes days; the provider tells earlier, as a rule."""


def charge_of(invoice: Invoice, account: BillingAccount) -> Charge:
    """Return the next attempt to collect an invoice with what is stored."""
    return Charge(
        invoice_id=invoice.id,
        organization_id=OrganizationId(invoice.organization_id),
        number=invoice.number,
        attempt=invoice.charge_attempts + 1,
        amount=Money(invoice.amount_due, invoice.currency),
        customer_ref=account.customer_ref,
        method_ref=account.payment_method_ref or "",
    )


async def collect(provider: PaymentProvider, charge: Charge, *, keeps_trying: bool) -> Charged:
    """Charge, and book what came of it; no transaction is open meanwhile.

    After a refusal the invoice stays open for another attempt, or is void if nobody
    *keeps_trying*. It may run twice at once, and again after any crash: the same attempt is
    charged once.

    Raises:
        PaymentProviderError: it is not known what came of it; nothing is booked.
    """
    begun_at = await _begin(charge)
    if begun_at is None:
        return await _outcome(charge)
    charged = None
    if clock.now() - begun_at > KNOWN_FOR:
        # The provider may have forgotten the key of the attempt, and would charge it anew.
        charged = await provider.find_charge(charge)
    if charged is None:
        charged = await provider.charge(charge)
    await book_charged(provider, charge, charged, keeps_trying=keeps_trying)
    return charged


async def _begin(charge: Charge) -> datetime | None:
    """Write down that an attempt is made and return since when, or None: it is over."""
    rows = await fetch(
        "UPDATE invoices SET charging_at = coalesce(charging_at, {}), next_charge_at = {} "
        "WHERE id = {} AND status = {} AND charge_attempts = {} RETURNING charging_at",
        clock.now(),
        clock.now() + ASK_AGAIN_AFTER,
        charge.invoice_id,
        InvoiceStatus.OPEN.value,
        charge.attempt - 1,
    )
    found: datetime | None = rows[0]["charging_at"] if rows else None
    return found


async def _outcome(charge: Charge) -> Charged:
    """Return what became of an attempt that somebody else has booked."""
    invoice = await Invoice.objects().where(Invoice.id == charge.invoice_id).first()
    is_paid = invoice is not None and invoice.status == InvoiceStatus.PAID
    return Charged(ChargeState.SUCCEEDED if is_paid else ChargeState.FAILED)


async def book_charged(
    provider: PaymentProvider, charge: Charge, charged: Charged, *, keeps_trying: bool
) -> None:
    """Book what a provider answered to a charge."""
    if charged.state is ChargeState.PENDING:
        await fetch(
            "UPDATE invoices SET next_charge_at = {} WHERE id = {} AND status = {} "
            "AND charge_attempts = {}",
            clock.now() + LOOK_AGAIN_AFTER,
            charge.invoice_id,
            InvoiceStatus.OPEN.value,
            charge.attempt - 1,
        )
        return
    async with transaction() as tx:
        if charged.state is ChargeState.SUCCEEDED:
            await settle(tx, charge.invoice_id, Receipt(provider.name, charged.ref, charge.amount))
        else:
            await refused(tx, charge, keeps_trying=keeps_trying)


async def refused(tx: Tx, charge: Charge, *, keeps_trying: bool) -> None:
    """Write down that an attempt was refused, once for each."""
    row = await lock_subscription(tx, charge.organization_id)
    invoice = await Invoice.objects().where(Invoice.id == charge.invoice_id).first()
    if invoice is None or invoice.charge_attempts >= charge.attempt:
        return
    if invoice.status != InvoiceStatus.OPEN:
        return
    await fetch(
        "UPDATE invoices SET charge_attempts = {}, next_charge_at = {}, charging_at = NULL, "
        "stuck_since = NULL, updated_at = {} WHERE id = {}",
        charge.attempt,
        next_charge_at(invoice.due_at, charge.attempt),
        clock.now(),
        invoice.id,
    )
    await tell(
        tx, charge.organization_id, EventType.BILLING_PAYMENT_FAILED, {"invoice": facts(invoice)}
    )
    if not keeps_trying:
        await void(tx, invoice.id)
    if row.changing_invoice_id == invoice.id:
        await change(tx, row, changing_invoice_id=None)
