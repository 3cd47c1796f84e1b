"""What analytics answer with: numbers of mail, and how they changed."""

from collections.abc import Mapping

import strawberry

from ..analytics.rules import Metric
from .analytics_enums import METRICS
from .scalars import BigInt


def _about(metric: Metric) -> str:
    return METRICS[metric.name]


def _changed(metric: Metric) -> str:
    unit = "percentage points" if metric.value.endswith("_rate") else "per cent"
    return f"By how many {unit} `{metric.value}` changed; null from nothing."


@strawberry.type(description="What mail came to: counts of recipients, and rates in per cent.")
class MailMetrics:
    accepted: BigInt = strawberry.field(description=_about(Metric.ACCEPTED))
    sent: BigInt = strawberry.field(description=_about(Metric.SENT))
    delivered: BigInt = strawberry.field(description=_about(Metric.DELIVERED))
    deferred: BigInt = strawberry.field(description=_about(Metric.DEFERRED))
    bounced: BigInt = strawberry.field(description=_about(Metric.BOUNCED))
    hard_bounced: BigInt = strawberry.field(description=_about(Metric.HARD_BOUNCED))
    soft_bounced: BigInt = strawberry.field(description=_about(Metric.SOFT_BOUNCED))
    blocked: BigInt = strawberry.field(description=_about(Metric.BLOCKED))
    expired: BigInt = strawberry.field(description=_about(Metric.EXPIRED))
    suppressed: BigInt = strawberry.field(description=_about(Metric.SUPPRESSED))
    cancelled: BigInt = strawberry.field(description=_about(Metric.CANCELLED))
    complained: BigInt = strawberry.field(description=_about(Metric.COMPLAINED))
    unsubscribed: BigInt = strawberry.field(description=_about(Metric.UNSUBSCRIBED))
    opens: BigInt = strawberry.field(description=_about(Metric.OPENS))
    unique_opens: BigInt = strawberry.field(description=_about(Metric.UNIQUE_OPENS))
    clicks: BigInt = strawberry.field(description=_about(Metric.CLICKS))
    unique_clicks: BigInt = strawberry.field(description=_about(Metric.UNIQUE_CLICKS))
    delivery_rate: float | None = strawberry.field(description=_about(Metric.DELIVERY_RATE))
    bounce_rate: float | None = strawberry.field(description=_about(Metric.BOUNCE_RATE))
    complaint_rate: float | None = strawberry.field(description=_about(Metric.COMPLAINT_RATE))
    open_rate: float | None = strawberry.field(description=_about(Metric.OPEN_RATE))
    click_rate: float | None = strawberry.field(description=_about(Metric.CLICK_RATE))
    click_to_open_rate: float | None = strawberry.field(
        description=_about(Metric.CLICK_TO_OPEN_RATE)
    )
    deferral_rate: float | None = strawberry.field(description=_about(Metric.DEFERRAL_RATE))


@strawberry.type(description="How what mail came to changed since the range before.")
class MailChanges:
    accepted: float | None = strawberry.field(description=_changed(Metric.ACCEPTED))
    sent: float | None = strawberry.field(description=_changed(Metric.SENT))
    delivered: float | None = strawberry.field(description=_changed(Metric.DELIVERED))
    deferred: float | None = strawberry.field(description=_changed(Metric.DEFERRED))
    bounced: float | None = strawberry.field(description=_changed(Metric.BOUNCED))
    hard_bounced: float | None = strawberry.field(description=_changed(Metric.HARD_BOUNCED))
    soft_bounced: float | None = strawberry.field(description=_changed(Metric.SOFT_BOUNCED))
    blocked: float | None = strawberry.field(description=_changed(Metric.BLOCKED))
    expired: float | None = strawberry.field(description=_changed(Metric.EXPIRED))
    suppressed: float | None = strawberry.field(description=_changed(Metric.SUPPRESSED))
    cancelled: float | None = strawberry.field(description=_changed(Metric.CANCELLED))
    complained: float | None = strawberry.field(description=_changed(Metric.COMPLAINED))
    unsubscribed: float | None = strawberry.field(description=_changed(Metric.UNSUBSCRIBED))
    opens: float | None = strawberry.field(description=_changed(Metric.OPENS))
    unique_opens: float | None = strawberry.field(description=_changed(Metric.UNIQUE_OPENS))
    clicks: float | None = strawberry.field(description=_changed(Metric.CLICKS))
    unique_clicks: float | None = strawberry.field(description=_changed(Metric.UNIQUE_CLICKS))
    delivery_rate: float | None = strawberry.field(description=_changed(Metric.DELIVERY_RATE))
    bounce_rate: float | None = strawberry.field(description=_changed(Metric.BOUNCE_RATE))
    complaint_rate: float | None = strawberry.field(description=_changed(Metric.COMPLAINT_RATE))
    open_rate: float | None = strawberry.field(description=_changed(Metric.OPEN_RATE))
    click_rate: float | None = strawberry.field(description=_changed(Metric.CLICK_RATE))
    click_to_open_rate: float | None = strawberry.field(
        description=_changed(Metric.CLICK_TO_OPEN_RATE)
    )
    deferral_rate: float | None = strawberry.field(description=_changed(Metric.DEFERRAL_RATE))


def metrics_type(found: Mapping[Metric, float | None]) -> MailMetrics:
    """Return the numbers as the schema has them."""
    return MailMetrics(**{metric.value: value for metric, value in found.items()})  # type: ignore[arg-type]


def changes_type(found: Mapping[Metric, float | None]) -> MailChanges:
    """Return the changes as the schema has them."""
    return MailChanges(**{metric.value: value for metric, value in found.items()})
