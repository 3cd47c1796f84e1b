"""Ingress mailboxes, and the mails that came into them."""

from piccolo.columns import (
    UUID,
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


class IngressMailbox(Table, db=DB, tablename="ingress_mailboxes"):
    """Where mail for a customer comes in, and where it is posted."""

    id = UUID(primary_key=True, default=new_id)
    number = BigSerial(help_text="For foreign clients that need integers.")
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    project_id = UUID(null=True, default=None, help_text="Null: of no single project.")
    uid = Varchar(255, help_text="The customer's name for it; unique in the organization.")
    label = Varchar(100, null=True, default=None)
    token = Varchar(24, unique=True, help_text="Of its address at our host name.")
    url = Varchar(2048, help_text="Where mails are posted.")
    format = Varchar(20, default="raw", help_text="How a mail is posted.")
    sealed_secret = Bytea(secret=True, help_text="Signs what is posted; encrypted.")
    host = Varchar(253, null=True, default=None, help_text="IMAP server; null: none is read.")
    port = Integer(default=993)
    tls = Boolean(default=True)
    username = Varchar(255, null=True, default=None)
    sealed_password = Bytea(null=True, default=None, secret=True, help_text="Encrypted.")
    uid_validity = BigInt(null=True, default=None, help_text="Null: not looked into yet.")
    last_uid = BigInt(default=0, help_text="Of the last mail that was taken.")
    next_look_at = Timestamptz(null=True, default=None, help_text="Null: it has no account.")
    looking_until = Timestamptz(null=True, default=None, help_text="While somebody looks.")
    failures = Integer(default=0, help_text="Looks that failed, one after the other.")
    failure = Text(null=True, default=None)
    looked_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=clock.now)
    updated_at = Timestamptz(default=clock.now)


class IngressMail(Table, db=DB, tablename="ingress_mails"):
    """A mail that came in, and what became of it."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = UUID()
    mailbox_id = ForeignKey(IngressMailbox, null=False, on_delete=OnDelete.cascade)
    source = Varchar(10, help_text="smtp or imap.")
    sender = Varchar(320, help_text="From the envelope, or else from its header.")
    subject = Text()
    size_bytes = Integer()
    state = Varchar(10, default="pending", help_text="pending, delivered or dead.")
    attempts = Integer(default=0)
    due_at = Timestamptz(null=True, default=None, help_text="Null when final.")
    status = Integer(null=True, default=None, help_text="HTTP, of the last attempt.")
    failure = Text(null=True, default=None, help_text="Why the last attempt had no answer.")
    created_at = Timestamptz(default=clock.now)
    completed_at = Timestamptz(null=True, default=None)


class IngressContent(Table, db=DB, tablename="ingress_contents"):
    """What a mail says, until it was posted or is old; apart, for lists show mails."""

    id = UUID(primary_key=True, default=new_id, help_text="That of the mail.")
    data = Bytea()
