"""Replaying stretches of time, a batch at a time."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...core import clock
from ...core.database import Tx, fetch, transaction
from ...core.ids import first_id_at, new_id
from ..matching import matches, webhooks_of
from ..rules import CallState
from .fanning import make_calls

BATCH = 1_000
MESSAGES_AT_ONCE = 200
EVENTS_AT_ONCE = 5_000
"""Of several messages; where there are more, messages are taken one by one, a batch at a time."""

COLUMNS = ", ".join(
    f"event.{name}"
    for name in ("id", "organization_id", "project_id", "message_id", "type", "simulated", "data")
)
OF_MESSAGES = f"""
    SELECT {COLUMNS} FROM events AS event
    WHERE event.message_id = ANY({{}}::uuid[]) AND event.id >= {{}} AND event.id < {{}}
    AND NOT EXISTS (SELECT FROM webhook_calls AS call
        WHERE call.webhook_id = {{}} AND call.event_id = event.id)
    ORDER BY event.position LIMIT {{}}
"""
OF_MESSAGE = f"""
    SELECT {COLUMNS}, NOT EXISTS (SELECT FROM webhook_calls AS call
        WHERE call.webhook_id = {{}} AND call.event_id = event.id) AS is_missed
    FROM events AS event
    WHERE event.message_id = {{}} AND event.id >= {{}} AND event.id < {{}}
    ORDER BY event.id LIMIT {{}}
"""
OF_NO_MESSAGE = f"""
    SELECT {COLUMNS}, NOT EXISTS (SELECT FROM webhook_calls AS call
        WHERE call.webhook_id = {{}} AND call.event_id = event.id) AS is_missed
    FROM events AS event
    WHERE event.organization_id = {{}} AND event.message_id IS NULL
    AND event.id >= {{}} AND event.id < {{}} ORDER BY event.id LIMIT {{}}
