"""Making waiting deliveries due before their time, as an operator asks."""

from ...core import clock
from ...core.database import fetch
from ..rules import DeliveryState

WAITING = (DeliveryState.QUEUED, DeliveryState.DEFERRED)
"""Not those in a conversation, whose lease will end, nor those that a customer scheduled."""


async def make_due(*, domain: str | None = None) -> int:
    """Make every waiting delivery, or those to *domain* (A-labels), due now; return how many.

    Those that wait for an attempt at once are counted too.
    """
    rows = await fetch(
        "WITH hastened AS (UPDATE deliveries SET due_at = least(due_at, {}) "
        "WHERE due_at IS NOT NULL AND state = ANY({}::text[]) "
        "AND ({}::text IS NULL OR domain = {}) RETURNING 1) SELECT count(*) AS n FROM hastened",
        clock.now(),
        [state.value for state in WAITING],
        domain,
        domain,
    )
    count: int = rows[0]["n"]
    return count
