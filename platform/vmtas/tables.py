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
    max_messages_per_connection = Integer(null=True, default=None, help_text="Null: no limit.")
    max_messages_per_hour = Integer(null=True, default=None, help_text="To all sites together.")
    max_messages_per_day = Integer(null=True, default=None, help_text="To all sites together.")


class VmtaLimit(Table, db=DB, tablename="vmta_limits"):
    """What a vMTA may do at one provider, or at one domain; null leaves it to the defaults."""

    id = UUID(primary_key=True, default=new_id)
    vmta_id = ForeignKey(Vmta, null=False, on_delete=OnDelete.cascade)
    isp = Varchar(20, null=True, default=None, help_text="Null: it is for a domain.")
    domain = Varchar(253, null=True, default=None, help_text="A-labels; null: for a provider.")
    max_connections = Integer(null=True, default=None, help_text="0 is no limit.")
    max_messages_per_connection = Integer(null=True, default=None, help_text="0 is no limit.")
    max_messages_per_hour = Integer(null=True, default=None, help_text="0 is no limit.")
