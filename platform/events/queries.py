"""Reading what happened."""

import uuid

from ..core.actor import Actor, Permission
from ..core.paging import Order, Page, PageRequest, fetch_page
from .tables import Event

IN_ORDER = Order("position", "position", lambda event: event.position)


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
