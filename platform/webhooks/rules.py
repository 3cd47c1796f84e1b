"""What webhooks may be, which events they want, and when a call is tried again; no I/O."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ..events.rules import EventType

CONSUMER = "webhooks"
"""Under this name the place is kept up to which events have become calls."""

MOST_WEBHOOKS = 20
"""Of one organization."""
LONGEST_DESCRIPTION = 200
MOST_HEADERS = 10
LONGEST_HEADER = 512
MOST_FILTER_VALUES = 100
LONGEST_DOCUMENT = 20_000

TIMEOUT = timedelta(seconds=10)
"""For one attempt: look-up, connection, request and the whole answer."""
REPLY_KEPT_BYTES = 1_024
"""What of an answer's body is kept, and read."""
LARGEST_BODY = 256 * 1024
"""Bytes of a request; only documents can make more."""

WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
)
"""Before the 2nd, 3rd, ... attempt, about 27.6 hours in all; then the call is dead."""
JITTER = 0.1
"""Each wait is longer by up to this share, so that what failed together comes apart."""
LONGEST_RETRY_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an attempt may take, and what follows one that failed."""

    timeout: timedelta
    waits: tuple[timedelta, ...]
    """Before the 2nd, 3rd, ... attempt; the one after the last is the last."""
    jitter: float = JITTER
    heeds_answers: bool = True
    """A receiver may ask for a pause, or for no more calls."""


USUAL = Patience(TIMEOUT, WAITS)

FAILING_FOR = timedelta(days=5)
"""A webhook is switched off when every attempt has failed for so long."""
MAX_GRACE = timedelta(days=7)
USUAL_GRACE = timedelta(days=1)
"""How long a replaced secret goes on signing."""
SECRET_BYTES = 32

TEST_EVENT = EventType.WEBHOOK_TEST.value
NAMEABLE = tuple(each.value for each in EventType if each.value != TEST_EVENT)

PAYLOAD_VERSIONS = ("2026-06-01",)
"""The newest last; a webhook stays at the one it was made with until it is changed."""


class PayloadFormat(StrEnum):
    """How the body of a call is written."""

    STANDARD = "standard"
    POSTAL = "postal"
    POSTAGEAPP = "postageapp"
    POSTAGEAPP_1_0 = "postageapp_1_0"
    POSTAGEAPP_FORM = "postageapp_form"


class CallState(StrEnum):
    """How far a call is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class DisabledReason(StrEnum):
    """Why the platform switched a webhook off."""

    FAILING = "failing"
    GONE = "gone"


PATTERNS = frozenset({"*", *NAMEABLE, *(f"{name.partition('.')[0]}.*" for name in NAMEABLE)})
"""What a webhook may want: an event, all of a kind, or all."""

TESTABLE = frozenset(each.value for each in EventType)


def wants(patterns: Collection[str], event_type: str) -> bool:
    """Say whether one of *patterns* names *event_type*."""
    kind = event_type.partition(".")[0]
    return event_type in patterns or f"{kind}.*" in patterns or "*" in patterns


@dataclass(frozen=True, slots=True)
class Filters:
    """What an event has to be about, beside its type; what is empty does not matter."""

    domains: frozenset[str] = frozenset()
    vmtas: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.domains or self.vmtas or self.tags or self.streams)

    @property
    def needs_message(self) -> bool:
        """Whether the event alone does not tell."""
        return bool(self.domains or self.tags or self.streams)

    def as_lists(self) -> dict[str, list[str]]:
        """Return those that matter, sorted, as they are stored and shown."""
        named = {
            "domains": self.domains,
            "vmtas": self.vmtas,
            "tags": self.tags,
            "streams": self.streams,
        }
        return {name: sorted(values) for name, values in named.items() if values}


def read_filters(stored: Mapping[str, Iterable[str]]) -> Filters:
    """Return the filters that `Filters.as_lists` wrote."""
    return Filters(**{name: frozenset(values) for name, values in stored.items()})


@dataclass(frozen=True, slots=True)
class Concerns:
    """What an event is about, for filters."""

    domain: str | None = None
    vmta: str | None = None
    tags: Collection[str] = ()
    stream: str | None = None


def passes(filters: Filters, concerns: Concerns) -> bool:
    """Say whether an event that *concerns* this passes every filter that is given.

    A domain stands for itself and what is below it.
    """
    if filters.domains and not _is_within(concerns.domain, filters.domains):
        return False
    if filters.vmtas and concerns.vmta not in filters.vmtas:
        return False
    if filters.tags and filters.tags.isdisjoint(concerns.tags):
        return False
    return not filters.streams or concerns.stream in filters.streams


def _is_within(domain: str | None, domains: Collection[str]) -> bool:
    while domain:
        if domain in domains:
            return True
        domain = domain.partition(".")[2]
    return False


def next_step(
    *,
    succeeded: bool,
    attempts: int,
    now: datetime,
    jitter: float,
    retry_after: timedelta | None = None,
    patience: Patience = USUAL,
) -> tuple[CallState, datetime | None]:
    """Return the new state and, if there is to be another attempt, when.

    *attempts* counts the one just made; *jitter* is between 0 and 1. A receiver that names a
    time is left alone until then, for an hour at most, and never asked sooner than usual.
    """
    if succeeded:
        return CallState.DELIVERED, None
    if attempts > len(patience.waits):
        return CallState.DEAD, None
    wait = patience.waits[attempts - 1] * (1 + patience.jitter * jitter)
    if retry_after is not None and patience.heeds_answers:
        wait = max(wait, min(retry_after, LONGEST_RETRY_AFTER))
    return CallState.PENDING, now + wait


DURATION_BOUNDS_MS = tuple(round(1.25**n, 3) for n in range(42))
"""Upper ends of the classes that durations are counted in; the last class has no end."""


def duration_class(milliseconds: float) -> int:
    """Return the class that a duration is counted in, from 0."""
    for nth, bound in enumerate(DURATION_BOUNDS_MS):
        if milliseconds <= bound:
            return nth
    return len(DURATION_BOUNDS_MS)


def median_ms(counts: Collection[int]) -> int | None:
    """Return the median of what was counted by class, to about a tenth; None of nothing."""
    total, seen, nth = sum(counts), 0, -1
    if not total:
        return None
    for count in counts:
        seen += count
        nth += 1
        if seen * 2 >= total:
            break
    last = len(DURATION_BOUNDS_MS) - 1
    lower = DURATION_BOUNDS_MS[nth - 1] if nth else 0.0
    return round((lower + DURATION_BOUNDS_MS[min(nth, last)]) / 2)
