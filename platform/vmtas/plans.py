"""Warm-ups as rows: read, begun, changed, begun again."""

import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..core import clock
from ..core.database import Tx, fetch
from ..core.errors import DetailCode, InvalidInput
from ..core.ids import new_id
from .requests import WarmupRequest
from .tables import VmtaWarmup, WarmupDay
from .warmup import Plan, Progress, Schedule, WarmupState, WarmupStatus, make_plan, shown_status


@dataclass(frozen=True, slots=True)
class Warmup:
    """A warm-up as it was written down."""

    schedule: Schedule
    custom: tuple[tuple[int, int], ...]
    target_daily_volume: int
    start_on: date
    state: WarmupState
    day: int
    day_on: date
    repeats: int
    rerouted: int

    @property
    def plan(self) -> Plan:
        """The schedule, made out."""
        return make_plan(self.schedule, target=self.target_daily_volume, custom=self.custom)

    @property
    def progress(self) -> Progress:
        """Where it is."""
        return Progress(self.state, self.day, self.repeats)

    def status(self, *, is_vmta_paused: bool) -> WarmupStatus:
        """Return what it does today."""
        return shown_status(
            self.state,
            start_on=self.start_on,
            today=clock.now().date(),
            is_vmta_paused=is_vmta_paused,
        )

    def request(self) -> WarmupRequest:
        """Return what was asked for, for changing part of it."""
        return WarmupRequest(True, self.schedule, self.target_daily_volume, None, self.custom)


async def find_warmups(vmta_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Warmup]:
    """Return the warm-ups of those vMTAs that have one."""
    rows = await VmtaWarmup.select().where(VmtaWarmup.vmta_id.is_in(list(vmta_ids)))
    return {row["vmta_id"]: read_warmup(row) for row in rows}


def read_warmup(row: dict[str, Any]) -> Warmup:
    """Return the warm-up in a row of `vmta_warmups`."""
    custom = json.loads(row["custom"]) if row["custom"] else ()
    return Warmup(
        schedule=Schedule(row["schedule"]),
        custom=tuple((day, limit) for day, limit in custom),
        target_daily_volume=row["target_daily_volume"],
        start_on=row["start_on"],
        state=WarmupState(row["state"]),
        day=row["day"],
        day_on=row["day_on"],
        repeats=row["repeats"],
        rerouted=row["rerouted"],
    )


async def write_warmup(
    tx: Tx,
    vmta_id: uuid.UUID,
    wanted: WarmupRequest,
    *,
    before: Warmup | None,
    has_new_address: bool = False,
) -> None:
    """Bring the warm-up of a vMTA in line with what is wanted.

    One that runs goes on where it is, unless it is restarted or the address is another.

    Raises:
        InvalidInput: a start date for a warm-up that has begun, or in the past for a new one.
    """
    today = clock.now().date()
    if not wanted.enabled:
        await fetch("DELETE FROM vmta_warmups WHERE vmta_id = {}", vmta_id)
        return
    has_begun = before is not None and before.start_on <= today
    is_new = before is None or wanted.restart or has_new_address
    if not is_new and has_begun and wanted.start_date not in (None, before and before.start_on):
        message = "The warm-up has begun. Restart it to begin on another day."
        raise InvalidInput.of("warmup.startDate", DetailCode.NOT_ALLOWED, message)
    start = wanted.start_date or (today if is_new or before is None else before.start_on)
    if start < today and (is_new or not has_begun):
        message = "A warm-up begins today or later."
        raise InvalidInput.of("warmup.startDate", DetailCode.IN_PAST, message)
    plan = make_plan(wanted.schedule, target=wanted.target_daily_volume, custom=wanted.custom)
    if is_new or before is None or not has_begun:
        await _write(vmta_id, wanted, start, _begun(plan, 1), day_on=start)
    else:
        state = before.state if plan.at(before.day).daily_limit else WarmupState.COMPLETED
        if before.state is WarmupState.COMPLETED and plan.at(before.day).daily_limit:
            # It was over with its old target, and is not with the new one.
            state = WarmupState.ACTIVE
        progress = Progress(state, before.day, before.repeats)
        await _write(vmta_id, wanted, start, progress, day_on=before.day_on, keep=before.rerouted)


def _begun(plan: Plan, day: int) -> Progress:
    is_over = plan.at(day).daily_limit is None
    return Progress(WarmupState.COMPLETED if is_over else WarmupState.ACTIVE, day)


async def _write(
    vmta_id: uuid.UUID,
    wanted: WarmupRequest,
    start_on: date,
    progress: Progress,
    *,
    day_on: date,
    keep: int = 0,
) -> None:
    await fetch(
        "INSERT INTO vmta_warmups (id, vmta_id, schedule, custom, target_daily_volume, start_on, "
        "state, day, day_on, repeats, rerouted, updated_at) "
        "VALUES ({}, {}, {}, {}::jsonb, {}, {}, {}, {}, {}, {}, {}, {}) "
        "ON CONFLICT (vmta_id) DO UPDATE SET schedule = excluded.schedule, "
        "custom = excluded.custom, target_daily_volume = excluded.target_daily_volume, "
        "start_on = excluded.start_on, state = excluded.state, day = excluded.day, "
        "day_on = excluded.day_on, repeats = excluded.repeats, rerouted = excluded.rerouted, "
        "updated_at = excluded.updated_at",
        new_id(),
        vmta_id,
        wanted.schedule.value,
        json.dumps([list(pair) for pair in wanted.custom]) if wanted.custom else None,
        wanted.target_daily_volume,
        start_on,
        progress.state.value,
        progress.day,
        day_on,
        progress.repeats,
        keep,
        clock.now(),
    )
    # A cap that was reached may be another one now.
    await fetch("UPDATE vmtas SET full_until = NULL WHERE id = {}", vmta_id)


async def find_past_days(
    vmta_ids: Collection[uuid.UUID], *, latest: int = 100
) -> dict[uuid.UUID, list[WarmupDay]]:
    """Return the days of each vMTA's warm-up that are over, the earliest first."""
    rows = await fetch(
        "SELECT past.* FROM unnest({}::uuid[]) AS asked (id) CROSS JOIN LATERAL "
        "(SELECT * FROM vmta_warmup_days WHERE vmta_id = asked.id "
        "ORDER BY ended_on DESC LIMIT {}) AS past ORDER BY past.ended_on",
        list(vmta_ids),
        latest,
    )
    found: dict[uuid.UUID, list[WarmupDay]] = {}
    for row in rows:
        found.setdefault(row["vmta_id"], []).append(WarmupDay(**row))
    return found
