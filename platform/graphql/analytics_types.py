"""What analytics answer with, beside the numbers."""

from datetime import datetime

import strawberry

from ..analytics.rules import Dimension, Health, Metric
from ..analytics.trends import Assessment, Direction
from ..analytics.windows import Interval
from ..delivery.isps import Isp
from ..mail.outcome import BounceClass, BounceType
from . import analytics_enums as _enums  # noqa: F401 it describes those that are used here
from . import messages as _messages  # noqa: F401 so does it, and what it imports
from .analytics_metrics import MailChanges, MailMetrics
from .scalars import BigInt


@strawberry.type(description="A half-open stretch of time.")
class AnalyticsPeriod:
    start: datetime = strawberry.field(name="from", description="Its first moment.")
    end: datetime = strawberry.field(name="to", description="The first moment after it.")
    label: str | None = strawberry.field(
        description="The period that was asked for; null if times were."
    )


@strawberry.type(description="How long deliveries took since they were to be sent.")
class MailLatency:
    median_seconds: float | None = strawberry.field(
        description="Half of them took no longer; null without any. Within a fifth or so."
    )
    p95_seconds: float | None = strawberry.field(description="95 of 100 took no longer.")


@strawberry.type(description="What mail came to altogether.")
class AnalyticsSummary:
    metrics: MailMetrics = strawberry.field(description="The numbers.")
    latency: MailLatency = strawberry.field(description="How long it took.")
    previous: MailMetrics | None = strawberry.field(
        description="The numbers of the range of equal length before; null without `compare`."
    )
    change: MailChanges | None = strawberry.field(
        description="How they changed since; null without `compare`."
    )


@strawberry.type(description="One bucket of a series.")
class AnalyticsPoint:
    timestamp: datetime = strawberry.field(description="When it begins.")
    metrics: MailMetrics = strawberry.field(description="Its numbers.")


@strawberry.type(description="What mail came to, bucket by bucket; empty ones are there, too.")
class AnalyticsSeries:
    interval: Interval = strawberry.field(description="How long a bucket is.")
    points: list[AnalyticsPoint] = strawberry.field(description="The buckets, in order.")


@strawberry.type(description="What mail with one value of a dimension came to.")
class AnalyticsPart:
    key: str = strawberry.field(description="The value.")
    label: str = strawberry.field(description="The value for people.")
    metrics: MailMetrics = strawberry.field(description="The numbers.")
    share: float | None = strawberry.field(
        description="Of all recipients that were accepted, in per cent."
    )


@strawberry.type(description="Values that were cut off, summed up.")
class AnalyticsRest:
    keys: int = strawberry.field(description="How many values.")
    metrics: MailMetrics = strawberry.field(description="The numbers.")


@strawberry.type(description="Mail told apart by one dimension; mail without a value is left out.")
class AnalyticsBreakdown:
    dimension: Dimension = strawberry.field(description="By what.")
    parts: list[AnalyticsPart] = strawberry.field(description="The first values.")
    other: AnalyticsRest = strawberry.field(description="The others.")


@strawberry.type(description="How mail goes to one provider.")
class AnalyticsProvider:
    isp: Isp = strawberry.field(description="Which one.")
    name: str = strawberry.field(description="Its name for people.")
    metrics: MailMetrics = strawberry.field(description="The numbers.")
    median_latency_seconds: float | None = strawberry.field(
        description="How long half of the deliveries took at most."
    )
    top_bounce_class: BounceClass | None = strawberry.field(
        description="The most frequent reason of failures; null without any."
    )
    queues_in_backoff: int = strawberry.field(
        description="Queues to it that send slowly now, because it asked for that."
    )
    health: Health = strawberry.field(description="Whether it takes the mail.")


@strawberry.type(description="One point of a trend.")
class AnalyticsTrendPoint:
    timestamp: datetime = strawberry.field(description="When its bucket begins.")
    value: float | None = strawberry.field(description="The metric; null of a rate of nothing.")
    moving_average: float | None = strawberry.field(
        description="The mean of this point and the six before."
    )


@strawberry.type(description="A point that stands out against the 14 before it.")
class AnalyticsAnomaly:
    timestamp: datetime = strawberry.field(description="When its bucket begins.")
    value: float = strawberry.field(description="The metric.")
    expected: float = strawberry.field(description="The mean of the points before.")
    deviation: float = strawberry.field(
        description="How far off, in standard deviations; negative is below."
    )


@strawberry.type(description="How one metric developed.")
class AnalyticsTrend:
    metric: Metric = strawberry.field(description="Which one.")
    current: float | None = strawberry.field(description="Mean of the points of this range.")
    previous: float | None = strawberry.field(description="The same of the range before.")
    change_percent: float | None = strawberry.field(
        description="By how many per cent the mean changed."
    )
    slope: float | None = strawberry.field(
        description="Of the straight line that fits best, for each interval."
    )
    direction: Direction = strawberry.field(description="Where it went.")
    assessment: Assessment = strawberry.field(description="Whether that is good.")
    points: list[AnalyticsTrendPoint] = strawberry.field(description="The points.")
    anomalies: list[AnalyticsAnomaly] = strawberry.field(description="What stands out.")


@strawberry.type(description="How many failures at one provider.")
class BouncesOfIsp:
    isp: Isp = strawberry.field(description="Which one.")
    count: BigInt = strawberry.field(description="How many.")


@strawberry.type(description="What receivers said in the same words.")
class BounceSample:
    code: int | None = strawberry.field(description="SMTP reply code.")
    enhanced_code: str | None = strawberry.field(description="Such as `5.1.1`.")
    text: str = strawberry.field(description="The words, without anybody's address.")
    count: int = strawberry.field(description="How often, of the last 2,000 failures.")
    last_seen_at: datetime = strawberry.field(description="When last.")


@strawberry.type(description="Failures of one class.")
class BounceReason:
    bounce_class: BounceClass = strawberry.field(name="class", description="Which one.")
    type: BounceType = strawberry.field(description="What they say.")
    count: BigInt = strawberry.field(description="How many.")
    percent: float | None = strawberry.field(description="Of all, in per cent.")
    suppressed: BigInt = strawberry.field(
        description="Recipients that get no mail since, because they failed hard."
    )
    top_isps: list[BouncesOfIsp] = strawberry.field(description="Where most were.")
    samples: list[BounceSample] = strawberry.field(description="What receivers said.")
    advice: str = strawberry.field(description="What to do.")


@strawberry.type(description="Why mail failed.")
class BounceReasons:
    total: BigInt = strawberry.field(description="How many failures.")
    hard: BigInt = strawberry.field(description="Of these, hard ones.")
    soft: BigInt = strawberry.field(description="Soft ones.")
    block: BigInt = strawberry.field(description="Blocks.")
    classes: list[BounceReason] = strawberry.field(description="The most frequent first.")
