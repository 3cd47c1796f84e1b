"""What tests of billing share: documents, packages, and a deployment with a provider."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from postlane.billing.invoicing import NewInvoice, NewLine, credits_granted, issue
from postlane.billing.rules import InvoiceReason
from postlane.billing.subscribing import lock_subscription
from postlane.billing.tables import Invoice
from postlane.core import clock
from postlane.core import settings as module
from postlane.core.actor import OrganizationId
from postlane.core.database import Tx, fetch, transaction
from postlane.core.settings import load
from postlane.credits.rules import CreditType
from postlane.credits.tables import CreditPackage

CHECKOUT = """
mutation ($input: CreateCheckoutInput!) {
  createCheckout(input: $input) { checkout {
    uuid type status url provider amount { amount currency }
    items { plan packageId quantity } expiresAt createdAt
  } }
}
"""
MARK_PAID = """
mutation ($input: MarkInvoicePaidInput!) {
  markInvoicePaid(input: $input) { invoice { uuid number status paidAt amountDue { amount } } }
}
"""
UPGRADE = """
mutation ($input: UpgradePlanInput!) {
  upgradePlan(input: $input) {
    plan { slug } previousPlan status effectiveAt invoiceUuid periodEnd
    proration { amount currency }
  }
}
"""
DOWNGRADE = """
mutation ($input: DowngradePlanInput!) {
  downgradePlan(input: $input) {
    plan { slug } pendingChange { plan { slug } effectiveAt } status periodEnd
  }
}
"""
INVOICES = """
{ organization { billing { invoices { nodes {
  id uuid number status reason subtotal { amount } tax { amount } total { amount currency }
  amountDue { amount } lines { description quantity unitPrice { amount } total { amount } }
  periodStart periodEnd hostedUrl pdfUrl dueAt paidAt
} } } } }
"""
SUBSCRIPTION = """
{ organization { billing { subscription {
  plan { slug } status dunningStage provider periodStart periodEnd trialEndsAt
  cancelAtPeriodEnd pendingChange { plan { slug } effectiveAt }
} } } }
"""
BALANCES = "{ organization { credits { balances { type balance } } } }"


async def make_package(code: str = "email-100k", **values: Any) -> None:
    """Put a package up for sale, unless it is there."""
    if await CreditPackage.exists().where(CreditPackage.code == code):
        return
    await CreditPackage(
        **{
            "code": code,
            "name": "100,000 emails",
            "type": "email",
            "quantity": 100_000,
            "price_amount": 4_000,
            "price_currency": "USD",
            "validity_days": 365,
        }
        | values
    ).save()


async def new_invoice(
    tx: Tx, organization_id: OrganizationId, *, price: int = 4_000, name: str = "100,000 emails"
) -> Invoice:
    """Make an open invoice for a package of credits, as part of *tx*."""
    await lock_subscription(tx, organization_id)
    return await issue(
        tx,
        organization_id,
        NewInvoice(
            reason=InvoiceReason.CREDITS,
            provider="manual",
            currency="USD",
            lines=[NewLine(name, 1, price, credits_granted(CreditType.EMAIL, 100_000, 365))],
            due_at=clock.now() + timedelta(days=14),
        ),
    )


async def make_invoice(organization_id: OrganizationId, **values: Any) -> Invoice:
    """Make an open invoice for a package of credits."""
    async with transaction() as tx:
        return await new_invoice(tx, organization_id, **values)


async def granted(organization_id: Any, source: str = "purchase") -> list[int]:
    """Return the size of every lot of credits the organization was granted."""
    rows = await fetch(
        "SELECT granted FROM credit_lots WHERE organization_id = {} AND source = {} ORDER BY id",
        organization_id,
        source,
    )
    return [row["granted"] for row in rows]


@contextmanager
def settings_with(**values: str) -> Iterator[None]:
    """Run the body as in a deployment with these settings beside the tests' own."""
    names = {f"POSTLANE_{name.upper()}": value for name, value in values.items()}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    module.settings.cache_clear()
    load(os.environ)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        module.settings.cache_clear()
