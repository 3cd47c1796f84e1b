"""The spool: contents, messages as delivery sees them, deliveries, attempts, queues."""

from piccolo.columns import (
    JSONB,
    UUID,
    BigInt,
    BigSerial,
    Boolean,
    Bytea,
    ForeignKey,
    Integer,
    OnDelete,
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
    format = Varchar(
        10, help_text="MessagePack, as contents.py says; but for raw, which is RFC 5322."
    )
    body = Bytea()
    created_at = Timestamptz(default=clock.now)


class PersonalValues(Table, db=DB, tablename="personal_values"):
    """What fills the mail of some recipients of a message; it goes with the content."""

    delivery_id = UUID(
        primary_key=True, help_text="The first that it is for; they go on to the next row's first."
    )
    content_id = ForeignKey(Content, null=False, on_delete=OnDelete.cascade)
    body = Bytea(help_text="MessagePack, as contents.py says.")


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
    names_vmta = Boolean(
        default=False, help_text="It asked for its vMTA by name: no other will do."
    )
    null_sender = Boolean(
        default=False, help_text="Its envelope names no sender, so that nothing comes back."
    )


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
    isp = Varchar(20, default="other", help_text="Who runs the mailboxes.")
    site = Varchar(
        253, null=True, default=None, help_text="First exchanger of the domain, once looked up."
    )
    hold_reason = Varchar(200, null=True, default=None)
    hold_source = Varchar(20, null=True, default=None, help_text="user or auto_block.")
    held_by = UUID(null=True, default=None, help_text="The user who holds it.")
    held_at = Timestamptz(null=True, default=None)
    held_until = Timestamptz(null=True, default=None, help_text="Null: until it is released.")
    last_code = Integer(null=True, default=None, help_text="The last reply that came.")
    last_enhanced_code = Varchar(11, null=True, default=None)
    last_reply = Text(null=True, default=None)
    last_reply_at = Timestamptz(null=True, default=None)
    scheduled = Integer(default=0, help_text="Deliveries by state, as of the last roll-up.")
    queued = Integer(default=0)
    sending = Integer(default=0)
    deferred = Integer(default=0)
    depth = Integer(default=0, help_text="Queued, sending and deferred together.")
    oldest_message_at = Timestamptz(null=True, default=None)
    next_due_at = Timestamptz(
        null=True, default=None, help_text="When something is due next; null when empty."
    )
    resume_at = Timestamptz(
        null=True, default=None, help_text="A limit was reached: nothing is sent before."
    )
    rest_reason = Varchar(
        20, null=True, default=None, help_text="limit, warmup, suspended or no_address."
    )
    rest_detail = Text(null=True, default=None, help_text="The reply, or the address.")
    flushed_at = Timestamptz(
        null=True, default=None, help_text="What was deferred before is made due, bit by bit."
    )
    emptied_at = Timestamptz(
        null=True, default=None, help_text="Since when it is empty; null while it is not."
    )


class ProjectHold(Table, db=DB, tablename="project_holds"):
    """A project whose mail is accepted and not sent, because an auto-block says so."""

    project_id = UUID(primary_key=True)
    organization_id = UUID()
    block_id = UUID(help_text="The auto-block that holds it.")
    reason = Varchar(200)
    held_at = Timestamptz(default=clock.now)
    held_until = Timestamptz(
        null=True, default=None, help_text="When the block ends by itself; null: when resolved."
    )


class QueueChange(Table, db=DB, tablename="queue_changes"):
    """How one statement changed the deliveries of one queue; rolled up into it and removed."""

    id = BigSerial(primary_key=True)
    queue_id = UUID()
    scheduled = Integer()
    queued = Integer()
    sending = Integer()
    deferred = Integer()
    delivered = Integer()
    bounced = Integer()
    created_at = Timestamptz()


class Activity(Table, db=DB, tablename="sending_activity"):
    """What ended in a short time: in minutes of a vMTA, in five of a queue."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    vmta_id = UUID()
    queue_id = UUID(null=True, default=None, help_text="Null: all queues of the vMTA.")
    started_at = Timestamptz()
    delivered = Integer()
    bounced = Integer()


class SendingScope(Table, db=DB, tablename="sending_scopes"):
    """What limits count against: a source address at a site, or a vMTA everywhere.

    Each window has when it began, what was sent in it and in the one before.
    """

    id = UUID(primary_key=True, help_text="UUID version 5 of address and site.")
    source = Varchar(60, help_text="Source address, or the vMTA.")
    site = Varchar(253, help_text="First exchanger; empty for a vMTA everywhere.")
    minute_at = Timestamptz(default=clock.now)
    minute_count = Integer(default=0)
    minute_before = Integer(default=0)
    hour_at = Timestamptz(default=clock.now)
    hour_count = Integer(default=0)
    hour_before = Integer(default=0)
    day_at = Timestamptz(default=clock.now)
    day_count = BigInt(default=0)
    day_before = BigInt(default=0)
    suspended_until = Timestamptz(null=True, default=None)
    suspended_by = Text(null=True, default=None, help_text="The reply that asked for it.")
    updated_at = Timestamptz(default=clock.now)


class ConnectionLease(Table, db=DB, tablename="connection_leases"):
    """How many connections one worker may hold in one scope, and until when."""

    id = UUID(primary_key=True, default=new_id)
    scope_id = UUID()
    worker_id = UUID()
    connections = Integer()
    wanted = Integer()
    organizations = Integer(help_text="How many organizations the worker sends for there.")
    ends_at = Timestamptz()


class QueueWork(Table, db=DB, tablename="queue_work"):
    """How many connections one worker has open for one queue, as it says now and then."""

    id = UUID(primary_key=True, default=new_id)
    queue_id = UUID()
    worker_id = UUID()
    connections = Integer()
    seen_at = Timestamptz()


class Delivery(Table, db=DB, tablename="deliveries"):
    """One recipient of one message."""

    id = UUID(primary_key=True, default=new_id)
    number = BigSerial(help_text="For foreign clients that need integers.")
    token = Varchar(16, help_text="16 characters of A-Za-z0-9, for clients of Postal's.")
    organization_id = UUID()
    project_id = UUID()
    message_id = UUID()
    queue_id = UUID()
    kind = Varchar(3, help_text="to, cc or bcc.")
    address = Varchar(320)
    address_key = Varchar(320, help_text="Lower case, A-labels; for comparing.")
    domain = Varchar(253, help_text="Recipient domain, A-labels.")
    priority = SmallInt(
        default=0,
        help_text="0 transactional, 1 marketing; lower goes first. Plus 2: set aside, as its "
        "project is held.",
    )
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
    simulated = Boolean(default=False, help_text="What became of it was made up.")
    tracks = SmallInt(default=0, help_text="1 opens, 2 clicks, 4 addresses in plain text; summed.")
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
    tls_policy = Varchar(20, null=True, default=None, help_text="What decided about encryption.")


class GreylistedDelivery(Table, db=DB, tablename="greylisted_deliveries"):
    """A delivery that a receiver has put off because it did not know us yet."""

    id = UUID(primary_key=True, help_text="The delivery's id.")
    organization_id = UUID()
    greylisted_at = Timestamptz(help_text="The first time.")
    queue_id = UUID(null=True, default=None, help_text="Whose attempt was put off last.")
    times = Integer(default=1, help_text="How often it was put off.")
    outlasted_at = Timestamptz(
        null=True,
        default=None,
        help_text="The last time it was put off when greylisting should have been over.",
    )


class TlsRequirement(Table, db=DB, tablename="tls_requirements"):
    """How much encryption an organization wants for its mail to one domain."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    domain = Varchar(253, help_text="Recipient domain, A-labels.")
    tls = Varchar(20, help_text="disabled, opportunistic, required or verified.")
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class StsPolicy(Table, db=DB, tablename="sts_policies"):
    """The MTA-STS policy of a domain that mail goes to, as it published it last."""

    id = UUID(primary_key=True, default=new_id)
    domain = Varchar(253, help_text="A-labels.")
    record_id = Varchar(32, help_text="The id that announced it.")
    text = Text(help_text="The policy file.")
    fetched_at = Timestamptz()
    expires_at = Timestamptz()


class CapturedMessage(Table, db=DB, tablename="captured_messages"):
    """Mail that `capture` kept instead of sending it away."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID(null=True, default=None)
    delivery_id = UUID(null=True, default=None)
    envelope_from = Varchar(320)
    envelope_to = Varchar(320)
    data = Bytea()
    created_at = Timestamptz(default=clock.now)


class PendingSimulation(Table, db=DB, tablename="simulations"):
    """What is to become of sandbox mail later."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    project_id = UUID()
    message_id = UUID()
    delivery_id = UUID(null=True, default=None, help_text="Null: every one that is open.")
    outcome = Varchar(20)
    code = Integer(null=True, default=None, help_text="Of the reply, instead of the usual one.")
    reply = Text(null=True, default=None)
    fire_webhooks = Boolean(default=True)
    due_at = Timestamptz()
    created_at = Timestamptz(default=clock.now)


class InfrastructureReport(Table, db=DB, tablename="infrastructure_reports"):
    """A report that is about us, not about a recipient: our address is listed, our mail abused."""

    id = UUID(primary_key=True, default=new_id)
    kind = Varchar(20, help_text="block, feedback or mail.")
    delivery_id = UUID(null=True, default=None, help_text="Where it names one of ours.")
    reporter = Varchar(320, help_text="Sender of the envelope; empty is the null sender.")
    peer = Varchar(45, help_text="Address it came from.")
    recipient = Varchar(320)
    reason = Text(default="")
    data = Bytea(help_text="Its beginning.")
    created_at = Timestamptz(default=clock.now)
