"""Sums of events: which mail is counted together, and what it came to."""

from piccolo.columns import (
    UUID,
    Array,
    BigSerial,
    Integer,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..core.database import DB


class CountedSet(Table, db=DB, tablename="analytics_sets"):
    """Mail of one project that is counted together."""

    id = UUID(primary_key=True, help_text="Made of all that follows.")
    organization_id = UUID()
    project_id = UUID()
    kind = Varchar(20, help_text="all, a dimension, or full: told apart by everything below.")
    key = Varchar(320, help_text="Of a dimension, which one.")
    isp = Varchar(20, help_text="Of kinds full and bounce_class.")
    domain = Varchar(253, help_text="Sending domain; this and what follows of kind full.")
    recipient_domain = Varchar(253)
    vmta = Varchar(63, help_text="Name; empty before the first attempt, and of local failures.")
    pool = Varchar(63)
    tags = Array(Varchar(64), default=list)
    batch_id = Varchar(128)
    stream = Varchar(20)
    api_key = Varchar(36)
    template = Varchar(100)
    bounce_class = Varchar(30)


class Cell(Table, db=DB, tablename="analytics_cells"):
    """What one set came to in one stretch of time."""

    id = BigSerial(primary_key=True)
    set_id = UUID()
    grain = Varchar(10, help_text="minute, quarter (of an hour) or day (in UTC).")
    starts_at = Timestamptz()
    accepted = Integer(help_text="Recipients that were accepted, suppressed ones included.")
    sent = Integer(help_text="Had an attempt.")
    delivered = Integer(help_text="Less late bounces.")
    deferred = Integer(help_text="Recipients that failed for a while at least once.")
    deferrals = Integer(help_text="Attempts that failed for a while.")
    greylisted = Integer(help_text="Of these, those whose receiver did not know us yet.")
    hard_bounced = Integer(help_text="Final failures by type, expired ones included.")
    soft_bounced = Integer()
    blocked = Integer()
    expired = Integer()
    suppressed = Integer()
    cancelled = Integer()
    complained = Integer()
    unsubscribed = Integer()
    opens = Integer(help_text="By people; each one.")
    unique_opens = Integer(help_text="By people; the first of each recipient.")
    machine_opens = Integer(help_text="By programs.")
    all_unique_opens = Integer(help_text="The first of each recipient, whoever opened.")
    clicks = Integer(help_text="As opens.")
    unique_clicks = Integer()
    bot_clicks = Integer()
    all_unique_clicks = Integer()
    latency_0 = Integer(help_text="Deliveries by how long they took: LATENCY_BOUNDS.")
    latency_1 = Integer()
    latency_2 = Integer()
    latency_3 = Integer()
    latency_4 = Integer()
    latency_5 = Integer()
    latency_6 = Integer()
    latency_7 = Integer()
    latency_8 = Integer()
    latency_9 = Integer()
    latency_10 = Integer()
    latency_11 = Integer()
    latency_12 = Integer()
    latency_13 = Integer()
    latency_14 = Integer()
    latency_15 = Integer()
