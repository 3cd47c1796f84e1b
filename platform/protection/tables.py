"""Blocks, what organizations switched, and how they are judged."""

from piccolo.columns import (
    JSONB,
    UUID,
    BigInt,
    Boolean,
    DoublePrecision,
    ForeignKey,
    Integer,
    OnDelete,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..accounts.tables import Organization
from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Block(Table, db=DB, tablename="auto_blocks"):
    """What a rule has stopped, and why."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(
        Organization, null=True, on_delete=OnDelete.cascade, help_text="Null: the deployment's."
    )
    rule_key = Varchar(40)
    scope = Varchar(20)
    target_id = Varchar(64)
    target_name = Varchar(320)
    action = Varchar(20)
    status = Varchar(20, help_text="active, dry_run, resolved or expired.")
    metric_value = DoublePrecision()
    threshold = DoublePrecision()
    sample_size = Integer()
    reason = Varchar(300)
    evidence = JSONB(default="{}")
    triggered_at = Timestamptz(default=clock.now)
    expires_at = Timestamptz(null=True, default=None, help_text="Null: until it is resolved.")
    resolved_at = Timestamptz(null=True, default=None)
    resolved_by = UUID(null=True, default=None, help_text="The user who did.")
    note = Varchar(500, null=True, default=None)
    grace_until = Timestamptz(
        null=True, default=None, help_text="Until then its rule leaves the target alone."
    )


class RuleSwitch(Table, db=DB, tablename="auto_block_switches"):
    """What an organization says of a rule."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    rule_key = Varchar(40)
    enabled = Boolean()
    dry_run = Boolean(default=False)
    updated_at = Timestamptz(default=clock.now)


class Judging(Table, db=DB, tablename="auto_block_strictness"):
    """How strictly an organization is judged; without a row as is usual."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade, unique=True)
    strictness = Varchar(10)
    updated_at = Timestamptz(default=clock.now)


class BlockCount(Table, db=DB, tablename="auto_block_counts"):
    """How many blocks a rule has begun, for `/metrics`: a count of rows would read them all."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(
        Organization, null=True, on_delete=OnDelete.cascade, help_text="Null: the deployment's."
    )
    rule_key = Varchar(40)
    begun = BigInt(default=0, help_text="Dry runs do not count.")


class Look(Table, db=DB, tablename="auto_block_looks"):
    """When rules were last looked at, by whichever worker."""

    key = Varchar(20, primary_key=True, help_text="all, or source_ip: those about networks.")
    looked_at = Timestamptz()
