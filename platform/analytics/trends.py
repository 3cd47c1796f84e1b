"""Where a series of numbers is heading: means, slope, moving average, and what stands out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import fmean, pstdev

from .rules import Metric

MOVING = 7
"""Points of a moving average, the last one included."""
BASE = 14
"""Points before one, against which it may stand out."""
DEVIATIONS = 3.0
FLAT_PER_CENT = 1.0
FEWEST = 3

BETTER_WHEN_LOWER = frozenset(
    {
        Metric.BOUNCE_RATE,
        Metric.COMPLAINT_RATE,
        Metric.DEFERRAL_RATE,
        Metric.BOUNCED,
        Metric.HARD_BOUNCED,
        Metric.SOFT_BOUNCED,
        Metric.BLOCKED,
        Metric.DEFERRED,
        Metric.EXPIRED,
        Metric.SUPPRESSED,
        Metric.COMPLAINED,
        Metric.UNSUBSCRIBED,
    }
)


class Direction(StrEnum):
    """Whether a mean is above that of the range before."""

    UP = "up"
    DOWN = "down"
    FLAT = "flat"


class Assessment(StrEnum):
    """Whether that is good."""

    IMPROVING = "improving"
    WORSENING = "worsening"
    STABLE = "stable"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One bucket."""

    at: datetime
    value: float | None
    moving_average: float | None


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A bucket that stands out."""

    at: datetime
    value: float
    expected: float
    deviation: float
    """In standard deviations of the points before; negative is below."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How one metric developed."""

    metric: Metric
    current: float | None
    previous: float | None
    change_per_cent: float | None
    slope: float | None
    """Of the straight line that fits best, for each interval."""
    direction: Direction
    assessment: Assessment
    points: Sequence[TrendPoint]
    anomalies: Sequence[Anomaly]


def trend_of(
    metric: Metric,
    series: Sequence[tuple[datetime, Mapping[Metric, float | None]]],
    before: Sequence[tuple[datetime, Mapping[Metric, float | None]]],
) -> Trend:
    """Return how *metric* developed in *series*, beside the range *before*."""
    values = [(at, found[metric]) for at, found in series]
    known = [value for _, value in values if value is not None]
    current = _mean(known)
    previous = _mean([found[metric] for _, found in before])
    change = change_of(current, previous)
    direction = Direction.FLAT
    if change is not None and abs(change) >= FLAT_PER_CENT:
        direction = Direction.UP if change > 0 else Direction.DOWN
    assessment = _assess(metric, direction)
    return Trend(
        metric=metric,
        current=current,
        previous=previous,
        change_per_cent=change,
        slope=_slope(values),
        direction=direction,
        assessment=Assessment.INSUFFICIENT_DATA if len(known) < FEWEST else assessment,
        points=_points(values),
        anomalies=_anomalies(values),
    )


def change_of(now: float | None, before: float | None) -> float | None:
    """Return by how many per cent it changed; None from nothing."""
    if now is None or not before:
        return None
    return round(100 * (now - before) / before, 4)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 4) if known else None


def _assess(metric: Metric, direction: Direction) -> Assessment:
    if direction is Direction.FLAT:
        return Assessment.STABLE
    good = Direction.DOWN if metric in BETTER_WHEN_LOWER else Direction.UP
    return Assessment.IMPROVING if direction is good else Assessment.WORSENING


def _slope(values: Sequence[tuple[datetime, float | None]]) -> float | None:
    found = [(nth, value) for nth, (_, value) in enumerate(values) if value is not None]
    if len(found) < 2:
        return None
    middle, mean = fmean(nth for nth, _ in found), fmean(value for _, value in found)
    spread = sum((nth - middle) ** 2 for nth, _ in found)
    return round(sum((nth - middle) * (value - mean) for nth, value in found) / spread, 4)


def _points(values: Sequence[tuple[datetime, float | None]]) -> list[TrendPoint]:
    return [
        TrendPoint(at, value, _mean([v for _, v in values[max(0, nth - MOVING + 1) : nth + 1]]))
        for nth, (at, value) in enumerate(values)
    ]


def _anomalies(values: Sequence[tuple[datetime, float | None]]) -> list[Anomaly]:
    found = []
    known = [(at, value) for at, value in values if value is not None]
    for nth in range(BASE, len(known)):
        at, value = known[nth]
        base = [each for _, each in known[nth - BASE : nth]]
        expected, spread = fmean(base), pstdev(base)
        # Where nothing ever varied, there is no measure of how far off it is.
        if spread and abs(value - expected) > DEVIATIONS * spread:
            deviation = round((value - expected) / spread, 4)
            found.append(Anomaly(at, value, round(expected, 4), deviation))
    return found
