"""How attempts of vMTAs end, by the hour: noted as they are settled, added up later."""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import fetch
from ...mail.outcome import BounceType
from ..rules import DeliveryState

KEPT = timedelta(hours=49)
LARGEST = 10_000
"""Rows that are added up at once."""


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """What one attempt of a vMTA came to."""

    organization_id: OrganizationId
    vmta_id: uuid.UUID
    state: DeliveryState
    bounce_type: BounceType | None


async def note_activity(ends: Iterable[AttemptEnd]) -> None:
    """Write down how attempts ended, one row for each vMTA; part of the open transaction."""
    counts: dict[tuple[uuid.UUID, uuid.UUID], Counter[str]] = {}
    for end in ends:
        count = counts.setdefault((end.organization_id, end.vmta_id), Counter())
        count["attempts"] += 1
        count[_kind(end)] += 1
    if not counts:
        return
    now = clock.now()
    await fetch(
        "INSERT INTO vmta_activity (organization_id, vmta_id, hour_at, is_sum, attempts, "
        "delivered, hard_bounced, soft_bounced, blocked, deferred) "
        "SELECT organization_id, vmta_id, {}, false, attempts, delivered, hard, soft, blocked, "
        "deferred FROM unnest({}::uuid[], {}::uuid[], {}::int[], {}::int[], {}::int[], "
        "{}::int[], {}::int[], {}::int[]) AS new (organization_id, vmta_id, attempts, delivered, "
        "hard, soft, blocked, deferred)",
        now.replace(minute=0, second=0, microsecond=0),
        [organization_id for organization_id, _ in counts],
        [vmta_id for _, vmta_id in counts],
        *(
            [count[name] for count in counts.values()]
            for name in ("attempts", "delivered", "hard", "soft", "blocked", "deferred")
        ),
    )


def _kind(end: AttemptEnd) -> str:
    if end.state is DeliveryState.DELIVERED:
        return "delivered"
    if end.state is not DeliveryState.BOUNCED:
        return "deferred"
    if end.bounce_type is BounceType.HARD:
        return "hard"
    return "blocked" if end.bounce_type is BounceType.BLOCK else "soft"


async def attempts_today(
    vmta_ids: Collection[uuid.UUID], *, of: OrganizationId | None
) -> dict[uuid.UUID, int]:
    """Return how many attempts each vMTA made since midnight, UTC; of one tenant's mail, or all."""
    rows = await fetch(
        "SELECT vmta_id, sum(attempts)::int AS attempts FROM vmta_activity "
        "WHERE vmta_id = ANY({}::uuid[]) AND hour_at >= {} "
        "AND ({}::uuid IS NULL OR organization_id = {}) GROUP BY vmta_id",
        list(vmta_ids),
        clock.now().replace(hour=0, minute=0, second=0, microsecond=0),
        of,
        of,
    )
    return {row["vmta_id"]: row["attempts"] for row in rows}


async def sum_up_activity() -> None:
    """Make one row of each hour of a vMTA, and forget what is older than two days."""
    await fetch(
        """
        WITH taken AS (
            DELETE FROM vmta_activity WHERE id = ANY(ARRAY(
                SELECT id FROM vmta_activity WHERE NOT is_sum LIMIT {} FOR UPDATE SKIP LOCKED))
            RETURNING *
        )
        INSERT INTO vmta_activity AS old (organization_id, vmta_id, hour_at, is_sum, attempts,
            delivered, hard_bounced, soft_bounced, blocked, deferred)
        SELECT organization_id, vmta_id, hour_at, true, sum(attempts), sum(delivered),
            sum(hard_bounced), sum(soft_bounced), sum(blocked), sum(deferred)
        FROM taken GROUP BY organization_id, vmta_id, hour_at ORDER BY vmta_id, hour_at
        ON CONFLICT (vmta_id, organization_id, hour_at) WHERE is_sum DO UPDATE SET
            attempts = old.attempts + excluded.attempts,
            delivered = old.delivered + excluded.delivered,
            hard_bounced = old.hard_bounced + excluded.hard_bounced,
            soft_bounced = old.soft_bounced + excluded.soft_bounced,
            blocked = old.blocked + excluded.blocked,
            deferred = old.deferred + excluded.deferred
        """,
        LARGEST,
    )
    await fetch("DELETE FROM vmta_activity WHERE hour_at < {}", clock.now() - KEPT)
