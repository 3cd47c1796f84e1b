"""Virtual MTAs."""

from piccolo.columns import UUID, ForeignKey, Integer, OnDelete, Timestamptz, Varchar
from piccolo.table import Table

from ..accounts.tables import Organization
from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Pool(Table, db=DB, tablename="pools"):
    """A label that vMTAs carry."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    name = Varchar(63)
    created_at = Timestamptz(default=clock.now)


class Vmta(Table, db=DB, tablename="vmtas"):
    """A source address with its EHLO name."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(
        Organization, null=True, on_delete=OnDelete.cascade, help_text="Null: shared by all."
    )
    name = Varchar(63)
    ip_address = Varchar(45, null=True, default=None, help_text="Null: the system chooses.")
    hostname = Varchar(253, help_text="EHLO name; empty is the deployment's.")
    pool = Varchar(63, default="default")
    weight = Integer(default=100, help_text="Share within the pool, 0 to 1000.")
    status = Varchar(20, default="active", help_text="active or paused.")
    max_connections = Integer(default=100)
    tls = Varchar(20, default="opportunistic")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)
