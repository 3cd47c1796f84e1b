"""What PostMTA's analytics answer, as shapes."""

from ...core.errors import ErrorCode
from ..answers import INTEGER, NUMBER, TIME, Leaf, Many, Out, Shape, word
from .analytics_shapes import (
    CHANGES,
    COUNTS,
    MAIL_RATES,
    METRICS,
    TOTALS,
    USUAL,
    Whole,
    metric_outs,
    said,
)
from .shapes import BOUNCE_CLASSES, ISP

INTERVALS = ("minute", "hour", "day", "week", "month")
DIMENSIONS = (
    "domain",
    "recipient_domain",
    "isp",
    "vmta",
    "pool",
    "tag",
    "batch_id",
    "stream",
    "api_key",
    "bounce_class",
    "template",
)
BOUNCE_TYPES = ("hard", "soft", "block")
BREAKDOWN_USUAL = (*USUAL, "delivery_rate")
TREND_USUAL = (
    "delivered",
    "delivery_rate",
    "bounce_rate",
    "complaint_rate",
    "deferral_rate",
    "open_rate",
)
ISP_METRICS = (
    "accepted",
    "delivered",
    "bounced",
    "deferred",
    "blocked",
    "complained",
    "delivery_rate",
    "bounce_rate",
    "deferral_rate",
    "complaint_rate",
    "open_rate",
)
REFUSALS = (ErrorCode.INVALID_PERIOD, ErrorCode.RANGE_TOO_LARGE)
BOUNCE_CLASS = word(*BOUNCE_CLASSES)

LATENCY = Shape(
    "MailLatency",
    Out("median_seconds", NUMBER, maybe=True),
    Out("p95_seconds", NUMBER, of="p95Seconds", maybe=True),
)
BEFORE = Shape("MailBefore", Out("totals", TOTALS), Out("rates", MAIL_RATES))
SUMMARY = Whole(
    "AnalyticsSummary",
    Out("totals", TOTALS),
    Out("rates", MAIL_RATES),
    Out("latency", LATENCY),
    Out("previous", BEFORE, optional=True, about="Left out with `compare=false`."),
    Out("change", CHANGES, optional=True, about="In per cent; of rates, in percentage points."),
)
POINT = Shape("AnalyticsPoint", Out("timestamp", TIME), *metric_outs(METRICS))
SERIES = Whole(
    "AnalyticsSeries",
    Out("interval", word(*INTERVALS)),
    Out("timezone", said("Europe/Berlin")),
    Out("metrics", Many(said("accepted"))),
    Out("data", Many(POINT)),
)
PART = Shape(
    "AnalyticsPart",
    Out("key", said("gmail.com")),
    Out("label", said("gmail.com")),
    *metric_outs(METRICS),
    Out("share", NUMBER, maybe=True, about="Of all that was accepted, in per cent."),
)
REST = Shape("AnalyticsRest", Out("keys", INTEGER), *metric_outs(COUNTS))
BREAKDOWN = Whole(
    "AnalyticsBreakdown",
    Out("dimension", word(*DIMENSIONS)),
    Out("data", Many(PART)),
    Out("other", REST),
)
PROVIDER = Shape(
    "AnalyticsIsp",
    Out("isp", ISP),
    Out("name", said("Google")),
    *metric_outs(ISP_METRICS, optional=False),
    Out("median_latency_seconds", NUMBER, maybe=True),
    Out("top_bounce_class", BOUNCE_CLASS, maybe=True),
    Out("queues_in_backoff", INTEGER),
    Out("health", word("good", "warning", "critical")),
)
PROVIDERS = Whole("AnalyticsIsps", Out("data", Many(PROVIDER)))
VALUE = Leaf({**NUMBER.type, "examples": [99.2]}, NUMBER.convert)
TREND_POINT = Shape(
    "AnalyticsTrendPoint",
    Out("timestamp", TIME),
    Out("value", VALUE, maybe=True),
    Out("moving_average", NUMBER, maybe=True),
)
ANOMALY = Shape(
    "AnalyticsAnomaly",
    Out("timestamp", TIME),
    Out("value", VALUE),
    Out("expected", NUMBER),
    Out("deviation", NUMBER),
)
TREND = Shape(
    "AnalyticsTrend",
    Out("metric", word(*METRICS)),
    Out("current", NUMBER, maybe=True),
    Out("previous", NUMBER, maybe=True),
    Out("change_percent", NUMBER, maybe=True),
    Out("slope", NUMBER, maybe=True),
    Out("direction", word("up", "down", "flat")),
    Out("assessment", word("improving", "worsening", "stable", "insufficient_data")),
    Out("points", Many(TREND_POINT)),
    Out("anomalies", Many(ANOMALY)),
)
TRENDS = Whole("AnalyticsTrends", Out("interval", word(*INTERVALS)), Out("data", Many(TREND)))
TOP_ISP = Shape("BouncesOfIsp", Out("isp", ISP), Out("count", INTEGER))
SAMPLE = Shape(
    "BounceSample",
    Out("code", INTEGER, maybe=True),
    Out("enhanced_code", maybe=True),
    Out("text", said("User unknown")),
    Out("count", INTEGER),
    Out("last_seen_at", TIME),
)
REASON = Shape(
    "BounceReason",
    Out("class", BOUNCE_CLASS),
    Out("type", word(*BOUNCE_TYPES)),
    Out("count", INTEGER),
    Out("percent", NUMBER, maybe=True),
    Out("suppressed", INTEGER),
    Out("top_isps", Many(TOP_ISP)),
    Out("samples", Many(SAMPLE)),
    Out("advice", said("Remove these addresses; they are suppressed already.")),
)
BY_TYPE = Shape("BouncesByType", *(Out(name, INTEGER) for name in BOUNCE_TYPES))
REASONS = Whole(
    "BounceReasons",
    Out("total", INTEGER),
    Out("by_type", BY_TYPE),
    Out("data", Many(REASON)),
)
