"""What can be removed with time to think again, and how much time that is."""

from datetime import timedelta
from enum import StrEnum

from ..core.actor import Permission

GRACE = timedelta(seconds=30)
"""Long enough to read what was done and to reach the button, without script as well."""
SHOWN = timedelta(days=1)
"""How long it is known what became of a removal."""


class RemovedKind(StrEnum):
    """What is removed."""

    SUPPRESSION = "suppression"
    API_KEY = "api_key"
    MEMBER = "member"


class RemovalState(StrEnum):
    """What became of it."""

    WAITING = "waiting"
    REMOVING = "removing"
    """Its time has come; it cannot be taken back any more."""
    DONE = "done"
    UNDONE = "undone"
    FAILED = "failed"


NEEDS = {
    RemovedKind.SUPPRESSION: Permission.WRITE_MESSAGES,
    RemovedKind.API_KEY: Permission.WRITE_API_KEYS,
    RemovedKind.MEMBER: Permission.WRITE_USERS,
}
"""What one must be allowed to do, to remove it and to take that back."""
