"""Forgetting mail: what is older than it is kept goes, in batches that hold nobody up.

A message goes with all that is known of it, and only when it is final and every consumer has
had its events. What was counted of it stays.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from ...core import clock
from ...core.database import fetch, transaction
from ...core.ids import first_id_at
from ...core.settings import settings
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


async def forget_mail(*, seconds: float) -> int:
    """Remove messages and events that are kept no longer and return how many messages.

    It stops after *seconds*; the next time goes on with the oldest.
    """
    give_up_at = time.monotonic() + seconds
    end = first_id_at(clock.now() - timedelta(days=settings().keep_message_days))
    needed = await first_needed_position()
    before = NOTHING_NEEDED if needed is None else needed
    removed, start = 0, UUID(int=0)
    while time.monotonic() < give_up_at and (
        looked_at := await fetch(OLD, before, start, end, BATCH)
    ):
        removed += await _remove(looked_at)
        start = looked_at[-1]["id"]
    while time.monotonic() < give_up_at and await fetch(OLD_EVENTS, end, before, LATE_EVENTS):
        pass
    return removed


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
