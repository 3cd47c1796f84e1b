"""What the platform does for itself: forgetting what is old enough."""

from datetime import timedelta

from ..core import clock
from ..core.database import fetch
from ..core.settings import settings


async def remove_old_entries() -> None:
    """Delete entries that are old enough; the only way in which any goes.

    Source: postmta-api section 1.9: two years unless it is set otherwise.
    """
    before = clock.now() - timedelta(days=settings().audit_days)
    await fetch("DELETE FROM audit_entries WHERE created_at < {}", before)
