"""What happened to each message, and how often."""

from piccolo.columns import (
    JSONB,
    UUID,
    BigInt,
    BigSerial,
    Boolean,
    Integer,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Event(Table, db=DB, tablename="events"):
    """One thing that happened to one delivery, or to something else of an organization."""

    id = UUID(primary_key=True, default=new_id)
    position = BigSerial(help_text="Order of writing, with gaps.")
    organization_id = UUID()
    project_id = UUID(null=True, default=None)
    message_id = UUID(null=True, default=None)
    delivery_id = UUID(null=True, default=None)
    type = Varchar(40, help_text="Such as message.delivered.")
    simulated = Boolean(default=False)
    data = JSONB(default={})
    occurred_at = Timestamptz(default=clock.now)


class EventCount(Table, db=DB, tablename="event_counts"):
    """How many events of one kind there have been; the sum over the slots counts."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    vmta_id = UUID(null=True, default=None, help_text="Whose queue it concerns, if any.")
    type = Varchar(40, help_text="Such as message.delivered.")
    label = Varchar(30, help_text="Of a bounce its class, and of an attempt `/` and the provider.")
    slot = Integer(help_text="Which of the transactions of one moment added to this row.")
    events = BigInt(help_text="How many; like the other two it never decreases.")
    attempts = BigInt(help_text="Of the events, those that end an attempt.")
    messages = BigInt(help_text="Of the events, those that are the first of their message.")


class EventConsumer(Table, db=DB, tablename="event_consumers"):
    """How far something is that has every event once; `consuming` says how to read it."""

    id = UUID(primary_key=True, default=new_id)
    name = Varchar(40, unique=True, help_text="Which one, such as analytics.")
    upto = BigInt(help_text="The highest position it has had.")
    holes = Text(help_text="Ranges of lower positions that the last looks could not see.")
    waiting = Text(help_text="Such ranges whose transactions may still be open.")
    waiting_below = BigInt(help_text="Only transactions below this number can fill `waiting`.")
    looked_at = Timestamptz(default=clock.now, help_text="When it last looked for more.")
