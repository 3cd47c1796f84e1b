"""What the platform does for itself: forgetting what is old enough."""

from datetime import timedelta

from ..core import clock
from ..core.database import fetch

KEPT = timedelta(days=730)
"""Two years.

Source: postmta-api section 1.9.
"""


async def remove_old_entries() -> None:
    """Delete entries that are older than two years; the only way in which any goes."""
    await fetch("DELETE FROM audit_entries WHERE created_at < {}", clock.now() - KEPT)
