"""Webhooks, their calls, and what is counted of them."""

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    BigSerial,
    Boolean,
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


class Webhook(Table, db=DB, tablename="webhooks"):
    """Where to call, what for, and how the call is written and signed."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = UUID(null=True, default=None, help_text="Null: every project.")
    url = Varchar(2048)
    events = Array(Varchar(40), default=list, help_text="message.bounced, message.* or *.")
    description = Varchar(200, null=True, default=None)
    filters = JSONB(default={}, help_text="Lists by name: domains, vmtas, tags, streams.")
    format = Varchar(20, default="standard", help_text="How the body is written.")
    payload_version = Varchar(10, help_text="A date, such as 2026-06-01.")
    document = Text(null=True, default=None, help_text="GraphQL that makes the data of a call.")
    document_permissions = Array(
        Varchar(40), default=list, help_text="What whoever wrote the document might read."
    )
    in_order = Boolean(default=False, help_text="A call waits until the one before is final.")
    sealed_secret = Bytea(secret=True, help_text="Encrypted.")
    sealed_previous_secret = Bytea(null=True, default=None, secret=True)
    previous_secret_expires_at = Timestamptz(null=True, default=None)
    sealed_headers = Bytea(null=True, default=None, secret=True, help_text="Encrypted JSON.")
    header_names = Array(Varchar(100), default=list)
    enabled = Boolean(default=True)
    disabled_reason = Varchar(20, null=True, default=None, help_text="failing or gone.")
    deleted_at = Timestamptz(null=True, default=None, help_text="Its log is kept for a while.")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class WebhookProgress(Table, db=DB, tablename="webhook_progress"):
    """What changes of a webhook with every call; apart, for it changes often."""

    webhook_id = UUID(primary_key=True)
    organization_id = UUID()
    next_due_at = Timestamptz(
        null=True, default=None, help_text="A hint: no pending call is due before."
    )
    worker_id = UUID(null=True, default=None, help_text="Who sends its calls.")
    leased_until = Timestamptz(null=True, default=None)
    failing_since = Timestamptz(
        null=True, default=None, help_text="Of the first failure since the last success."
    )
    last_delivered_at = Timestamptz(null=True, default=None)


class WebhookCall(Table, db=DB, tablename="webhook_calls"):
    """One event for one webhook, and every attempt to deliver it."""

    id = UUID(primary_key=True, default=new_id)
    number = BigSerial(help_text="Order of the calls of one webhook.")
    organization_id = UUID()
    webhook_id = UUID()
    event_id = UUID()
    event_type = Varchar(40)
    message_id = UUID(null=True, default=None)
    test = Boolean(default=False, help_text="Somebody tried the webhook; never repeated.")
    replay = Integer(default=0, help_text="0 is the first call for the event.")
    state = Varchar(10, default="pending", help_text="pending, delivered or dead.")
    attempts = Integer(default=0)
    due_at = Timestamptz(null=True, default=None, help_text="Null when final.")
    log = JSONB(default=[], help_text="Each attempt: at, status, reply, error, duration_ms.")
    request = Text(null=True, default=None, help_text="The body that was sent last.")
    created_at = Timestamptz(default=clock.now)
    delivered_at = Timestamptz(null=True, default=None)


class PostalSigningKey(Table, db=DB, tablename="postal_signing_keys"):
    """The key of the installation that signs calls in Postal's format; there is one."""

    id = UUID(primary_key=True, default=new_id)
    private_key = Bytea(secret=True, help_text="PEM, sealed.")
    created_at = Timestamptz(default=clock.now)


class WebhookHour(Table, db=DB, tablename="webhook_hours"):
    """What became of the attempts of one webhook in one hour."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    webhook_id = UUID()
    hour = Timestamptz(help_text="When it began.")
    delivered = Integer(default=0)
    failed = Integer(default=0, help_text="Attempts.")
    dead = Integer(default=0)
    durations = Array(Integer(), default=list, help_text="Deliveries by class of duration.")


class WebhookCount(Table, db=DB, tablename="webhook_counts"):
    """How many attempts of an organization ever came to one result."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    result = Varchar(10, help_text="delivered or failed.")
    attempts = BigInt(default=0)


class WebhookReplay(Table, db=DB, tablename="webhook_replays"):
    """Calls of a stretch of time that are to be made once more."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    webhook_id = UUID()
    since = Timestamptz()
    until = Timestamptz()
    states = Array(Varchar(10), default=list, help_text="Of the calls: delivered, dead.")
    missed = Boolean(default=False, help_text="Also events that no call was made for.")
    after_id = UUID(null=True, default=None, help_text="The last call that was looked at.")
    after_message_id = UUID(
        null=True, default=None, help_text="The last message whose events were looked at."
    )
    after_event_id = UUID(
        null=True, default=None, help_text="The last event of no message that was looked at."
    )
    replayed = Integer(default=0)
    completed_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)
