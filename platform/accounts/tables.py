"""Organizations, projects, users, memberships, invitations."""

from piccolo.columns import (
    UUID,
    Array,
    BigSerial,
    Boolean,
    ForeignKey,
    Integer,
    OnDelete,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Organization(Table, db=DB, tablename="organizations"):
    """A tenant."""

    id = UUID(primary_key=True, default=new_id)
    slug = Varchar(63, unique=True, help_text="Lower-case name in URLs; unique.")
    name = Varchar(100)
    status = Varchar(20, default="active", help_text="active or suspended.")
    suspended_for = Varchar(
        20, null=True, default=None, help_text="platform or, where only that is so, debt."
    )
    in_debt = Boolean(default=False, help_text="Suspended for debt, whatever else is.")
    plan = Varchar(40, default="self_hosted")
    requires_second_factor = Boolean(
        default=False, help_text="Members without one can do nothing but set one up."
    )
    track_opens = Boolean(null=True, default=None, help_text="Null: not decided here.")
    track_clicks = Boolean(null=True, default=None, help_text="Null: not decided here.")
    track_text_links = Boolean(null=True, default=None, help_text="Null: not decided here.")
    tracking_aggregate = Boolean(default=False, help_text="Nothing is kept of single people.")
    tracks_by_recipient = Boolean(
        default=False, help_text="Something was decided for single recipients, so look."
    )
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class Project(Table, db=DB, tablename="projects"):
    """A mail stream inside an organization."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    slug = Varchar(63, help_text="Lower-case name, unique in the organization.")
    name = Varchar(100)
    mode = Varchar(10, default="live", help_text="live or sandbox; for the keys bound to it.")
    allowed_domains = Array(
        Varchar(253), default=list, help_text="For the keys bound to it; empty is any."
    )
    rate_limit_per_minute = Integer(
        null=True, default=None, help_text="For each key bound to it; null is any number."
    )
    track_opens = Boolean(null=True, default=None, help_text="Null: not decided here.")
    track_clicks = Boolean(null=True, default=None, help_text="Null: not decided here.")
    track_text_links = Boolean(null=True, default=None, help_text="Null: not decided here.")
    tracking_aggregate = Boolean(default=False, help_text="Nothing is kept of single people.")
    archived_at = Timestamptz(
        null=True, default=None, help_text="Since then its keys are refused; null: in use."
    )
    number = BigSerial(help_text="For foreign clients that need integers.")
    uid = Varchar(
        255,
        null=True,
        default=None,
        help_text="The customer's name for it; unique in the organization.",
    )
    group_name = Varchar(100, null=True, default=None, help_text="What it is listed under.")
    stream = Varchar(20, default="transactional", help_text="Of mail that names none.")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class User(Table, db=DB, tablename="users"):
    """A person."""

    id = UUID(primary_key=True, default=new_id)
    email = Varchar(254, help_text="As the person wrote it.")
    email_key = Varchar(254, unique=True, help_text="Lower case, A-labels; for comparing.")
    name = Varchar(100)
    password_hash = Varchar(200, secret=True, help_text="Argon2id, PHC string.")
    timezone = Varchar(64, default="UTC", help_text="IANA name.")
    theme = Varchar(10, default="system", help_text="How pages look: system, light or dark.")
    shortcuts = Boolean(default=True, help_text="Single keys do something on pages.")
    language = Varchar(35, default="", help_text="Tag of RFC 5646; empty: as the browser asks.")
    status = Varchar(20, default="active", help_text="active or disabled.")
    platform_admin = Boolean(default=False)
    token_version = Integer(default=1, help_text="Raising it revokes every token of the user.")
    second_factor_at = Timestamptz(
        null=True, default=None, help_text="When the second factor was set up; null: there is none."
    )
    last_login_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class Membership(Table, db=DB, tablename="memberships"):
    """A user in an organization, with one role."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade)
    role = Varchar(20)
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class Invitation(Table, db=DB, tablename="invitations"):
    """An offer of a membership, open until it is accepted, withdrawn or too old."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    email = Varchar(254)
    role = Varchar(20)
    token_digest = Varchar(64, unique=True, secret=True, help_text="Hex of the keyed hash.")
    invited_by = ForeignKey(User, null=True, on_delete=OnDelete.set_null)
    expires_at = Timestamptz()
    accepted_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)
