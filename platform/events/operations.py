"""Writing down what happened, and counting it."""

import uuid
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from ..core.actor import OrganizationId, ProjectId
from ..core.database import Tx, fetch
from ..core.quick_ids import quick_texts
from ..core.records import records
from ..core.sharing import joined, shared_by
from ..core.storable import to_json
from .announcing import announce
from .rules import ENTRIES, EventType

# A transaction takes the lowest slot that no other one holds (7023 is the first half of the
# lock's name), and its rows are then its own until it ends. So it never waits here, whatever
# else it has locked and however often it appends, and nothing can deadlock. With every slot
# taken, its backend's number makes another. The condition gives the transaction its number
# before positions are drawn, which consumers rely on.
APPEND = (
    "WITH counted AS (INSERT INTO event_counts AS old "
    "(id, organization_id, vmta_id, type, label, slot, events, attempts, messages) "
    "SELECT gen_random_uuid(), organization_id, vmta_id, type, label, "
    "coalesce((SELECT slot FROM generate_series(0, 63) AS slot "
    "WHERE pg_try_advisory_xact_lock(7023, slot) LIMIT 1), -pg_backend_pid()), "
    "events, attempts, messages FROM jsonb_to_recordset({}::jsonb) AS new "
    "(organization_id uuid, vmta_id uuid, type text, label text, events bigint, "
    "attempts bigint, messages bigint) "
    "ON CONFLICT (organization_id, type, label, vmta_id, slot) "
    "DO UPDATE SET events = old.events + excluded.events, "
    "attempts = old.attempts + excluded.attempts, "
    "messages = old.messages + excluded.messages) "
    "INSERT INTO events (id, organization_id, project_id, message_id, delivery_id, type, "
    "data, occurred_at, simulated) "
    "SELECT id, organization_id, project_id, message_id, delivery_id, type, data::jsonb, "
    "occurred_at, simulated "
    "FROM unnest(string_to_array({}, E'\\n', '')::uuid[], "
    "string_to_array({}, E'\\n', '')::uuid[], string_to_array({}, E'\\n', '')::int[]) "
    "WITH ORDINALITY "
    "AS new (id, delivery_id, place, nth) "
    "JOIN json_to_recordset({}::json) AS shared (place integer, organization_id uuid, "
    "project_id uuid, message_id uuid, type text, data text, occurred_at timestamptz, "
    "simulated boolean) USING (place) WHERE pg_current_xact_id() IS NOT NULL ORDER BY nth"
)


@dataclass(slots=True)
class NewEvent:
    """Something that happened, not yet written down; *data* is what JSON can hold.

    Not frozen, which would make it take three times as long to make, of ten thousand.
    """

    organization_id: OrganizationId
    project_id: ProjectId | None
    message_id: uuid.UUID | None
    delivery_id: uuid.UUID | None
    type: EventType
    data: Mapping[str, Any]
    occurred_at: datetime
    simulated: bool = False
    vmta_id: uuid.UUID | None = None
    """Whose queue the delivery enters, waits in or leaves; None if this concerns no queue."""
    ends_attempt: bool = False
    """It says what an attempt came to."""
    isp: str = ""
    """Who runs the mailbox, of what ends an attempt."""


async def append(tx: Tx, events: Sequence[NewEvent]) -> None:
    """Write *events* in their order and count them, with one statement however many there are.

    Characters that the database cannot keep in JSON (NUL, lone surrogates: servers do put
    such bytes in their replies) become U+FFFD.
    """
    shared, places = shared_by(events, _what_is_shared)
    await append_to_each(tx, shared, places, [event.delivery_id for event in events])


async def append_to_each(
    tx: Tx,
    shared: Sequence[NewEvent],
    places: Sequence[int],
    delivery_ids: Sequence[uuid.UUID | None],
) -> None:
    """Write what happened to each delivery, as `append` does, in the order of *delivery_ids*.

    What that was is said by *shared*, where it stands at the place, from 1 on, that is at the same
    one in *places*.
    """
    if not places:
        return
    await fetch(
        APPEND,
        # One argument: each of a statement's costs more than writing and reading this does.
        msgspec.json.encode(tally(shared, Counter(places))).decode(),
        joined(quick_texts(len(places))),
        joined(delivery_ids),
        joined(places),
        records([_shared(place, event) for place, event in enumerate(shared, 1)]),
    )
    organizations = {event.organization_id for event in shared}

    async def tell() -> None:
        announce(organizations)

    tx.after_commit(tell)


def _shared(place: int, event: NewEvent) -> dict[str, object]:
    return {
        "place": place,
        "organization_id": event.organization_id,
        "project_id": event.project_id,
        "message_id": event.message_id,
        "type": event.type,
        "data": to_json(event.data),
        "occurred_at": event.occurred_at,
        "simulated": event.simulated,
    }


def _what_is_shared(event: NewEvent) -> Hashable:
    """Return all but the delivery: the recipients of one message often differ in nothing else."""
    return (
        id(event.data),
        event.message_id,
        event.type,
        event.occurred_at,
        event.simulated,
        event.project_id,
        event.organization_id,
        event.vmta_id,
        event.ends_attempt,
        event.isp,
    )


@dataclass(slots=True)
class Tally:
    """How much is to be added to one count."""

    organization_id: OrganizationId
    vmta_id: uuid.UUID | None
    type: str
    label: str
    events: int = 0
    attempts: int = 0
    """Of the events, those that end an attempt."""
    messages: int = 0
    """Of the events, those that are the first of their message."""


def tally(events: Sequence[NewEvent], times: Mapping[int, int]) -> list[Tally]:
    """Return how much *events* add to each count; what is simulated adds nothing.

    Each has happened as often as *times* says at its place, from 1 on. When a message is accepted,
    the events of all its recipients are in one call.
    """
    found: dict[tuple[OrganizationId, uuid.UUID | None, str, str], Tally] = {}
    accepted: set[uuid.UUID] = set()
    for place, event in enumerate(events, 1):
        # Every attempt ends with another event than the one that says it began.
        if event.simulated or event.type is EventType.MESSAGE_SENT:
            continue
        label = ""
        if event.type is EventType.MESSAGE_BOUNCED:
            label = event.data.get("bounce_class") or "unclassified"
        if event.isp:
            label += f"/{event.isp}"
        key = (event.organization_id, event.vmta_id, event.type.value, label)
        each = found.get(key)
        if each is None:
            each = found[key] = Tally(*key)
        each.events += times[place]
        each.attempts += event.ends_attempt * times[place]
        if event.type in ENTRIES and event.message_id and event.message_id not in accepted:
            accepted.add(event.message_id)
            each.messages += 1
    return list(found.values())
