"""What is counted, by what, and what follows from counts."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

Counts = Mapping[str, int]
"""Numbers by counter; one that is absent is 0."""


class Grain(StrEnum):
    """How long the stretches are that are summed up."""

    MINUTE = "minute"
    """Of all mail of a project only."""
    QUARTER = "quarter"
    """Of an hour: every time zone begins its hours at one."""
    DAY = "day"
    """In UTC."""


LENGTHS = {
    Grain.MINUTE: timedelta(minutes=1),
    Grain.QUARTER: timedelta(minutes=15),
    Grain.DAY: timedelta(days=1),
}


class Dimension(StrEnum):
    """What mail can be told apart by."""

    DOMAIN = "domain"
    RECIPIENT_DOMAIN = "recipient_domain"
    ISP = "isp"
    VMTA = "vmta"
    POOL = "pool"
    TAG = "tag"
    BATCH_ID = "batch_id"
    STREAM = "stream"
    API_KEY = "api_key"
    BOUNCE_CLASS = "bounce_class"
    TEMPLATE = "template"


class Metric(StrEnum):
    """What is told of mail: counts first, then rates in per cent."""

    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    HARD_BOUNCED = "hard_bounced"
    SOFT_BOUNCED = "soft_bounced"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    OPENS = "opens"
    UNIQUE_OPENS = "unique_opens"
    CLICKS = "clicks"
    UNIQUE_CLICKS = "unique_clicks"
    DELIVERY_RATE = "delivery_rate"
    BOUNCE_RATE = "bounce_rate"
    COMPLAINT_RATE = "complaint_rate"
    OPEN_RATE = "open_rate"
    CLICK_RATE = "click_rate"
    CLICK_TO_OPEN_RATE = "click_to_open_rate"
    DEFERRAL_RATE = "deferral_rate"


RATES: Mapping[Metric, tuple[Metric, tuple[Metric, ...]]] = {
    Metric.DELIVERY_RATE: (Metric.DELIVERED, (Metric.DELIVERED, Metric.BOUNCED)),
    Metric.BOUNCE_RATE: (Metric.BOUNCED, (Metric.DELIVERED, Metric.BOUNCED)),
    Metric.COMPLAINT_RATE: (Metric.COMPLAINED, (Metric.DELIVERED,)),
    Metric.OPEN_RATE: (Metric.UNIQUE_OPENS, (Metric.DELIVERED,)),
    Metric.CLICK_RATE: (Metric.UNIQUE_CLICKS, (Metric.DELIVERED,)),
    Metric.CLICK_TO_OPEN_RATE: (Metric.UNIQUE_CLICKS, (Metric.UNIQUE_OPENS,)),
    Metric.DEFERRAL_RATE: (Metric.DEFERRED, (Metric.SENT,)),
}
"""Of each rate, what is divided by the sum of what."""

COUNTED = tuple(metric for metric in Metric if metric not in RATES)
"""Those that are counts."""

LATENCY_BOUNDS = (1, 2, 3, 5, 8, 15, 30, 60, 120, 300, 900, 1800, 3600, 14_400, 43_200)
"""Seconds between acceptance and delivery below which one is counted together."""

LATENCIES = tuple(f"latency_{n}" for n in range(len(LATENCY_BOUNDS) + 1))

COUNTERS = (
    "accepted",
    "sent",
    "delivered",
    "deferred",
    "deferrals",
    "greylisted",
    "hard_bounced",
    "soft_bounced",
    "blocked",
    "expired",
    "suppressed",
    "cancelled",
    "complained",
    "unsubscribed",
    "opens",
    "unique_opens",
    "machine_opens",
    "all_unique_opens",
    "clicks",
    "unique_clicks",
    "bot_clicks",
    "all_unique_clicks",
    *LATENCIES,
)
"""What a cell holds: counts that only add up, so that any of them can be summed."""


def latency_counter(seconds: float) -> str:
    """Return the counter of a delivery that took so long."""
    for nth, bound in enumerate(LATENCY_BOUNDS):
        if seconds < bound:
            return LATENCIES[nth]
    return LATENCIES[-1]


def latency_quantile(counts: Counts, share: float) -> float | None:
    """Return within how many seconds *share* of the deliveries were made; None without any.

    Between two bounds deliveries are taken to be spread evenly; beyond the last one, the
    bound is told.
    """
    total = sum(counts.get(name, 0) for name in LATENCIES)
    if total <= 0:
        return None
    wanted, below = share * total, 0.0
    for nth, name in enumerate(LATENCIES[:-1]):
        count = counts.get(name, 0)
        if count and below + count >= wanted:
            start = LATENCY_BOUNDS[nth - 1] if nth else 0
            return round(start + (LATENCY_BOUNDS[nth] - start) * (wanted - below) / count, 3)
        below += count
    return float(LATENCY_BOUNDS[-1])


def metrics_of(counts: Counts, *, with_machines: bool = False) -> dict[Metric, float | None]:
    """Return every metric: counts as whole numbers, rates in per cent or None without a base."""
    found: dict[Metric, float | None] = {metric: counts.get(metric.value, 0) for metric in COUNTED}
    found[Metric.BOUNCED] = sum(
        counts.get(name, 0) for name in ("hard_bounced", "soft_bounced", "blocked")
    )
    if with_machines:
        found[Metric.OPENS] = counts.get("opens", 0) + counts.get("machine_opens", 0)
        found[Metric.UNIQUE_OPENS] = counts.get("all_unique_opens", 0)
        found[Metric.CLICKS] = counts.get("clicks", 0) + counts.get("bot_clicks", 0)
        found[Metric.UNIQUE_CLICKS] = counts.get("all_unique_clicks", 0)
    for rate, (part, base) in RATES.items():
        found[rate] = per_cent(found[part] or 0, sum(found[each] or 0 for each in base))
    return found


def per_cent(part: float, whole: float) -> float | None:
    """Return how many per cent *part* is; None of nothing."""
    return round(100 * part / whole, 4) if whole else None


class Health(StrEnum):
    """Whether a provider takes the mail."""

    GOOD = "good"
    WARNING = "warning"
    CRITICAL = "critical"


_LIMITS = (
    (Health.CRITICAL, 90.0, 40.0, 0.3),
    (Health.WARNING, 97.0, 15.0, 0.1),
)
"""Below which delivery rate, above which deferral and complaint rate."""


def health_of(metrics: Mapping[Metric, float | None]) -> Health:
    """Return how well mail goes, by its rates of deliveries, deferrals and complaints."""
    delivery = metrics[Metric.DELIVERY_RATE]
    for health, least_delivery, most_deferral, most_complaint in _LIMITS:
        if (
            (delivery is not None and delivery < least_delivery)
            or (metrics[Metric.DEFERRAL_RATE] or 0) > most_deferral
            or (metrics[Metric.COMPLAINT_RATE] or 0) > most_complaint
        ):
            return health
    return Health.GOOD
