"""Templates and their versions."""

from piccolo.columns import JSONB, UUID, ForeignKey, Integer, OnDelete, Timestamptz, Varchar
from piccolo.table import Table

from ..accounts.tables import Organization
from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Template(Table, db=DB, tablename="templates"):
    """What messages are filled from, under one name."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = UUID(null=True, default=None, help_text="Null: every project.")
    slug = Varchar(63, help_text="Name in requests; unique in the project.")
    name = Varchar(100)
    syntax = Varchar(10, help_text="jinja or braces.")
    latest = Integer(default=0, help_text="Number of the newest version.")
    published = Integer(null=True, default=None, help_text="Number of the version that counts.")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class TemplateVersion(Table, db=DB, tablename="template_versions"):
    """What a template says, or once said; never changed."""

    id = UUID(primary_key=True, default=new_id)
    template_id = ForeignKey(Template, null=False, on_delete=OnDelete.cascade)
    number = Integer(help_text="1 is the first of its template.")
    layout_id = UUID(null=True, default=None, help_text="The template that it is put into.")
    sender = Varchar(1100, null=True, default=None, help_text="From, where a message names none.")
    texts = JSONB(help_text="Subject, html and text by locale; the empty one is for all others.")
    variables = JSONB(default=[], help_text="Names with their defaults.")
    user_id = UUID(null=True, default=None, help_text="Who made it.")
    created_at = Timestamptz(default=clock.now)
