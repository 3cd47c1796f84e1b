"""Messages in any state, and bulk actions of them."""

import uuid
from datetime import timedelta
from typing import Any

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from tests.client import Client
from tests.factories import make_domain

START = """
    mutation ($input: StartBulkActionInput!) { startBulkAction(input: $input) {
      bulkAction { uuid kind state messages affected } } }
"""
LIST = """
    { organization { bulkActions { nodes { uuid kind state messages affected refused waiting
      waitingFor progress failure completedAt } } } }
"""
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { uuid } } }"


async def send(client: Client, actor: Actor, **values: Any) -> str:
    """Send a message from a domain of the organization's, and return its UUID."""
    rows = await fetch("SELECT name FROM domains WHERE organization_id = {}", actor.organization_id)
    domain = rows[0]["name"] if rows else (await make_domain(actor.organization_id)).name
    message = {
        "from": f"Shop <shop@{domain}>",
        "to": ["ada@dest.example"],
        "subject": "Order",
        "text": "Hello.",
    }
    data = await client.data(SEND, {"input": message | values}, actor=actor)
    return str(data["sendMessage"]["message"]["uuid"])


async def become(message: str, state: str, *, address: str | None = None) -> None:
    """Let the deliveries of a message, or the one to an address, be in a state."""
    due = clock.now() + timedelta(hours=1) if state == "deferred" else None
    await fetch(
        "UPDATE deliveries SET state = {}, due_at = {}::timestamptz "
        "WHERE message_id = {} AND ({}::text IS NULL OR address = {})",
        state,
        due,
        uuid.UUID(message),
        address,
        address,
    )
    await fetch("UPDATE spooled_messages SET status = {} WHERE id = {}", state, uuid.UUID(message))


async def start(client: Client, actor: Actor, kind: str, filter: dict[str, Any]) -> uuid.UUID:
    data = await client.data(START, {"input": {"kind": kind, "filter": filter}}, actor=actor)
    return uuid.UUID(data["startBulkAction"]["bulkAction"]["uuid"])


async def shown(client: Client, actor: Actor) -> Any:
    """Return the newest bulk action."""
    return (await client.data(LIST, actor=actor))["organization"]["bulkActions"]["nodes"][0]
