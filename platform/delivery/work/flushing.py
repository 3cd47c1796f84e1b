"""Making deferred mail of a queue due now, in steps that hold no lock for long."""

import uuid

from ...core import clock
from ...core.database import fetch, transaction

STEP = 5_000
"""Deliveries made due by one statement."""


async def flush_some(queue_id: uuid.UUID) -> tuple[int, bool]:
    """Make some of a flushed queue's deferred deliveries due; return how many, and if all are.

    What was deferred anew after the flush keeps its time.
    """
    rows = await fetch(
        """
        WITH flushed AS (
            SELECT deliveries.id FROM queues JOIN deliveries ON queue_id = queues.id
            WHERE queues.id = {} AND deliveries.due_at > {} AND deliveries.state = 'deferred'
            AND coalesce(last_attempt_at, '-infinity') <= queues.flushed_at
            ORDER BY deliveries.id LIMIT {} FOR NO KEY UPDATE OF deliveries SKIP LOCKED
        ), moved AS (
            UPDATE deliveries SET due_at = {} WHERE id = ANY(ARRAY(SELECT id FROM flushed))
            RETURNING 1
        )
        SELECT count(*) AS n FROM moved
        """,
        queue_id,
        clock.now(),
        STEP,
        clock.now(),
    )
    moved: int = rows[0]["n"]
    if moved < STEP:
        await fetch("UPDATE queues SET flushed_at = NULL WHERE id = {}", queue_id)
    return moved, moved < STEP


async def go_on_flushing() -> None:
    """Take the next step of every flush that is not done."""
    for row in await fetch("SELECT id FROM queues WHERE flushed_at IS NOT NULL LIMIT 100"):
        async with transaction():
            # Whoever settles locks deliveries before their queue; a flush that waited for
            # the queue would hold nothing yet, and one that is at work already is enough.
            if await fetch(
                "SELECT FROM queues WHERE id = {} AND flushed_at IS NOT NULL "
                "FOR NO KEY UPDATE SKIP LOCKED",
                row["id"],
            ):
                await flush_some(row["id"])
