"""Links to files: who has one has the file, for a while.

A link names its export and when it ends, with a keyed hash of both; nothing of it is kept.
"""

import hmac
import uuid
from datetime import UTC, datetime

from ..core.crypto import digest
from ..core.ids import parse_id

PURPOSE = "export-link"
SIGNATURE_BYTES = 20


def make_token(export_id: uuid.UUID, *, until: datetime) -> str:
    """Return what stands in a link to the file of an export."""
    named = f"{export_id.hex}-{int(until.timestamp()):x}"
    return f"{named}-{_signature(named)}"


def read_token(token: str) -> tuple[uuid.UUID, datetime] | None:
    """Return the export and until when the link is good; None if it is none of ours."""
    named, _, signature = token.rpartition("-")
    if not token.isascii() or not hmac.compare_digest(signature, _signature(named)):
        return None
    id, _, until = named.partition("-")
    found = parse_id(id)
    return None if found is None else (found, datetime.fromtimestamp(int(until, 16), UTC))


def _signature(named: str) -> str:
    return digest(named, purpose=PURPOSE)[:SIGNATURE_BYTES].hex()
