"""Usage by period, for an actor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.errors import DetailCode, InvalidInput
from ..core.money import Money
from ..credits.rules import CreditType
from ..credits.work import included_between, used_between
from .errors import RangeTooLarge
from .rules import (
    CURRENCY,
    MOST_PERIODS,
    Granularity,
    InvoiceStatus,
    earlier,
    period_start,
    periods_between,
)

USUAL_PERIODS = 12
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Which times are asked for; near the ends of the calendar there are no periods before or after."""

COUNTED = (
    "messages",
    "recipients",
    "delivered",
    "inbound",
    "bytes_sent",
    "api_requests",
    "webhook_deliveries",
)


@dataclass(frozen=True, slots=True)
class UsagePeriod:
    """What was used, and paid, in one period."""

    start: datetime
    end: datetime
    closed: bool
    """It is over and rolled up: its figures never change."""
    counts: Mapping[str, int]
    """By the names in `COUNTED`."""
    credits: Mapping[CreditType, int]
    included: int
    """Credits of type `email` that the plan granted."""
    cost: Money
    """What was paid."""

    @property
    def overage(self) -> int:
        """Credits of type `email` that were used beyond what the plan granted."""
        return max(0, self.credits.get(CreditType.EMAIL, 0) - self.included)


async def list_usage(
    actor: Actor,
    granularity: Granularity,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[UsagePeriod]:
    """Return usage by period, the newest first, empty periods included.

    Without times, the last twelve; a time within a period asks for the whole of it.

    Raises:
        InvalidInput: the range ends before it begins, or is not of this or the next millennium.
        RangeTooLarge: it holds more than 400 periods.
    """
    actor.require(Permission.READ_BILLING)
    for field, at in (("since", since), ("until", until)):
        if at is not None and not EARLIEST <= at < LATEST:
            code = DetailCode.TOO_SMALL if at < EARLIEST else DetailCode.TOO_LARGE
            raise InvalidInput.of(field, code, "Write a time from 1970 to 2999.")
    last = until or clock.now()
    first = since or earlier(
        granularity, period_start(granularity, last), periods=USUAL_PERIODS - 1
    )
    if first > last:
        raise InvalidInput.of("since", DetailCode.TOO_LARGE, "The range ends before it begins.")
    periods = periods_between(granularity, first, last)
    if len(periods) > MOST_PERIODS:
        raise RangeTooLarge
    if not periods:
        return []
    return await _usage(actor, periods)


async def _usage(actor: Actor, periods: Sequence[tuple[datetime, datetime]]) -> list[UsagePeriod]:
    owner = actor.organization_id
    counts = await _counts(actor, periods)
    credits = await used_between(owner, periods)
    included = await included_between(owner, periods)
    cost = await _cost(actor, periods)
    rolled_up_to = await _rolled_up_to()
    return [
        UsagePeriod(
            start=start,
            end=end,
            closed=rolled_up_to is not None and end <= rolled_up_to,
            counts=counts.get(nth, dict.fromkeys(COUNTED, 0)),
            credits=credits[nth],
            included=included[nth],
            cost=Money(cost.get(nth, 0), CURRENCY),
        )
        for nth, (start, end) in enumerate(periods)
    ]


async def _counts(
    actor: Actor, periods: Sequence[tuple[datetime, datetime]]
) -> dict[int, dict[str, int]]:
    rows = await fetch(
        "SELECT p.nth, sum(h.messages)::bigint AS messages, "
        "sum(h.recipients)::bigint AS recipients, sum(h.delivered)::bigint AS delivered, "
        "sum(h.inbound)::bigint AS inbound, sum(h.bytes_sent)::bigint AS bytes_sent, "
        "sum(h.api_requests)::bigint AS api_requests, "
        "sum(h.webhook_deliveries)::bigint AS webhook_deliveries "
        "FROM unnest({}::timestamptz[], {}::timestamptz[]) WITH ORDINALITY AS p (first, last, nth) "
        "JOIN usage_hours h ON h.organization_id = {} AND h.hour >= p.first AND h.hour < p.last "
        "GROUP BY p.nth",
        [start for start, _ in periods],
        [end for _, end in periods],
        actor.organization_id,
    )
    return {row["nth"] - 1: {name: row[name] for name in COUNTED} for row in rows}


async def _cost(actor: Actor, periods: Sequence[tuple[datetime, datetime]]) -> dict[int, int]:
    rows = await fetch(
        "SELECT p.nth, sum(i.total)::bigint AS total "
        "FROM unnest({}::timestamptz[], {}::timestamptz[]) WITH ORDINALITY AS p (first, last, nth) "
        "JOIN invoices i ON i.organization_id = {} AND i.paid_at >= p.first "
        "AND i.paid_at < p.last AND i.status = {} AND i.currency = {} GROUP BY p.nth",
        [start for start, _ in periods],
        [end for _, end in periods],
        actor.organization_id,
        InvoiceStatus.PAID.value,
        CURRENCY,
    )
    return {row["nth"] - 1: int(row["total"]) for row in rows}


async def _rolled_up_to() -> datetime | None:
    rows = await fetch("SELECT rolled_up_to FROM usage_marks")
    found: datetime | None = rows[0]["rolled_up_to"] if rows else None
    return found
