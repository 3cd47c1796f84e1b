"""Warming an address up: how much it may send on which day, and what follows from a day.

No clock, no tables. Days of a plan are counted from 1; dates are in UTC.

Source: postmta-api section 4.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

LEAST_TARGET = 100
MOST_TARGET = 10_000_000
USUAL_TARGET = 100_000
MOST_STAGES = 365
"""Days that a custom schedule may name; one a day for a year."""

FULL_ENOUGH = 0.5
"""Share of its limit that a day must have attempted to count."""

MOST_REPEATS = 7
"""After so many repetitions for lack of mail, the next day comes all the same."""

MOST_COMPLAINTS = 0.1
MOST_HARD_BOUNCES = 5.0
MOST_BLOCKS = 2.0
MOST_DEFERRALS = 20.0
"""Percentages beyond which a plan does not go on as it was."""

ENOUGH_ATTEMPTS = 100
"""With fewer attempts a rate says little."""


class Schedule(StrEnum):
    """How a limit grows."""

    STANDARD = "standard"
    EXTENDED = "extended"
    HOURLY = "hourly"
    CUSTOM = "custom"


class WarmupState(StrEnum):
    """How a plan is kept: the states that are written down."""

    ACTIVE = "active"
    HELD = "held"
    PAUSED = "paused"
    COMPLETED = "completed"


class WarmupStatus(StrEnum):
    """What a warm-up does, as it is shown."""

    DISABLED = "disabled"
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    HELD = "held"
    PAUSED = "paused"
    COMPLETED = "completed"


class DayAction(StrEnum):
    """What follows from a day that is over."""

    ADVANCE = "advance"
    REPEAT_DAY = "repeat_day"
    STEP_BACK = "step_back"
    PAUSE = "pause"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Stage:
    """Days with one limit; None for the last day is for ever, None for the limit is none."""

    from_day: int
    to_day: int | None
    daily_limit: int | None
    hourly_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule made out: its stages, the last of which is without a limit."""

    stages: Sequence[Stage]

    @property
    def days(self) -> int:
        """Days that have a limit."""
        return self.stages[-1].from_day - 1

    def stage_of(self, day: int) -> int:
        """Return the number, from 1, of the stage that *day* is in."""
        return max(n for n, stage in enumerate(self.stages, 1) if stage.from_day <= day)

    def at(self, day: int) -> Stage:
        """Return the stage that *day* is in."""
        return self.stages[self.stage_of(day) - 1]

    def next_after(self, day: int) -> Stage | None:
        """Return the stage that follows, or None if there is no more."""
        number = self.stage_of(day)
        return self.stages[number] if number < len(self.stages) else None


