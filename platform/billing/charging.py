"""Charging a stored payment method for an invoice, and booking the answer."""

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch, transaction
from ..core.money import Money
from ..events.rules import EventType
from .invoicing import Receipt, facts, settle, void
from .provider import Charge, Charged, ChargeState, PaymentProvider
from .rules import InvoiceStatus, next_charge_at
from .subscribing import change, lock_subscription, tell
from .tables import BillingAccount, Invoice


def charge_of(invoice: Invoice, account: BillingAccount) -> Charge:
    """Return the next attempt to collect an invoice with what is stored."""
    return Charge(
        invoice_id=invoice.id,
        organization_id=OrganizationId(invoice.organization_id),
        number=invoice.number,
        attempt=invoice.charge_attempts + 1,
        amount=Money(invoice.amount_due, invoice.currency),
        customer_ref=account.customer_ref,
        method_ref=account.payment_method_ref,
    )


async def collect(provider: PaymentProvider, charge: Charge, *, keeps_trying: bool) -> Charged:
    """Charge, and book what came of it; no transaction is open meanwhile.

    After a refusal the invoice stays open for another attempt, or is void if nobody
    *keeps_trying*. It may run twice at once: the same attempt is charged once.

    Raises:
        PaymentProviderError: it is not known what came of it; nothing is booked.
    """
    charged = await provider.charge(charge)
    if charged.state is ChargeState.PENDING:
        return charged
    async with transaction() as tx:
        if charged.state is ChargeState.SUCCEEDED:
            await settle(tx, charge.invoice_id, Receipt(provider.name, charged.ref, charge.amount))
        else:
            await refused(tx, charge, keeps_trying=keeps_trying)
    return charged


async def refused(tx: Tx, charge: Charge, *, keeps_trying: bool) -> None:
    """Write down that an attempt was refused, once for each."""
    row = await lock_subscription(tx, charge.organization_id)
    invoice = await Invoice.objects().where(Invoice.id == charge.invoice_id).first()
    if invoice is None or invoice.charge_attempts >= charge.attempt:
        return
    if invoice.status != InvoiceStatus.OPEN:
        return
    await fetch(
        "UPDATE invoices SET charge_attempts = {}, next_charge_at = {}, updated_at = {} "
        "WHERE id = {}",
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
