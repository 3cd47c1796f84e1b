"""What can be exported, for how long it is kept, and how far an export is."""

from datetime import timedelta
from enum import StrEnum

from ..core.actor import Permission

PAGE = 500
"""Rows of a list that are read at a time."""
KEPT = timedelta(days=3)
LISTED = timedelta(days=30)
"""How long it is shown that there was a file."""
LINK_LASTS = timedelta(hours=1)
"""Whoever has a link has the file, so that it is to be used at once."""
MOST_OPEN = 3
"""Exports of one organization that wait or are being written."""
MOST_KEPT = 20
"""Files of one organization at a time."""
MOST_BYTES = 512 * 2**20
MOST_FAILURES = 5
"""Pages one after the other that could not be read; then it is given up."""


class Dataset(StrEnum):
    """What a file holds."""

    MESSAGES = "messages"
    EVENTS = "events"
    SUPPRESSIONS = "suppressions"
    AUDIT_LOG = "audit_log"


NEEDS = {
    Dataset.MESSAGES: Permission.READ_MESSAGES,
    Dataset.EVENTS: Permission.READ_MESSAGES,
    Dataset.SUPPRESSIONS: Permission.READ_MESSAGES,
    Dataset.AUDIT_LOG: Permission.READ_AUDIT,
}
"""What one must be allowed to read, to have it written and to have the file."""


class ExportState(StrEnum):
    """How far an export is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    OUTDATED = "outdated"
    """Somebody was erased who may be in it."""


OPEN = (ExportState.QUEUED, ExportState.RUNNING)


class Delimiter(StrEnum):
    """What is between two cells."""

    COMMA = "comma"
    SEMICOLON = "semicolon"
    TAB = "tab"


DELIMITERS = {Delimiter.COMMA: ",", Delimiter.SEMICOLON: ";", Delimiter.TAB: "\t"}


def estimated_rows(rows: int, share: float) -> int | None:
    """Return how many rows there will be, if the rest is as dense; None while nothing is known."""
    return round(rows / share) if share > 0 else None
