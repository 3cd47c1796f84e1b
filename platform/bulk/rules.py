"""What can be done to all messages that match, who may, and how much at a time."""

from datetime import timedelta
from enum import StrEnum

from ..core.actor import Permission

PAGE = 100
"""Messages that are taken together where one statement does it to all of them."""
MOST_RECIPIENTS = 10_000
"""Recipients that these have together, at most: as many as a single message may have."""
SMALL_PAGE = 20
"""Messages between two looks whether to go on, where each is a change of its own."""
MOST_OPEN = 3
"""Bulk actions of one organization that wait or are at work."""
LISTED = timedelta(days=30)
"""How long it is shown what was done."""
LONGEST_WAIT = timedelta(hours=24)
"""How long it waits for what keeps it from going on, such as a block; then it is given up."""
MOST_FAILURES = 5
"""Pages one after the other that could not be done; then it is given up."""


class BulkKind(StrEnum):
    """What is done."""

    RETRY = "retry"
    RESEND = "resend"
    SUPPRESS = "suppress"
    CANCEL = "cancel"


class BulkState(StrEnum):
    """How far it is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (BulkState.QUEUED, BulkState.RUNNING)

NEEDS = {
    BulkKind.RETRY: Permission.WRITE_MESSAGES,
    BulkKind.RESEND: Permission.SEND_MESSAGES,
    BulkKind.SUPPRESS: Permission.WRITE_MESSAGES,
    BulkKind.CANCEL: Permission.WRITE_MESSAGES,
}
"""What one must be allowed to do, beside reading messages."""
