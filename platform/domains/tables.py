"""Domains, the records they publish, their DKIM keys."""

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    Boolean,
    Bytea,
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


class Domain(Table, db=DB, tablename="domains"):
    """A mail domain of an organization."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    name = Varchar(253, help_text="Lower-case A-labels.")
    status = Varchar(20, default="pending", help_text="pending, verified, degraded or failed.")
    return_path_domain = Varchar(253)
    tracking_domain = Varchar(253, null=True, default=None)
    track_opens = Boolean(default=False)
    track_clicks = Boolean(default=False)
    default_pool = Varchar(63, default="default")
    inbound_enabled = Boolean(default=False)
    dmarc_rua = Varchar(254, null=True, default=None)
    dkim_selector = Varchar(63, default="pmta")
    dkim_rotation_days = Integer(null=True, default=None)
    next_rotation_at = Timestamptz(null=True, default=None)
    verified_at = Timestamptz(null=True, default=None)
    degraded_at = Timestamptz(null=True, default=None)
    last_checked_at = Timestamptz(null=True, default=None)
    next_check_at = Timestamptz(null=True, default=None)
    blocked_by = UUID(
        null=True, default=None, help_text="The auto-block that keeps it from sending."
    )
    blocked_until = Timestamptz(null=True, default=None, help_text="Null: until it is resolved.")
    unanswered_checks = Integer(default=0, help_text="In a row, for which the DNS was silent.")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class DkimKey(Table, db=DB, tablename="dkim_keys"):
    """A signing key of a domain."""

    id = UUID(primary_key=True, default=new_id)
    domain_id = ForeignKey(Domain, null=False, on_delete=OnDelete.cascade)
    selector = Varchar(63)
    algorithm = Varchar(20, help_text="rsa-2048, rsa-1024 or ed25519.")
    state = Varchar(20, default="pending", help_text="pending, active, retiring or retired.")
    private_key = Bytea(null=True, secret=True, help_text="PEM, sealed; null once destroyed.")
    public_value = Text(help_text="What stands after p= in the record.")
    overlap_seconds = Integer(default=604800, help_text="How long the key before stays.")
    created_at = Timestamptz(default=clock.now)
    activated_at = Timestamptz(null=True, default=None)
    retires_at = Timestamptz(null=True, default=None)


class DomainRecord(Table, db=DB, tablename="domain_records"):
    """A DNS record that a domain should publish, and what was found."""

    id = UUID(primary_key=True, default=new_id)
    domain_id = ForeignKey(Domain, null=False, on_delete=OnDelete.cascade)
    purpose = Varchar(20, help_text="dkim, return_path, spf, dmarc, mx, tracking or bimi.")
    type = Varchar(10)
    name = Varchar(253)
    value = Text()
    required = Boolean()
    status = Varchar(20, default="pending", help_text="pending, verified, mismatch or error.")
    found = Array(Text(), default=list)
    message = Text(null=True, default=None)
    checked_at = Timestamptz(null=True, default=None)


class DomainBimi(Table, db=DB, tablename="domain_bimi"):
    """Which logo mailboxes show beside a domain's mail, and what is wrong with it."""

    id = UUID(primary_key=True, default=new_id)
    domain_id = ForeignKey(Domain, null=False, on_delete=OnDelete.cascade)
    enabled = Boolean(default=True)
    selector = Varchar(63, default="default")
    logo_url = Text(null=True, default=None)
    vmc_url = Text(null=True, default=None)
    issues = JSONB(default=[], help_text="Code and message of each.")
    vmc_expires_at = Timestamptz(null=True, default=None)
    checked_at = Timestamptz(null=True, default=None)


class DomainCheck(Table, db=DB, tablename="domain_checks"):
    """Checks of a domain that found the same, one after another."""

    id = UUID(primary_key=True, default=new_id)
    domain_id = ForeignKey(Domain, null=False, on_delete=OnDelete.cascade)
    status = Varchar(20, help_text="What the domain was after it.")
    results = JSONB(default=[], help_text="Purpose, name, status and message of each record.")
    times = Integer(default=1)
    first_at = Timestamptz(default=clock.now)
    last_at = Timestamptz(default=clock.now)
