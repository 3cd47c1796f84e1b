"""Replaying stretches of time, a batch at a time."""

import uuid
from typing import Any

from ...core import clock
from ...core.database import Tx, fetch, transaction
from ...core.ids import first_id_at, new_id
from ..rules import CallState

BATCH = 1_000


async def go_on_replaying() -> bool:
    """Make the next batch of calls of one replay that is not done; say whether there was one.

    The replay remembers the last call it has looked at, in the same transaction.
    """
    async with transaction() as tx:
        rows = await fetch(
            "SELECT * FROM webhook_replays WHERE completed_at IS NULL "
            "ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"
        )
        if not rows:
            return False
        replay = rows[0]
        looked_at = await _batch(tx, replay)
        made = await _make(tx, replay, [row["id"] for row in looked_at]) if looked_at else 0
        is_done = len(looked_at) < BATCH
        await fetch(
            "UPDATE webhook_replays SET after_id = {}, replayed = replayed + {}, "
            "completed_at = {} WHERE id = {}",
            looked_at[-1]["id"] if looked_at else replay["after_id"],
            made,
            clock.now() if is_done else None,
            replay["id"],
        )
    return True


async def _batch(tx: Tx, replay: dict[str, Any]) -> list[dict[str, Any]]:
    begin = first_id_at(replay["since"])
    if replay["after_id"] is not None:
        begin = uuid.UUID(int=replay["after_id"].int + 1)
    return list(
        await fetch(
            "SELECT id FROM webhook_calls WHERE webhook_id = {} AND id >= {} AND id < {} "
            "ORDER BY id LIMIT {}",
            replay["webhook_id"],
            begin,
            first_id_at(replay["until"]),
            BATCH,
        )
    )


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
