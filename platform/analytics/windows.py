"""Stretches of time: which one is meant, how it is cut into buckets, where its sums lie."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import InvalidInterval, RangeTooLarge, of_period
from .rules import LENGTHS, Grain

LONGEST = timedelta(days=731)
WORDS = ("today", "yesterday", "this_month", "last_month")
UNITS = {
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "m": timedelta(days=30),
}
_SPAN = re.compile("([1-9][0-9]{0,4})([hdwm])", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MINUTES_KEPT = timedelta(days=30)
QUARTERS_KEPT = timedelta(days=90)
"""Of all mail together they are kept as long as days, so that days of any zone can be told."""
DAYS_KEPT = LONGEST + timedelta(days=1)
MOST_BUCKETS = 1_500
FIRST_YEAR, LAST_YEAR = 1990, 2200
"""Beyond them there is no mail, and times cannot be calculated with for ever."""


class Interval(StrEnum):
    """How long a bucket is."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


LONGEST_CUT = {Interval.MINUTE: timedelta(hours=6), Interval.HOUR: timedelta(days=31)}
"""Of how long a stretch buckets can be that short."""


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time, and the zone whose days it is cut by."""

    start: datetime
    end: datetime
    zone: ZoneInfo
    label: str | None
    """The period that was asked for; None where the times were."""

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def before(self) -> "Window":
        """Return the stretch of equal length that ends where this one begins."""
        return replace(self, start=self.start - self.length, end=self.start, label=None)


def floor(at: datetime, grain: Grain) -> datetime:
    """Return when the stretch begins that *at* is in."""
    return at - (at - EPOCH) % LENGTHS[grain]


def ceiling(at: datetime, grain: Grain) -> datetime:
    """Return *at*, or when the next stretch begins."""
    return -((-(at - EPOCH)) // LENGTHS[grain]) * LENGTHS[grain] + EPOCH


def read_zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name.

    Raises:
        InvalidPeriod: there is none.
    """
    # Names are paths of files: what is no name is not looked up.
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", name, re.ASCII):
        raise of_period("There is no such time zone; write an IANA name.", field="timezone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = "There is no such time zone; write an IANA name."
        raise of_period(message, field="timezone") from error


def window_of(
    now: datetime,
    *,
    period: str,
    start: datetime | None = None,
    end: datetime | None = None,
    timezone: str = "UTC",
    longest: timedelta = LONGEST,
) -> Window:
    """Return the stretch from *start* to *end*, or else *period* up to the last full minute.

    Raises:
        InvalidPeriod: there is no such period or zone, one of the times is missing, or they
            are the wrong way round.
        RangeTooLarge: it is longer than *longest*.
    """
    zone = read_zone(timezone)
    if (start is None) != (end is None):
        field = "to" if end is None else "from"
        raise of_period("Give both `from` and `to`, or neither.", field=field)
    if start is not None and end is not None:
        if start >= end:
            raise of_period("`from` must be before `to`.", field="to")
        if start.year < FIRST_YEAR or end.year > LAST_YEAR:
            raise of_period(f"Years are from {FIRST_YEAR} to {LAST_YEAR}.", field="from")
        found = Window(floor(start, Grain.MINUTE), ceiling(end, Grain.MINUTE), zone, None)
    else:
        found = _period(period, floor(now, Grain.MINUTE), zone)
    if found.length > longest:
        raise RangeTooLarge(f"The range is at most {longest.days} days.")
    return found


def _period(period: str, now: datetime, zone: ZoneInfo) -> Window:
    match = _SPAN.fullmatch(period)
    if match is not None:
        if int(match[1]) > LONGEST / UNITS[match[2]]:
            raise RangeTooLarge(f"The range is at most {LONGEST.days} days.")
        return Window(now - int(match[1]) * UNITS[match[2]], now, zone, period)
    local = now.astimezone(zone)
    today = _midnight(local, zone)
    month = _midnight(local.replace(day=1), zone)
    yesterday = _midnight(today.astimezone(zone) - timedelta(hours=12), zone)
    last_month = _midnight((month.astimezone(zone) - timedelta(hours=12)).replace(day=1), zone)
    windows = {
        "today": (today, now),
        "yesterday": (yesterday, today),
        "this_month": (month, now),
        "last_month": (last_month, month),
    }
    if period not in windows:
        words = ", ".join(WORDS)
        raise of_period(f"Write a period as 24h, 30d, 4w or 6m, or one of {words}.")
    start, end = windows[period]
    # At midnight today has just begun: a minute of it, so that there is something to tell.
    return Window(start, max(end, start + timedelta(minutes=1)), zone, period)


def _midnight(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when the local day of *local* begins, in UTC.

    Where clocks skip midnight, the day begins with its first moment there is.
    """
    day = datetime(local.year, local.month, local.day, tzinfo=zone)
    return day.astimezone(UTC)


def usual_interval(window: Window) -> Interval:
    """Return how a stretch is cut unless somebody says otherwise."""
    if window.length <= timedelta(hours=48):
        return Interval.HOUR
    return Interval.DAY if window.length <= timedelta(days=92) else Interval.WEEK


def buckets(window: Window, interval: Interval) -> list[datetime]:
    """Return when each bucket begins; the first with the stretch itself.

    Days, weeks from Monday and months are those of the zone, however long its clock makes them.

    Raises:
        InvalidInterval: the stretch is too long for so short buckets.
        RangeTooLarge: there would be more than 1,500.
    """
    longest = LONGEST_CUT.get(interval)
    if longest is not None and window.length > longest:
        hours = int(longest.total_seconds() // 3600)
        raise InvalidInterval(f"Buckets of {article(interval)} are for at most {hours} hours.")
    starts = [window.start]
    while True:
        following = _next(starts[-1], interval, window.zone)
        if following >= window.end:
            return starts
        starts.append(following)
        if len(starts) > MOST_BUCKETS:
            raise RangeTooLarge(f"The range has more than {MOST_BUCKETS} such buckets.")


def article(interval: Interval) -> str:
    """Return *a* or *an* and the word."""
    return f"an {interval}" if interval is Interval.HOUR else f"a {interval}"


def _next(at: datetime, interval: Interval, zone: ZoneInfo) -> datetime:
    if interval is Interval.MINUTE:
        return floor(at, Grain.MINUTE) + timedelta(minutes=1)
    local = at.astimezone(zone)
    if interval is Interval.HOUR:
        # The zone's hours: in some they begin at a quarter or at half past in UTC.
        since = timedelta(minutes=local.minute, seconds=local.second)
        return at - since + timedelta(hours=1)
    if interval is Interval.MONTH:
        return _midnight((local.replace(day=1) + timedelta(days=32)).replace(day=1), zone)
    days = 7 - local.weekday() if interval is Interval.WEEK else 1
    return _midnight(local + timedelta(days=days), zone)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a stretch, and the grain whose sums make it up; None is the events themselves."""

    grain: Grain | None
    start: datetime
    end: datetime


def pieces(
    window: Window,
    edges: Sequence[datetime],
    *,
    now: datetime,
    has_minutes: bool,
    minutes_kept: timedelta = MINUTES_KEPT,
) -> list[Piece]:
    """Return where the sums of a stretch lie, the longest first choice, without overlap.

    *edges* are where its buckets begin. *has_minutes* says that the mail is all there is, of
    which minutes are kept; of other mail the minutes at both ends are counted again. Both is
    possible for *minutes_kept*, and before that the ends are those of quarters.
    """
    start, end = window.start, window.end
    if end >= floor(now, Grain.MINUTE):
        # What is now is not over: everything that was counted of it is in the last quarter.
        end = max(end, ceiling(now + timedelta(minutes=1), Grain.QUARTER))
    inner = edges[1:]
    fine = Grain.MINUTE if has_minutes else None
    if any(floor(edge, Grain.QUARTER) != edge for edge in inner):
        return [Piece(fine, start, end)]
    if start < now - minutes_kept:
        start = floor(start, Grain.QUARTER)
        end = end if end > now - minutes_kept else ceiling(end, Grain.QUARTER)
    if not has_minutes and start < now - QUARTERS_KEPT:
        start = floor(start, Grain.DAY)
        end = end if end > now - QUARTERS_KEPT else ceiling(end, Grain.DAY)
    parts = [(fine, Grain.QUARTER)]
    if all(floor(edge, Grain.DAY) == edge for edge in inner):
        parts.append((Grain.QUARTER, Grain.DAY))
    return _cut(start, end, parts)


def _cut(
    start: datetime, end: datetime, parts: Sequence[tuple[Grain | None, Grain]]
) -> list[Piece]:
    (fine, coarse), *finer_is_done = parts
    first, last = ceiling(start, coarse), floor(end, coarse)
    if first >= last:
        return [Piece(fine, start, end)]
    found = [Piece(fine, start, first)] if start < first else []
    if finer_is_done:
        found += _cut(first, last, finer_is_done)
    else:
        found.append(Piece(coarse, first, last))
    if last < end:
        found.append(Piece(fine, last, end))
    return found
