"""What was used and granted, period by period."""

from collections.abc import Sequence
from datetime import datetime

from ...core.actor import OrganizationId
from ...core.database import fetch
from ..rules import CreditType, LotSource


async def used_between(
    organization_id: OrganizationId, periods: Sequence[tuple[datetime, datetime]]
) -> list[dict[CreditType, int]]:
    """Return the credits that were used in each period by type, less refunds.

    The periods are whole days in UTC. What is given back later counts where it was given
    back, so a day that is over never changes.
    """
    rows = await fetch(
        "SELECT p.nth, u.type, sum(u.used)::bigint AS used "
        "FROM unnest({}::date[], {}::date[]) WITH ORDINALITY AS p (first, last, nth) "
        "JOIN credit_usage u ON u.organization_id = {} AND u.day >= p.first AND u.day < p.last "
        "GROUP BY p.nth, u.type",
        [start.date() for start, _ in periods],
        [end.date() for _, end in periods],
        organization_id,
    )
    found: list[dict[CreditType, int]] = [{} for _ in periods]
    for row in rows:
        found[row["nth"] - 1][CreditType(row["type"])] = row["used"]
    return found


async def included_between(
    organization_id: OrganizationId, periods: Sequence[tuple[datetime, datetime]]
) -> list[int]:
    """Return the credits of type `email` that plans granted in each period."""
    rows = await fetch(
        "SELECT p.nth, sum(l.granted)::bigint AS granted "
        "FROM unnest({}::timestamptz[], {}::timestamptz[]) WITH ORDINALITY AS p (first, last, nth) "
        "JOIN credit_lots l ON l.organization_id = {} AND l.starts_at >= p.first "
        "AND l.starts_at < p.last AND l.source = {} AND l.type = {} GROUP BY p.nth",
        [start for start, _ in periods],
        [end for _, end in periods],
        organization_id,
        LotSource.INCLUDED.value,
        CreditType.EMAIL.value,
    )
    by_nth = {row["nth"]: int(row["granted"]) for row in rows}
    return [by_nth.get(nth, 0) for nth in range(1, len(periods) + 1)]
