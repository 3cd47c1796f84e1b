"""When a domain is looked at again without anybody asking."""

import uuid
from datetime import datetime, timedelta

from .rules import DomainStatus

PENDING_CHECKED_FOR = timedelta(days=14)
PENDING_CHECKED_EVERY = timedelta(hours=1)
_DAILY = timedelta(hours=24)
AFTER_FAILURE = timedelta(minutes=15)
"""Until the next try when the DNS was silent; doubled each time, up to the usual time."""

SPREAD = timedelta(hours=1)
"""By how much daily checks come earlier, each domain by its own part of it, so that domains that
were once looked at together, such as after a pause, do not stay together."""


def next_check(
    status: DomainStatus, *, created_at: datetime, now: datetime, unanswered: int, share: float
) -> datetime | None:
    """Return when a domain is looked at again without being asked to; None is never.

    *unanswered* is how many checks in a row the DNS was silent, *share* is the domain's own
    place in the spread, from 0 to 1.
    """
    if status is DomainStatus.PENDING and now - created_at >= PENDING_CHECKED_FOR:
        return None
    hourly = status in (DomainStatus.PENDING, DomainStatus.DEGRADED)
    usual = PENDING_CHECKED_EVERY if hourly else _DAILY - SPREAD * share
    if unanswered:
        return now + min(usual, AFTER_FAILURE * (1 << min(unanswered - 1, 10)))
    return now + usual


def share_of(domain_id: uuid.UUID) -> float:
    """Return a domain's own place in the spread, the same each time."""
    return (domain_id.int & 0xFFFF) / 0x10000
