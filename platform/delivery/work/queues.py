"""Queues as the sending side sees them: how they are sent, and which have something due."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import fetch
from ...core.ids import new_id
from ...mail.smtp import Tls
from ...vmtas.limits import PLACES_SQL, read_limits
from ...vmtas.plans import Warmup, read_warmup
from ...vmtas.rules import VmtaLimits
from ..rules import rate_share
from .holding import ANY_TO_GO_ON

ONE_CONNECTION = VmtaLimits(max_connections=1)


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
    tls: Tls
    organization_id: OrganizationId | None = None
    """None: it is mail of the platform itself."""
    vmta_id: uuid.UUID | None = None
    limits: VmtaLimits = ONE_CONNECTION
    backoff_until: datetime | None = None
    """The receivers asked for less: until then it sends at a tenth of its rate."""
    resume_at: datetime | None = None
    """A limit was reached: nothing is sent before."""
    warmup: Warmup | None = None
    """How its vMTA is warmed up, if it is."""

    @property
    def is_throttled(self) -> bool:
        """Whether it sends at a tenth of its rate now."""
        return self.backoff_until is not None and self.backoff_until > clock.now()

    @property
    def rate_share(self) -> float:
        """How much of its usual rate it sends at now."""
        return rate_share(self.backoff_until, clock.now())


@dataclass(frozen=True, slots=True)
class QueueNote:
    """The last reply to a queue's mail, and where it goes."""

    queue_id: uuid.UUID
    site: str | None
    isp: str
    code: int | None
    enhanced_code: str | None
    reply: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DueQueue:
    """A queue with something due, and since when."""

    queue_id: uuid.UUID
    due_since: datetime
    is_throttled: bool
    nth: int
    """Of its organization's due queues, the how manieth it is: 1 is the first."""


async def find_queue(queue_id: uuid.UUID) -> QueueRoute | None:
    """Return how a queue is sent, or None if there is no such queue or vMTA."""
    # A queue and its vMTA in one statement: this runs for every drain.
    rows = await fetch(
        "SELECT queues.id, queues.organization_id, queues.vmta_id, queues.domain, name, hostname, "
        "ip_address, coalesce(wanted.tls, vmtas.tls) AS tls, backoff_until, resume_at, "
        "max_connections, max_messages_per_connection, "
        f"max_messages_per_hour, max_messages_per_day, {PLACES_SQL}::text AS places, "
        "schedule, custom::text AS custom, target_daily_volume, start_on, vmta_warmups.state, day, "
        "day_on, repeats, rerouted "
        "FROM queues JOIN vmtas ON vmtas.id = queues.vmta_id "
        "LEFT JOIN tls_requirements AS wanted ON wanted.organization_id = queues.organization_id "
        "AND wanted.domain = queues.domain "
        "LEFT JOIN vmta_warmups ON vmta_warmups.vmta_id = vmtas.id "
        "AND vmta_warmups.state <> 'completed' WHERE queues.id = {}",
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
        limits=read_limits(row),
        tls=Tls(row["tls"]),
        organization_id=row["organization_id"],
        vmta_id=row["vmta_id"],
        backoff_until=row["backoff_until"],
        resume_at=row["resume_at"],
        warmup=read_warmup(row) if row["schedule"] else None,
    )


