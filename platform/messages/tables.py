"""Messages as customers see them."""

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    BigSerial,
    Boolean,
    Integer,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class Message(Table, db=DB, tablename="messages"):
    """One submission; its recipients are deliveries, its progress a spooled message."""

    id = UUID(primary_key=True, default=new_id)
    number = BigSerial(help_text="For foreign clients that need integers.")
    organization_id = UUID()
    project_id = UUID()
    content_id = UUID()
    domain_id = UUID(null=True, default=None)
    header_message_id = Varchar(998, help_text="Message-ID without angle brackets.")
    sender = Varchar(320, help_text="Address of From.")
    sender_name = Varchar(998, default="")
    sender_key = Varchar(320, help_text="Lower case, A-labels; for comparing.")
    sender_domain = Varchar(253)
    envelope_sender = Varchar(
        320, null=True, default=None, help_text="As it was handed in, where that is known."
    )
    recipients = JSONB(default={}, help_text="Addresses by kind: to, cc, bcc.")
    subject = Text()
    batch_id = Varchar(128, null=True, default=None)
    tags = Array(Varchar(64), default=list)
    metadata = JSONB(default={}, help_text="String keys and values of the customer's.")
    stream = Varchar(20, default="transactional")
    mode = Varchar(10, default="live")
    source = Varchar(10, help_text="api, batch or smtp.")
    track_opens = Boolean(default=False)
    track_clicks = Boolean(default=False)
    pool = Varchar(63, null=True, default=None)
    vmta_id = UUID(null=True, default=None)
    size_bytes = Integer(help_text="Of text, html and decoded attachments, or of the raw mail.")
    credits = BigInt(default=0, help_text="Whole credits debited.")
    credit_entry_id = UUID(null=True, default=None)
    send_at = Timestamptz(null=True, default=None)
    expires_at = Timestamptz()
    api_key_id = UUID(null=True, default=None)
    user_id = UUID(null=True, default=None)
    created_at = Timestamptz(default=clock.now)
    template = Varchar(63, null=True, default=None, help_text="Slug of what it was filled from.")
    uid = Varchar(
        255, null=True, default=None, help_text="The customer's name for it; unique in the project."
    )


class Erasure(Table, db=DB, tablename="erasures"):
    """A person whose data an organization has erased, or is erasing."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    address = Varchar(
        320, null=True, default=None, secret=True, help_text="Until the work is done."
    )
    key = Varchar(40, help_text="What stands for the address afterwards.")
    user_id = UUID(null=True, default=None)
    api_key_id = UUID(null=True, default=None)
    stops_mail = Boolean(default=True, help_text="Nothing is to be sent there again.")
    deliveries = Integer(default=0, help_text="Erased so far.")
    events = Integer(default=0, help_text="Of which personal data was taken so far.")
    suppressions = Integer(default=0, help_text="Kept without the address so far.")
    waiting = Integer(default=0, help_text="Messages that others have yet to get.")
    completed_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)
