"""What mail came to, for an actor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..accounts.queries import kept_days
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.errors import Detail, DetailCode
from ..core.ids import parse_id
from ..core.retention import Kind
from ..delivery.isps import Isp
from ..delivery.queue_queries import backoffs_by_isp
from ..events.consuming import consumer_lags
from ..security.queries import names_of_api_keys
from .errors import RangeTooLarge
from .reading import Filters, Question, Sums, read
from .rolling import CONSUMER
from .rules import (
    Dimension,
    Grain,
    Health,
    Metric,
    health_of,
    latency_quantile,
    metrics_of,
    per_cent,
)
from .trends import Trend, change_of, trend_of
from .windows import (
    MINUTES_KEPT,
    QUARTERS_KEPT,
    Interval,
    Piece,
    Window,
    buckets,
    floor,
    pieces,
    usual_interval,
)

Metrics = Mapping[Metric, float | None]

ISP_NAMES = {
    Isp.GOOGLE: "Google",
    Isp.MICROSOFT: "Microsoft",
    Isp.YAHOO: "Yahoo",
    Isp.APPLE: "Apple",
    Isp.COMCAST: "Comcast",
    Isp.GMX: "GMX",
    Isp.OTHER: "Others",
}
NAMES = {
    Dimension.DOMAIN: "SELECT id, name FROM domains WHERE id = ANY({}::uuid[]) "
    "AND organization_id = {}",
    Dimension.VMTA: "SELECT id, name FROM vmtas WHERE id = ANY({}::uuid[]) "
    "AND (organization_id = {} OR organization_id IS NULL)",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which mail, of which time."""

    window: Window
    filters: Filters = field(default_factory=dict)
    with_machines: bool = False
    """Opens and clicks by programs count, too."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What mail of a stretch of time came to."""

    metrics: Metrics
    median_seconds: float | None
    p95_seconds: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """One bucket of a series."""

    at: datetime
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Part:
    """What mail with one value of a dimension came to."""

    key: str
    label: str
    metrics: Metrics
    share: float | None
    """Of all that was accepted, in per cent."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Mail told apart by one dimension."""

    parts: Sequence[Part]
    others: int
    """How many values were cut off."""
    other: Metrics
    """Their sum."""


@dataclass(frozen=True, slots=True)
class Provider:
    """How mail goes to one provider."""

    isp: str
    name: str
    metrics: Metrics
    median_seconds: float | None
    top_bounce_class: str | None
    queues_in_backoff: int
    health: Health


async def data_as_of() -> datetime | None:
    """Return up to when everything was counted; None if nothing ever was."""
    now = clock.now()
    for lag in await consumer_lags():
        if lag.consumer == CONSUMER:
            waited = timedelta(seconds=lag.seconds)
            return min(now - waited, now if lag.events else lag.looked_at)
    return None


async def named_filters(actor: Actor, filters: Filters) -> Filters:
    """Return *filters* with names in place of the UUIDs of domains and vMTAs, in lower case.

    A UUID that names nothing of the organization's stays, and fits no mail.

    Raises:
        NotPermitted: the actor may not read analytics.
    """
    actor.require(Permission.READ_ANALYTICS)
    found: dict[Dimension, Sequence[str]] = {}
    for dimension, values in filters.items():
        names = list(values)
        if dimension in (Dimension.DOMAIN, Dimension.RECIPIENT_DOMAIN):
            names = [name.lower().rstrip(".") for name in names]
        if dimension in NAMES:
            ids = {name: id for name in names if (id := parse_id(name)) is not None}
            known = {
                row["id"]: row["name"]
                for row in await fetch(NAMES[dimension], list(ids.values()), actor.organization_id)
            }
            names = [known.get(ids.get(name), name) for name in names]
        found[dimension] = names
    return found


async def summarize(actor: Actor, asked: Asked) -> Summary:
    """Return what mail came to altogether."""
    counts = _total(await _read(actor, asked))
    return Summary(
        metrics_of(counts, with_machines=asked.with_machines),
        latency_quantile(counts, 0.5),
        latency_quantile(counts, 0.95),
    )


async def previous_of(actor: Actor, asked: Asked) -> Metrics:
    """Return what mail came to in the stretch of equal length before."""
    return (await summarize(actor, replace(asked, window=asked.window.before()))).metrics


def changes(now: Metrics, before: Metrics) -> dict[Metric, float | None]:
    """Return how each metric changed: counts in per cent, rates in percentage points."""
    found: dict[Metric, float | None] = {}
    for metric, value in now.items():
        old = before[metric]
        if not metric.value.endswith("_rate"):
            found[metric] = change_of(value, old)
        else:
            found[metric] = None if value is None or old is None else round(value - old, 4)
    return found


async def series(actor: Actor, asked: Asked, interval: Interval | None = None) -> list[Point]:
    """Return what mail came to in each bucket, empty ones included.

    Raises:
        InvalidInterval: the stretch is too long for such buckets.
        RangeTooLarge: there would be too many of them, or their sums are not kept.
    """
    starts = buckets(asked.window, interval or usual_interval(asked.window))
    found: dict[int, dict[str, int]] = {}
    for sums in await _read(actor, asked, edges=starts):
        _merge(found.setdefault(sums.bucket, {}), sums.counts)
    return [
        Point(at, metrics_of(found.get(nth, {}), with_machines=asked.with_machines))
        for nth, at in enumerate(starts)
    ]


