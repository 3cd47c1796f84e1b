"""The outbox of the platform's own mail."""

from piccolo.columns import UUID, Bytea, Integer, Timestamptz, Varchar
from piccolo.table import Table

from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class OutboxNotice(Table, db=DB, tablename="notices"):
    """A notice to send, or that was sent; outlives what it is about, hence no foreign keys."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID(null=True, default=None, help_text="Whom it tells about, if anybody.")
    notice = Varchar(40)
    language = Varchar(35, default="", help_text="Tag of RFC 5646; empty: English.")
    recipient = Varchar(254)
    sealed_values = Bytea(
        null=True, default=None, secret=True, help_text="Encrypted JSON; null once it is final."
    )
    state = Varchar(20, default="queued", help_text="queued, sent or failed.")
    attempts = Integer(default=0)
    due_at = Timestamptz(null=True, default=clock.now, help_text="Null once it is final.")
    reply = Varchar(500, default="", help_text="What the last attempt came to.")
    created_at = Timestamptz(default=clock.now)
    finished_at = Timestamptz(null=True, default=None)
