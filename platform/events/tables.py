"""What happened to each message."""

from piccolo.columns import JSONB, UUID, BigSerial, Boolean, Timestamptz, Varchar
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
