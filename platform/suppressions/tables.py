"""Addresses we do not send to."""

from piccolo.columns import (
    UUID,
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


class Suppression(Table, db=DB, tablename="suppressions"):
    """One address of one organization that gets no mail."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = UUID(null=True, default=None, help_text="Null: every project.")
    stream = Varchar(20, null=True, default=None, help_text="Null: every stream.")
    address = Varchar(320)
    address_key = Varchar(320, help_text="Lower case, A-labels; for comparing.")
    reason = Varchar(30)
    description = Varchar(200, null=True, default=None)
    expires_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)


class SuppressionImport(Table, db=DB, tablename="suppression_imports"):
    """A file of suppressions that is read line by line."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = UUID(null=True, default=None, help_text="The only project it is for.")
    user_id = UUID(null=True, default=None)
    api_key_id = UUID(null=True, default=None)
    reason = Varchar(30, help_text="Of lines that name none.")
    stream = Varchar(20, null=True, default=None)
    done = Integer(default=0, help_text="Lines that were read so far.")
    added = Integer(default=0)
    changed = Integer(default=0)
    refused = Integer(default=0)
    failure = Text(null=True, default=None, help_text="Why no line could be read.")
    completed_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)


class ImportedFile(Table, db=DB, tablename="suppression_import_files"):
    """The bytes of an import until its last line was read; apart, for lists show imports."""

    id = UUID(primary_key=True, help_text="The import's id.")
    data = Bytea()


class RefusedLine(Table, db=DB, tablename="suppression_import_lines"):
    """A line of an imported file that was not taken, and why."""

    id = UUID(primary_key=True, default=new_id)
    import_id = ForeignKey(SuppressionImport, null=False, on_delete=OnDelete.cascade)
    line = Integer(help_text="1 is the first of the file.")
    text = Varchar(200, help_text="How the line begins.")
    problem = Varchar(200)
