"""Numbers of mail, put into the types of the schema."""

from collections.abc import Sequence

from ..analytics import bounces
from ..analytics.queries import Breakdown, Metrics, Point, Provider, Summary, changes
from ..analytics.rules import Dimension
from ..analytics.trends import Trend
from ..analytics.windows import Interval, Window
from ..delivery.isps import Isp
from ..mail.outcome import BounceClass, BounceType
from .analytics_metrics import changes_type, metrics_type
from .analytics_types import (
    AnalyticsAnomaly,
    AnalyticsBreakdown,
    AnalyticsPart,
    AnalyticsPeriod,
    AnalyticsPoint,
    AnalyticsProvider,
    AnalyticsRest,
    AnalyticsSeries,
    AnalyticsSummary,
    AnalyticsTrend,
    AnalyticsTrendPoint,
    BounceReason,
    BounceReasons,
    BounceSample,
    BouncesOfIsp,
    MailLatency,
)
from .scalars import BigInt


def period_type(window: Window) -> AnalyticsPeriod:
    """Return a stretch of time as the schema has it."""
    return AnalyticsPeriod(start=window.start, end=window.end, label=window.label)


def summary_type(found: Summary, previous: Metrics | None) -> AnalyticsSummary:
    """Return a summary as the schema has it."""
    return AnalyticsSummary(
        metrics=metrics_type(found.metrics),
        latency=MailLatency(median_seconds=found.median_seconds, p95_seconds=found.p95_seconds),
        previous=metrics_type(previous) if previous else None,
        change=changes_type(changes(found.metrics, previous)) if previous else None,
    )


def series_type(points: Sequence[Point], interval: Interval) -> AnalyticsSeries:
    """Return a series as the schema has it."""
    return AnalyticsSeries(
        interval=interval,
        points=[
            AnalyticsPoint(timestamp=point.at, metrics=metrics_type(point.metrics))
            for point in points
        ],
    )


def breakdown_type(found: Breakdown, dimension: Dimension) -> AnalyticsBreakdown:
    """Return a breakdown as the schema has it."""
    return AnalyticsBreakdown(
        dimension=dimension,
        parts=[
            AnalyticsPart(
                key=part.key,
                label=part.label,
                metrics=metrics_type(part.metrics),
                share=part.share,
            )
            for part in found.parts
        ],
        other=AnalyticsRest(keys=found.others, metrics=metrics_type(found.other)),
    )


def provider_type(found: Provider) -> AnalyticsProvider:
    """Return a provider as the schema has it."""
    worst = found.top_bounce_class
    return AnalyticsProvider(
        isp=Isp(found.isp),
        name=found.name,
        metrics=metrics_type(found.metrics),
        median_latency_seconds=found.median_seconds,
        top_bounce_class=BounceClass(worst) if worst else None,
        queues_in_backoff=found.queues_in_backoff,
        health=found.health,
    )


def reasons_type(found: bounces.Reasons) -> BounceReasons:
    """Return reasons of failures as the schema has them."""
    return BounceReasons(
        total=BigInt(found.total),
        hard=BigInt(found.by_type[BounceType.HARD]),
        soft=BigInt(found.by_type[BounceType.SOFT]),
        block=BigInt(found.by_type[BounceType.BLOCK]),
        classes=[_reason_type(reason) for reason in found.classes],
    )


def trend_type(found: Trend) -> AnalyticsTrend:
    """Return a trend as the schema has it."""
    return AnalyticsTrend(
        metric=found.metric,
        current=found.current,
        previous=found.previous,
        change_percent=found.change_per_cent,
        slope=found.slope,
        direction=found.direction,
        assessment=found.assessment,
        points=[
            AnalyticsTrendPoint(
                timestamp=point.at, value=point.value, moving_average=point.moving_average
            )
            for point in found.points
        ],
        anomalies=[
            AnalyticsAnomaly(
                timestamp=each.at,
                value=each.value,
                expected=each.expected,
                deviation=each.deviation,
            )
            for each in found.anomalies
        ],
    )


def _reason_type(reason: bounces.Reason) -> BounceReason:
    return BounceReason(
        bounce_class=reason.bounce_class,
        type=reason.type,
        count=BigInt(reason.count),
        percent=reason.per_cent,
        suppressed=BigInt(reason.suppressed),
        top_isps=[
            BouncesOfIsp(isp=Isp(isp), count=BigInt(count)) for isp, count in reason.top_isps
        ],
        samples=[
            BounceSample(
                code=each.code,
                enhanced_code=each.enhanced_code,
                text=each.text,
                count=each.count,
                last_seen_at=each.last_seen_at,
            )
            for each in reason.samples
        ],
        advice=reason.advice,
    )
