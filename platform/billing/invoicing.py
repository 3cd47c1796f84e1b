"""Making invoices out, with numbers that have no gaps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from ..accounts.rules import Plan
from ..accounts.work import get_tenant
from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from ..core.settings import settings
from ..credits.rules import CreditType
from ..events.rules import EventType
from .plans import PlanOffer, offer_of, part_of
from .rules import (
    SMALLEST_CHARGE,
    InvoiceReason,
    InvoiceStatus,
    invoice_number,
)
from .settling import facts, lock_account, mark
from .subscribing import lock_subscription, tell
from .tables import BillingAccount, Invoice, InvoiceLine

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class NewLine:
    """One line of an invoice to be made."""

    description: str
    quantity: int
    unit_amount: int
    """Minor units of the invoice's currency."""
    grants: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    """What paying it brings: `credits_granted` or `plan_granted`."""


@dataclass(frozen=True, slots=True)
class NewInvoice:
    """An invoice to be made."""

    reason: InvoiceReason
    provider: str
    currency: str
    lines: Sequence[NewLine]
    due_at: datetime
    period_start: datetime | None = None
    period_end: datetime | None = None
    next_charge_at: datetime | None = None
    uses_balance: bool = False
    """What was paid too much before is taken off what is due."""


def credits_granted(
    credit_type: CreditType, quantity: int, validity_days: int | None
) -> dict[str, Any]:
    """Return the grant of a line that sells credits."""
    return {
        "kind": "credits",
        "type": credit_type.value,
        "quantity": quantity,
        "validity_days": validity_days,
    }


def plan_granted(
    plan: Plan, reason: InvoiceReason, included: Mapping[CreditType, int] | None = None
) -> dict[str, Any]:
    """Return the grant of a line that sells a plan for a period, or for what is left of one.

    *included* are the credits that come when it is paid.
    """
    granted = {"kind": "plan", "plan": plan.value, "reason": reason.value}
    if included is None:
        return granted
    return {**granted, "included": {type.value: amount for type, amount in included.items()}}


async def issue(tx: Tx, organization_id: OrganizationId, new: NewInvoice) -> Invoice:
    """Make an open invoice; one with nothing to pay is settled at once.

    The caller has locked the subscription. The number is taken in the transaction that keeps
    the invoice: if that rolls back, the next one has it.
    """
    now = clock.now()
    subtotal = sum(line.quantity * line.unit_amount for line in new.lines)
    due = subtotal - await _take_from_balance(tx, organization_id, new, subtotal)
    nth = await _next_number(tx, now.year)
    row = Invoice(
        organization_id=organization_id,
        year=now.year,
        nth=nth,
        number=invoice_number(now.year, nth),
        status=InvoiceStatus.OPEN.value,
        reason=new.reason.value,
        provider=new.provider,
        currency=new.currency,
        subtotal=subtotal,
        tax=0,
        total=subtotal,
        amount_due=due,
        buyer=json.dumps(await _buyer(organization_id)),
        seller=settings().invoice_seller or settings().hostname,
        period_start=new.period_start,
        period_end=new.period_end,
        due_at=new.due_at,
        next_charge_at=new.next_charge_at if due else None,
    )
    await Invoice.insert(row)
    await InvoiceLine.insert(
        *(
            InvoiceLine(
                invoice_id=row.id,
                position=position,
                description=line.description,
                quantity=line.quantity,
                unit_amount=line.unit_amount,
                total=line.quantity * line.unit_amount,
                grants=json.dumps(dict(line.grants)),
            )
            for position, line in enumerate(new.lines, start=1)
        )
    )
    await tell(tx, organization_id, EventType.BILLING_INVOICE_CREATED, {"invoice": facts(row)})
    if not due:
        await mark(tx, row, await lock_subscription(tx, organization_id))
    return row


@dataclass(frozen=True, slots=True)
class PlanInvoice:
    """An invoice, and the plan it sells, if any."""

    row: Invoice
    plan: str | None


async def find_invoice(invoice_id: UUID) -> PlanInvoice:
    """Return an invoice that is known to exist."""
    row = await Invoice.objects().where(Invoice.id == invoice_id).first()
    assert row is not None
    lines = await InvoiceLine.objects().where(InvoiceLine.invoice_id == invoice_id)
    return PlanInvoice(row, next((json.loads(each.grants).get("plan") for each in lines), None))


async def _next_number(tx: Tx, year: int) -> int:
    # The row stays locked until this transaction ends. Whoever comes next waits, and sees
    # the number taken or given back: so there are no gaps, and nobody has it twice.
    rows = await fetch(
        "INSERT INTO invoice_counters AS c (year, last) VALUES ({}, 1) "
        "ON CONFLICT (year) DO UPDATE SET last = c.last + 1 RETURNING last",
        year,
    )
    nth: int = rows[0]["last"]
    return nth


async def _take_from_balance(
    tx: Tx, organization_id: OrganizationId, new: NewInvoice, amount: int
) -> int:
    if not new.uses_balance or not amount:
        return 0
    account = await lock_account(tx, organization_id)
    if account.currency != new.currency:
        return 0
    taken = min(account.balance, amount)
    if 0 < amount - taken < SMALLEST_CHARGE:
        # What is left over has to be an amount that a provider collects.
        taken = max(0, amount - SMALLEST_CHARGE)
    account.balance -= taken
    await account.save([BillingAccount.balance])
    return int(taken)


async def _buyer(organization_id: OrganizationId) -> dict[str, Any]:
    account = (
        await BillingAccount.objects()
        .where(BillingAccount.organization_id == organization_id)
        .first()
    )
    tenant = await get_tenant(organization_id)
    if account is None:
        return {"name": tenant.name}
    return {
        "name": account.legal_name or tenant.name,
        "address": json.loads(account.address),
        "tax_id": account.tax_id,
        "email": account.billing_email,
    }


def plan_line(plan: Plan, amount: int, reason: InvoiceReason, start: datetime) -> NewLine:
    """Return the line for a plan in the whole month that begins at *start*."""
    text = f"{offer_of(plan).name}, {start:%B %Y}"
    return NewLine(text, 1, amount, plan_granted(plan, reason))


def part_line(
    offer: PlanOffer,
    reason: InvoiceReason,
    *,
    start: datetime,
    end: datetime,
    at: datetime,
    beyond: PlanOffer | None = None,
) -> NewLine:
    """Return the line for what is left of a month at *at*, price and credits in one proportion.

    Of both only what *offer* has *beyond* another that was had until then.
    """
    part = part_of(offer, (start, end), at=at, beyond=beyond)
    text = f"{offer.name}, {start:%B %Y}"
    if at > start:
        text += f", from {at:%Y-%m-%d}"
    return NewLine(text, 1, part.price, plan_granted(offer.plan, reason, part.included))
