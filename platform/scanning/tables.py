"""What came of scans, and what is scanned by itself."""

from piccolo.columns import (
    UUID,
    Array,
    Boolean,
    Bytea,
    ForeignKey,
    OnDelete,
    Real,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from ..accounts.tables import Organization
from ..core import clock
from ..core.database import DB
from ..core.ids import new_id


class ScanPolicy(Table, db=DB, tablename="scan_policies"):
    """What an organization wants scanned; null leaves it to the deployment."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade, unique=True)
    outgoing_virus = Boolean(null=True, default=None)
    outgoing_spam = Boolean(null=True, default=None)
    inbound_virus = Boolean(null=True, default=None)
    inbound_spam = Boolean(null=True, default=None)
    spam_threshold = Real(null=True, default=None)
    when_down = Varchar(10, null=True, default=None, help_text="hold or pass.")
    updated_at = Timestamptz(default=clock.now)


class ScannedFile(Table, db=DB, tablename="scanned_files"):
    """What clamd said of a file, for a day; the file itself is not kept."""

    id = UUID(primary_key=True, default=new_id)
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    sha256 = Bytea()
    verdict = Varchar(20)
    threats = Array(Varchar(200), default=list)
    engine_version = Varchar(50)
    scanned_at = Timestamptz(default=clock.now)


class ScannedMessage(Table, db=DB, tablename="scanned_messages"):
    """What came of scanning a message before its first attempt."""

    id = UUID(primary_key=True, help_text="The message's id.")
    organization_id = ForeignKey(Organization, null=False, on_delete=OnDelete.cascade)
    verdict = Varchar(20, help_text="clean, infected, unscannable or spam.")
    threats = Array(Varchar(200), default=list)
    spam_score = Real(null=True, default=None)
    scanned_at = Timestamptz(default=clock.now)
