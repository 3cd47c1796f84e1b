"""What mail came to: sums, series, breakdowns, providers, trends and reasons of failures."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import strawberry

from ..analytics import bounces, queries
from ..analytics.queries import Asked
from ..analytics.rules import Dimension, Metric
from ..analytics.windows import Interval, usual_interval, window_of
from ..core import clock
from ..core.actor import Actor
from ..core.errors import DetailCode, InvalidInput
from ..delivery.isps import Isp
from ..mail.outcome import BounceClass, BounceType
from ..messages.rules import Stream
from .analytics_answers import (
    breakdown_type,
    period_type,
    provider_type,
    reasons_type,
    series_type,
    summary_type,
    trend_type,
)
from .analytics_types import (
    AnalyticsBreakdown,
    AnalyticsPeriod,
    AnalyticsProvider,
    AnalyticsSeries,
    AnalyticsSummary,
    AnalyticsTrend,
    BounceReasons,
)
from .context import Info, actor_of

TREND_METRICS = (
    Metric.DELIVERED,
    Metric.DELIVERY_RATE,
    Metric.BOUNCE_RATE,
    Metric.COMPLAINT_RATE,
    Metric.DEFERRAL_RATE,
    Metric.OPEN_RATE,
)


MOST_VALUES = 100
SUMS_COST, PARTS_COST = 50, 200
"""Some milliseconds of the database's time, and some tens of them."""


@strawberry.input(
    description="Which mail; of several values any, of several fields all have to fit."
)
class AnalyticsFilter:
    domains: list[str] | None = strawberry.field(
        default=None, description="Sending domains, by name or UUID."
    )
    recipient_domains: list[str] | None = strawberry.field(
        default=None, description="Domains of recipients."
    )
    isps: list[Isp] | None = strawberry.field(default=None, description="Who runs the mailboxes.")
    vmtas: list[str] | None = strawberry.field(default=None, description="Names or UUIDs of vMTAs.")
    pools: list[str] | None = strawberry.field(default=None, description="Pools, by name.")
    tags: list[str] | None = strawberry.field(default=None, description="Tags.")
    batch_ids: list[str] | None = strawberry.field(default=None, description="Batches.")
    streams: list[Stream] | None = strawberry.field(default=None, description="Kinds of mail.")


FILTERS = {
    "domains": Dimension.DOMAIN,
    "recipient_domains": Dimension.RECIPIENT_DOMAIN,
    "isps": Dimension.ISP,
    "vmtas": Dimension.VMTA,
    "pools": Dimension.POOL,
    "tags": Dimension.TAG,
    "batch_ids": Dimension.BATCH_ID,
    "streams": Dimension.STREAM,
}

Most = Annotated[int, strawberry.argument(description="How many, at most.")]
SortBy = Annotated[Metric, strawberry.argument(description="By which metric they are ordered.")]
Ascending = Annotated[bool, strawberry.argument(description="The smallest first.")]


