"""How vMTAs do: what waits for each, what was sent, and what receivers said."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core import clock
from ..core.actor import Actor, OrganizationId, Permission
from ..core.database import fetch
from ..core.paging import Order
from ..vmtas.warmup import Health

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class VmtaStats:
    """What waits for a vMTA and what it did, of one organization's mail."""

    queue_depth: int = 0
    sent_today: int = 0
    """Attempts since midnight, UTC."""
    delivered_24h: int = 0
    bounce_rate_24h: float | None = None
    """Percentage of what ended; None of nothing."""


async def stats_of(actor: Actor, vmta_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, VmtaStats]:
    """Return how each vMTA does with the organization's mail."""
    actor.require(Permission.READ_VMTAS)
    now = clock.now()
    rows = await fetch(
        """
        SELECT asked.id, coalesce(waits.depth, 0)::int AS depth,
            coalesce(done.today, 0)::int AS today, coalesce(done.delivered, 0)::int AS delivered,
            coalesce(done.bounced, 0)::int AS bounced
        FROM unnest({}::uuid[]) AS asked (id)
        LEFT JOIN LATERAL (SELECT sum(greatest(depth, 0)) AS depth FROM queues
            WHERE queues.vmta_id = asked.id AND organization_id = {}) AS waits ON true
        LEFT JOIN LATERAL (SELECT sum(attempts) FILTER (WHERE hour_at >= {}) AS today,
            sum(delivered) AS delivered,
            sum(hard_bounced + soft_bounced + blocked) AS bounced
            FROM vmta_activity WHERE vmta_activity.vmta_id = asked.id
            AND organization_id = {} AND hour_at > {}) AS done ON true
        """,
        list(vmta_ids),
        actor.organization_id,
        midnight(now),
        actor.organization_id,
        now - DAY,
    )
    return {row["id"]: _stats(row) for row in rows}


def midnight(now: datetime) -> datetime:
    """Return when the day of *now* began."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _stats(row: Mapping[str, Any]) -> VmtaStats:
    ended = row["delivered"] + row["bounced"]
    rate = round(100 * row["bounced"] / ended, 4) if ended else None
    return VmtaStats(row["depth"], row["today"], row["delivered"], rate)


async def health_of(
    vmta_ids: Collection[uuid.UUID], organization_id: OrganizationId, *, until: datetime
) -> dict[uuid.UUID, Health]:
    """Return what receivers said of each vMTA's mail in the 24 hours before *until*."""
    since = until - DAY
    rows = await fetch(
        """
        SELECT asked.id, coalesce(done.attempts, 0)::int AS attempts,
            coalesce(done.delivered, 0)::int AS delivered,
            coalesce(done.hard_bounced, 0)::int AS hard_bounced,
            coalesce(done.soft_bounced, 0)::int AS soft_bounced,
            coalesce(done.blocked, 0)::int AS blocked,
            coalesce(done.deferred, 0)::int AS deferred,
            coalesce(complaints.n, 0)::int AS complained
        FROM unnest({}::uuid[]) AS asked (id)
        LEFT JOIN LATERAL (SELECT sum(attempts) AS attempts, sum(delivered) AS delivered,
            sum(hard_bounced) AS hard_bounced, sum(soft_bounced) AS soft_bounced,
            sum(blocked) AS blocked, sum(deferred) AS deferred
            FROM vmta_activity WHERE vmta_activity.vmta_id = asked.id
            AND organization_id = {} AND hour_at >= {} AND hour_at < {}) AS done ON true
        LEFT JOIN (SELECT queues.vmta_id, count(*) AS n FROM events
            JOIN deliveries ON deliveries.id = delivery_id
            JOIN queues ON queues.id = deliveries.queue_id
            WHERE queues.vmta_id = ANY({}::uuid[]) AND events.organization_id = {}
            AND type = 'message.complained' AND occurred_at >= {} AND occurred_at < {}
            AND NOT events.simulated GROUP BY queues.vmta_id) AS complaints
            ON complaints.vmta_id = asked.id
        """,
        *(list(vmta_ids), organization_id, since, until),
        *(list(vmta_ids), organization_id, since, until),
    )
    return {row["id"]: Health(**{name: row[name] for name in _COUNTED}) for row in rows}


_COUNTED = (
    *("attempts", "delivered", "hard_bounced", "soft_bounced"),
    *("blocked", "deferred", "complained"),
)


async def attempts_between(vmta_id: uuid.UUID, since: datetime, until: datetime) -> int:
    """Return how many attempts a vMTA made in hours from *since* on and before *until*."""
    rows = await fetch(
        "SELECT coalesce(sum(attempts), 0)::int AS n FROM vmta_activity "
        "WHERE vmta_id = {} AND hour_at >= {} AND hour_at < {}",
        vmta_id,
        since,
        until,
    )
    count: int = rows[0]["n"]
    return count


async def by_depth(actor: Actor) -> Order:
    """Return the order of vMTAs by how much of the organization's mail waits for them."""
    actor.require(Permission.READ_VMTAS)
    rows = await fetch(
        "SELECT vmta_id, sum(greatest(depth, 0))::bigint AS depth FROM queues "
        "WHERE organization_id = {} GROUP BY vmta_id",
        actor.organization_id,
    )
    depths = {row["vmta_id"]: row["depth"] for row in rows}
    # The id is the actor's own, no text of a request.
    expression = (
        "(SELECT coalesce(sum(greatest(depth, 0)), 0)::bigint FROM queues "
        f"WHERE vmta_id = vmtas.id AND queues.organization_id = '{actor.organization_id}')"
    )
    return Order("queue_depth", expression, lambda row: depths.get(row.id, 0), descending=True)
