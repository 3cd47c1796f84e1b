"""Forgetting mail: what is older than it is kept goes, in batches that hold nobody up.

A message goes with all that is known of it, and only when it is final and every consumer has
had its events. What was counted of it stays.
"""

import time
from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

from ...core import clock
from ...core.database import fetch, transaction
from ...core.ids import first_id_at
from ...core.retention import Term
from ...events.consuming import first_needed_position

BATCH = 500
"""Messages that one transaction removes."""
LATE_EVENTS = 1_000

NOTHING_NEEDED = 2**62

OLD = """
    SELECT id, completed_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM events WHERE message_id = spooled.id AND position >= {}) AS may_go
    FROM spooled_messages AS spooled WHERE id > {} AND id < {} ORDER BY id LIMIT {}
"""
REMOVE = (
    "DELETE FROM contents WHERE id IN "
    "(SELECT content_id FROM spooled_messages WHERE id = ANY({}::uuid[]))",
    "DELETE FROM attempts WHERE delivery_id IN "
    "(SELECT id FROM deliveries WHERE message_id = ANY({}::uuid[]))",
    "DELETE FROM simulations WHERE message_id = ANY({}::uuid[])",
    "DELETE FROM events WHERE message_id = ANY({}::uuid[])",
    "DELETE FROM deliveries WHERE message_id = ANY({}::uuid[])",
    "DELETE FROM spooled_messages WHERE id = ANY({}::uuid[])",
    "DELETE FROM messages WHERE id = ANY({}::uuid[])",
)
# Of no message, or of one that went before them: an open that comes after a month.
OLD_EVENTS = """
    DELETE FROM events WHERE id = ANY(ARRAY(
        SELECT id FROM events AS event WHERE id < {} AND position < {} AND (
            message_id IS NULL
            OR NOT EXISTS (SELECT FROM messages WHERE messages.id = event.message_id))
        ORDER BY id LIMIT {})) RETURNING id
"""

# The same for one organization, and by its own index, for its plan keeps less: whoever else's
# mail is of that time is not looked at.
OLD_OF = """
    SELECT spooled.id, completed_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM events WHERE message_id = spooled.id AND position >= {}) AS may_go
    FROM messages JOIN spooled_messages AS spooled USING (id)
    WHERE messages.organization_id = {} AND messages.id > {} AND messages.id < {}
    ORDER BY messages.id LIMIT {}
"""
WITH_OLD = """
    SELECT asked.id FROM unnest({}::uuid[]) AS asked (id) WHERE EXISTS (
        SELECT FROM messages WHERE organization_id = asked.id AND id < {})
"""
OLD_EVENTS_OF = """
    DELETE FROM events WHERE id = ANY(ARRAY(
        SELECT event.id FROM unnest({}::uuid[]) AS asked (id) CROSS JOIN LATERAL (
            SELECT id FROM events WHERE organization_id = asked.id AND message_id IS NULL
            AND id < {} AND position < {} ORDER BY id LIMIT {}) AS event
        LIMIT {})) RETURNING id
"""


async def forget_mail(terms: Sequence[Term], *, seconds: float) -> int:
    """Remove messages and events that are kept no longer and return how many messages.

    It stops after *seconds*; the next time goes on with the oldest.
    """
    give_up_at = time.monotonic() + seconds
    needed = await first_needed_position()
    before = NOTHING_NEEDED if needed is None else needed
    removed = 0
    for term in terms:
        end = first_id_at(clock.now() - term.length)
        if term.organization_ids is None:
            removed += await _forget(OLD, (before,), end, give_up_at)
            await _repeat(give_up_at, OLD_EVENTS, end, before, LATE_EVENTS)
            continue
        whose = list(term.organization_ids)
        for row in await fetch(WITH_OLD, whose, end):
            removed += await _forget(OLD_OF, (before, row["id"]), end, give_up_at)
        events = (whose, end, before, LATE_EVENTS, LATE_EVENTS)
        await _repeat(give_up_at, OLD_EVENTS_OF, *events)
    return removed


async def _forget(
    old: LiteralString, arguments: Sequence[Any], end: UUID, give_up_at: float
) -> int:
    removed, start = 0, UUID(int=0)
    while time.monotonic() < give_up_at and (
        looked_at := await fetch(old, *arguments, start, end, BATCH)
    ):
        removed += await _remove(looked_at)
        start = looked_at[-1]["id"]
    return removed


async def _repeat(give_up_at: float, statement: LiteralString, *arguments: Any) -> None:
    """Run a statement until it changes nothing more, or the time is up."""
    while time.monotonic() < give_up_at and await fetch(statement, *arguments):
        pass


async def _remove(looked_at: Sequence[dict[str, Any]]) -> int:
    ids = [row["id"] for row in looked_at if row["may_go"]]
    if not ids:
        return 0
    async with transaction():
        # Whoever changes a message's deliveries holds its row first; what is changed right
        # now, by a report that comes very late, goes next time.
        rows = await fetch(
            "SELECT id FROM spooled_messages WHERE id = ANY({}::uuid[]) "
            "AND completed_at IS NOT NULL ORDER BY id FOR UPDATE SKIP LOCKED",
            ids,
        )
        locked = [row["id"] for row in rows]
        for statement in REMOVE:
            await fetch(statement, locked)
    return len(locked)