@strawberry.type(
    description="What mail came to in a stretch of time. All counts are recipients at the time "
    "their message was accepted; opens, clicks and complaints are told at their own time. "
    "Simulated and sandbox mail is left out."
)
class Analytics:
    asked: strawberry.Private[Asked]

    @strawberry.field(description="The stretch of time.")
    def period(self) -> AnalyticsPeriod:
        return period_type(self.asked.window)

    @strawberry.field(description="The time zone by whose days it is cut.")
    def timezone(self) -> str:
        return self.asked.window.zone.key

    @strawberry.field(
        description="Up to when everything was counted, usually seconds ago; null if nothing "
        "ever was."
    )
    async def data_as_of(self) -> datetime | None:
        return await queries.data_as_of()

    @strawberry.field(description="What it came to altogether.", metadata={"cost": SUMS_COST})
    async def summary(
        self,
        info: Info,
        compare: Annotated[
            bool, strawberry.argument(description="Also tell of the range before.")
        ] = True,
    ) -> AnalyticsSummary:
        actor = actor_of(info)
        found = await queries.summarize(actor, self.asked)
        previous = await queries.previous_of(actor, self.asked) if compare else None
        return summary_type(found, previous)

    @strawberry.field(
        description="What it came to, bucket by bucket; at most 1,500.",
        metadata={"cost": SUMS_COST},
    )
    async def series(
        self,
        info: Info,
        interval: Annotated[
            Interval | None,
            strawberry.argument(
                description="How long a bucket is; an hour for up to 48 hours, a day for up to "
                "92 days and else a week without it."
            ),
        ] = None,
    ) -> AnalyticsSeries:
        chosen = interval or usual_interval(self.asked.window)
        points = await queries.series(actor_of(info), self.asked, chosen)
        return series_type(points, chosen)

    @strawberry.field(
        description="What mail with each value of a dimension came to.",
        metadata={"cost": PARTS_COST},
    )
    async def breakdown(
        self,
        info: Info,
        dimension: Annotated[
            Dimension, strawberry.argument(description="By what mail is told apart.")
        ] = Dimension.RECIPIENT_DOMAIN,
        first: Most = 50,
        sort_by: SortBy = Metric.ACCEPTED,
        ascending: Ascending = False,
    ) -> AnalyticsBreakdown:
        found = await queries.break_down(
            actor_of(info),
            self.asked,
            dimension,
            limit=_within("first", first, least=1, most=500),
            sort=sort_by,
            ascending=ascending,
        )
        return breakdown_type(found, dimension)

    @strawberry.field(
        description="How mail goes to each provider of mailboxes.", metadata={"cost": PARTS_COST}
    )
    async def providers(
        self,
        info: Info,
        first: Most = 20,
        sort_by: SortBy = Metric.ACCEPTED,
        ascending: Ascending = False,
    ) -> list[AnalyticsProvider]:
        found = await queries.providers(
            actor_of(info),
            self.asked,
            limit=_within("first", first, least=1, most=100),
            sort=sort_by,
            ascending=ascending,
        )
        return [provider_type(each) for each in found]

    @strawberry.field(
        description="How metrics developed, and what stands out.", metadata={"cost": PARTS_COST}
    )
    async def trends(
        self,
        info: Info,
        metrics: Annotated[
            list[Metric] | None,
            strawberry.argument(
                description="Which ones; deliveries and the usual rates without it."
            ),
        ] = None,
        interval: Annotated[
            Interval, strawberry.argument(description="How long a bucket is: not a minute.")
        ] = Interval.DAY,
    ) -> list[AnalyticsTrend]:
        found = await queries.trends(actor_of(info), self.asked, metrics or TREND_METRICS, interval)
        return [trend_type(each) for each in found]

    @strawberry.field(description="Why mail failed.", metadata={"cost": PARTS_COST})
    async def bounce_reasons(
        self,
        info: Info,
        type: Annotated[
            BounceType | None, strawberry.argument(description="Only such failures.")
        ] = None,
        bounce_class: Annotated[
            BounceClass | None,
            strawberry.argument(name="class", description="Only failures of this class."),
        ] = None,
        include_deferrals: Annotated[
            bool, strawberry.argument(description="Also count failures that were not final.")
        ] = False,
        samples: Annotated[
            int, strawberry.argument(description="Replies told of each class, at most 20.")
        ] = 3,
    ) -> BounceReasons:
        found = await bounces.bounce_reasons(
            actor_of(info),
            self.asked,
            type=type,
            bounce_class=bounce_class,
            with_deferrals=include_deferrals,
            samples=_within("samples", samples, least=0, most=20),
        )
        return reasons_type(found)


def _within(field: str, value: int, *, least: int, most: int) -> int:
    if value < least:
        raise InvalidInput.of(field, DetailCode.TOO_SMALL, f"It is at least {least}.")
    if value > most:
        raise InvalidInput.of(field, DetailCode.TOO_LARGE, f"It is at most {most}.")
    return value


def filters_of(filter: AnalyticsFilter | None) -> Mapping[Dimension, list[str]]:
    """Return the filters that have values."""
    found = {}
    for name, dimension in FILTERS.items():
        values = getattr(filter, name) if filter else None
        if values:
            if len(values) > MOST_VALUES:
                message = f"At most {MOST_VALUES} values."
                raise InvalidInput.of(name, DetailCode.TOO_MANY, message)
            found[dimension] = [str(value) for value in values]
    return found


async def asked_of(
    actor: Actor,
    *,
    period: str,
    start: datetime | None,
    end: datetime | None,
    timezone: str,
    filter: AnalyticsFilter | None,
    include_machine: bool,
) -> Asked:
    """Return which mail is asked for, of which time."""
    filters = await queries.named_filters(actor, filters_of(filter))
    window = window_of(clock.now(), period=period, start=start, end=end, timezone=timezone)
    return Asked(window, filters, include_machine)


Period = Annotated[
    str,
    strawberry.argument(
        description="How far back, up to the last full minute: `24h`, `30d`, `4w`, `6m` (of 30 "
        "days), at most 2 years; or `today`, `yesterday`, `this_month`, `last_month`."
    ),
]
From = Annotated[
    datetime | None,
    strawberry.argument(
        name="from",
        description="From then on, by the minute; with `to`, it stands before `period`.",
    ),
]
To = Annotated[
    datetime | None, strawberry.argument(name="to", description="Before then, by the minute.")
]
Timezone = Annotated[
    str, strawberry.argument(description="IANA name; days, weeks and months are cut by it.")
]
Filter = Annotated[
    AnalyticsFilter | None, strawberry.argument(description="Only some of the mail.")
]
IncludeMachine = Annotated[
    bool,
    strawberry.argument(
        description="Also count opens and clicks by programs: scanners and privacy proxies."
    ),
]


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="What mail came to. With a project's key, that project's only. Needs "
        "`analytics:read`."
    )
    async def analytics(
        self,
        info: Info,
        period: Period = "7d",
        start: From = None,
        end: To = None,
        timezone: Timezone = "UTC",
        filter: Filter = None,
        include_machine: IncludeMachine = False,
    ) -> Analytics:
        asked = await asked_of(
            actor_of(info),
            period=period,
            start=start,
            end=end,
            timezone=timezone,
            filter=filter,
            include_machine=include_machine,
        )
        return Analytics(asked=asked)