@dataclass(frozen=True, slots=True)
class Health:
    """What receivers said in the last 24 hours, as counts of attempts."""

    attempts: int = 0
    delivered: int = 0
    hard_bounced: int = 0
    soft_bounced: int = 0
    blocked: int = 0
    deferred: int = 0
    complained: int = 0

    @property
    def hard_bounce_rate(self) -> float:
        return _percent(self.hard_bounced, self.attempts)

    @property
    def block_rate(self) -> float:
        return _percent(self.blocked, self.attempts)

    @property
    def deferral_rate(self) -> float:
        return _percent(self.deferred, self.attempts)

    @property
    def complaint_rate(self) -> float:
        return _percent(self.complained, self.delivered)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a plan is."""

    state: WarmupState
    day: int
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class DayEnd:
    """Where a plan goes on after a day, and why not with the next if so."""

    progress: Progress
    action: DayAction
    reason: str | None = None


_DAILY: dict[Schedule, tuple[tuple[int, int], ...]] = {
    Schedule.STANDARD: ((3, 100), (7, 500), (14, 2_000), (21, 10_000), (30, 50_000)),
    Schedule.EXTENDED: (
        (7, 100),
        (14, 500),
        (21, 2_000),
        (28, 10_000),
        (35, 50_000),
        (42, 200_000),
        (49, 800_000),
    ),
}
"""Last day of each stage, and messages a day in it."""

FIRST_HOURLY = 20
HOURLY_NUMERATOR, HOURLY_DENOMINATOR = 14, 10
"""Growth from day to day, as whole numbers: a float would be one off by day 30."""


def make_plan(schedule: Schedule, *, target: int, custom: Sequence[tuple[int, int]] = ()) -> Plan:
    """Return the stages up to the first whose limit reaches *target*, which has none.

    *custom* are days, increasing from 1, each with the messages a day from it on.
    """
    stages: list[Stage] = []
    for stage in _limited(schedule, target, custom):
        if (stage.daily_limit or 0) >= target:
            return Plan((*stages, Stage(stage.from_day, None, None)))
        stages.append(stage)
    last = stages[-1].to_day if stages else 0
    return Plan((*stages, Stage((last or 0) + 1, None, None)))


def _limited(schedule: Schedule, target: int, custom: Sequence[tuple[int, int]]) -> list[Stage]:
    if schedule is Schedule.HOURLY:
        return _hourly(target)
    if schedule is Schedule.CUSTOM:
        ends = [day - 1 for day, _ in custom[1:]]
        # The last limit holds for its day; the day after has none.
        ends.append(custom[-1][0])
        return [Stage(day, end, limit) for (day, limit), end in zip(custom, ends, strict=True)]
    found, first = [], 1
    for last, limit in _DAILY[schedule]:
        found.append(Stage(first, last, limit))
        first = last + 1
    return found


def _hourly(target: int) -> list[Stage]:
    found: list[Stage] = []
    day = 1
    while not found or (found[-1].daily_limit or 0) < target:
        steps = day - 1
        limit = FIRST_HOURLY * HOURLY_NUMERATOR**steps // HOURLY_DENOMINATOR**steps
        found.append(Stage(day, day, limit * 24, limit))
        day += 1
    return found


def end_day(
    plan: Plan, progress: Progress, *, sent: int, health: Health, was_paused: bool
) -> DayEnd:
    """Return what follows from a day on which *sent* messages were attempted.

    Bad signals weigh more than volume: complaints pause the plan, bounces and blocks lead a
    stage back, deferrals repeat the day. A day on which the vMTA was paused does not count.
    """
    if progress.state in (WarmupState.COMPLETED, WarmupState.PAUSED):
        return DayEnd(progress, DayAction.REPEAT_DAY, f"The plan is {progress.state}.")
    if (bad := _bad_signal(plan, progress, health)) is not None:
        return bad
    day, repeats = progress.day, progress.repeats
    if was_paused:
        return DayEnd(
            Progress(WarmupState.HELD, day, repeats),
            DayAction.REPEAT_DAY,
            "the vMTA was paused",
        )
    limit = plan.at(day).daily_limit
    if limit is not None and sent < limit * FULL_ENOUGH and repeats < MOST_REPEATS:
        share = _shown(_percent(sent, limit))
        return DayEnd(
            Progress(WarmupState.HELD, day, repeats + 1),
            DayAction.REPEAT_DAY,
            f"volume {share} of the limit below {_shown(FULL_ENOUGH * 100)}",
        )
    if plan.at(day + 1).daily_limit is None:
        return DayEnd(Progress(WarmupState.COMPLETED, day + 1), DayAction.COMPLETE)
    return DayEnd(Progress(WarmupState.ACTIVE, day + 1), DayAction.ADVANCE)


def _bad_signal(plan: Plan, progress: Progress, health: Health) -> DayEnd | None:
    if health.attempts < ENOUGH_ATTEMPTS:
        return None
    day = progress.day
    if health.complaint_rate > MOST_COMPLAINTS:
        why = _why("complaint_rate", health.complaint_rate, MOST_COMPLAINTS)
        return DayEnd(Progress(WarmupState.PAUSED, day), DayAction.PAUSE, why)
    for name, rate, most in (
        ("hard_bounce_rate", health.hard_bounce_rate, MOST_HARD_BOUNCES),
        ("block_rate", health.block_rate, MOST_BLOCKS),
    ):
        if rate > most:
            back = plan.stages[max(plan.stage_of(day) - 2, 0)].from_day
            progress = Progress(WarmupState.ACTIVE, back)
            return DayEnd(progress, DayAction.STEP_BACK, _why(name, rate, most))
    if health.deferral_rate > MOST_DEFERRALS:
        why = _why("deferral_rate", health.deferral_rate, MOST_DEFERRALS)
        return DayEnd(Progress(WarmupState.HELD, day, progress.repeats), DayAction.REPEAT_DAY, why)
    return None


def verdict(health: Health) -> str:
    """Return `good`, `watch` from half of a bound on, or `bad` beyond one."""
    shares = (
        health.complaint_rate / MOST_COMPLAINTS,
        health.hard_bounce_rate / MOST_HARD_BOUNCES,
        health.block_rate / MOST_BLOCKS,
        health.deferral_rate / MOST_DEFERRALS,
    )
    if health.attempts < ENOUGH_ATTEMPTS or max(shares) <= 0.5:
        return "good"
    return "bad" if max(shares) > 1 else "watch"


def shown_status(
    state: WarmupState | None, *, start_on: date, today: date, is_vmta_paused: bool
) -> WarmupStatus:
    """Return what a warm-up does today; without a state there is none."""
    if state is None:
        return WarmupStatus.DISABLED
    if state is WarmupState.COMPLETED:
        return WarmupStatus.COMPLETED
    if is_vmta_paused or state is WarmupState.PAUSED:
        return WarmupStatus.PAUSED
    if start_on > today:
        return WarmupStatus.SCHEDULED
    return WarmupStatus(state.value)


def completes_on(plan: Plan, *, day: int, day_on: date) -> date:
    """Return the first date without a limit, if from now on every day counts."""
    return day_on + timedelta(days=max(plan.days + 1 - day, 0))


def progress_percent(plan: Plan, day: int) -> float:
    """Return how much of the limited days is over, to two decimals."""
    if plan.days == 0:
        return 100.0
    return round(min(max(day - 1, 0) / plan.days, 1.0) * 100, 2)


def _percent(part: int, whole: int) -> float:
    return round(part / whole * 100, 4) if whole else 0.0


def _why(name: str, rate: float, most: float) -> str:
    return f"{name} {_shown(rate)} above {_shown(most)}"


def _shown(rate: float) -> str:
    return f"{rate:.2f}".rstrip("0").rstrip(".")
