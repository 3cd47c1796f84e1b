"""The four schedules, and what follows from a day."""

from datetime import date

import pytest

from postlane.vmtas.warmup import (
    DayAction,
    DayEnd,
    Health,
    Plan,
    Progress,
    Schedule,
    Stage,
    WarmupState,
    WarmupStatus,
    completes_on,
    end_day,
    make_plan,
    progress_percent,
    shown_status,
    verdict,
)

STANDARD = make_plan(Schedule.STANDARD, target=100_000)
ACTIVE, HELD = WarmupState.ACTIVE, WarmupState.HELD


def limits(plan: Plan) -> list[tuple[int, int | None, int | None]]:
    return [(each.from_day, each.to_day, each.daily_limit) for each in plan.stages]


@pytest.mark.parametrize(
    ("schedule", "target", "expected"),
    [
        (
            Schedule.STANDARD,
            100_000,
            [
                (1, 3, 100),
                (4, 7, 500),
                (8, 14, 2_000),
                (15, 21, 10_000),
                (22, 30, 50_000),
                (31, None, None),
            ],
        ),
        (Schedule.STANDARD, 2_000, [(1, 3, 100), (4, 7, 500), (8, None, None)]),
        (Schedule.STANDARD, 100, [(1, None, None)]),
        (
            Schedule.EXTENDED,
            10_000_000,
            [
                (1, 7, 100),
                (8, 14, 500),
                (15, 21, 2_000),
                (22, 28, 10_000),
                (29, 35, 50_000),
                (36, 42, 200_000),
                (43, 49, 800_000),
                (50, None, None),
            ],
        ),
        (
            Schedule.HOURLY,
            1_000,
            [(1, 1, 480), (2, 2, 672), (3, 3, 936), (4, None, None)],
        ),
    ],
)
def test_a_schedule_makes_these_stages(
    schedule: Schedule, target: int, expected: list[tuple[int, int | None, int | None]]
) -> None:
    assert limits(make_plan(schedule, target=target)) == expected


def test_an_hour_grows_by_two_fifths_a_day_rounded_down() -> None:
    plan = make_plan(Schedule.HOURLY, target=10_000_000)

    assert [plan.at(day).hourly_limit for day in (1, 2, 3, 4, 5, 10, 30)] == [
        20,
        28,
        39,
        54,
        76,
        413,
        345_734,
    ]
    assert plan.at(31).hourly_limit is None
    assert plan.days == 30


def test_a_custom_schedule_holds_each_limit_until_the_next() -> None:
    plan = make_plan(Schedule.CUSTOM, target=100_000, custom=[(1, 50), (4, 200), (9, 900)])

    assert limits(plan) == [(1, 3, 50), (4, 8, 200), (9, 9, 900), (10, None, None)]


GOOD = Health(attempts=1_000, delivered=990, hard_bounced=5)


