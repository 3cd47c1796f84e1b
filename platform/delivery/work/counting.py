"""Rolling up: what changed in queues, added to what is known of each, once a second.

Triggers write one row for each queue that a statement changed, in its transaction; adding to
the queue's row there and then would let every transaction of a busy queue wait for the others.
"""

from datetime import timedelta

from ...core import clock
from ...core.database import fetch, transaction

ROLL_UP_LOCK = 7024
"""Advisory lock of whoever rolls up; two at once would lock queues in different orders."""

LARGEST = 20_000
"""Changes that one roll-up takes, so that a flood of them is no long transaction."""

ACTIVITY_KEPT = timedelta(hours=2)


async def roll_up() -> int:
    """Bring depth, age and next due time of the queues that changed up to date; return how many.

    While another process does it, nothing is done.
    """
    await _end_holds()
    async with transaction():
        if not await _is_ours():
            return 0
        return await _add_changes()


async def _is_ours() -> bool:
    rows = await fetch("SELECT pg_try_advisory_xact_lock({}) AS ours", ROLL_UP_LOCK)
    return bool(rows[0]["ours"])


async def _end_holds() -> None:
    await fetch(
        "UPDATE queues SET state = 'active', hold_reason = NULL, hold_source = NULL, "
        "held_by = NULL, held_at = NULL, held_until = NULL "
        "WHERE id = ANY(ARRAY(SELECT id FROM queues WHERE state = 'held' AND held_until <= {} "
        "ORDER BY id FOR NO KEY UPDATE SKIP LOCKED))",
        clock.now(),
    )


async def _add_changes() -> int:
    # One statement, so that what it removes and what it looks at are of one moment: a change
    # that it does not see stays for the next. Queues are locked in the order of their ids, as
    # slowing down does, so that the two never deadlock.
    rows = await fetch(
        """
        WITH taken AS (
            DELETE FROM queue_changes WHERE id = ANY(ARRAY(
                SELECT id FROM queue_changes ORDER BY id LIMIT {}))
            RETURNING *
        ), sums AS (
            SELECT queue_id, sum(scheduled)::int AS scheduled, sum(queued)::int AS queued,
                sum(sending)::int AS sending, sum(deferred)::int AS deferred,
                sum(delivered)::int AS delivered, sum(bounced)::int AS bounced,
                max(created_at) AS changed_at
            FROM taken GROUP BY queue_id
        ), locked AS MATERIALIZED (
            SELECT id, organization_id, vmta_id, depth FROM queues
            WHERE id = ANY(ARRAY(SELECT queue_id FROM sums)) ORDER BY id FOR NO KEY UPDATE
        ), found AS MATERIALIZED (
            SELECT sums.*, queues.organization_id, queues.vmta_id,
                queues.depth + sums.queued + sums.sending + sums.deferred AS depth,
                (SELECT created_at FROM deliveries WHERE deliveries.queue_id = sums.queue_id
                    AND due_at IS NOT NULL AND deliveries.state <> 'scheduled'
                    ORDER BY deliveries.id LIMIT 1) AS oldest_message_at,
                (SELECT min(first.due_at) FROM (VALUES (0::smallint), (1::smallint)) AS turn (n)
                    CROSS JOIN LATERAL (SELECT due_at FROM deliveries
                        WHERE deliveries.queue_id = sums.queue_id AND priority = turn.n
                        AND due_at IS NOT NULL ORDER BY due_at LIMIT 1) AS first
                ) AS next_due_at
            FROM locked AS queues JOIN sums ON queues.id = sums.queue_id
        ), added AS (
            UPDATE queues SET
                scheduled = queues.scheduled + found.scheduled,
                queued = queues.queued + found.queued,
                sending = queues.sending + found.sending,
                deferred = queues.deferred + found.deferred,
                depth = found.depth,
                oldest_message_at = found.oldest_message_at,
                next_due_at = greatest(found.next_due_at, CASE WHEN found.next_due_at IS NOT NULL
                    THEN queues.resume_at END),
                emptied_at = CASE WHEN found.depth <= 0 THEN found.changed_at END
            FROM found WHERE queues.id = found.queue_id
            RETURNING queues.id
        ), noted AS (
            INSERT INTO sending_activity AS old (id, organization_id, vmta_id, queue_id,
                started_at, delivered, bounced)
            SELECT gen_random_uuid(), organization_id, vmta_id, of_queue, started_at,
                sum(delivered), sum(bounced)
            FROM (
                SELECT organization_id, vmta_id, NULL::uuid AS of_queue,
                    date_trunc('minute', changed_at) AS started_at, delivered, bounced FROM found
                UNION ALL
                SELECT organization_id, vmta_id, queue_id,
                    date_bin('5 minutes', changed_at, 'epoch'), delivered, bounced FROM found
            ) AS ended
            GROUP BY organization_id, vmta_id, of_queue, started_at
            HAVING sum(delivered) > 0 OR sum(bounced) > 0
            ON CONFLICT (organization_id, vmta_id, queue_id, started_at) DO UPDATE SET
                delivered = old.delivered + excluded.delivered,
                bounced = old.bounced + excluded.bounced
        )
        SELECT count(*) AS n FROM added
        """,
        LARGEST,
    )
    count: int = rows[0]["n"]
    return count


async def remove_old_activity() -> None:
    """Remove what ended so long ago that nobody asks for it."""
    await fetch("DELETE FROM sending_activity WHERE started_at < {}", clock.now() - ACTIVITY_KEPT)
    await fetch("DELETE FROM connection_leases WHERE ends_at < {}", clock.now())
    await fetch("DELETE FROM queue_work WHERE seen_at < {}", clock.now() - timedelta(minutes=1))
