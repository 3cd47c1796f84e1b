"""Periods, proration, ranks and dunning: decisions about money without I/O.

Amounts are whole minor units of one currency.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from ..accounts.rules import Plan

CURRENCY = "USD"
"""What plans are priced in."""

SMALLEST_CHARGE = 50
"""What a provider collects at least. Source: Stripe, minimum of USD 0.50."""

PAYMENT_TERM = timedelta(days=14)
"""How long an invoice that an operator collects may stay open before it is overdue."""

CHECKOUT_LIFETIME = timedelta(hours=24)
TRIAL_LENGTH = timedelta(days=30)
"""Source: postmta-api section 5.13."""

CHARGE_AGAIN_AFTER = tuple(timedelta(days=d) for d in (1, 3, 5, 7, 10))
"""When a payment that failed is tried again, counted from the day it was due."""

GRACE_AFTER, SUSPENDED_AFTER, CANCELLED_AFTER = (timedelta(days=d) for d in (3, 14, 30))
"""When an overdue subscription goes a step further; see `dunning_stage`."""

MOST_PERIODS = 400
"""Of one roll-up. Source: postmta-api E80."""


class Interval(StrEnum):
    """How often a plan is paid."""

    MONTH = "month"
    YEAR = "year"


class SubscriptionStatus(StrEnum):
    """What an organization's plan is worth now."""

    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"


class DunningStage(StrEnum):
    """How far an unpaid subscription has come."""

    NONE = "none"
    PAST_DUE = "past_due"
    GRACE = "grace"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"


class InvoiceStatus(StrEnum):
    """What became of an invoice."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class InvoiceReason(StrEnum):
    """What an invoice is for."""

    PLAN = "plan"
    UPGRADE = "upgrade"
    RENEWAL = "renewal"
    CREDITS = "credits"


class CheckoutType(StrEnum):
    """What is bought."""

    PLAN = "plan"
    CREDITS = "credits"
    PAYMENT_METHOD = "payment_method"


class CheckoutStatus(StrEnum):
    """What became of a checkout."""

    OPEN = "open"
    COMPLETED = "completed"
    EXPIRED = "expired"


class Granularity(StrEnum):
    """How long the periods of a usage roll-up are; weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


RANKS = {Plan.TRIAL: 0, Plan.STARTER: 1, Plan.PROFESSIONAL: 2, Plan.ENTERPRISE: 3}
"""Source: postmta-api E76. `self_hosted` is beside the ladder: there is nothing to change to."""

STATUS_OF_STAGE = {
    DunningStage.NONE: SubscriptionStatus.ACTIVE,
    DunningStage.PAST_DUE: SubscriptionStatus.PAST_DUE,
    DunningStage.GRACE: SubscriptionStatus.PAST_DUE,
    DunningStage.SUSPENDED: SubscriptionStatus.SUSPENDED,
    DunningStage.CANCELLED: SubscriptionStatus.CANCELLED,
}


def is_upgrade(current: str, wanted: Plan) -> bool:
    """Say whether *wanted* stands above the plan *current*."""
    ranks = RANKS.get(Plan(current)), RANKS.get(wanted)
    return ranks[0] is not None and ranks[1] is not None and ranks[1] > ranks[0]


def is_downgrade(current: str, wanted: Plan) -> bool:
    """Say whether *wanted* stands below the plan *current*."""
    ranks = RANKS.get(Plan(current)), RANKS.get(wanted)
    return ranks[0] is not None and ranks[1] is not None and ranks[1] < ranks[0]


def share_left(price: int, *, start: datetime, end: datetime, at: datetime) -> Fraction:
    """Return the part of a period from *start* to *end* that whoever buys it at *at* gets.

    That is what is left of it, and no less than *price*, that of the whole, can be charged
    for: nothing is given away because it is too little to be collected.
    """
    microsecond = timedelta(microseconds=1)
    total, left = (end - start) // microsecond, (end - at) // microsecond
    share = Fraction(max(0, min(left, total)), total)
    return min(Fraction(1), max(share, Fraction(SMALLEST_CHARGE, price))) if price else share


def priced(full: int, share: Fraction) -> int:
    """Return what that share of the price *full* costs, to the nearest unit, a half upwards."""
    return (2 * full * share.numerator + share.denominator) // (2 * share.denominator)


def invoice_number(year: int, nth: int) -> str:
    """Return the number of the *nth* invoice of a year: `INV-2026-0042`."""
    return f"INV-{year}-{nth:04d}"


def dunning_stage(due_at: datetime, now: datetime) -> DunningStage:
    """Return how far an invoice has come that was due at *due_at* and is not paid.

    For three days nothing is restricted and the payment is tried again; then owners are
    warned; after a fortnight sending stops; after thirty days the plan ends.
    """
    overdue = now - due_at
    if overdue <= timedelta():
        return DunningStage.NONE
    steps = (
        (CANCELLED_AFTER, DunningStage.CANCELLED),
        (SUSPENDED_AFTER, DunningStage.SUSPENDED),
        (GRACE_AFTER, DunningStage.GRACE),
    )
    return next((stage for after, stage in steps if overdue >= after), DunningStage.PAST_DUE)


def next_charge_at(due_at: datetime, attempts: int) -> datetime | None:
    """Return when to collect once more after *attempts* that failed, or None: not again."""
    if attempts > len(CHARGE_AGAIN_AFTER):
        return None
    return due_at + CHARGE_AGAIN_AFTER[attempts - 1]


def period_start(granularity: Granularity, at: datetime) -> datetime:
    """Return when the period that *at* is in began, in UTC."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if granularity is Granularity.MONTH:
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if granularity is Granularity.WEEK else day


def period_end(granularity: Granularity, start: datetime) -> datetime:
    """Return when the period that begins at *start* ends."""
    if granularity is Granularity.MONTH:
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    return start + _length(granularity)


def earlier(granularity: Granularity, start: datetime, *, periods: int) -> datetime:
    """Return the start of the period that lies *periods* before the one that begins at *start*."""
    if granularity is Granularity.MONTH:
        months = start.year * 12 + start.month - 1 - periods
        return start.replace(year=months // 12, month=months % 12 + 1)
    return start - periods * _length(granularity)


def periods_between(
    granularity: Granularity, first: datetime, last: datetime
) -> list[tuple[datetime, datetime]]:
    """Return the periods that touch the time from *first* to before *last*, newest first.

    At most one more than `MOST_PERIODS`, however long the time is.
    """
    found: list[tuple[datetime, datetime]] = []
    start = period_start(granularity, first)
    while start < last and len(found) <= MOST_PERIODS:
        end = period_end(granularity, start)
        found.append((start, end))
        start = end
    return found[::-1]


def _length(granularity: Granularity) -> timedelta:
    return timedelta(days=7 if granularity is Granularity.WEEK else 1)
