"""Triplets, the networks that have passed, how much was put off, and policies."""

from piccolo.columns import (
    UUID,
    Array,
    BigInt,
    Boolean,
    ForeignKey,
    Integer,
    OnDelete,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..accounts.tables import Organization
from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Triplet(Table, db=DB, tablename="greylist_triplets"):
    """A network, a sender and a recipient, and when they met."""

    id = UUID(primary_key=True, help_text="Made of all three and of whose address it is.")
    organization_id = UUID(null=True, default=None, help_text="Null: the deployment's.")
    network = Varchar(50)
    first_seen_at = Timestamptz()
    last_seen_at = Timestamptz()
    tries = Integer()
    passed_at = Timestamptz(null=True, default=None, help_text="Null: it is still put off.")


class PassedClient(Table, db=DB, tablename="greylist_clients"):
    """A network from which mail has come again in time."""

    id = UUID(primary_key=True, help_text="Made of the network and of whose addresses they are.")
    organization_id = UUID(null=True, default=None, help_text="Null: the deployment's.")
    network = Varchar(50)
    passes = Integer()
    last_seen_at = Timestamptz()


class GreylistHour(Table, db=DB, tablename="greylist_hours"):
    """What was decided in one hour."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID(null=True, default=None, help_text="Null: the deployment's.")
    hour_at = Timestamptz()
    new = BigInt(default=0, help_text="Triplets seen for the first time.")
    deferred = BigInt(default=0)
    passed = BigInt(default=0)
    expired = BigInt(default=0, help_text="Triplets that did not come again in time.")
    exempted = BigInt(default=0)


class GreylistPolicy(Table, db=DB, tablename="greylist_policies"):
    """How an organization wants its mail from outside greylisted; null is the deployment's."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade, unique=True)
    enabled = Boolean(null=True, default=None)
    delay_seconds = Integer(null=True, default=None)
    retry_window_seconds = Integer(null=True, default=None)
    max_age_seconds = Integer(null=True, default=None)
    auto_allow_after = Integer(null=True, default=None)
    reports = Boolean(null=True, default=None, help_text="Put reports without a sender off, too.")
    exempt = Array(Varchar(253), default=list, help_text="Networks and domains.")
    updated_at = Timestamptz(default=clock.now)
