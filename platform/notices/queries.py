"""Reading the outbox."""

from datetime import datetime

from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from .rules import Notice


async def count_sent(
    tx: Tx, organization_id: OrganizationId, notice: Notice, *, since: datetime
) -> int:
    """Return how many notices of one kind an organization has had sent since then."""
    rows = await fetch(
        "SELECT count(*) AS sent FROM notices WHERE organization_id = {} AND notice = {} "
        "AND created_at > {}",
        organization_id,
        notice.value,
        since,
    )
    return int(rows[0]["sent"])
