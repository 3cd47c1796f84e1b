"""Collecting what is due with stored payment methods."""

import logging

from ...core import clock
from ...core.database import fetch
from ..charging import charge_of, collect
from ..errors import PaymentProviderError
from ..invoicing import find_invoice
from ..provider import PaymentProvider
from ..rules import InvoiceReason, InvoiceStatus
from ..tables import BillingAccount

log = logging.getLogger(__name__)

AT_ONCE = 200


async def collect_due(provider: PaymentProvider) -> int:
    """Charge every invoice whose time has come, and return how many there were.

    It may run twice at once, and again after a crash: an attempt is charged once.
    """
    rows = await fetch(
        "SELECT id, organization_id FROM invoices WHERE status = {} AND provider = {} "
        "AND next_charge_at <= {} ORDER BY next_charge_at LIMIT {}",
        InvoiceStatus.OPEN.value,
        provider.name,
        clock.now(),
        AT_ONCE,
    )
    for row in rows:
        invoice = (await find_invoice(row["id"])).row
        account = (
            await BillingAccount.objects()
            .where(BillingAccount.organization_id == row["organization_id"])
            .first()
        )
        if account is None or account.payment_method_ref is None:
            # There is nothing to ask; dunning goes on by the day it was due.
            await fetch("UPDATE invoices SET next_charge_at = NULL WHERE id = {}", invoice.id)
            continue
        is_renewal = invoice.reason == InvoiceReason.RENEWAL
        try:
            await collect(provider, charge_of(invoice, account), keeps_trying=is_renewal)
        except PaymentProviderError:
            log.warning("the payment provider did not answer; the next run asks again")
            break
    return len(rows)
