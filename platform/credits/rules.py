"""Kinds of credits, accounts of the ledger, and how a lot is spread; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

SHARES = 8
"""Rows a lot is spread over: as many debits of one organization run at the same time."""

UNLIMITED_PLANS = frozenset({"self_hosted", "enterprise"})
"""Plans whose balance is not counted: usage is recorded, nothing is refused."""

MOST_CONSUMED = 1_000_000
"""Credits that one request may consume."""

MOST_GRANTED = 1_000_000_000_000
"""Credits of one lot, and the highest threshold of an alert."""

MAX_REFERENCE = 128
MAX_DESCRIPTION = 200
MAX_METADATA = 20
REFERENCE_KEPT = timedelta(days=90)
"""How long a reference stands for what was first consumed with it."""

MAX_ALERTS = 10
"""Alerts of one type of credits."""

FIRST_ALERTS = (20, 5)
"""Percent of what there was to spend on mail, of which a new organization is told."""

MAX_RECIPIENTS = 20
MOST_ALERT_MAILS = 100
"""Mails that an organization's alerts may send in an hour: anybody can be named in one."""


class CreditType(StrEnum):
    """What a credit pays for."""

    EMAIL = "email"
    INBOUND = "inbound"
    VALIDATION = "validation"
    SPAM_CHECK = "spam_check"
    AV_SCAN = "av_scan"


class Account(StrEnum):
    """Where credits come from and go to: an entry moves an amount from one to another."""

    GRANTED = "granted"
    BALANCE = "balance"
    USED = "used"
    EXPIRED = "expired"


class LotSource(StrEnum):
    """How a lot came to be; included ones are spent first."""

    INCLUDED = "included"
    PURCHASE = "purchase"
    ADJUSTMENT = "adjustment"


class EntrySource(StrEnum):
    """What caused an entry of the ledger."""

    SEND = "send"
    BATCH = "batch"
    SMTP = "smtp"
    INBOUND = "inbound"
    SCAN = "scan"
    API = "api"
    GRANT = "grant"
    PURCHASE = "purchase"
    REFUND = "refund"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"


class Direction(StrEnum):
    """Which way an entry changes the balance."""

    DEBIT = "debit"
    CREDIT = "credit"


GAINS = frozenset(
    {EntrySource.GRANT, EntrySource.PURCHASE, EntrySource.REFUND, EntrySource.ADJUSTMENT}
)
"""Sources of entries that add to a balance; the others take from it."""


class AlertUnit(StrEnum):
    """What the threshold of an alert counts."""

    ABSOLUTE = "absolute"
    PERCENT = "percent"


class AlertChannel(StrEnum):
    """How an alert is told."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class AlertLevel(StrEnum):
    """Where a balance stands with regard to an alert."""

    ABOVE = "above"
    """At the threshold or above it: the alert is armed."""
    BELOW = "below"
    EMPTY = "empty"
    """Below it, and nothing is left."""


class AlertState(StrEnum):
    """Whether an alert would tell of a fall below its threshold, or has told."""

    ARMED = "armed"
    TRIGGERED = "triggered"


def level_of(balance: int, threshold: Decimal, *, of: int | None) -> AlertLevel:
    """Return where *balance* stands; with *of*, the threshold is percent of it.

    A threshold of 0 is reached when nothing is left, since no balance falls below it.
    """
    limit = threshold if of is None else threshold * of / 100
    if balance > 0:
        return AlertLevel.BELOW if balance < limit else AlertLevel.ABOVE
    # Percent of nothing says nothing.
    return AlertLevel.ABOVE if of == 0 else AlertLevel.EMPTY


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar month in UTC, half-open."""

    start: datetime
    end: datetime


def period_of(now: datetime) -> Period:
    """Return the billing period that *now* is in."""
    start = datetime(now.year, now.month, 1, tzinfo=UTC)
    following = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return Period(start, datetime(*following, 1, tzinfo=UTC))


def is_unlimited(plan: str) -> bool:
    """Say whether an organization on *plan* is never refused for want of credits."""
    return plan in UNLIMITED_PLANS


def spread(amount: int, shares: int = SHARES) -> list[int]:
    """Return *amount* whole credits divided over *shares*, as evenly as it goes."""
    each, left = divmod(amount, shares)
    return [each + (1 if slot < left else 0) for slot in range(shares)]


def take_in_order(remaining: Sequence[int], amount: int) -> list[int]:
    """Return what to take from each of *remaining*, first ones first, to make *amount*."""
    taken = []
    for available in remaining:
        part = min(available, amount)
        taken.append(part)
        amount -= part
    return taken
