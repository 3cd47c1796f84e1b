"""Virtual MTAs."""

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    BigSerial,
    Boolean,
    Date,
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


class Pool(Table, db=DB, tablename="pools"):
    """A label that vMTAs carry."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    name = Varchar(63)
    created_at = Timestamptz(default=clock.now)


class Vmta(Table, db=DB, tablename="vmtas"):
    """A source address with its EHLO name."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(
        Organization, null=True, on_delete=OnDelete.cascade, help_text="Null: shared by all."
    )
    name = Varchar(63)
    ip_address = Varchar(45, null=True, default=None, help_text="Null: the system chooses.")
    hostname = Varchar(253, help_text="EHLO name; empty is the deployment's.")
    pool = Varchar(63, default="default")
    weight = Integer(default=100, help_text="Share within the pool, 0 to 1000.")
    status = Varchar(20, default="active", help_text="active or paused.")
    max_connections = Integer(default=100)
    tls = Varchar(20, default="opportunistic")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)
    max_messages_per_connection = Integer(null=True, default=None, help_text="Null: no limit.")
    max_messages_per_hour = Integer(null=True, default=None, help_text="To all sites together.")
    max_messages_per_day = Integer(null=True, default=None, help_text="To all sites together.")
    description = Varchar(200, null=True, default=None)
    allowed_domains = Array(
        Varchar(253), default=list, help_text="Sending domains that may use it; empty is any."
    )
    pause_reason = Varchar(200, null=True, default=None)
    pause_source = Varchar(20, null=True, default=None, help_text="user or auto_block.")
    paused_by = UUID(null=True, default=None, help_text="The user who paused it.")
    paused_at = Timestamptz(null=True, default=None)
    paused_until = Timestamptz(null=True, default=None, help_text="Null: until it is resumed.")
    pause_reroutes = Boolean(default=True, help_text="Mail of its pool goes through others.")
    full_until = Timestamptz(
        null=True, default=None, help_text="Its warm-up allows nothing more before."
    )
    ptr = Varchar(253, null=True, default=None, help_text="What its address is called.")
    is_forward_confirmed = Boolean(null=True, default=None, help_text="That name has the address.")
    ehlo_matches_ptr = Boolean(null=True, default=None)
    is_listed = Boolean(null=True, default=None, help_text="On a blocklist; null: not looked up.")
    checked_at = Timestamptz(null=True, default=None)
    next_check_at = Timestamptz(null=True, default=None, help_text="Null: it has no address.")


class VmtaLimit(Table, db=DB, tablename="vmta_limits"):
    """What a vMTA may do at one provider, or at one domain; null leaves it to the defaults."""

    id = UUID(primary_key=True, default=new_id)
    vmta_id = ForeignKey(Vmta, null=False, on_delete=OnDelete.cascade)
    isp = Varchar(20, null=True, default=None, help_text="Null: it is for a domain.")
    domain = Varchar(253, null=True, default=None, help_text="A-labels; null: for a provider.")
    max_connections = Integer(null=True, default=None, help_text="0 is no limit.")
    max_messages_per_connection = Integer(null=True, default=None, help_text="0 is no limit.")
    max_messages_per_hour = Integer(null=True, default=None, help_text="0 is no limit.")


class VmtaWarmup(Table, db=DB, tablename="vmta_warmups"):
    """How a vMTA that receivers do not know yet sends more from day to day."""

    id = UUID(primary_key=True, default=new_id)
    vmta_id = ForeignKey(Vmta, null=False, on_delete=OnDelete.cascade)
    schedule = Varchar(20)
    custom = JSONB(null=True, default=None, help_text="Pairs of day and messages a day.")
    target_daily_volume = Integer()
    start_on = Date(help_text="In UTC.")
    state = Varchar(20, help_text="active, held, paused or completed.")
    day = Integer(default=1, help_text="Of the plan, from 1 on.")
    day_on = Date(help_text="Which date that day is.")
    repeats = Integer(default=0, help_text="How often the day came again for lack of mail.")
    rerouted = Integer(default=0, help_text="Recipients that went through others that date.")
    updated_at = Timestamptz(default=clock.now)


class WarmupDay(Table, db=DB, tablename="vmta_warmup_days"):
    """One date of a warm-up that is over, and what followed from it."""

    id = UUID(primary_key=True, default=new_id)
    vmta_id = ForeignKey(Vmta, null=False, on_delete=OnDelete.cascade)
    ended_on = Date()
    day = Integer(help_text="Of the plan.")
    daily_limit = BigInt(null=True, default=None)
    sent = Integer()
    rerouted = Integer()
    action = Varchar(20, help_text="advance, repeat_day, step_back, pause or complete.")
    reason = Text(null=True, default=None)


class VmtaActivity(Table, db=DB, tablename="vmta_activity"):
    """How attempts of a vMTA ended in an hour; parts of it are added up every few seconds."""

    id = BigSerial(primary_key=True)
    organization_id = UUID()
    vmta_id = UUID()
    hour_at = Timestamptz()
    is_sum = Boolean(default=False, help_text="The only such row of its hour.")
    attempts = Integer()
    delivered = Integer()
    hard_bounced = Integer()
    soft_bounced = Integer()
    blocked = Integer()
    deferred = Integer()


class PastVmta(Table, db=DB, tablename="past_vmtas"):
    """A vMTA that was deleted: its name, and where mail goes that still comes for it."""

    id = UUID(primary_key=True, help_text="Its id.")
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    name = Varchar(63)
    successor_id = UUID(null=True, default=None, help_text="Null: whoever the pool default is.")
    deleted_at = Timestamptz(default=clock.now)