async def break_down(
    actor: Actor,
    asked: Asked,
    dimension: Dimension,
    *,
    limit: int,
    sort: Metric = Metric.ACCEPTED,
    ascending: bool = False,
) -> Breakdown:
    """Return what mail came to for each value of *dimension*, the first *limit* of them."""
    by_key: dict[str, dict[str, int]] = {}
    for sums in await _read(actor, asked, by=dimension):
        _merge(by_key.setdefault(sums.key, {}), sums.counts)
    accepted = _total(await _read(actor, asked)).get("accepted", 0)
    rows = [
        (key, metrics_of(counts, with_machines=asked.with_machines))
        for key, counts in by_key.items()
        if any(counts.values())
    ]
    rows.sort(key=lambda row: (row[1][sort] is None, _signed(row[1][sort], ascending), row[0]))
    labels = await _labels(actor, dimension, [key for key, _ in rows[:limit]])
    cut = [by_key[key] for key, _ in rows[limit:]]
    return Breakdown(
        [
            Part(key, labels.get(key, key), found, per_cent(found[Metric.ACCEPTED] or 0, accepted))
            for key, found in rows[:limit]
        ],
        len(cut),
        metrics_of(_sum(cut), with_machines=asked.with_machines),
    )


async def providers(
    actor: Actor,
    asked: Asked,
    *,
    limit: int,
    sort: Metric = Metric.ACCEPTED,
    ascending: bool = False,
) -> list[Provider]:
    """Return how mail goes to each provider of mailboxes."""
    by_isp: dict[str, dict[str, int]] = {}
    for sums in await _read(actor, asked, by=Dimension.ISP):
        _merge(by_isp.setdefault(sums.key, {}), sums.counts)
    worst: dict[str, tuple[int, str]] = {}
    for sums in await _read(actor, asked, by=Dimension.BOUNCE_CLASS, by_isp=True):
        count = failures(sums.counts)
        if count > worst.get(sums.isp, (0, ""))[0]:
            worst[sums.isp] = count, sums.key
    backoffs = await backoffs_by_isp(actor)
    found = []
    for isp, counts in by_isp.items():
        metrics = metrics_of(counts, with_machines=asked.with_machines)
        found.append(
            Provider(
                isp=isp,
                name=ISP_NAMES[Isp(isp)],
                metrics=metrics,
                median_seconds=latency_quantile(counts, 0.5),
                top_bounce_class=worst[isp][1] if isp in worst else None,
                queues_in_backoff=backoffs.get(isp, 0),
                health=health_of(metrics),
            )
        )
    found.sort(
        key=lambda row: (
            row.metrics[sort] is None,
            _signed(row.metrics[sort], ascending),
            row.isp,
        )
    )
    return found[:limit]


async def trends(
    actor: Actor, asked: Asked, metrics: Sequence[Metric], interval: Interval
) -> list[Trend]:
    """Return how each of *metrics* developed."""
    now = [(point.at, point.metrics) for point in await series(actor, asked, interval)]
    earlier = replace(asked, window=asked.window.before())
    before = [(point.at, point.metrics) for point in await series(actor, earlier, interval)]
    return [trend_of(metric, now, before) for metric in metrics]


def failures(counts: Mapping[str, int]) -> int:
    """Return how many recipients failed for good."""
    return sum(counts.get(name, 0) for name in ("hard_bounced", "soft_bounced", "blocked"))


async def read_failures(actor: Actor, asked: Asked) -> list[Sums]:
    """Return the sums of failed mail by class and provider."""
    return await _read(actor, asked, by=Dimension.BOUNCE_CLASS, by_isp=True)


async def _read(
    actor: Actor,
    asked: Asked,
    *,
    by: Dimension | None = None,
    by_isp: bool = False,
    edges: Sequence[datetime] | None = None,
) -> list[Sums]:
    actor.require(Permission.READ_ANALYTICS)
    question = Question(actor.organization_id, actor.project_id, asked.filters, by, by_isp)
    starts = edges or [asked.window.start]
    kept = timedelta(days=await kept_days(actor, Kind.MESSAGES))
    return await read(question, _pieces(question, asked.window, starts, kept), starts)


def _pieces(
    question: Question, window: Window, edges: Sequence[datetime], events_kept: timedelta
) -> list[Piece]:
    now = clock.now()
    if (
        not question.has_minutes
        and window.start < now - QUARTERS_KEPT
        and any(floor(edge, Grain.DAY) != edge for edge in edges[1:])
    ):
        message = (
            f"Of some of the mail, only days in UTC are kept for longer than "
            f"{QUARTERS_KEPT.days} days."
        )
        raise RangeTooLarge(message, details=[Detail("from", DetailCode.TOO_LARGE, message)])
    return pieces(
        window,
        edges,
        now=now,
        has_minutes=question.has_minutes,
        minutes_kept=min(MINUTES_KEPT, events_kept),
    )


async def _labels(actor: Actor, dimension: Dimension, keys: Sequence[str]) -> Mapping[str, str]:
    if dimension is Dimension.API_KEY:
        return await names_of_api_keys(actor, keys)
    if dimension is Dimension.ISP:
        return {isp.value: name for isp, name in ISP_NAMES.items()}
    return {}


def _total(found: Sequence[Sums]) -> dict[str, int]:
    return _sum([sums.counts for sums in found])


def _sum(found: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in found:
        _merge(total, counts)
    return total


def _merge(into: dict[str, int], counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        into[name] = into.get(name, 0) + count


def _signed(value: float | None, ascending: bool) -> float:
    return 0 if value is None else value if ascending else -value
