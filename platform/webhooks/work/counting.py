"""What is counted of calls, for the deployment."""

from collections.abc import Mapping
from datetime import datetime

from ...core.actor import OrganizationId
from ...core.database import fetch


async def count_all_attempts() -> Mapping[str, int]:
    """Return how many attempts of all organizations there ever were, by result."""
    rows = await fetch(
        "SELECT result, sum(attempts)::bigint AS attempts FROM webhook_counts GROUP BY result"
    )
    return {row["result"]: row["attempts"] for row in rows}


async def calls_between(start: datetime, end: datetime) -> Mapping[OrganizationId, int]:
    """Return how many calls of each organization were delivered; both are full hours."""
    rows = await fetch(
        "SELECT organization_id, sum(delivered)::bigint AS calls FROM webhook_hours "
        "WHERE hour >= {} AND hour < {} GROUP BY organization_id HAVING sum(delivered) > 0",
        start,
        end,
    )
    return {row["organization_id"]: row["calls"] for row in rows}
