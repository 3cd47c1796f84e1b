"""The audit log."""

from piccolo.columns import JSONB, UUID, Timestamptz, Varchar
from piccolo.table import Table

from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class AuditEntry(Table, db=DB, tablename="audit_entries"):
    """One change by one actor; outlives what it is about, hence no foreign keys."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID(null=True, default=None)
    actor_kind = Varchar(20, help_text="user, api_key or platform.")
    user_id = UUID(null=True, default=None)
    api_key_id = UUID(null=True, default=None)
    action = Varchar(64, help_text="Noun and verb, such as api_key.created.")
    target_type = Varchar(40)
    target_id = Varchar(64)
    changes = JSONB(default={}, help_text="Changed fields; secrets are left out.")
    source_address = Varchar(45, null=True, default=None)
    request_id = Varchar(128, default="")
    created_at = Timestamptz(default=clock.now)
