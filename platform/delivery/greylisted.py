"""What became of deliveries that a receiver has put off because it did not know us yet."""

from dataclasses import dataclass
from datetime import datetime

from ..core.actor import Actor, Permission
from ..core.database import fetch

LATEST = 10_000
"""Deliveries that are looked at for one answer: the last ones."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """What came of mail that receivers greylisted."""

    greylisted: int
    delivered_later: int
    still_waiting: int
    failed: int
    median_delay_seconds: int | None


async def outbound_greylisting(actor: Actor, start: datetime, end: datetime) -> Outbound:
    """Return what became of deliveries that were put off first from *start* to *end*."""
    actor.require(Permission.READ_SECURITY)
    rows = await fetch(
        "SELECT count(*) AS n, "
        "count(*) FILTER (WHERE state = 'delivered') AS delivered, "
        "count(*) FILTER (WHERE state IN ('scheduled', 'queued', 'sending', 'deferred')) AS open, "
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY "
        "extract(epoch FROM delivered_at - greylisted_at)::float8) "
        "FILTER (WHERE state = 'delivered') AS median "
        "FROM (SELECT id, greylisted_at FROM greylisted_deliveries WHERE organization_id = {} "
        "AND greylisted_at >= {} AND greylisted_at < {} ORDER BY greylisted_at DESC LIMIT {}"
        ") AS put_off JOIN deliveries USING (id)",
        actor.organization_id,
        start,
        end,
        LATEST,
    )
    row = rows[0]
    failed = row["n"] - row["delivered"] - row["open"]
    median = None if row["median"] is None else round(row["median"])
    return Outbound(row["n"], row["delivered"], row["open"], failed, median)
