"""Bulk actions, and how far they are."""

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    DoublePrecision,
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
from ..core.actor import Mode
from ..core.database import DB
from ..core.ids import new_id
from .rules import BulkState


class BulkAction(Table, db=DB, tablename="bulk_actions"):
    """What somebody has done to all messages that match, and how far it is."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = UUID(null=True, default=None, help_text="The only project whose mail it is.")
    user_id = UUID(null=True, default=None)
    api_key_id = UUID(null=True, default=None)
    permissions = Array(Varchar(40), help_text="What whoever asked might do.")
    allowed_domains = Array(Varchar(253), help_text="The only ones that whoever asked sends from.")
    mode = Varchar(10, default=Mode.LIVE.value, help_text="Whether their mail really left.")
    kind = Varchar(20)
    filter = JSONB(help_text="Which messages; what came later is left out.")
    state = Varchar(20, default=BulkState.QUEUED.value)
    place = Text(null=True, default=None, help_text="Cursor behind what is done.")
    seen = BigInt(default=0, help_text="Messages that were looked at so far.")
    affected = BigInt(default=0, help_text="Messages or recipients that something was done to.")
    refused = BigInt(default=0, help_text="Messages that it could not be done to.")
    newest_at = Timestamptz(null=True, default=None, help_text="Time of the first message.")
    oldest_at = Timestamptz(null=True, default=None, help_text="Time of the last one.")
    share = DoublePrecision(default=0.0, help_text="Of that time, what is done.")
    failures = Integer(default=0, help_text="Pages that failed, one after the other.")
    failure = Text(null=True, default=None)
    waiting_since = Timestamptz(
        null=True, default=None, help_text="It cannot go on for now; null while it can."
    )
    only_domain = UUID(
        null=True, default=None, help_text="It comes again for mail of this domain; null at first."
    )
    left_out = JSONB(
        default=[], help_text="Domains that were blocked, each with the cursor before its first."
    )
    waiting = BigInt(default=0, help_text="Messages of those that are still to be done.")
    waiting_for = Text(null=True, default=None, help_text="What they wait for.")
    created_at = Timestamptz(default=clock.now)
    completed_at = Timestamptz(null=True, default=None)
