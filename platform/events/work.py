"""What the platform does with events for itself."""

from dataclasses import dataclass
from datetime import datetime

from ..core.actor import OrganizationId
from ..core.database import fetch
from ..core.ids import first_id_at
from .queries import EventTotal
from .rules import ENTRIES, EventType


async def count_all_events() -> list[EventTotal]:
    """Return what was counted for all organizations together."""
    rows = await fetch(
        "SELECT vmta_id, type, label, sum(events)::bigint AS events, "
        "sum(attempts)::bigint AS attempts, sum(messages)::bigint AS messages FROM event_counts "
        "GROUP BY 1, 2, 3"
    )
    return [EventTotal(**row) for row in rows]


@dataclass(frozen=True, slots=True)
class MailUsage:
    """What an organization sent in one stretch of time."""

    organization_id: OrganizationId
    messages: int
    recipients: int
    delivered: int


async def usage_between(start: datetime, end: datetime) -> list[MailUsage]:
    """Return what each organization sent, by when it was written down, simulations aside."""
    rows = await fetch(
        "SELECT organization_id, "
        "count(DISTINCT message_id) FILTER (WHERE type = ANY({}::text[])) AS messages, "
        "count(*) FILTER (WHERE type = ANY({}::text[])) AS recipients, "
        "count(*) FILTER (WHERE type = {}) AS delivered "
        "FROM events WHERE id >= {} AND id < {} AND NOT simulated GROUP BY organization_id",
        [type.value for type in ENTRIES],
        [type.value for type in ENTRIES],
        EventType.MESSAGE_DELIVERED.value,
        first_id_at(start),
        first_id_at(end),
    )
    return [MailUsage(**row) for row in rows]
