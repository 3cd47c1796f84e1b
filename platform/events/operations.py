"""Writing down what happened."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.actor import OrganizationId, ProjectId
from ..core.database import Tx, fetch
from ..core.ids import new_id
from .rules import EventType


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened, not yet written down; *data* is what JSON can hold."""

    organization_id: OrganizationId
    project_id: ProjectId | None
    message_id: uuid.UUID | None
    delivery_id: uuid.UUID | None
    type: EventType
    data: Mapping[str, Any]
    occurred_at: datetime
    simulated: bool = False


async def append(tx: Tx, events: Sequence[NewEvent]) -> None:
    """Write *events* in their order, with one statement however many there are.

    Characters that the database cannot keep in JSON (NUL, lone surrogates: servers do put
    such bytes in their replies) become U+FFFD.
    """
    if not events:
        return
    await fetch(
        "INSERT INTO events (id, organization_id, project_id, message_id, delivery_id, type, "
        "data, occurred_at, simulated) "
        "SELECT id, organization_id, project_id, message_id, delivery_id, type, data::jsonb, "
        "occurred_at, simulated "
        "FROM unnest({}::uuid[], {}::uuid[], {}::uuid[], {}::uuid[], {}::uuid[], {}::text[], "
        "{}::text[], {}::timestamptz[], {}::boolean[]) WITH ORDINALITY AS new "
        "(id, organization_id, project_id, message_id, delivery_id, type, data, occurred_at, "
        "simulated, nth) ORDER BY nth",
        [new_id() for _ in events],
        [event.organization_id for event in events],
        [event.project_id for event in events],
        [event.message_id for event in events],
        [event.delivery_id for event in events],
        [event.type.value for event in events],
        [_json(event.data) for event in events],
        [event.occurred_at for event in events],
        [event.simulated for event in events],
    )


def _json(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, separators=(",", ":"))
    # Both look alike when escaped; a text that merely speaks of them loses nothing below.
    if "\\u0000" in text or "\\ud" in text:
        text = json.dumps(_storable(data), separators=(",", ":"))
    return text


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        kept = value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass")
        return kept.decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