async def note_queues(
    worker_id: uuid.UUID, notes: Sequence[QueueNote], connections: Mapping[uuid.UUID, int]
) -> None:
    """Write down the last replies to queues, and how many connections a worker has for them.

    A row that somebody holds is passed over; the next reply comes soon.
    """
    if notes:
        await fetch(
            "UPDATE queues SET site = coalesce(new.site, queues.site), isp = new.isp, "
            "last_code = new.code, last_enhanced_code = new.enhanced_code, "
            "last_reply = new.reply, last_reply_at = new.at "
            "FROM unnest({}::uuid[], {}::text[], {}::text[], {}::int[], {}::text[], {}::text[], "
            "{}::timestamptz[]) AS new (id, site, isp, code, enhanced_code, reply, at) "
            "WHERE queues.id = new.id AND queues.id = ANY(ARRAY(SELECT id FROM queues "
            "WHERE id = ANY({}::uuid[]) FOR NO KEY UPDATE SKIP LOCKED))",
            [note.queue_id for note in notes],
            [note.site for note in notes],
            [note.isp for note in notes],
            [note.code for note in notes],
            [note.enhanced_code for note in notes],
            [note.reply for note in notes],
            [note.at for note in notes],
            [note.queue_id for note in notes],
        )
    if connections:
        await fetch(
            "INSERT INTO queue_work AS old (id, queue_id, worker_id, connections, seen_at) "
            "SELECT id, queue_id, {}, connections, {}::timestamptz "
            "FROM unnest({}::uuid[], {}::uuid[], {}::int[]) AS new (id, queue_id, connections) "
            "ON CONFLICT (queue_id, worker_id) DO UPDATE SET "
            "connections = excluded.connections, seen_at = excluded.seen_at",
            worker_id,
            clock.now(),
            [new_id() for _ in connections],
            list(connections),
            list(connections.values()),
        )


SHARE = 100
"""Queues of one organization that one look finds."""


async def has_due(queue_id: uuid.UUID) -> bool:
    """Say whether a drain of this queue would find something now, or as soon as it looks again.

    It would not find what somebody holds at this moment, nor send for a vMTA that is gone: one
    that is asked for all the same ends at once, and is asked for again, over and over.
    """
    rows = await fetch(
        "SELECT FROM queues JOIN vmtas ON vmtas.id = queues.vmta_id "
        "WHERE queues.id = {} AND queues.state <> 'held' "
        "AND (queues.resume_at IS NULL OR queues.resume_at <= {}) "
        "AND vmtas.status <> 'paused' AND EXISTS ("
        "SELECT FROM (VALUES (0::smallint), (1::smallint)) AS turn (priority) "
        "CROSS JOIN LATERAL (SELECT FROM deliveries WHERE queue_id = queues.id "
        "AND deliveries.priority = turn.priority AND due_at <= {} "
        "ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) AS waiting)",
        queue_id,
        clock.now(),
        # Whoever accepted it may go by a clock that is a little ahead.
        clock.now() + clock.APART,
    )
    return bool(rows)


async def due_queues(limit: int = 1000, *, share: int = SHARE) -> Sequence[DueQueue]:
    """Return queues that have something due and may send it, as of the last roll-up.

    Organizations take turns: the queue of each that waits longest, then the second of each,
    up to *share* queues of one. It steps from organization to organization through the index
    of what is due, so neither deliveries nor queues that have to wait are looked at.
    """
    now = clock.now()
    rows = await fetch(
        DUE_QUEUES,
        now,
        now,
        share,
        now,
        limit,
    )
    return [
        DueQueue(row["queue_id"], row["due_since"], row["is_throttled"], row["nth"]) for row in rows
    ]


_EACH_DUE = """
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
    SELECT waiting.queue_id, first.due_since, waiting.nth, waiting.is_throttled
    FROM turns
    CROSS JOIN LATERAL (
        SELECT own.id AS queue_id, own.is_throttled,
            row_number() OVER (ORDER BY own.next_due_at) AS nth
        FROM (
            SELECT queues.id, next_due_at,
                coalesce(backoff_until > {}, false) AS is_throttled
            FROM queues
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
"""
DUE_QUEUES = f"{_EACH_DUE} ORDER BY waiting.nth, first.due_since LIMIT {{}}"


ANY_WAITING = (
    "(EXISTS (SELECT FROM queue_changes) "
    "OR EXISTS (SELECT FROM queues WHERE flushed_at IS NOT NULL) "
    "OR EXISTS (SELECT FROM queues WHERE state = 'held' AND held_until <= {}) "
    "OR EXISTS (SELECT FROM vmtas WHERE status = 'paused' AND paused_until <= {}) "
    f"OR EXISTS ({ANY_TO_GO_ON}) OR EXISTS ({_EACH_DUE}))"
)
"""Whether a sweep would find something to do, with what `waiting_at` returns."""


def waiting_at(now: datetime) -> tuple[object, ...]:
    """Return what belongs into the places of `ANY_WAITING`."""
    return (now, now, now, now, SHARE, now)


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
