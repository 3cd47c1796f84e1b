"""Queues as the sending side sees them: how they are sent, and which have something due."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ...core import clock
from ...core.database import fetch
from ...mail.smtp import Tls


@dataclass(frozen=True, slots=True)
class QueueRoute:
    """Where the mail of one queue goes, and as whom."""

    queue_id: uuid.UUID
    domain: str
    vmta: str
    """Its name, for events."""
    ehlo: str
    """Empty: the deployment's host name."""
    source_address: str | None
    """None: the system chooses."""
    max_connections: int
    tls: Tls
    is_throttled: bool
    """The receivers asked for less: it sends at a tenth of its rate."""


@dataclass(frozen=True, slots=True)
class DueQueue:
    """A queue with something due, and since when."""

    queue_id: uuid.UUID
    due_since: datetime


async def find_queue(queue_id: uuid.UUID) -> QueueRoute | None:
    """Return how a queue is sent, or None if there is no such queue or vMTA."""
    # A queue and its vMTA in one statement: this runs for every drain.
    rows = await fetch(
        "SELECT queues.id, domain, name, hostname, ip_address, max_connections, tls, "
        "coalesce(backoff_until > {}, false) AS is_throttled "
        "FROM queues JOIN vmtas ON vmtas.id = queues.vmta_id WHERE queues.id = {}",
        clock.now(),
        queue_id,
    )
    if not rows:
        return None
    row = rows[0]
    return QueueRoute(
        queue_id=row["id"],
        domain=row["domain"],
        vmta=row["name"],
        ehlo=row["hostname"],
        source_address=row["ip_address"],
        max_connections=row["max_connections"],
        tls=Tls(row["tls"]),
        is_throttled=row["is_throttled"],
    )


async def has_due(queue_id: uuid.UUID) -> bool:
    """Say whether a drain of this queue would find something now."""
    rows = await fetch(
        "SELECT FROM queues LEFT JOIN vmtas ON vmtas.id = queues.vmta_id "
        "WHERE queues.id = {} AND queues.state <> 'held' "
        "AND vmtas.status IS DISTINCT FROM 'paused' AND EXISTS ("
        "SELECT FROM (VALUES (0::smallint), (1::smallint)) AS turn (priority) "
        "CROSS JOIN LATERAL (SELECT FROM deliveries WHERE queue_id = queues.id "
        "AND deliveries.priority = turn.priority AND due_at <= {} LIMIT 1) AS waiting)",
        queue_id,
        clock.now(),
    )
    return bool(rows)


async def due_queues(limit: int = 1000, *, share: int = 100) -> Sequence[DueQueue]:
    """Return queues that have something due and may send it, as of the last roll-up.

    Organizations take turns: the queue of each that waits longest, then the second of each,
    up to *share* queues of one. It steps from organization to organization through the index
    of what is due, so neither deliveries nor queues that have to wait are looked at.
    """
    now = clock.now()
    rows = await fetch(
        DUE_QUEUES,
        now,
        share,
        now,
        limit,
    )
    return [DueQueue(row["queue_id"], row["due_since"]) for row in rows]


DUE_QUEUES = """
    WITH RECURSIVE turns AS (
        (SELECT organization_id FROM queues
            WHERE next_due_at IS NOT NULL AND state <> 'held'
            ORDER BY organization_id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT later.organization_id FROM queues AS later
            WHERE later.next_due_at IS NOT NULL AND later.state <> 'held'
            AND later.organization_id > turns.organization_id
            ORDER BY later.organization_id LIMIT 1
        )
        FROM turns WHERE turns.organization_id IS NOT NULL
    )
    SELECT waiting.queue_id, first.due_since, waiting.nth
    FROM turns
    CROSS JOIN LATERAL (
        SELECT own.id AS queue_id, row_number() OVER (ORDER BY own.next_due_at) AS nth
        FROM (
            SELECT queues.id, next_due_at FROM queues
            WHERE queues.organization_id = turns.organization_id
            AND next_due_at <= {} AND queues.state <> 'held'
            AND NOT EXISTS (SELECT FROM vmtas
                WHERE vmtas.id = queues.vmta_id AND vmtas.status = 'paused')
            ORDER BY next_due_at LIMIT {}
        ) AS own
    ) AS waiting
    -- What a worker holds under a lease that it has renewed since is not due.
    CROSS JOIN LATERAL (
        SELECT min(due.due_at) AS due_since
        FROM (VALUES (0::smallint), (1::smallint)) AS turn (priority)
        CROSS JOIN LATERAL (
            SELECT due_at FROM deliveries
            WHERE deliveries.queue_id = waiting.queue_id
            AND deliveries.priority = turn.priority
            AND due_at <= {} ORDER BY due_at LIMIT 1
        ) AS due
    ) AS first
    WHERE first.due_since IS NOT NULL
    ORDER BY waiting.nth, first.due_since LIMIT {}
"""


async def oldest_due() -> datetime | None:
    """Return since when the oldest mail that may be sent has been due, as of the last roll-up."""
    rows = await fetch(
        "SELECT min(next_due_at) AS due_since FROM queues WHERE next_due_at <= {} "
        "AND state <> 'held' AND NOT EXISTS (SELECT FROM vmtas "
        "WHERE vmtas.id = queues.vmta_id AND vmtas.status = 'paused')",
        clock.now(),
    )
    found: datetime | None = rows[0]["due_since"]
    return found


async def spool_bytes() -> int:
    """Return how much of the disk open mail and its contents take, indexes included."""
    rows = await fetch(
        "SELECT sum(pg_total_relation_size(name::regclass))::bigint AS size FROM "
        "unnest(ARRAY['contents', 'spooled_messages', 'deliveries', 'queues']) AS name"
    )
    size: int = rows[0]["size"]
    return size
