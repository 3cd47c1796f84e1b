"""Money by the rules: nothing lost, nothing charged twice, every step in its time."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from postlane.accounts.rules import Plan
from postlane.billing.rules import (
    CANCELLED_AFTER,
    MOST_PERIODS,
    SMALLEST_CHARGE,
    DunningStage,
    Granularity,
    dunning_stage,
    earlier,
    invoice_number,
    is_downgrade,
    is_upgrade,
    next_charge_at,
    period_end,
    period_start,
    periods_between,
    priced,
    share_left,
)

JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
PRICES = st.integers(0, 10**12)
TIMES = st.integers(0, 2_500_000_000_000_000).map(
    lambda microseconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
SIZES = st.sampled_from(Granularity)


def due(price: int, at: datetime) -> int:
    """Return what the rest of June costs."""
    return priced(price, share_left(price, start=JUNE, end=JULY, at=at))


def test_the_contracts_own_example_comes_out() -> None:
    """Source: postmta-api E76: from 49 to 199 dollars at noon of the first of thirty days."""
    assert due(19_900 - 4_900, datetime(2026, 6, 1, 12, tzinfo=UTC)) == 14_750


@given(PRICES, TIMES)
def test_what_is_due_is_what_can_be_collected_and_never_above_the_price(
    full: int, at: datetime
) -> None:
    assert min(full, SMALLEST_CHARGE) <= due(full, at) <= full


@given(PRICES)
def test_the_whole_price_is_due_at_the_start_and_the_smallest_charge_at_the_end(full: int) -> None:
    assert due(full, JUNE) == full
    assert due(full, JULY) == min(full, SMALLEST_CHARGE)


@given(PRICES, TIMES, TIMES)
def test_whoever_comes_later_never_pays_more(full: int, one: datetime, other: datetime) -> None:
    early, late = sorted((one, other))

    assert due(full, early) >= due(full, late)


@given(PRICES, PRICES, TIMES)
def test_two_upgrades_cost_what_one_would_to_a_unit(low: int, more: int, at: datetime) -> None:
    parts = due(low, at), due(more, at)
    assume(min(parts) > SMALLEST_CHARGE)

    assert abs(sum(parts) - due(low + more, at)) <= 1


@given(PRICES, TIMES)
def test_proration_errs_by_half_a_unit_at_most(full: int, at: datetime) -> None:
    left = max(timedelta(), min(JULY - at, JULY - JUNE)) // timedelta(microseconds=1)
    total = (JULY - JUNE) // timedelta(microseconds=1)

    found = due(full, at)

    assume(found > SMALLEST_CHARGE)
    assert abs(2 * found * total - 2 * full * left) <= total


@given(st.integers(1, 10**9), st.integers(0, 10**9), TIMES)
def test_credits_come_in_the_proportion_that_is_paid(
    price: int, included: int, at: datetime
) -> None:
    """Up to half a unit of the price: nobody gets more than what they paid for."""
    share = share_left(price, start=JUNE, end=JULY, at=at)

    assert int(included * share) <= included * Fraction(2 * priced(price, share) + 1, 2 * price)


@given(SIZES, TIMES)
def test_every_moment_is_in_its_period(size: Granularity, at: datetime) -> None:
    start = period_start(size, at)

    assert start <= at < period_end(size, start)
    assert period_start(size, start) == start


@given(SIZES, TIMES, st.integers(0, 300))
def test_going_back_and_forth_comes_back(size: Granularity, at: datetime, steps: int) -> None:
    start = period_start(size, at)
    back = earlier(size, start, periods=steps)

    for _ in range(steps):
        back = period_end(size, back)
    assert back == start


@given(SIZES, TIMES, TIMES)
def test_periods_follow_one_another_without_gaps(
    size: Granularity, one: datetime, other: datetime
) -> None:
    first, last = sorted((one, other))

    found = periods_between(size, first, last)

    assert len(found) <= MOST_PERIODS + 1
    assert all(start == end for (start, _), (_, end) in pairwise(found))
    if found:
        assert found[-1][0] <= first


@pytest.mark.parametrize(
    ("days", "stage"),
    [
        (-1, DunningStage.NONE),
        (0, DunningStage.NONE),
        (1, DunningStage.PAST_DUE),
        (3, DunningStage.GRACE),
        (13.9, DunningStage.GRACE),
        (14, DunningStage.SUSPENDED),
        (30, DunningStage.CANCELLED),
        (400, DunningStage.CANCELLED),
    ],
)
def test_an_unpaid_plan_goes_step_by_step(days: float, stage: DunningStage) -> None:
    assert dunning_stage(JUNE, JUNE + timedelta(days=days)) is stage


def test_a_refused_payment_is_tried_again_until_sending_stops() -> None:
    tries = []
    while (at := next_charge_at(JUNE, len(tries) + 1)) is not None:
        tries.append(at)

    assert [(at - JUNE).days for at in tries] == [1, 3, 5, 7, 10]
    assert tries[-1] < JUNE + CANCELLED_AFTER


@pytest.mark.parametrize(
    ("present", "wanted", "up", "down"),
    [
        ("trial", Plan.STARTER, True, False),
        ("starter", Plan.STARTER, False, False),
        ("professional", Plan.STARTER, False, True),
        ("starter", Plan.ENTERPRISE, True, False),
        ("self_hosted", Plan.STARTER, False, False),
        ("starter", Plan.SELF_HOSTED, False, False),
    ],
)
def test_plans_stand_above_one_another(present: str, wanted: Plan, up: bool, down: bool) -> None:
    assert (is_upgrade(present, wanted), is_downgrade(present, wanted)) == (up, down)


def test_numbers_grow_beyond_four_digits() -> None:
    assert [invoice_number(2026, n) for n in (1, 42, 12_345)] == [
        "INV-2026-0001",
        "INV-2026-0042",
        "INV-2026-12345",
    ]
