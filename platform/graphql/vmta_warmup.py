"""How far the warm-up of a vMTA is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import strawberry

from ..core import clock
from ..core.actor import Actor
from ..delivery.vmta_queries import VmtaStats, health_of
from ..vmtas import tables
from ..vmtas.plans import Warmup, find_past_days
from ..vmtas.rules import VmtaStatus
from ..vmtas.tables import WarmupDay
from ..vmtas.warmup import (
    DayAction,
    Health,
    Schedule,
    Stage,
    WarmupState,
    WarmupStatus,
    completes_on,
    progress_percent,
    verdict,
)


@strawberry.type(description="Days of a warm-up with one limit.")
class WarmupStage:
    from_day: int = strawberry.field(description="The first.")
    to_day: int | None = strawberry.field(description="The last; null is for ever.")
    daily_limit: int | None = strawberry.field(description="Messages a day; null is no limit.")


@strawberry.type(description="The next higher limit.")
class WarmupIncrease:
    day: int = strawberry.field(description="The day of the plan it comes with.")
    daily_limit: int | None = strawberry.field(description="Messages a day; null is no limit.")
    expected_at: datetime = strawberry.field(description="If every day until then counts.")


@strawberry.type(description="Mail beyond a day's limit.")
class WarmupOverflow:
    rerouted_today: int = strawberry.field(description="Sent on through warm members of the pool.")
    waiting: int = strawberry.field(description="What waits, while the limit is reached.")


@strawberry.type(description="What receivers said in the last 24 hours; rates are percentages.")
class WarmupHealth:
    delivered_24h: int = strawberry.field(name="delivered24h", description="Delivered.")
    hard_bounce_rate: float = strawberry.field(description="Hard bounces of attempts.")
    block_rate: float = strawberry.field(description="Blocks of attempts.")
    deferral_rate: float = strawberry.field(description="Temporary failures of attempts.")
    complaint_rate: float = strawberry.field(description="Complaints of deliveries.")
    verdict: str = strawberry.field(description="`good`, `watch` or `bad`.")


@strawberry.type(description="A day that did not lead to the next.")
class WarmupAdjustment:
    at: datetime = strawberry.field(description="When the day was over.")
    action: DayAction = strawberry.field(description="What followed.")
    reason: str | None = strawberry.field(description="Why.")


@strawberry.type(name="WarmupDay", description="A day that is over.")
class WarmupPastDay:
    ended_on: date = strawberry.field(description="The date, in UTC.")
    day: int = strawberry.field(description="Of the plan.")
    daily_limit: int | None = strawberry.field(description="What it allowed.")
    sent: int = strawberry.field(description="What was attempted.")
    rerouted: int = strawberry.field(description="What went through others.")
    action: DayAction = strawberry.field(description="What followed.")


@strawberry.type(description="How far a warm-up is; without one nearly everything is null.")
class WarmupProgress:
    status: WarmupStatus = strawberry.field(description="What it does.")
    schedule: Schedule | None = strawberry.field(description="How its limit grows.")
    start_date: date | None = strawberry.field(description="Of day 1, in UTC.")
    day: int | None = strawberry.field(description="Of the plan, from 1.")
    stage: int | None = strawberry.field(description="Of `stages`, from 1.")
    stages: int | None = strawberry.field(description="How many there are.")
    progress_percent: float | None = strawberry.field(description="Of the days with a limit.")
    daily_limit: int | None = strawberry.field(description="Of this day; null is no limit.")
    hourly_limit: int | None = strawberry.field(description="Of this day's hours.")
    sent_today: int = strawberry.field(description="Attempts since midnight, UTC.")
    remaining_today: int | None = strawberry.field(description="Null: no limit for the day.")
    target_daily_volume: int | None = strawberry.field(description="Where the plan ends.")
    next_increase: WarmupIncrease | None = strawberry.field(description="What comes next.")
    expected_completion_at: datetime | None = strawberry.field(
        description="If every day until then counts."
    )
    overflow: WarmupOverflow = strawberry.field(description="Beyond the limit.")
    health: WarmupHealth = strawberry.field(description="What receivers said.")
    plan: list[WarmupStage] = strawberry.field(description="All its stages.")
    adjustments: list[WarmupAdjustment] = strawberry.field(
        description="Days that did not lead to the next, the latest 100."
    )
    history: list[WarmupPastDay] = strawberry.field(
        description="Days that are over, the latest 100."
    )


async def load_past_days(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, list[WarmupDay]]:
    """Return the days that are over of vMTAs that the actor has found."""
    return await find_past_days(ids)


async def load_health(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Health]:
    """Return what receivers say of the actor's mail through vMTAs."""
    return await health_of(ids, actor.organization_id, until=clock.now())


