"""Collecting what is due with stored payment methods."""

import logging
from uuid import UUID

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import fetch, transaction
from ..charging import ASK_AGAIN_AFTER, book_charged, charge_of, collect, refused
from ..errors import PaymentProviderError
from ..invoicing import find_invoice
from ..provider import PaymentProvider
from ..rules import InvoiceReason, InvoiceStatus
from ..settling import lock_account
from ..tables import BillingAccount, Invoice

log = logging.getLogger(__name__)

AT_ONCE = 200
MOST_UNANSWERED = 3
"""After so many in a row without an answer the provider is down; the next run asks again."""


async def collect_due(provider: PaymentProvider) -> int:
    """Charge every invoice whose time has come, and return how many there were.

    It may run twice at once, and again after a crash: an attempt is charged once. One that
    cannot be collected or booked is logged, and its turn comes again in a while, so that it
    holds up none of the others; `postlane doctor` tells of it.
    """
    rows = await fetch(
        "SELECT id FROM invoices WHERE status = {} AND provider = {} "
        "AND next_charge_at <= {} ORDER BY next_charge_at LIMIT {}",
        InvoiceStatus.OPEN.value,
        provider.name,
        clock.now(),
        AT_ONCE,
    )
    unanswered = 0
    for row in rows:
        try:
            await _collect(provider, row["id"])
            unanswered = 0
        except PaymentProviderError:
            log.warning("the payment provider did not answer", extra={"invoice_id": row["id"]})
            unanswered += 1
        except Exception:  # an edge: the others are not to wait for what is wrong with this one
            log.exception("an invoice could not be collected", extra={"invoice_id": row["id"]})
            await _put_off(row["id"])
        if unanswered == MOST_UNANSWERED:
            break
    return len(rows)


async def _collect(provider: PaymentProvider, invoice_id: UUID) -> None:
    invoice = (await find_invoice(invoice_id)).row
    # Read again: others of this run have taken their time.
    is_due = invoice.next_charge_at is not None and invoice.next_charge_at <= clock.now()
    if not is_due or invoice.status != InvoiceStatus.OPEN:
        return
    account = await _account_of(invoice)
    charge = charge_of(invoice, account)
    is_renewal = invoice.reason == InvoiceReason.RENEWAL
    if account.payment_method_ref is not None:
        await collect(provider, charge, keeps_trying=is_renewal)
        return
    made = None
    if invoice.charging_at is not None and account.customer_ref is not None:
        made = await provider.find_charge(charge)
    if made is not None:
        await book_charged(provider, charge, made, keeps_trying=is_renewal)
    elif is_renewal:
        await _wait_for_method(invoice)
    else:
        async with transaction() as tx:
            await refused(tx, charge, keeps_trying=False)


async def _put_off(invoice_id: UUID) -> None:
    now = clock.now()
    await fetch(
        "UPDATE invoices SET stuck_since = coalesce(stuck_since, {}), next_charge_at = {} "
        "WHERE id = {} AND status = {}",
        now,
        now + ASK_AGAIN_AFTER,
        invoice_id,
        InvoiceStatus.OPEN.value,
    )


async def count_stuck() -> int:
    """Return how many invoices cannot be collected for a reason that is none of the payer's."""
    rows = await fetch(
        "SELECT count(*) AS found FROM invoices WHERE status = {} "
        "AND next_charge_at IS NOT NULL AND stuck_since IS NOT NULL",
        InvoiceStatus.OPEN.value,
    )
    found: int = rows[0]["found"]
    return found


async def _account_of(invoice: Invoice) -> BillingAccount:
    async with transaction() as tx:
        return await lock_account(tx, OrganizationId(invoice.organization_id))


async def _wait_for_method(invoice: Invoice) -> None:
    """Ask for nothing until a payment method is stored; dunning goes on by the day it was due."""
    async with transaction() as tx:
        account = await lock_account(tx, OrganizationId(invoice.organization_id))
        if account.payment_method_ref is None:
            await fetch("UPDATE invoices SET next_charge_at = NULL WHERE id = {}", invoice.id)
