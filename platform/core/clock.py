"""The only clock: aware times in UTC, frozen in tests.

A process that compares its times with others' follows the database's clock: then machines
whose clocks differ agree on what is due and on whose lease has ended.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

APART = timedelta(seconds=0.25)
"""How far the clocks of two processes may be from each other.

Each follows the database's as near as it can tell, and a busy one can tell less. What one has just
made due may not be due yet for another.
"""

_frozen: datetime | None = None
_followed: tuple[float, datetime] | None = None
"""A time that was right, and when that was by the monotonic clock, which is never set."""


def now() -> datetime:
    """Return the present time, aware and in UTC."""
    if _frozen is not None:
        return _frozen
    if _followed is None:
        return datetime.now(UTC)
    since, at = _followed
    return at + timedelta(seconds=time.monotonic() - since)


def follow(at: datetime, *, since: float) -> None:
    """Go by another clock from now on, which said *at* at the monotonic time *since*."""
    global _followed
    _followed = (since, at.astimezone(UTC))


def is_followed() -> bool:
    """Say whether another clock than the machine's is gone by."""
    return _followed is not None


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    """Make `now()` answer *at* within the body; for tests only."""
    global _frozen
    before, _frozen = _frozen, at
    try:
        yield
    finally:
        _frozen = before
