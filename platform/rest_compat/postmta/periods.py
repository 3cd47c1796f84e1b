"""PostMTA's periods: `7d`, `today`, `last_month`, or a time to begin with and one to end with."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ...core.errors import Detail, DetailCode
from ..fields import Findings, JsonSchema
from ..route import Fault, Refused
from ..times import read_time

LONGEST = timedelta(days=731)
WORDS = ("today", "yesterday", "this_month", "last_month")
_LENGTHS = {
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "m": timedelta(days=30),
}
_SPAN = re.compile("([1-9][0-9]{0,4})([hdwm])", re.ASCII)


class Period:
    """How far back to look, as a word or a number with a unit."""

    parts = None

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, str) or not (value in WORDS or _SPAN.fullmatch(value)):
            words = ", ".join(WORDS)
            found.add(at, DetailCode.INVALID_FORMAT, f"Write it as 24h, 30d, 4w or 6m, or {words}.")
        elif value not in WORDS and _length(value) > LONGEST:
            found.add(at, DetailCode.TOO_LARGE, "A period is at most 2 years.")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "string", "examples": ["30d", *WORDS]}


def _length(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    assert found is not None
    return int(found[1]) * _LENGTHS[found[2]]


def window_of(period: str, now: datetime) -> tuple[datetime, datetime]:
    """Return the half-open window of time that *period* is at *now*, in UTC."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month = day.replace(day=1)
    if period == "today":
        return day, now
    if period == "yesterday":
        return day - timedelta(days=1), day
    if period == "this_month":
        return month, now
    if period == "last_month":
        return (month - timedelta(days=1)).replace(day=1), month
    return now - _length(period), now


def explicit_window(given: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
    """Return the window from `from` to `to`, or None if neither is given.

    Raises:
        Refused: only one is given, they are the wrong way round, or too far apart.
    """
    if "from" not in given and "to" not in given:
        return None
    for one, other in (("from", "to"), ("to", "from")):
        if one not in given:
            raise _malformed(one, DetailCode.REQUIRED, f"`{other}` needs `{one}`.")
    start, end = read_time(given["from"]), read_time(given["to"])
    assert start is not None
    assert end is not None
    if start >= end:
        raise _malformed("to", DetailCode.TOO_SMALL, "`from` must be before `to`.")
    if end - start > LONGEST:
        raise _malformed("from", DetailCode.TOO_LARGE, "A period is at most 2 years.")
    return start, end


def _malformed(field: str, code: DetailCode, message: str) -> Refused:
    details = [Detail(field, code, message)]
    return Refused(Fault.INVALID_REQUEST, "A query parameter is malformed.", details=details)
