"""Reading what happened."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from piccolo.columns.combination import WhereRaw

from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.paging import Order, Page, PageRequest, fetch_page
from .rules import EventType
from .tables import Event

BY_MACHINE = "coalesce(data->>'machine_open', data->>'bot', 'false')::boolean"
"""Whether no person made an open or a click."""

IN_ORDER = Order("position", "position", lambda event: event.position)

MOST_EVENTS = 200
"""Of one message, where the events of many are read at once."""


async def list_events(
    actor: Actor, *, message_id: uuid.UUID, delivery_id: uuid.UUID | None = None, page: PageRequest
) -> Page[Event]:
    """Return what happened to one message, or to one of its deliveries, oldest first.

    A message that is absent or somebody else's has no events.
    """
    actor.require(Permission.READ_MESSAGES)
    query = Event.objects().where(
        (Event.organization_id == actor.organization_id) & (Event.message_id == message_id)
    )
    if actor.project_id is not None:
        query = query.where(Event.project_id == actor.project_id)
    if delivery_id is not None:
        query = query.where(Event.delivery_id == delivery_id)
    return await fetch_page(query, page, IN_ORDER, scope=f"{message_id}{delivery_id or ''}")


async def events_of_messages(
    actor: Actor, message_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, list[Event]]:
    """Return the first events of each message, oldest first, with one statement for all."""
    actor.require(Permission.READ_MESSAGES)
    rows = await fetch(
        "SELECT event.* FROM unnest({}::uuid[]) AS asked (id) CROSS JOIN LATERAL ("
        "SELECT * FROM events WHERE message_id = asked.id AND organization_id = {} "
        "AND ({}::uuid IS NULL OR project_id = {}) ORDER BY position LIMIT {}) AS event "
        "ORDER BY event.position",
        list(message_ids),
        actor.organization_id,
        actor.project_id,
        actor.project_id,
        MOST_EVENTS,
    )
    found: dict[uuid.UUID, list[Event]] = {}
    for row in rows:
        found.setdefault(row["message_id"], []).append(Event(_exists_in_db=True, **row))
    return found


@dataclass(frozen=True, slots=True)
class OfDelivery:
    """Asks for the events of some types of one delivery."""

    message_id: uuid.UUID
    delivery_id: uuid.UUID
    types: tuple[str, ...]


async def events_by_delivery(
    actor: Actor, asked: Collection[OfDelivery]
) -> dict[OfDelivery, list[Event]]:
    """Return the first events of each, oldest first; one statement for each choice of types."""
    actor.require(Permission.READ_MESSAGES)
    found: dict[OfDelivery, list[Event]] = {each: [] for each in asked}
    for types in {each.types for each in asked}:
        meant = [each for each in asked if each.types == types]
        rows = await fetch(
            "SELECT event.* FROM unnest({}::uuid[], {}::uuid[]) AS asked (message_id, delivery_id) "
            "CROSS JOIN LATERAL (SELECT * FROM events WHERE message_id = asked.message_id "
            "AND delivery_id = asked.delivery_id AND organization_id = {} "
            "AND type = ANY({}::text[]) ORDER BY position LIMIT {}) AS event "
            "ORDER BY event.position",
            [each.message_id for each in meant],
            [each.delivery_id for each in meant],
            actor.organization_id,
            list(types),
            MOST_EVENTS,
        )
        for row in rows:
            key = OfDelivery(row["message_id"], row["delivery_id"], types)
            found[key].append(Event(_exists_in_db=True, **row))
    return found


async def events_of_deliveries(
    actor: Actor, message_id: uuid.UUID, delivery_ids: Collection[uuid.UUID]
) -> list[Event]:
    """Return what happened to deliveries of one message, oldest first.

    It asks for no permission: it is the answer to who has just made it happen.
    """
    rows = await fetch(
        "SELECT * FROM events WHERE message_id = {} AND organization_id = {} "
        "AND delivery_id = ANY({}::uuid[]) ORDER BY position",
        message_id,
        actor.organization_id,
        list(delivery_ids),
    )
    return [Event(_exists_in_db=True, **row) for row in rows]


ENGAGEMENTS = (EventType.MESSAGE_OPENED, EventType.MESSAGE_CLICKED)
"""What recipients do with a message, as far as it can be seen."""


async def list_engagements(
    actor: Actor,
    *,
    message_id: uuid.UUID,
    delivery_id: uuid.UUID | None = None,
    types: Collection[EventType] = ENGAGEMENTS,
    by_machines: bool | None = None,
    page: PageRequest,
) -> Page[Event]:
    """Return opens and clicks of one message, or of one of its deliveries, oldest first.

    *by_machines* asks for those that no person made, or for all others.
    """
    actor.require(Permission.READ_MESSAGES)
    query = Event.objects().where(
        (Event.organization_id == actor.organization_id)
        & (Event.message_id == message_id)
        & Event.type.is_in([type.value for type in types])
    )
    if actor.project_id is not None:
        query = query.where(Event.project_id == actor.project_id)
    if delivery_id is not None:
        query = query.where(Event.delivery_id == delivery_id)
    if by_machines is not None:
        query = query.where(WhereRaw(f"{BY_MACHINE} = {{}}", by_machines))
    asked = ",".join([*sorted(types), str(by_machines)])
    return await fetch_page(query, page, IN_ORDER, scope=f"{message_id}{delivery_id or ''}{asked}")


@dataclass(frozen=True, slots=True)
class Engagement:
    """What a recipient did with a message, and what machines did on the way to them."""

    opens: int = 0
    clicks: int = 0
    first_opened_at: datetime | None = None
    first_clicked_at: datetime | None = None
    machine_opens: int = 0
    bot_clicks: int = 0


async def engagement_of_messages(
    actor: Actor, message_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, dict[uuid.UUID, Engagement]]:
    """Return what was done with each message, by delivery; where nothing was, it is left out."""
    rows = await fetch(
        "SELECT message_id, delivery_id, "
        "count(*) FILTER (WHERE type = 'message.opened' AND NOT by_machine) AS opens, "
        "count(*) FILTER (WHERE type = 'message.clicked' AND NOT by_machine) AS clicks, "
        "min(occurred_at) FILTER (WHERE type = 'message.opened' AND NOT by_machine) "
        "AS first_opened_at, "
        "min(occurred_at) FILTER (WHERE type = 'message.clicked' AND NOT by_machine) "
        "AS first_clicked_at, "
        "count(*) FILTER (WHERE type = 'message.opened' AND by_machine) AS machine_opens, "
        "count(*) FILTER (WHERE type = 'message.clicked' AND by_machine) AS bot_clicks "
        "FROM (SELECT message_id, delivery_id, type, occurred_at, "
        "coalesce(data->>'machine_open', data->>'bot', 'false')::boolean AS by_machine "
        "FROM events WHERE organization_id = {} AND message_id = ANY({}::uuid[]) "
        "AND type IN ('message.opened', 'message.clicked')) AS event GROUP BY 1, 2",
        actor.organization_id,
        list(message_ids),
    )
    found: dict[uuid.UUID, dict[uuid.UUID, Engagement]] = {}
    for row in rows:
        message_id, delivery_id = row.pop("message_id"), row.pop("delivery_id")
        found.setdefault(message_id, {})[delivery_id] = Engagement(**row)
    return found


@dataclass(frozen=True, slots=True)
class EventTotal:
    """How many events of one kind there ever were, of mail that was not simulated."""

    vmta_id: uuid.UUID | None
    type: str
    label: str
    """Of a bounce its class; of what ends an attempt, a slash and the provider behind it."""
    events: int
    attempts: int
    """Of the events, those that end an attempt."""
    messages: int
    """Of the events, those that are the first of their message."""

    @property
    def bounce_class(self) -> str:
        """The class of a bounce; else empty."""
        return self.label.partition("/")[0]

    @property
    def isp(self) -> str:
        """Who runs the mailboxes, or `other`: also of what was counted before it was kept."""
        return self.label.partition("/")[2] or "other"


async def count_events(actor: Actor) -> list[EventTotal]:
    """Return what was counted for the organization: sums of a few rows, whatever it sends."""
    actor.require(Permission.READ_METRICS)
    rows = await fetch(
        "SELECT vmta_id, type, label, sum(events)::bigint AS events, "
        "sum(attempts)::bigint AS attempts, sum(messages)::bigint AS messages FROM event_counts "
        "WHERE organization_id = {} GROUP BY 1, 2, 3",
        actor.organization_id,
    )
    return [EventTotal(**row) for row in rows]