@pytest.mark.parametrize(
    ("progress", "sent", "health", "expected"),
    [
        (Progress(ACTIVE, 1), 50, GOOD, DayEnd(Progress(ACTIVE, 2), DayAction.ADVANCE)),
        (
            Progress(ACTIVE, 1),
            49,
            GOOD,
            DayEnd(
                Progress(HELD, 1, 1),
                DayAction.REPEAT_DAY,
                "volume 49 of the limit below 50",
            ),
        ),
        (
            Progress(HELD, 1, 6),
            0,
            GOOD,
            DayEnd(Progress(HELD, 1, 7), DayAction.REPEAT_DAY, "volume 0 of the limit below 50"),
        ),
        (Progress(HELD, 1, 7), 0, GOOD, DayEnd(Progress(ACTIVE, 2), DayAction.ADVANCE)),
        (
            Progress(ACTIVE, 30),
            50_000,
            GOOD,
            DayEnd(Progress(WarmupState.COMPLETED, 31), DayAction.COMPLETE),
        ),
        (
            Progress(ACTIVE, 9),
            2_000,
            Health(attempts=2_000, delivered=1_000, complained=2),
            DayEnd(
                Progress(WarmupState.PAUSED, 9),
                DayAction.PAUSE,
                "complaint_rate 0.2 above 0.1",
            ),
        ),
        (
            Progress(ACTIVE, 9, 3),
            2_000,
            Health(attempts=100, delivered=94, hard_bounced=6),
            DayEnd(Progress(ACTIVE, 4), DayAction.STEP_BACK, "hard_bounce_rate 6 above 5"),
        ),
        (
            Progress(ACTIVE, 2),
            100,
            Health(attempts=100, delivered=97, blocked=3),
            DayEnd(Progress(ACTIVE, 1), DayAction.STEP_BACK, "block_rate 3 above 2"),
        ),
        (
            Progress(ACTIVE, 7),
            500,
            Health(attempts=500, delivered=380, deferred=120),
            DayEnd(Progress(HELD, 7), DayAction.REPEAT_DAY, "deferral_rate 24 above 20"),
        ),
        # Too few attempts to judge by.
        (
            Progress(ACTIVE, 1),
            99,
            Health(attempts=99, hard_bounced=99),
            DayEnd(Progress(ACTIVE, 2), DayAction.ADVANCE),
        ),
        # At the bound, not beyond it.
        (
            Progress(ACTIVE, 1),
            100,
            Health(attempts=1_000, delivered=1_000, hard_bounced=50, blocked=20, deferred=200),
            DayEnd(Progress(ACTIVE, 2), DayAction.ADVANCE),
        ),
    ],
)
def test_a_day_ends_so(progress: Progress, sent: int, health: Health, expected: DayEnd) -> None:
    assert end_day(STANDARD, progress, sent=sent, health=health, was_paused=False) == expected


def test_a_day_on_which_the_vmta_was_paused_does_not_count() -> None:
    ended = end_day(STANDARD, Progress(ACTIVE, 3, 2), sent=100, health=GOOD, was_paused=True)

    assert ended.progress == Progress(HELD, 3, 2)
    assert ended.action is DayAction.REPEAT_DAY


@pytest.mark.parametrize("state", [WarmupState.PAUSED, WarmupState.COMPLETED])
def test_a_plan_that_rests_stays_where_it_is(state: WarmupState) -> None:
    ended = end_day(STANDARD, Progress(state, 9), sent=0, health=GOOD, was_paused=False)

    assert ended.progress == Progress(state, 9)


def test_progress_is_that_of_the_days_with_a_limit() -> None:
    assert [progress_percent(STANDARD, day) for day in (1, 9, 31)] == [0.0, 26.67, 100.0]
    assert completes_on(STANDARD, day=9, day_on=date(2026, 6, 1)) == date(2026, 6, 23)
    assert STANDARD.stage_of(9) == 3
    assert STANDARD.next_after(9) == Stage(15, 21, 10_000)
    assert STANDARD.next_after(31) is None


@pytest.mark.parametrize(
    ("state", "start_on", "is_paused", "expected"),
    [
        (None, 1, False, WarmupStatus.DISABLED),
        (ACTIVE, 2, False, WarmupStatus.SCHEDULED),
        (ACTIVE, 1, False, WarmupStatus.ACTIVE),
        (HELD, 1, False, WarmupStatus.HELD),
        (ACTIVE, 1, True, WarmupStatus.PAUSED),
        (WarmupState.PAUSED, 1, False, WarmupStatus.PAUSED),
        (WarmupState.COMPLETED, 1, True, WarmupStatus.COMPLETED),
    ],
)
def test_a_warmup_shows_as(
    state: WarmupState | None, start_on: int, is_paused: bool, expected: WarmupStatus
) -> None:
    shown = shown_status(
        state, start_on=date(2026, 6, start_on), today=date(2026, 6, 1), is_vmta_paused=is_paused
    )

    assert shown is expected


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (Health(), "good"),
        (GOOD, "good"),
        (Health(attempts=1_000, delivered=900, deferred=150), "watch"),
        (Health(attempts=1_000, delivered=900, blocked=21), "bad"),
    ],
)
def test_health_is_summed_up(health: Health, expected: str) -> None:
    assert verdict(health) == expected
