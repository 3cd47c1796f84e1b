"""Reading plan, invoices, checkouts, billing details and usage for an actor."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ..accounts.work import get_tenant
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.errors import NotFound
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..core.settings import settings
from ..credits.rules import CreditType
from ..credits.work import used_between
from .plans import CATALOGUE, PlanOffer, offer_of
from .rules import CURRENCY, RANKS, Granularity, InvoiceStatus, period_end, period_start
from .subscribing import first_subscription
from .tables import BillingAccount, Invoice, InvoiceLine, Subscription
from .using import in_use


@dataclass(frozen=True, slots=True)
class PlanUsage:
    """What of the plan is used in this month."""

    emails: int
    domains: int
    vmtas: int
    users: int


@dataclass(frozen=True, slots=True)
class Details:
    """Whom invoices are made out to, and what is charged."""

    name: str
    created_at: datetime
    legal_name: str | None
    billing_email: str | None
    address: Mapping[str, str | None]
    tax_id: str | None
    currency: str
    balance: int
    """Minor units that were paid beyond what was owed."""
    payment_method: Mapping[str, str | None]
    """Empty is none."""


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """Which invoices are asked for; None is any."""

    status: InvoiceStatus | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


async def get_subscription(actor: Actor) -> Subscription:
    """Return the organization's subscription; every organization has one."""
    actor.require(Permission.READ_BILLING)
    row = (
        await Subscription.objects()
        .where(Subscription.organization_id == actor.organization_id)
        .first()
    )
    if row is not None:
        return row
    return first_subscription(actor.organization_id, await get_tenant(actor.organization_id))


async def get_usage(actor: Actor) -> PlanUsage:
    """Return how much of what the plan limits is used."""
    actor.require(Permission.READ_BILLING)
    start = period_start(Granularity.MONTH, clock.now())
    month = start, period_end(Granularity.MONTH, start)
    (used,) = await used_between(actor.organization_id, [month])
    counts = await in_use(actor.organization_id)
    return PlanUsage(emails=used.get(CreditType.EMAIL, 0), **counts)


async def list_offers(actor: Actor) -> list[PlanOffer]:
    """Return the plans that the organization can change to, the least first."""
    row = await get_subscription(actor)
    if row.plan not in RANKS:
        return []
    present = offer_of(row.plan).plan
    return [CATALOGUE[plan] for plan in sorted(RANKS, key=RANKS.__getitem__) if plan != present]


async def get_details(actor: Actor) -> Details:
    """Return whom invoices are made out to."""
    actor.require(Permission.READ_BILLING)
    tenant = await get_tenant(actor.organization_id)
    row = (
        await BillingAccount.objects()
        .where(BillingAccount.organization_id == actor.organization_id)
        .first()
    )
    if row is None:
        return Details(tenant.name, tenant.created_at, None, None, {}, None, CURRENCY, 0, {})
    return Details(
        name=tenant.name,
        created_at=tenant.created_at,
        legal_name=row.legal_name,
        billing_email=row.billing_email,
        address=_object(row.address),
        tax_id=row.tax_id,
        currency=row.currency,
        balance=row.balance,
        payment_method=_object(row.payment_method),
    )


async def get_invoice(actor: Actor, invoice_id: UUID) -> Invoice:
    """Return one invoice.

    Raises:
        NotFound: there is none, or it is another organization's.
    """
    found = await find_invoices(actor, [invoice_id])
    if not found:
        raise NotFound
    return found[0]


async def find_invoices(actor: Actor, ids: Collection[UUID]) -> Sequence[Invoice]:
    """Return those of the invoices that are the organization's."""
    actor.require(Permission.READ_BILLING)
    return (
        await Invoice.objects()
        .where(Invoice.organization_id == actor.organization_id)
        .where(Invoice.id.is_in(list(ids)))
    )


def invoice_url(invoice_id: UUID) -> str:
    """Return the address of the page that shows an invoice to its owners."""
    return f"{settings().public_url}/billing/invoices/{invoice_id}"


async def list_invoices(actor: Actor, page: PageRequest, *, where: InvoiceFilter) -> Page[Invoice]:
    """Return a page of invoices, the newest first."""
    actor.require(Permission.READ_BILLING)
    query = Invoice.objects().where(Invoice.organization_id == actor.organization_id)
    if where.status is not None:
        query = query.where(Invoice.status == where.status.value)
    if where.created_after is not None:
        query = query.where(Invoice.created_at >= where.created_after)
    if where.created_before is not None:
        query = query.where(Invoice.created_at < where.created_before)
    scope = f"{where.status}/{where.created_after}/{where.created_before}"
    return await fetch_page(query, page, by_id(), scope=scope)


async def count_invoices(actor: Actor, *, where: InvoiceFilter) -> int:
    """Return how many invoices fit."""
    actor.require(Permission.READ_BILLING)
    rows = await fetch(
        "SELECT count(*) AS n FROM invoices WHERE organization_id = {} "
        "AND ({}::text IS NULL OR status = {}) AND ({}::timestamptz IS NULL OR created_at >= {}) "
        "AND ({}::timestamptz IS NULL OR created_at < {})",
        actor.organization_id,
        where.status and where.status.value,
        where.status and where.status.value,
        where.created_after,
        where.created_after,
        where.created_before,
        where.created_before,
    )
    found: int = rows[0]["n"]
    return found


async def find_lines(actor: Actor, invoice_ids: Collection[UUID]) -> Sequence[InvoiceLine]:
    """Return the lines of those invoices that are the organization's, in their order."""
    own = {row.id for row in await find_invoices(actor, invoice_ids)}
    return (
        await InvoiceLine.objects()
        .where(InvoiceLine.invoice_id.is_in(list(own)))
        .order_by(InvoiceLine.invoice_id)
        .order_by(InvoiceLine.position)
        if own
        else []
    )


def _object(value: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(value)
    return found