"""
PLACES = ("after_id", "after_message_id", "after_event_id")


ANY_REPLAYING = "EXISTS (SELECT FROM webhook_replays WHERE completed_at IS NULL)"


async def go_on_replaying() -> bool:
    """Make the next batch of calls of one replay that is not done; say whether there was one.

    The replay remembers the last that it has looked at, in the same transaction.
    """
    async with transaction() as tx:
        rows = await fetch(
            # Any of them: a long one, or one that fails, does not keep the others waiting.
            "SELECT * FROM webhook_replays WHERE completed_at IS NULL "
            "ORDER BY random() LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"
        )
        if not rows:
            return False
        replay = rows[0]
        steps = [await _calls(tx, replay)]
        if steps[-1].is_end and replay["missed"]:
            steps.append(await _missed_of_messages(tx, replay))
            if steps[-1].is_end:
                steps.append(await _missed_of_others(tx, replay))
        places = {name: id for step in steps for name, id in step.places.items()}
        await fetch(
            "UPDATE webhook_replays SET after_id = {}, after_message_id = {}, "
            "after_event_id = {}, replayed = replayed + {}, completed_at = {} WHERE id = {}",
            *(places.get(name, replay[name]) for name in PLACES),
            sum(step.made for step in steps),
            clock.now() if steps[-1].is_end else None,
            replay["id"],
        )
    return True


@dataclass(frozen=True, slots=True)
class _Missed:
    """An event, as far as it decides about a call."""

    id: uuid.UUID
    organization_id: uuid.UUID
    project_id: uuid.UUID | None
    message_id: uuid.UUID | None
    type: str
    simulated: bool
    data: str


@dataclass(frozen=True, slots=True)
class _Step:
    """What one batch came to, and how far the replay is."""

    made: int
    places: dict[str, uuid.UUID | None]
    is_end: bool


async def _calls(tx: Tx, replay: dict[str, Any]) -> _Step:
    rows = await fetch(
        "SELECT id FROM webhook_calls WHERE webhook_id = {} AND id >= {} AND id < {} "
        "ORDER BY id LIMIT {}",
        replay["webhook_id"],
        _behind(replay["after_id"], first_id_at(replay["since"])),
        first_id_at(replay["until"]),
        BATCH,
    )
    made = await _make(tx, replay, [row["id"] for row in rows]) if rows else 0
    places: dict[str, uuid.UUID | None] = {"after_id": rows[-1]["id"]} if rows else {}
    return _Step(made, places, is_end=len(rows) < BATCH)


async def _missed_of_messages(tx: Tx, replay: dict[str, Any]) -> _Step:
    """Make calls for what happened to messages, in the order in which those were accepted.

    So the organization's own mail is looked at, and nobody else's, however much there is.
    """
    # The table of an area above, read as it lies: events are found by their message.
    rows = await fetch(
        "SELECT id FROM messages WHERE organization_id = {} AND id >= {} AND id < {} "
        "ORDER BY id LIMIT {}",
        replay["organization_id"],
        _behind(replay["after_message_id"], uuid.UUID(int=0)),
        first_id_at(replay["until"]),
        MESSAGES_AT_ONCE,
    )
    ids = [row["id"] for row in rows]
    if not ids:
        return _Step(0, {}, is_end=True)
    if replay["after_event_id"] is not None:
        return await _missed_of_one(tx, replay, ids[0])
    events = await fetch(
        OF_MESSAGES, ids, *_stretch(replay), replay["webhook_id"], EVENTS_AT_ONCE + 1
    )
    if len(events) > EVENTS_AT_ONCE:
        return await _missed_of_one(tx, replay, ids[0])
    made = await _make_missed(tx, replay, events)
    return _Step(made, {"after_message_id": ids[-1]}, is_end=len(ids) < MESSAGES_AT_ONCE)


async def _missed_of_one(tx: Tx, replay: dict[str, Any], message_id: uuid.UUID) -> _Step:
    """Make calls for the next of what happened to a message that much happened to.

    The last event is remembered until all were looked at; events of no message come afterwards.
    """
    since, until = _stretch(replay)
    rows = await fetch(
        OF_MESSAGE,
        replay["webhook_id"],
        message_id,
        _behind(replay["after_event_id"], since),
        until,
        BATCH,
    )
    made = await _make_missed(tx, replay, [row for row in rows if row.pop("is_missed")])
    if len(rows) == BATCH:
        return _Step(made, {"after_event_id": rows[-1]["id"]}, is_end=False)
    return _Step(made, {"after_message_id": message_id, "after_event_id": None}, is_end=False)


async def _missed_of_others(tx: Tx, replay: dict[str, Any]) -> _Step:
    since, until = _stretch(replay)
    rows = await fetch(
        OF_NO_MESSAGE,
        replay["webhook_id"],
        replay["organization_id"],
        _behind(replay["after_event_id"], since),
        until,
        BATCH,
    )
    made = await _make_missed(tx, replay, [row for row in rows if row.pop("is_missed")])
    places: dict[str, uuid.UUID | None] = {"after_event_id": rows[-1]["id"]} if rows else {}
    return _Step(made, places, is_end=len(rows) < BATCH)


async def _make_missed(tx: Tx, replay: dict[str, Any], rows: Sequence[dict[str, Any]]) -> int:
    if not rows:
        return 0
    webhooks = await webhooks_of([replay["organization_id"]], only=replay["webhook_id"])
    return await make_calls(tx, await matches([_Missed(**row) for row in rows], webhooks))


def _stretch(replay: dict[str, Any]) -> tuple[uuid.UUID, uuid.UUID]:
    return first_id_at(replay["since"]), first_id_at(replay["until"])


def _behind(last: uuid.UUID | None, first: uuid.UUID) -> uuid.UUID:
    return first if last is None else uuid.UUID(int=last.int + 1)


async def _make(tx: Tx, replay: dict[str, Any], ids: list[uuid.UUID]) -> int:
    """Make a call for each of those that the replay is for, and return how many."""
    now = clock.now()
    # Of an event that had several calls, the last one counts: what a replay has delivered, or
    # is delivering, is dead no more.
    made = await fetch(
        "INSERT INTO webhook_calls (id, organization_id, webhook_id, event_id, event_type, "
        "message_id, test, replay, state, attempts, due_at, log, created_at) "
        "SELECT new.id, old.organization_id, old.webhook_id, old.event_id, old.event_type, "
        "old.message_id, false, old.replay + 1, 'pending', 0, {}, '[]', {} "
        "FROM unnest({}::uuid[], {}::uuid[]) WITH ORDINALITY AS new (old_id, id, nth) "
        "JOIN webhook_calls AS old ON old.id = new.old_id "
        "WHERE NOT old.test AND old.state = ANY({}::text[]) AND NOT EXISTS ("
        "SELECT FROM webhook_calls AS later WHERE later.webhook_id = old.webhook_id "
        "AND later.event_id = old.event_id AND later.replay > old.replay) ORDER BY nth "
        "ON CONFLICT (webhook_id, event_id, replay) DO NOTHING RETURNING id",
        now,
        now,
        ids,
        [new_id() for _ in ids],
        [CallState(state).value for state in replay["states"]],
    )
    await fetch(
        "UPDATE webhook_progress SET next_due_at = least(next_due_at, {}) WHERE webhook_id = {}",
        now,
        replay["webhook_id"],
    )
    return len(made)
