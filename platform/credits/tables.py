"""Lots, their shares, and the ledger."""

from piccolo.columns import (
    JSONB,
    UUID,
    BigInt,
    Date,
    ForeignKey,
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
    api_key_id = UUID(null=True, default=None)
    user_id = UUID(null=True, default=None)
    created_at = Timestamptz(default=clock.now)


class CreditUsage(Table, db=DB, tablename="credit_usage"):
    """Credits used per day; spread over slots so that parallel sends add to different rows."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    type = Varchar(20)
    day = Date(help_text="In UTC.")
    slot = SmallInt(help_text="Negative for refunds.")
    used = BigInt(help_text="Whole credits; negative for refunds.")
