"""Lots and their shares, the ledger and its sums, packages for sale, alerts."""

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    Boolean,
    Date,
    ForeignKey,
    Integer,
    Numeric,
    OnDelete,
    SmallInt,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..accounts.tables import Organization
from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class CreditLot(Table, db=DB, tablename="credit_lots"):
    """Credits that were granted together and end together."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    type = Varchar(20, help_text="email, inbound, validation, spam_check or av_scan.")
    source = Varchar(20, help_text="included, purchase or adjustment.")
    granted = BigInt(help_text="Whole credits.")
    starts_at = Timestamptz(default=clock.now)
    expires_at = Timestamptz(null=True, default=None)
    expired = BigInt(help_text="Whole credits that were left when it ended; 0 until then.")
    settled = BigInt(help_text="Whole credits taken by entries that are forgotten.")
    created_at = Timestamptz(default=clock.now)


class CreditShare(Table, db=DB, tablename="credit_shares"):
    """A part of a lot, so that parallel debits find different rows to lock."""

    id = UUID(primary_key=True, default=new_id)
    lot_id = ForeignKey(CreditLot, null=False, on_delete=OnDelete.cascade)
    organization_id = UUID()
    type = Varchar(20)
    slot = SmallInt()
    remaining = BigInt(help_text="Whole credits; never negative.")


class CreditEntry(Table, db=DB, tablename="credit_entries"):
    """One movement of credits from one account to another."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    type = Varchar(20)
    from_account = Varchar(20, help_text="balance, granted, used or expired.")
    to_account = Varchar(20, help_text="balance, granted, used or expired.")
    amount = BigInt(help_text="Whole credits, more than 0.")
    balance_after = BigInt(null=True, default=None, help_text="Null when unlimited.")
    source = Varchar(20, help_text="send, batch, smtp, scan, api, grant, purchase, refund, ...")
    reference = Varchar(128, null=True, default=None)
    description = Varchar(200, null=True, default=None)
    lots = JSONB(default={}, help_text="Lot id to credits taken; a refund puts them back.")
    metadata = JSONB(default={}, help_text="The customer's own, of what they consumed.")
    api_key_id = UUID(null=True, default=None)
    user_id = UUID(null=True, default=None)
    created_at = Timestamptz(default=clock.now)


class CreditUsage(Table, db=DB, tablename="credit_usage"):
    """The ledger summed up by day; over slots, so that parallel sends add to different rows."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    type = Varchar(20)
    day = Date(help_text="In UTC.")
    source = Varchar(20, help_text="Of the entries that are summed up.")
    slot = SmallInt(help_text="Negative for refunds.")
    used = BigInt(help_text="Whole credits that were spent; negative for refunds.")
    entries = BigInt(help_text="How many.")
    amount = BigInt(help_text="Whole credits that the entries moved, whichever way.")
    counted = BigInt(help_text="Of the amount, what changed a balance; of unlimited plans 0.")


class CreditCarried(Table, db=DB, tablename="credit_carried"):
    """What the entries moved that are forgotten, so that the rest of the ledger still adds up."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    type = Varchar(20)
    source = Varchar(20, help_text="Of the entries.")
    entries = BigInt(help_text="How many.")
    amount = BigInt(help_text="Whole credits that they moved, whichever way.")
    counted = BigInt(help_text="Of the amount, what changed a balance.")
    change = BigInt(help_text="What they changed the balance by.")


class CreditReference(Table, db=DB, tablename="credit_references"):
    """A customer's own name for something consumed, so that it is consumed once."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    type = Varchar(20)
    reference = Varchar(128)
    amount = BigInt(help_text="Whole credits.")
    entry_id = UUID(help_text="Of the ledger.")
    created_at = Timestamptz(default=clock.now)


class CreditPackage(Table, db=DB, tablename="credit_packages"):
    """Credits that are sold together; what was sold keeps its lot, whatever becomes of this."""

    id = UUID(primary_key=True, default=new_id)
    code = Varchar(64, unique=True, help_text="Such as email-100k.")
    name = Varchar(100)
    type = Varchar(20)
    quantity = BigInt(help_text="Whole credits.")
    price_amount = BigInt(help_text="In minor units of the currency.")
    price_currency = Varchar(3, help_text="ISO 4217.")
    validity_days = Integer(null=True, default=None, help_text="Null: they do not end.")
    available = Boolean(default=True, help_text="Can be bought.")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class CreditAlert(Table, db=DB, tablename="credit_alerts"):
    """Whom to tell when a balance falls below a threshold."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    type = Varchar(20)
    threshold = Numeric((18, 2), help_text="Whole credits, or percent with two decimals.")
    unit = Varchar(10, help_text="absolute or percent.")
    channels = Array(Varchar(10), help_text="email, webhook or both.")
    recipients = Array(Varchar(254), default=list, help_text="Empty: owners and billing users.")
    enabled = Boolean(default=True)
    level = Varchar(10, default="above", help_text="above, below or empty, when last looked at.")
    last_triggered_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)
