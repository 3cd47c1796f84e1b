"""The spool: contents, messages as delivery sees them, deliveries, attempts, queues."""

from piccolo.columns import (
    JSONB,
    UUID,
    BigSerial,
    Boolean,
    Bytea,
    Integer,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Content(Table, db=DB, tablename="contents"):
    """What a message says; kept apart because it is large and goes first."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    format = Varchar(10, help_text="parts (MessagePack of mail.compose.Parts) or raw (RFC 5322).")
    body = Bytea()
    created_at = Timestamptz(default=clock.now)


class SpooledMessage(Table, db=DB, tablename="spooled_messages"):
    """How far one message is: the sum of its deliveries."""

    id = UUID(primary_key=True, help_text="The message's id.")
    organization_id = UUID()
    content_id = UUID()
    domain_id = UUID(null=True, default=None, help_text="Whose keys sign it.")
    return_path_domain = Varchar(253, default="")
    status = Varchar(20)
    recipient_count = Integer()
    open_count = Integer(help_text="Deliveries that are not final.")
    completed_at = Timestamptz(null=True, default=None)


class Queue(Table, db=DB, tablename="queues"):
    """The deliveries of one vMTA to one destination domain for one organization."""

    id = UUID(primary_key=True, help_text="UUID version 5 of organization, vMTA and domain.")
    organization_id = UUID()
    vmta_id = UUID()
    domain = Varchar(253)
    state = Varchar(20, default="active", help_text="active or held, as its users want it.")
    backoff_until = Timestamptz(
        null=True, default=None, help_text="Until then it sends at a tenth of its rate."
    )
    created_at = Timestamptz(default=clock.now)


class Delivery(Table, db=DB, tablename="deliveries"):
    """One recipient of one message."""

    id = UUID(primary_key=True, default=new_id)
    number = BigSerial(help_text="For foreign clients that need integers.")
    token = Varchar(16, help_text="16 characters of A-Za-z0-9; names it in return paths.")
    organization_id = UUID()
    project_id = UUID()
    message_id = UUID()
    queue_id = UUID()
    kind = Varchar(3, help_text="to, cc or bcc.")
    address = Varchar(320)
    address_key = Varchar(320, help_text="Lower case, A-labels; for comparing.")
    domain = Varchar(253, help_text="Recipient domain, A-labels.")
    priority = SmallInt(default=0, help_text="0 transactional, 1 marketing; lower goes first.")
    state = Varchar(20)
    attempts = Integer(default=0)
    due_at = Timestamptz(null=True, default=None, help_text="Null when final or simulated.")
    expires_at = Timestamptz()
    cancel_requested = Boolean(default=False)
    cancelled_by = UUID(null=True, default=None, help_text="Who asked for it while it was sent.")
    refund_entry_id = UUID(
        null=True,
        default=None,
        help_text="Entry of the ledger that pays it back, if it ends without an attempt.",
    )
    code = Integer(null=True, default=None, help_text="Last SMTP reply.")
    enhanced_code = Varchar(11, null=True, default=None)
    reply = Text(null=True, default=None)
    mx_host = Varchar(253, null=True, default=None)
    bounce_class = Varchar(30, null=True, default=None)
    last_attempt_at = Timestamptz(null=True, default=None)
    delivered_at = Timestamptz(null=True, default=None)
    settled_at = Timestamptz(null=True, default=None, help_text="When it became final.")
    created_at = Timestamptz(default=clock.now)


class Attempt(Table, db=DB, tablename="attempts"):
    """One try to hand one delivery over, and what the other side said."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    delivery_id = UUID()
    number = Integer(help_text="1 is the first attempt of the delivery.")
    verdict = Varchar(20, help_text="delivered, deferred or bounced.")
    code = Integer(null=True, default=None)
    enhanced_code = Varchar(11, null=True, default=None)
    reply = Text(default="")
    bounce_class = Varchar(30, null=True, default=None)
    mx_host = Varchar(253, null=True, default=None)
    mx_address = Varchar(45, null=True, default=None)
    source_address = Varchar(45, null=True, default=None)
    tls_version = Varchar(20, null=True, default=None)
    tls_cipher = Varchar(60, null=True, default=None)
    tls_verified = Boolean(null=True, default=None)
    transcript = JSONB(default=[], help_text="Lines, without credentials and content.")
    started_at = Timestamptz()
    duration_ms = Integer()


class CapturedMessage(Table, db=DB, tablename="captured_messages"):
    """Mail that `capture` kept instead of sending it away."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID(null=True, default=None)
    delivery_id = UUID(null=True, default=None)
    envelope_from = Varchar(320)
    envelope_to = Varchar(320)
    data = Bytea()
    created_at = Timestamptz(default=clock.now)
