"""What the platform does with events for itself."""

import uuid
from collections.abc import Collection
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


PERSONAL = ("user_agent", "ip", "url", "smtp_response", "email", "description", "subject")
"""What events say of a person, or quote what does."""


async def erase_person(delivery_ids: Collection[uuid.UUID]) -> int:
    """Take what is personal out of the events of deliveries; return how many had any."""
    rows = await fetch(
        "UPDATE events SET data = data - {}::text[] WHERE id = ANY(ARRAY("
        "SELECT event.id FROM events AS event JOIN unnest({}::uuid[]) AS asked (id) "
        "ON event.delivery_id = asked.id WHERE event.message_id IN "
        "(SELECT message_id FROM deliveries WHERE id = ANY({}::uuid[])) "
        "AND event.data ?| {}::text[])) RETURNING id",
        list(PERSONAL),
        list(delivery_ids),
        list(delivery_ids),
        list(PERSONAL),
    )
    return len(rows)


async def erase_address(organization_id: OrganizationId, address_key: str, *, stand_in: str) -> int:
    """Let no event name an address any more; return how many did."""
    rows = await fetch(
        "UPDATE events "
        "SET data = jsonb_set(data - 'description', ARRAY['email'], to_jsonb({}::text)) "
        "WHERE organization_id = {} AND lower(data->>'email') = {} "
        "AND type IN ('suppression.created', 'suppression.removed') RETURNING id",
        stand_in,
        organization_id,
        address_key,
    )
    return len(rows)
