"""Exports, and the files that were made of them."""

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    Bytea,
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
from ..core.database import DB
from ..core.ids import new_id
from .rules import ExportState


class Export(Table, db=DB, tablename="exports"):
    """A file that somebody wants, and how far it is."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = UUID(null=True, default=None, help_text="The only project it may tell of.")
    user_id = UUID(null=True, default=None)
    api_key_id = UUID(null=True, default=None)
    permissions = Array(Varchar(40), help_text="What whoever asked might read.")
    dataset = Varchar(30)
    filter = JSONB(help_text="As the schema's input of that list takes it.")
    delimiter = Varchar(10)
    state = Varchar(20, default=ExportState.QUEUED.value)
    place = Text(null=True, default=None, help_text="Cursor behind what was written.")
    parts = Integer(default=0, help_text="Of the file, so far.")
    rows = BigInt(default=0, help_text="Lines that were written so far, without the header.")
    size_bytes = BigInt(default=0)
    newest_at = Timestamptz(null=True, default=None, help_text="Time of the first row there is.")
    oldest_at = Timestamptz(null=True, default=None, help_text="Time of the last one.")
    share = DoublePrecision(default=0.0, help_text="Of that time, what was written.")
    failures = Integer(default=0, help_text="Pages that could not be read, one after the other.")
    failure = Text(null=True, default=None)
    created_at = Timestamptz(default=clock.now)
    completed_at = Timestamptz(null=True, default=None)
    expires_at = Timestamptz(null=True, default=None)


class ExportPart(Table, db=DB, tablename="export_parts"):
    """Some lines of a file; apart, for lists show exports."""

    id = UUID(primary_key=True, default=new_id)
    export_id = ForeignKey(Export, null=False, on_delete=OnDelete.cascade)
    number = Integer(help_text="0 is the first.")
    data = Bytea()
