"""Sums of the last hours, of all organizations at once, for rules that compare them.

They are read from the quarters of an hour of mail that is told apart by everything, so that what
mail is split by can be chosen afterwards.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..core import clock
from ..core.database import fetch
from .counting import FULL
from .rules import LENGTHS, Grain

WEEK = timedelta(days=7)
_HOURS = 7 * 24


async def recent_sums(since: datetime) -> Sequence[Mapping[str, Any]]:
    """Return what mail that was accepted since then came to; the quarter it is in counts whole.

    One row for each organization, project, sending domain, vMTA, recipient's domain, API key and
    class of bounce.
    """
    return await fetch(
        "SELECT set.organization_id, set.project_id, set.domain, set.vmta, set.recipient_domain, "
        "set.api_key, set.bounce_class, sum(accepted)::integer AS accepted, "
        "sum(delivered)::integer AS delivered, sum(hard_bounced)::integer AS hard_bounced, "
        "sum(soft_bounced)::integer AS soft_bounced, sum(blocked)::integer AS blocked, "
        "sum(deferrals)::integer AS deferrals, sum(greylisted)::integer AS greylisted "
        "FROM analytics_cells AS cell JOIN analytics_sets AS set ON set.id = cell.set_id "
        "WHERE cell.starts_at > {} AND cell.grain = {} AND set.kind = {} "
        "GROUP BY 1, 2, 3, 4, 5, 6, 7",
        since - LENGTHS[Grain.QUARTER],
        Grain.QUARTER.value,
        FULL,
    )


async def complained_about(since: datetime) -> Sequence[Mapping[str, Any]]:
    """Return deliveries and complaints since then of the sending domains that had a complaint."""
    return await fetch(
        "SELECT set.organization_id, set.key AS domain, sum(delivered)::integer AS delivered, "
        "sum(complained)::integer AS complained "
        "FROM analytics_cells AS cell JOIN analytics_sets AS set ON set.id = cell.set_id "
        "WHERE cell.starts_at > {} AND cell.grain = {} AND set.kind = 'domain' "
        "GROUP BY 1, 2 HAVING sum(complained) > 0",
        since - LENGTHS[Grain.QUARTER],
        Grain.QUARTER.value,
    )


async def usual_per_hour(
    keys: Sequence[tuple[uuid.UUID, str]],
) -> dict[tuple[uuid.UUID, str], float]:
    """Return how many messages came with each API key in an hour of the seven days before today."""
    if not keys:
        return {}
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = await fetch(
        "SELECT asked.organization_id, asked.key, sum(accepted)::integer AS accepted "
        "FROM unnest({}::uuid[], {}::text[]) AS asked (organization_id, key) "
        "JOIN analytics_sets AS set ON set.organization_id = asked.organization_id "
        "AND set.kind = 'api_key' AND set.key = asked.key "
        "JOIN analytics_cells AS cell ON cell.set_id = set.id AND cell.grain = {} "
        "AND cell.starts_at >= {} AND cell.starts_at < {} GROUP BY 1, 2",
        [organization_id for organization_id, _ in keys],
        [key for _, key in keys],
        Grain.DAY.value,
        today - WEEK,
        today,
    )
    return {(row["organization_id"], row["key"]): row["accepted"] / _HOURS for row in rows}


async def sums_of(organization_id: uuid.UUID, since: datetime) -> Mapping[str, int]:
    """Return what an organization's mail came to since the day of then.

    Failures are those of its vMTAs: what failed here says nothing of how its mail is taken.
    """
    rows = await fetch(
        "SELECT coalesce(sum(delivered) FILTER (WHERE set.kind = 'all'), 0)::integer AS delivered, "
        "coalesce(sum(hard_bounced) FILTER (WHERE set.kind = 'vmta'), 0)::integer "
        "AS hard_bounced, "
        "coalesce(sum(blocked) FILTER (WHERE set.kind = 'vmta'), 0)::integer AS blocked, "
        "coalesce(sum(complained) FILTER (WHERE set.kind = 'all'), 0)::integer AS complained "
        "FROM analytics_sets AS set JOIN analytics_cells AS cell ON cell.set_id = set.id "
        "WHERE set.organization_id = {} AND set.kind IN ('all', 'vmta') AND cell.grain = {} "
        "AND cell.starts_at >= {}",
        organization_id,
        Grain.DAY.value,
        since.replace(hour=0, minute=0, second=0, microsecond=0),
    )
    return rows[0]
