"""Counting messages in sliding windows, and sharing connections; no clock, no tables.

A window is the count of a fixed span and of the one before, which fades out evenly: as good as a
list of all times, and two numbers.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

SOONEST_RETRY = timedelta(seconds=1)
LATEST_RETRY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Window:
    """What was sent since *started_at*, and in as long before it."""

    started_at: datetime
    count: int
    before: int

    def at(self, now: datetime, length: timedelta) -> "Window":
        """Return the window that *now* is in."""
        passed = (now - self.started_at) // length
        if passed <= 0:
            return self
        before = self.count if passed == 1 else 0
        return Window(self.started_at + passed * length, 0, before)

    def used(self, now: datetime, length: timedelta) -> float:
        """Return about how many were sent in the *length* up to *now*."""
        elapsed = max((now - self.started_at) / length, 0.0)
        return self.count + self.before * max(1.0 - elapsed, 0.0)

    def left(self, limit: int, now: datetime, length: timedelta) -> int:
        """Return how many more may be sent now."""
        return max(0, math.floor(limit - self.used(now, length)))

    def free_at(self, limit: int, now: datetime, length: timedelta) -> datetime:
        """Return when one more may be sent, between a second and a quarter of an hour on."""
        excess = self.used(now, length) - (limit - 1)
        end = self.started_at + length
        if excess <= 0:
            return now + SOONEST_RETRY
        when = now + length * (excess / self.before) if self.before else end
        return min(max(min(when, end), now + SOONEST_RETRY), now + LATEST_RETRY)

    def plus(self, count: int) -> "Window":
        """Return the window with so many more."""
        return Window(self.started_at, max(0, self.count + count), self.before)


@dataclass(frozen=True, slots=True)
class Claimant:
    """A worker that holds connections in a scope, or wants to."""

    connections: int
    wanted: int
    organizations: int
    name: str = ""


def fair_share(limit: int, mine: Claimant, others: Sequence[Claimant], *, moment: int = 0) -> int:
    """Return how many of *limit* connections a worker may hold now.

    Never more than others leave free. Where all want more than there are, each gets in
    proportion to the organizations it sends for, and what one does not want goes to the rest.
    Where there are more workers than connections they take turns: those that hold none come
    first, and among the others it is another's turn with every *moment*.
    """
    free = limit - sum(other.connections for other in others)
    return max(0, min(mine.wanted, free, _entitled(limit, mine, others, moment)))


def _entitled(limit: int, mine: Claimant, others: Sequence[Claimant], moment: int) -> int:
    if mine.wanted <= 0:
        return 0
    all_ = [each for each in (mine, *others) if each.wanted > 0]
    if len(all_) > limit:
        in_turn = sorted(all_, key=lambda each: (each.connections > 0, _lot(each, moment)))
        return int(any(each is mine for each in in_turn[:limit]))
    left, open_ = limit, all_
    while open_:
        weight = sum(max(each.organizations, 1) for each in open_)
        content = [
            each for each in open_ if each.wanted * weight <= left * max(each.organizations, 1)
        ]
        if any(each is mine for each in content):
            return mine.wanted
        if not content:
            return _portion(left, mine, open_, moment)
        left -= sum(each.wanted for each in content)
        open_ = [each for each in open_ if not any(each is other for other in content)]
    return limit


def _portion(left: int, mine: Claimant, all_: Sequence[Claimant], moment: int) -> int:
    """Return what is mine of *left* by weight; what remains of whole numbers goes by lot."""
    weight = sum(max(each.organizations, 1) for each in all_)
    parts = [max(1, left * max(each.organizations, 1) // weight) for each in all_]
    rest = max(0, left - sum(parts))
    lucky = sorted(all_, key=lambda each: _lot(each, moment))[:rest]
    own = next(part for each, part in zip(all_, parts, strict=True) if each is mine)
    return own + any(each is mine for each in lucky)


def _lot(claimant: Claimant, moment: int) -> int:
    """Return a number that all workers draw alike."""
    return zlib.crc32(f"{claimant.name}/{moment}".encode())
