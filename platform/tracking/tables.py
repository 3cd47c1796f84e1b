"""Hits that are not events yet, choices of recipients, and who was erased."""

from piccolo.columns import (
    UUID,
    Boolean,
    Bytea,
    ForeignKey,
    OnDelete,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..accounts.tables import Organization
from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Hit(Table, db=DB, tablename="tracking_hits"):
    """A request for a pixel or a link; removed in the transaction that makes it an event."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    project_id = UUID()
    message_id = UUID()
    delivery_id = UUID()
    who = Bytea(help_text="The first bytes of the keyed hash of whose it is.")
    kind = Varchar(10, help_text="open or click.")
    url = Text(null=True, default=None, help_text="Where the link leads.")
    link_index = SmallInt(null=True, default=None, help_text="0 is the first of the message.")
    user_agent = Varchar(500, null=True, default=None)
    ip = Varchar(45, null=True, default=None, help_text="Of the network, not of the machine.")
    machine = Varchar(40, null=True, default=None, help_text="The rule by which no person did it.")
    implies_open = Boolean(default=False, help_text="Of a click: opens are tracked, too.")
    aggregate = Boolean(default=False, help_text="Nothing may be kept of whom it came from.")
    made_at = Timestamptz(help_text="When the token was made.")
    occurred_at = Timestamptz()


class TrackingChoice(Table, db=DB, tablename="tracking_choices"):
    """What was decided about tracking one recipient."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = UUID(null=True, default=None, help_text="Null: every project.")
    address = Varchar(320)
    address_key = Varchar(320, help_text="Lower case, A-labels; for comparing.")
    track_opens = Boolean(null=True, default=None, help_text="Null: not decided here.")
    track_clicks = Boolean(null=True, default=None, help_text="Null: not decided here.")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class ErasedRecipient(Table, db=DB, tablename="erased_recipients"):
    """Somebody of whose mail from before nothing is to be recorded any more."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    who = Bytea(help_text="The first bytes of the keyed hash of organization and address.")
    erased_at = Timestamptz()
