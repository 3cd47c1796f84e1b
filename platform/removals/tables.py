"""Removals that wait, and what became of those that do not."""

from piccolo.columns import UUID, Array, ForeignKey, OnDelete, Text, Timestamptz, Varchar
from piccolo.table import Table

from ..accounts.tables import Organization
from ..core import clock
from ..core.actor import Mode
from ..core.database import DB
from ..core.ids import new_id
from .rules import RemovalState


class Removal(Table, db=DB, tablename="removals"):
    """One thing that is to be removed, unless somebody takes it back."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = UUID(null=True, default=None)
    user_id = UUID(null=True, default=None)
    api_key_id = UUID(null=True, default=None)
    permissions = Array(Varchar(40), help_text="What whoever asked might do.")
    mode = Varchar(10, default=Mode.LIVE.value, help_text="Whether their mail really left.")
    kind = Varchar(20)
    target_id = UUID(help_text="What is removed.")
    name = Text(secret=True, help_text="What it is called; emptied when it is over.")
    state = Varchar(20, default=RemovalState.WAITING.value)
    failure = Text(null=True, default=None)
    due_at = Timestamptz()
    created_at = Timestamptz(default=clock.now)
    completed_at = Timestamptz(null=True, default=None)
