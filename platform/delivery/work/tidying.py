"""Removing what is kept for a while only."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from ...core import clock
from ...core.database import fetch, transaction
from ...core.ids import first_id_at
from ...core.retention import Term

CAPTURED_KEPT = timedelta(days=3)

SANDBOX_KEPT = timedelta(days=3)
"""How long a sandbox message waits for somebody to simulate what becomes of it."""

REMOVE_MESSAGES = (
    "DELETE FROM simulations WHERE message_id = ANY({}::uuid[])",
    "DELETE FROM events WHERE message_id = ANY({}::uuid[])",
    "DELETE FROM deliveries WHERE message_id = ANY({}::uuid[])",
    "DELETE FROM spooled_messages WHERE id = ANY({}::uuid[])",
    "DELETE FROM messages WHERE id = ANY({}::uuid[])",
)

REPORTS_KEPT = timedelta(days=30)

BATCH = 1000
"""Rows removed by one statement, so that none holds its locks for long."""


async def remove_old_contents(term: Term) -> int:
    """Remove contents nobody may read any more and return how many there were."""
    before, whose = clock.now() - term.length, term.organization_ids
    removed, start = 0, UUID(int=0)
    # Ids are in the order of time, so that only old contents are looked at, each once.
    while looked_at := await fetch(
        "SELECT contents.id, message.completed_at < {} AND ({}::uuid[] IS NULL "
        "OR message.organization_id = ANY({}::uuid[])) AS is_old FROM contents "
        "LEFT JOIN spooled_messages AS message ON message.content_id = contents.id "
        "WHERE contents.id > {} AND contents.id < {} ORDER BY contents.id LIMIT {}",
        before,
        whose,
        whose,
        start,
        first_id_at(before),
        BATCH,
    ):
        old = [row["id"] for row in looked_at if row["is_old"]]
        await fetch("DELETE FROM contents WHERE id = ANY({}::uuid[])", old)
        removed, start = removed + len(old), looked_at[-1]["id"]
    return removed


async def remove_unused_sandbox_mail() -> int:
    """Remove sandbox messages that nobody simulated anything for; return how many there were."""
    end = first_id_at(clock.now() - SANDBOX_KEPT)
    removed, start = 0, UUID(int=0)
    # Of mail that is not final only sandbox mail has no due time, until it is simulated.
    while looked_at := await fetch(
        "SELECT id, message_id FROM deliveries WHERE due_at IS NULL "
        "AND state IN ('queued', 'scheduled') AND id > {} AND id < {} ORDER BY id LIMIT {}",
        start,
        end,
        BATCH,
    ):
        removed += await _remove_unused({row["message_id"] for row in looked_at})
        start = looked_at[-1]["id"]
    return removed


async def _remove_unused(message_ids: Collection[UUID]) -> int:
    async with transaction():
        # The message before its deliveries, so that nobody simulates it meanwhile.
        await fetch(
            "SELECT FROM spooled_messages WHERE id = ANY({}::uuid[]) ORDER BY id FOR UPDATE",
            list(message_ids),
        )
        rows = await fetch(
            "SELECT message_id FROM deliveries WHERE message_id = ANY({}::uuid[]) "
            "GROUP BY message_id HAVING bool_or(due_at IS NULL AND state IN ('queued', "
            "'scheduled')) AND NOT bool_or(simulated)",
            list(message_ids),
        )
        unused = [row["message_id"] for row in rows]
        await fetch(
            "DELETE FROM contents WHERE id IN "
            "(SELECT content_id FROM spooled_messages WHERE id = ANY({}::uuid[]))",
            unused,
        )
        for statement in REMOVE_MESSAGES:
            await fetch(statement, unused)
    return len(unused)


async def remove_old_captured() -> int:
    """Remove captured mail that has been kept long enough and return how much there was."""
    before = clock.now() - CAPTURED_KEPT
    removed = 0
    while rows := await fetch(
        "DELETE FROM captured_messages WHERE id = ANY(ARRAY("
        "SELECT id FROM captured_messages WHERE id < {} ORDER BY id LIMIT {})) RETURNING id",
        first_id_at(before),
        BATCH,
    ):
        removed += len(rows)
    return removed


async def remove_old_reports() -> int:
    """Remove reports about ourselves that have been kept long enough; return how many."""
    before = clock.now() - REPORTS_KEPT
    removed = 0
    while rows := await fetch(
        "DELETE FROM infrastructure_reports WHERE id = ANY(ARRAY("
        "SELECT id FROM infrastructure_reports WHERE id < {} ORDER BY id LIMIT {})) RETURNING id",
        first_id_at(before),
        BATCH,
    ):
        removed += len(rows)
    return removed
