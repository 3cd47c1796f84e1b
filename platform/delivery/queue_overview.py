"""All queues of an organization in one glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.errors import NotFound
from .queue_queries import LISTED, SEEN
from .rules import QueueState

VELOCITY_MINUTES = 5
TOP = 10


@dataclass(frozen=True, slots=True)
class Destination:
    """One of the domains that most mail waits for."""

    domain: str
    depth: int
    state: QueueState
    """Of its deepest queue."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Sums over queues; rates are percentages of what ended in the last hour, None of nothing."""

    queue_depth: int
    ready: int
    deferred: int
    in_flight: int
    scheduled: int
    held: int
    """Of the depth, what is in held queues."""
    queues: dict[QueueState, int]
    oldest_message_at: datetime | None
    delivery_rate: float | None
    bounce_rate: float | None
    complaint_rate: float | None
    """Complaints name no vMTA, so it is known of all queues together only."""
    sending_velocity: int
    """Deliveries a minute over the last five."""
    smtp_connections: int
    delivered_last_hour: int
    top_destinations: Sequence[Destination]
    updated_at: datetime


async def queue_overview(
    actor: Actor, *, vmta: str | None = None, pool: str | None = None
) -> Overview:
    """Return what waits and how it goes, of all queues, or those of one vMTA or pool.

    Raises:
        NotFound: the organization has no such vMTA or pool.
    """
    actor.require(Permission.READ_QUEUES)
    await _check_names(actor, vmta, pool)
    now = clock.now()
    chosen = (actor.organization_id, vmta, vmta, vmta, pool, pool)
    sums = (await fetch(_SUMS, now, *chosen, now - LISTED, now - SEEN))[0]
    top = await fetch(_TOP, now, *chosen, TOP)
    hour = now - timedelta(hours=1)
    lately = now - timedelta(minutes=VELOCITY_MINUTES)
    ended = (await fetch(_ENDED, lately, actor.organization_id, hour, *chosen, hour))[0]
    both = ended["delivered"] + ended["bounced"]
    is_all = vmta is None and pool is None
    return Overview(
        **{name: sums[name] for name in _SUMMED},
        queues={state: sums[f"{state.value}_queues"] for state in QueueState},
        delivery_rate=_rate(ended["delivered"], both),
        bounce_rate=_rate(ended["bounced"], both),
        complaint_rate=_rate(ended["complained"], ended["delivered"]) if is_all else None,
        delivered_last_hour=ended["delivered"],
        sending_velocity=round(ended["lately"] / VELOCITY_MINUTES),
        top_destinations=[
            Destination(row["domain"], row["depth"], QueueState(row["state"])) for row in top
        ],
        updated_at=now,
    )


async def _check_names(actor: Actor, vmta: str | None, pool: str | None) -> None:
    rows = await fetch(
        "SELECT ({}::text IS NULL OR EXISTS (SELECT FROM vmtas WHERE (name = {} OR id::text = {}) "
        "AND (organization_id = {} OR organization_id IS NULL))) "
        "AND ({}::text IS NULL OR EXISTS (SELECT FROM pools "
        "WHERE name = {} AND organization_id = {})) AS known",
        *(vmta, vmta, vmta, actor.organization_id, pool, pool, actor.organization_id),
    )
    if not rows[0]["known"]:
        raise NotFound("There is no such vMTA or pool in this organization.")


def _rate(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 4) if whole else None


_SUMMED: Any = (
    *("queue_depth", "ready", "deferred", "in_flight", "scheduled", "held"),
    *("oldest_message_at", "smtp_connections"),
)
_CHOSEN = """
    SELECT queues.*, CASE WHEN queues.state = 'held' THEN 'held'
        WHEN vmtas.status = 'paused' THEN 'paused'
        WHEN queues.backoff_until > {} THEN 'backoff' ELSE 'active' END AS shown_state
    FROM queues JOIN vmtas ON vmtas.id = queues.vmta_id
    WHERE queues.organization_id = {}
    AND ({}::text IS NULL OR vmtas.name = {} OR vmtas.id::text = {})
    AND ({}::text IS NULL OR vmtas.pool = {})
"""
_SUMS = f"""
    SELECT coalesce(sum(depth), 0)::bigint AS queue_depth,
        coalesce(sum(queued), 0)::bigint AS ready,
        coalesce(sum(deferred), 0)::bigint AS deferred,
        coalesce(sum(sending), 0)::bigint AS in_flight,
        coalesce(sum(scheduled), 0)::bigint AS scheduled,
        coalesce(sum(depth) FILTER (WHERE shown_state = 'held'), 0)::bigint AS held,
        min(oldest_message_at) AS oldest_message_at,
        count(*) FILTER (WHERE shown_state = 'active') AS active_queues,
        count(*) FILTER (WHERE shown_state = 'backoff') AS backoff_queues,
        count(*) FILTER (WHERE shown_state = 'held') AS held_queues,
        count(*) FILTER (WHERE shown_state = 'paused') AS paused_queues,
        coalesce(sum(connections), 0)::bigint AS smtp_connections
    FROM ({_CHOSEN} AND (queues.depth > 0 OR queues.scheduled > 0 OR queues.emptied_at > {{}}))
        AS queue
    LEFT JOIN LATERAL (SELECT sum(connections) AS connections FROM queue_work
        WHERE queue_id = queue.id AND seen_at > {{}}) AS work ON true
"""
_TOP = f"""
    SELECT domain, sum(depth)::bigint AS depth,
        (array_agg(shown_state ORDER BY depth DESC))[1] AS state
    FROM ({_CHOSEN} AND queues.depth > 0) AS queue
    GROUP BY domain ORDER BY 2 DESC, domain LIMIT {{}}
"""
_ENDED = """
    SELECT coalesce(sum(delivered), 0)::bigint AS delivered,
        coalesce(sum(bounced), 0)::bigint AS bounced,
        coalesce(sum(delivered) FILTER (WHERE started_at > {}), 0)::bigint AS lately,
        (SELECT count(*) FROM events WHERE organization_id = {}
            AND type = 'message.complained' AND occurred_at > {} AND NOT simulated) AS complained
    FROM sending_activity JOIN vmtas ON vmtas.id = vmta_id
    WHERE sending_activity.organization_id = {} AND queue_id IS NULL
    AND ({}::text IS NULL OR vmtas.name = {} OR vmtas.id::text = {})
    AND ({}::text IS NULL OR vmtas.pool = {}) AND started_at > {}
"""
