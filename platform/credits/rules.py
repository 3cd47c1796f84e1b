"""Kinds of credits, accounts of the ledger, and how a lot is spread; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

SHARES = 8
"""Rows a lot is spread over: as many debits of one organization run at the same time."""

UNLIMITED_PLANS = frozenset({"self_hosted", "enterprise"})
"""Plans whose balance is not counted: usage is recorded, nothing is refused."""


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
    SCAN = "scan"
    API = "api"
    GRANT = "grant"
    PURCHASE = "purchase"
    REFUND = "refund"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"


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
