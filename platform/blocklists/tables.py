"""What lists said, whether they pass their tests, and which vMTAs are on them."""

from piccolo.columns import (
    UUID,
    Array,
    ForeignKey,
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
from ..vmtas.tables import Vmta


class KeptAnswer(Table, db=DB, tablename="blocklist_answers"):
    """What a list said of a subject when an organization asked; kept for an hour at most."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    zone = Varchar(253)
    subject = Varchar(253, help_text="An address or a domain, in its normal form.")
    codes = Array(Varchar(15), default=list, help_text="Empty: it is not listed.")
    reason = Text(null=True, default=None)
    expires_at = Timestamptz()


class ZoneTest(Table, db=DB, tablename="blocklist_tests"):
    """How the last test of a list ended."""

    id = UUID(primary_key=True, default=new_id)
    zone = Varchar(253, unique=True)
    fault = Varchar(20, null=True, default=None, help_text="Null: it passed.")
    tested_at = Timestamptz(default=clock.now)
    passed_at = Timestamptz(null=True, default=None, help_text="When it passed last.")


class Watch(Table, db=DB, tablename="blocklist_watches"):
    """When the address of a vMTA is looked up next."""

    id = UUID(primary_key=True, help_text="The vMTA's id.")
    ip_address = Varchar(
        45,
        null=True,
        default=None,
        help_text="For which the time is; another is looked up at once.",
    )
    checked_at = Timestamptz(null=True, default=None)
    next_check_at = Timestamptz(default=clock.now)


class Listing(Table, db=DB, tablename="blocklist_listings"):
    """The address of a vMTA on a list."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(
        Organization, null=True, on_delete=OnDelete.cascade, help_text="Null: of a shared vMTA."
    )
    vmta_id = ForeignKey(Vmta, null=False, on_delete=OnDelete.cascade)
    ip_address = Varchar(45)
    zone = Varchar(253)
    severity = Varchar(10)
    codes = Array(Varchar(15), default=list)
    reason = Text(null=True, default=None)
    since = Timestamptz(default=clock.now)
    seen_at = Timestamptz(default=clock.now, help_text="When it was there last.")
