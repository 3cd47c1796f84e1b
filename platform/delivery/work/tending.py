"""What happens to vMTAs by the clock: pauses end, days of warm-ups too, orphaned mail moves."""

import logging
import uuid
from collections.abc import Awaitable
from datetime import UTC, date, datetime, time, timedelta

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_id
from ...events.operations import NewEvent, append
from ...events.rules import EventType
from ...vmtas.pausing import lock_if_pause_is_over
from ...vmtas.plans import read_warmup
from ...vmtas.queries import successors_of
from ...vmtas.warmup import DayAction, DayEnd, end_day
from ..moving import move_mail
from ..vmta_operations import resume
from ..vmta_queries import attempts_between, health_of

log = logging.getLogger(__name__)

AT_ONCE = 100

_PAUSES_OVER = "SELECT id FROM vmtas WHERE status = 'paused' AND paused_until <= {}"
_LEFT_BEHIND = (
    "SELECT DISTINCT past_vmtas.id, past_vmtas.organization_id, successor_id FROM past_vmtas "
    "JOIN queues ON vmta_id = past_vmtas.id AND depth + scheduled > 0"
)
_DAYS_OVER = "SELECT vmta_id FROM vmta_warmups WHERE day_on < {} AND state <> 'completed'"
ANY_TO_TEND = f"EXISTS ({_PAUSES_OVER}) OR EXISTS ({_LEFT_BEHIND}) OR EXISTS ({_DAYS_OVER})"
"""Whether `tend_vmtas` would find something to do, at a time and on its day."""


async def tend_vmtas() -> None:
    """Do what is due for vMTAs now; any number of workers may.

    One that it cannot be done for is logged, and holds up no other.
    """
    for row in await fetch(f"{_PAUSES_OVER} LIMIT {{}}", clock.now(), AT_ONCE):
        await _apart(row["id"], _end_pause(row["id"]))
    for row in await fetch(f"{_LEFT_BEHIND} LIMIT {{}}", AT_ONCE):
        await _apart(row["id"], _move_on(**row))
    for row in await fetch(f"{_DAYS_OVER} LIMIT {{}}", clock.now().date(), AT_ONCE):
        await _apart(row["vmta_id"], _end_day(row["vmta_id"]))


async def _apart(vmta_id: uuid.UUID, step: Awaitable[None]) -> None:
    try:
        await step
    except Exception:  # an edge: others are not to wait for what is wrong with this one
        log.exception("vMTA %s cannot be tended to", vmta_id)


async def _move_on(
    id: uuid.UUID, organization_id: OrganizationId, successor_id: uuid.UUID | None
) -> None:
    """Give mail that is left in the queues of a vMTA that is gone to its successors."""
    targets = await successors_of(organization_id, successor_id)
    async with transaction() as tx:
        await move_mail(tx, id, targets, any_mail=True)


async def _end_pause(vmta_id: uuid.UUID) -> None:
    async with transaction() as tx:
        vmta = await lock_if_pause_is_over(tx, vmta_id)
        if vmta is not None:
            await resume(tx, vmta)


async def _end_day(vmta_id: uuid.UUID) -> None:
    """Let the oldest date of a warm-up that is over lead to the next one."""
    async with transaction() as tx:
        # Both rows or none, and waiting for neither: whoever changes a vMTA locks it first, and
        # then its warm-up. What somebody changes now, the next look finds.
        rows = await fetch(
            "SELECT vmta_warmups.*, vmtas.name, vmtas.organization_id, vmtas.status, "
            "vmtas.paused_at FROM vmta_warmups JOIN vmtas ON vmtas.id = vmta_id "
            "WHERE vmta_id = {} AND day_on < {} FOR NO KEY UPDATE SKIP LOCKED",
            vmta_id,
            clock.now().date(),
        )
        if not rows or rows[0]["organization_id"] is None:
            return
        row = rows[0]
        warmup = read_warmup(row)
        begun, over = _midnight(warmup.day_on), _midnight(warmup.day_on + timedelta(days=1))
        sent = await attempts_between(vmta_id, begun, over)
        owner = OrganizationId(row["organization_id"])
        health = (await health_of([vmta_id], owner, until=over))[vmta_id]
        ended = end_day(
            warmup.plan,
            warmup.progress,
            sent=sent,
            health=health,
            was_paused=row["status"] == "paused" and row["paused_at"] < over,
        )
        # Days on which no worker ran did not count: the plan goes on today.
        await fetch(
            "UPDATE vmta_warmups SET state = {}, day = {}, repeats = {}, rerouted = 0, "
            "day_on = {}, updated_at = {} WHERE vmta_id = {}",
            ended.progress.state.value,
            ended.progress.day,
            ended.progress.repeats,
            clock.now().date(),
            clock.now(),
            vmta_id,
        )
        await fetch("UPDATE vmtas SET full_until = NULL WHERE id = {}", vmta_id)
        limit = warmup.plan.at(warmup.day).daily_limit
        await fetch(
            "INSERT INTO vmta_warmup_days (id, vmta_id, ended_on, day, daily_limit, sent, "
            "rerouted, action, reason) VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {})",
            *(new_id(), vmta_id, warmup.day_on, warmup.day, limit, sent, warmup.rerouted),
            ended.action.value,
            ended.reason,
        )
        next_limit = warmup.plan.at(ended.progress.day).daily_limit
        await _tell(tx, row["organization_id"], row["name"], ended, next_limit)


async def _tell(
    tx: Tx, organization_id: uuid.UUID, name: str, ended: DayEnd, limit: int | None
) -> None:
    kinds = {
        DayAction.ADVANCE: EventType.VMTA_WARMUP_ADVANCED,
        DayAction.COMPLETE: EventType.VMTA_WARMUP_COMPLETED,
    }
    data = {
        "vmta": name,
        "day": ended.progress.day,
        "daily_limit": limit,
        "reason": ended.reason,
    }
    kind = kinds.get(ended.action, EventType.VMTA_WARMUP_ADJUSTED)
    owner = OrganizationId(organization_id)
    await append(tx, [NewEvent(owner, None, None, None, kind, data, clock.now())])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
