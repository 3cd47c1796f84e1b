"""How much an organization sent."""

from datetime import datetime

from ...core.actor import OrganizationId
from ...core.database import fetch
from ...core.ids import first_id_at
from ...events.rules import EventType


async def bytes_delivered(start: datetime, end: datetime) -> dict[OrganizationId, int]:
    """Return the size of what was delivered for each organization, once for each recipient."""
    rows = await fetch(
        "SELECT m.organization_id, sum(m.size_bytes::bigint)::bigint AS bytes "
        "FROM events e JOIN messages m ON m.id = e.message_id "
        "WHERE e.id >= {} AND e.id < {} AND e.type = {} AND NOT e.simulated "
        "GROUP BY m.organization_id",
        first_id_at(start),
        first_id_at(end),
        EventType.MESSAGE_DELIVERED.value,
    )
    return {OrganizationId(row["organization_id"]): int(row["bytes"]) for row in rows}
