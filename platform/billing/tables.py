"""Subscriptions, billing details, invoices, checkouts, payments, and usage rolled up."""

from piccolo.columns import (
    JSONB,
    UUID,
    BigInt,
    ForeignKey,
    Integer,
    OnDelete,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..accounts.tables import Organization
from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Subscription(Table, db=DB, tablename="subscriptions"):
    """The plan of one organization."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade, unique=True)
    plan = Varchar(40)
    interval = Varchar(10, default="month")
    status = Varchar(20, default="active")
    provider = Varchar(20, help_text="manual or stripe.")
    period_start = Timestamptz()
    period_end = Timestamptz(help_text="When the next period begins.")
    trial_ends_at = Timestamptz(null=True, default=None)
    pending_plan = Varchar(40, null=True, default=None, help_text="From the period's end on.")
    changing_invoice_id = UUID(
        null=True, default=None, help_text="Of an upgrade whose payment has not been answered."
    )
    dunning_stage = Varchar(20, default="none")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class BillingAccount(Table, db=DB, tablename="billing_accounts"):
    """Whom invoices are made out to, and what can be charged."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade, unique=True)
    legal_name = Varchar(200, null=True, default=None)
    billing_email = Varchar(254, null=True, default=None)
    address = JSONB(default={}, help_text="line1, line2, city, region, postal_code, country.")
    tax_id = Varchar(40, null=True, default=None)
    currency = Varchar(3, default="USD", help_text="ISO 4217.")
    balance = BigInt(default=0, help_text="Minor units paid beyond what was owed.")
    customer_ref = Varchar(255, null=True, default=None, help_text="The provider's id.")
    payment_method = JSONB(default={}, help_text="type, brand, last4, expires; empty is none.")
    payment_method_ref = Varchar(255, null=True, default=None, help_text="The provider's id.")
    payment_method_at = Timestamptz(
        null=True, default=None, help_text="The provider's time of its last change."
    )
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class Invoice(Table, db=DB, tablename="invoices"):
    """A demand for money; what it says never changes, only what became of it."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.restrict)
    year = Integer()
    nth = Integer(help_text="Within the year, from 1, without gaps.")
    number = Varchar(20, unique=True, help_text="Such as INV-2026-0042.")
    status = Varchar(20)
    reason = Varchar(20)
    provider = Varchar(20)
    currency = Varchar(3, help_text="ISO 4217.")
    subtotal = BigInt(help_text="Minor units, before tax.")
    tax = BigInt(default=0, help_text="Minor units.")
    total = BigInt(help_text="Minor units.")
    amount_due = BigInt(help_text="Minor units still to be paid.")
    buyer = JSONB(default={}, help_text="Name, address and tax number when it was made.")
    seller = Text(default="", help_text="Name and address when it was made, in lines.")
    period_start = Timestamptz(null=True, default=None)
    period_end = Timestamptz(null=True, default=None)
    due_at = Timestamptz()
    paid_at = Timestamptz(null=True, default=None)
    charge_attempts = Integer(default=0)
    next_charge_at = Timestamptz(null=True, default=None, help_text="Null: not by itself.")
    charging_at = Timestamptz(
        null=True, default=None, help_text="Since when an attempt is made; null: none is."
    )
    stuck_since = Timestamptz(
        null=True, default=None, help_text="Since when it fails to be collected, by our fault."
    )
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class InvoiceLine(Table, db=DB, tablename="invoice_lines"):
    """One line of an invoice, and what paying it grants."""

    id = UUID(primary_key=True, default=new_id)
    invoice_id = ForeignKey(Invoice, null=False, on_delete=OnDelete.cascade)
    position = Integer(help_text="From 1.")
    description = Varchar(200)
    quantity = BigInt()
    unit_amount = BigInt(help_text="Minor units.")
    total = BigInt(help_text="Minor units.")
    grants = JSONB(default={}, help_text="What the payment brings: credits, or a plan.")


class InvoiceCounter(Table, db=DB, tablename="invoice_counters"):
    """The last number of a year; locked until the invoice that took it is committed."""

    year = Integer(primary_key=True)
    last = Integer()


class Checkout(Table, db=DB, tablename="checkouts"):
    """An offer to buy, until it is paid or expires."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    type = Varchar(20)
    status = Varchar(20, default="open")
    provider = Varchar(20)
    provider_ref = Varchar(255, null=True, default=None, help_text="The provider's id.")
    url = Varchar(2048)
    currency = Varchar(3)
    amount = BigInt(help_text="Minor units.")
    items = JSONB(default=[], help_text="What is bought, as customers are shown it.")
    lines = JSONB(default=[], help_text="The invoice's lines, as they were when offered.")
    invoice_id = UUID(null=True, default=None)
    user_id = UUID(null=True, default=None)
    expires_at = Timestamptz()
    completed_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)


class Payment(Table, db=DB, tablename="payments"):
    """Money that came in, once for each of the provider's references."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.restrict)
    invoice_id = UUID(null=True, default=None, help_text="Null: it went to the balance.")
    provider = Varchar(20)
    reference = Varchar(255, help_text="The provider's id, or a word of the operator's.")
    currency = Varchar(3)
    amount = BigInt(help_text="Minor units.")
    created_at = Timestamptz(default=clock.now)


class ProviderEvent(Table, db=DB, tablename="provider_events"):
    """A notification of the provider that was acted upon, so that its repeat is not."""

    id = UUID(primary_key=True, default=new_id)
    provider = Varchar(20)
    event_id = Varchar(255, help_text="The provider's.")
    type = Varchar(100)
    outcome = Varchar(20, help_text="done or ignored.")
    organization_id = UUID(null=True, default=None)
    sent_at = Timestamptz(help_text="By the provider's clock.")
    received_at = Timestamptz(default=clock.now)


class UsageHour(Table, db=DB, tablename="usage_hours"):
    """What an organization used in one hour that is over; never changed afterwards."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    hour = Timestamptz(help_text="Its start.")
    messages = BigInt(default=0)
    recipients = BigInt(default=0)
    delivered = BigInt(default=0)
    inbound = BigInt(default=0)
    bytes_sent = BigInt(default=0)
    api_requests = BigInt(default=0)
    webhook_deliveries = BigInt(default=0)


class UsageMark(Table, db=DB, tablename="usage_marks"):
    """Up to when usage has been rolled up; one row."""

    id = Integer(primary_key=True, default=1)
    rolled_up_to = Timestamptz()
