"""The body of a call in Postal's format: what it says is read here, and written by `postal`."""

import uuid
from datetime import datetime

from ..core.database import fetch
from ..events.rules import EventType
from .payloads import Happened
from .postal import PostalMessage, PostalServer, Told, postal_body, postal_event

_OF_DOMAINS = (EventType.DOMAIN_DEGRADED, EventType.DOMAIN_FAILED)


async def postal_body_of(event: Happened, *, id: uuid.UUID, queued_at: datetime) -> bytes | None:
    """Return the body of the call *id*, or None if Postal has no word for the event."""
    told = Told(
        type=event.type,
        data=event.data,
        occurred_at=event.occurred_at,
        simulated=event.simulated,
        message=_message_of(event),
        server=await _server_of(event) if event.type in _OF_DOMAINS else None,
    )
    found = postal_event(told)
    return None if found is None else postal_body(found, id=id, queued_at=queued_at)


def _message_of(event: Happened) -> PostalMessage | None:
    message = event.message
    if message is None or message.number is None or message.token is None:
        return None
    return PostalMessage(
        number=message.number,
        token=message.token,
        message_id=message.header_message_id or None,
        recipient=message.email or "",
        sender=message.envelope_sender or message.sender,
        subject=message.subject,
        created_at=message.created_at,
        tag=message.tags[0] if message.tags else None,
    )


async def _server_of(event: Happened) -> PostalServer | None:
    # Few events are about domains, so this is not part of the statement that reads calls.
    rows = await fetch(
        "SELECT coalesce(p.id, o.id) AS id, coalesce(p.name, o.name) AS name, "
        "coalesce(p.slug, o.slug) AS permalink, o.slug AS organization FROM organizations AS o "
        "LEFT JOIN projects AS p ON p.id = {} AND p.organization_id = o.id WHERE o.id = {}",
        event.project_id,
        event.organization_id,
    )
    if not rows:
        return None
    [row] = rows
    return PostalServer(row["id"], row["name"], row["permalink"], row["organization"])
