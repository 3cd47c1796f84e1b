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


async def due_queues(limit: int = 1000) -> Sequence[DueQueue]:
    """Return queues that have something due and may send it, those waiting longest first.

    It steps from queue to queue through the index of what is waiting, so its cost is the
    number of queues, not of deliveries.
    """
    rows = await fetch(
        """
        WITH RECURSIVE waiting AS (
            (SELECT queue_id FROM deliveries WHERE due_at IS NOT NULL ORDER BY queue_id LIMIT 1)
            UNION ALL
            SELECT (
                SELECT later.queue_id FROM deliveries AS later
                WHERE later.due_at IS NOT NULL AND later.queue_id > waiting.queue_id
                ORDER BY later.queue_id LIMIT 1
            )
            FROM waiting WHERE waiting.queue_id IS NOT NULL
        )
        SELECT queues.id AS queue_id, min(first.due_at) AS due_since
        FROM waiting
        JOIN queues ON queues.id = waiting.queue_id AND queues.state <> 'held'
        LEFT JOIN vmtas ON vmtas.id = queues.vmta_id
        CROSS JOIN (VALUES (0::smallint), (1::smallint)) AS turn (priority)
        CROSS JOIN LATERAL (
            SELECT due_at FROM deliveries
            WHERE deliveries.queue_id = queues.id AND deliveries.priority = turn.priority
            AND due_at <= {} ORDER BY due_at LIMIT 1
        ) AS first
        WHERE vmtas.status IS DISTINCT FROM 'paused'
        GROUP BY queues.id ORDER BY due_since LIMIT {}
        """,
        clock.now(),
        limit,
    )
    return [DueQueue(**row) for row in rows]


async def spool_bytes() -> int:
    """Return how much of the disk open mail and its contents take, indexes included."""
    rows = await fetch(
        "SELECT sum(pg_total_relation_size(name::regclass))::bigint AS size FROM "
        "unnest(ARRAY['contents', 'spooled_messages', 'deliveries', 'queues']) AS name"
    )
    size: int = rows[0]["size"]
    return size
