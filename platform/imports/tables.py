"""What was taken over, by its id where it came from."""

from piccolo.columns import UUID, BigInt, Timestamptz, Varchar
from piccolo.table import Table

from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class ImportedRow(Table, db=DB, tablename="imported_rows"):
    """A row of another platform's that became one of ours, or a list that is read up to a place."""

    id = UUID(primary_key=True, default=new_id)
    platform = Varchar(20, help_text="Such as postal.")
    kind = Varchar(
        20, help_text="organization, user, project, api_key, domain, webhook, member or list."
    )
    foreign_id = Varchar(80, help_text="Unique among all installations of that platform.")
    local_id = UUID(help_text="Of our row, which may have been deleted since.")
    position = BigInt(null=True, default=None, help_text="Of a list: the last id that was read.")
    created_at = Timestamptz(default=clock.now)
