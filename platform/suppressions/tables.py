"""Addresses we do not send to."""

from piccolo.columns import UUID, ForeignKey, OnDelete, Timestamptz, Varchar
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
    address = Varchar(320)
    address_key = Varchar(320, help_text="Lower case, A-labels; for comparing.")
    reason = Varchar(30)
    description = Varchar(200, null=True, default=None)
    expires_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)
