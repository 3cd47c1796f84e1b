"""What really happened in a campaign, and every number that follows from it.

Written from the contract's definitions and without a line of the product: what was accepted,
what the receivers answered, and what the robot did is noted here, and counted here again.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

COUNTS = (
    *("accepted", "sent", "delivered", "deferred", "bounced", "hard_bounced", "soft_bounced"),
    *("blocked", "expired", "suppressed", "cancelled", "complained", "unsubscribed"),
    *("opens", "unique_opens", "clicks", "unique_clicks"),
)
RATES = {
    "delivery_rate": ("delivered", ("delivered", "bounced")),
    "bounce_rate": ("bounced", ("delivered", "bounced")),
    "complaint_rate": ("complained", ("delivered",)),
    "open_rate": ("unique_opens", ("delivered",)),
    "click_rate": ("unique_clicks", ("delivered",)),
    "click_to_open_rate": ("unique_clicks", ("unique_opens",)),
    "deferral_rate": ("deferred", ("sent",)),
}
METRICS = (*COUNTS, *RATES)
TYPES = {"hard_bounced": "hard", "soft_bounced": "soft", "blocked": "block"}
CLASSES = {
    "invalid_recipient": "hard_bounced",
    "mailbox_full": "soft_bounced",
    "content_rejected": "blocked",
}
BEFORE = datetime.min.replace(tzinfo=UTC)
AFTER = datetime.max.replace(tzinfo=UTC)
LATENCY_BOUNDS = (0, 1, 2, 3, 5, 8, 15, 30, 60, 120, 300, 900)
"""Between which of them a latency lies is known, seconds; where exactly is not told."""


@dataclass(frozen=True, slots=True)
class Act:
    """One open or click that counts as an event."""

    kind: str
    at: datetime
    is_machine: bool = False


@dataclass(slots=True)
class Person:
    """One recipient: what their mail is told apart by, and what became of it."""

    number: int
    address: str
    fate: str
    traits: dict[str, Sequence[str]]
    """Values by dimension, but for those that an attempt decides."""
    mx_isp: str
    """Who runs the mailbox, by the exchanger that the domain names."""
    message_id: str = ""
    accepted_at: datetime = BEFORE
    deferrals: int = 0
    bounce_class: str | None = None
    is_delivered: bool = False
    complained_at: datetime | None = None
    has_left: bool = False
    acts: list[Act] = field(default_factory=list)

    @property
    def was_tried(self) -> bool:
        """Whether there was an attempt."""
        return self.fate not in ("suppressed", "cancelled")

    def keys(self, dimension: str) -> Sequence[str]:
        """Return the values of a dimension that this mail counts for."""
        if dimension == "isp":
            # Of a domain whose name says nothing, nobody knows before the first attempt.
            return [self.mx_isp if self.was_tried else "other"]
        if dimension == "vmta" and not self.was_tried:
            return []
        return self.traits.get(dimension, [])


Window = tuple[datetime, datetime]


def metrics(
    people: Iterable[Person], window: Window | None = None, *, with_machines: bool = False
) -> dict[str, float | None]:
    """Return every metric of *people*, of what falls into *window*."""

    def within(at: datetime | None) -> bool:
        return at is not None and (window is None or window[0] <= at < window[1])

    counts = Counter[str]()
    for person in people:
        counts["complained"] += within(person.complained_at)
        for name, unique in (("opens", "unique_opens"), ("clicks", "unique_clicks")):
            acts = [
                act
                for act in sorted(person.acts, key=lambda act: act.at)
                if act.kind == name and (with_machines or not act.is_machine)
            ]
            counts[name] += sum(within(act.at) for act in acts)
            counts[unique] += bool(acts) and within(acts[0].at)
        if not within(person.accepted_at):
            continue
        counts["accepted"] += 1
        counts["sent"] += person.was_tried
        counts["delivered"] += person.is_delivered
        counts["deferred"] += person.deferrals > 0
        counts["suppressed"] += person.fate == "suppressed"
        counts["cancelled"] += person.fate == "cancelled"
        counts["unsubscribed"] += person.has_left
        if person.bounce_class is not None:
            counts["bounced"] += 1
            counts[CLASSES[person.bounce_class]] += 1
    found: dict[str, float | None] = {name: counts[name] for name in COUNTS}
    for rate, (part, whole) in RATES.items():
        found[rate] = per_cent(counts[part], sum(counts[name] for name in whole))
    return found


def per_cent(part: float, whole: float) -> float | None:
    """Return how many per cent *part* is, as answers round it."""
    return round(100 * part / whole, 4) if whole else None


def broken_down(
    people: Sequence[Person], dimension: str, names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return what mail with each value of *dimension* came to."""
    if dimension == "bounce_class":
        by_class = _by_class(people)
        return {key: {name: by_class[key][name] for name in names} for key in by_class}
    keys = sorted({key for person in people for key in person.keys(dimension)})
    found = {}
    for key in keys:
        of_key = metrics(person for person in people if key in person.keys(dimension))
        found[key] = {name: of_key[name] for name in names}
    return found


def _by_class(people: Sequence[Person]) -> dict[str, dict[str, float | None]]:
    """Failures alone have a class; a deferral has one, too, and is no failure for good."""
    found: dict[str, dict[str, float | None]] = {}
    for name, counter in CLASSES.items():
        count = sum(person.bounce_class == name for person in people)
        counts: dict[str, float | None] = dict.fromkeys(COUNTS, 0)
        counts |= {"bounced": count, counter: count}
        counts |= {
            rate: per_cent(counts[part] or 0, sum(counts[each] or 0 for each in whole))
            for rate, (part, whole) in RATES.items()
        }
        found[name] = counts
    if any(person.deferrals for person in people):
        found["temporary_failure"] = metrics([])
    return found


def series(people: Sequence[Person], starts: Sequence[datetime]) -> list[dict[str, float | None]]:
    """Return the metrics of each bucket; the last one has no end."""
    return [metrics(people, window) for window in pairwise([*starts, AFTER])]


def bounds_of(latencies: Sequence[float], share: float) -> tuple[float, float]:
    """Return between which bounds the latency lies that *share* of the deliveries do not exceed."""
    value = sorted(latencies)[math.ceil(share * len(latencies)) - 1]
    upper = next(bound for bound in LATENCY_BOUNDS if value < bound)
    return LATENCY_BOUNDS[LATENCY_BOUNDS.index(upper) - 1], upper


def floor(at: datetime, step: timedelta) -> datetime:
    """Return when the stretch of that length begins which *at* is in."""
    return at - (at - datetime(1970, 1, 1, tzinfo=at.tzinfo)) % step