def progress_type(
    row: tables.Vmta,
    warmup: Warmup | None,
    *,
    stats: VmtaStats,
    health: Health,
    days: list[WarmupDay],
) -> WarmupProgress:
    """Return how far the warm-up of a vMTA is, with the numbers of its viewer's mail."""
    now = clock.now()
    if warmup is None:
        return _disabled(stats, health, days)
    is_limited = warmup.state is not WarmupState.COMPLETED
    plan, stage = warmup.plan, warmup.plan.at(warmup.day)
    daily = None if stage.hourly_limit else stage.daily_limit
    is_full = row.full_until is not None and row.full_until > now
    ends_at = _midnight(completes_on(plan, day=warmup.day, day_on=warmup.day_on))
    return WarmupProgress(
        status=warmup.status(is_vmta_paused=row.status == VmtaStatus.PAUSED),
        schedule=warmup.schedule,
        start_date=warmup.start_on,
        day=warmup.day,
        stage=plan.stage_of(warmup.day),
        stages=len(plan.stages),
        progress_percent=progress_percent(plan, warmup.day),
        daily_limit=daily if is_limited else None,
        hourly_limit=stage.hourly_limit if is_limited else None,
        sent_today=stats.sent_today,
        remaining_today=max(daily - stats.sent_today, 0) if daily and is_limited else None,
        target_daily_volume=warmup.target_daily_volume,
        next_increase=_increase(warmup) if is_limited else None,
        expected_completion_at=ends_at if is_limited else None,
        overflow=WarmupOverflow(
            rerouted_today=warmup.rerouted if warmup.day_on == now.date() else 0,
            waiting=stats.queue_depth if is_full else 0,
        ),
        health=_health(health),
        plan=[_stage(each) for each in plan.stages],
        adjustments=_adjustments(days),
        history=_history(days),
    )


def _disabled(stats: VmtaStats, health: Health, days: list[WarmupDay]) -> WarmupProgress:
    return WarmupProgress(
        status=WarmupStatus.DISABLED,
        schedule=None,
        start_date=None,
        day=None,
        stage=None,
        stages=None,
        progress_percent=None,
        daily_limit=None,
        hourly_limit=None,
        sent_today=stats.sent_today,
        remaining_today=None,
        target_daily_volume=None,
        next_increase=None,
        expected_completion_at=None,
        overflow=WarmupOverflow(rerouted_today=0, waiting=0),
        health=_health(health),
        plan=[],
        adjustments=_adjustments(days),
        history=_history(days),
    )


def _adjustments(days: list[WarmupDay]) -> list[WarmupAdjustment]:
    usual = (DayAction.ADVANCE, DayAction.COMPLETE)
    return [
        WarmupAdjustment(
            at=_midnight(day.ended_on + timedelta(days=1)),
            action=DayAction(day.action),
            reason=day.reason,
        )
        for day in days
        if day.action not in usual
    ]


def _history(days: list[WarmupDay]) -> list[WarmupPastDay]:
    return [
        WarmupPastDay(
            ended_on=day.ended_on,
            day=day.day,
            daily_limit=day.daily_limit,
            sent=day.sent,
            rerouted=day.rerouted,
            action=DayAction(day.action),
        )
        for day in days
    ]


def _increase(warmup: Warmup) -> WarmupIncrease | None:
    following = warmup.plan.next_after(warmup.day)
    if following is None:
        return None
    days = following.from_day - warmup.day
    return WarmupIncrease(
        day=following.from_day,
        daily_limit=following.daily_limit,
        expected_at=_midnight(warmup.day_on + timedelta(days=days)),
    )


def _stage(stage: Stage) -> WarmupStage:
    return WarmupStage(from_day=stage.from_day, to_day=stage.to_day, daily_limit=stage.daily_limit)


def _health(found: Health) -> WarmupHealth:
    return WarmupHealth(
        delivered_24h=found.delivered,
        hard_bounce_rate=found.hard_bounce_rate,
        block_rate=found.block_rate,
        deferral_rate=found.deferral_rate,
        complaint_rate=found.complaint_rate,
        verdict=verdict(found),
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
