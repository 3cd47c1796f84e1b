"""What the platform does with events for itself."""

from ..core.database import fetch
from .queries import EventTotal


async def count_all_events() -> list[EventTotal]:
    """Return what was counted for all organizations together."""
    rows = await fetch(
        "SELECT vmta_id, type, label, sum(events)::bigint AS events, "
        "sum(attempts)::bigint AS attempts, sum(messages)::bigint AS messages FROM event_counts "
        "GROUP BY 1, 2, 3"
    )
    return [EventTotal(**row) for row in rows]
