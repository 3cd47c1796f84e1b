"""What an actor does to a queue: flush, hold, release."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch, transaction
from ..core.errors import DetailCode, InvalidInput, NotFound
from .errors import AutoBlockActive, QueueHeld, VmtaPaused
from .operations import ring
from .queue_queries import KNOWN, QueueView, get_queue
from .rules import HOLD_SOURCE_AUTO_BLOCK, HOLD_SOURCE_USER, QueueState
from .work.flushing import flush_some

LONGEST_REASON = 200
SHORTEST_HOLD = timedelta(seconds=60)
LONGEST_HOLD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """A queue after something was done to it, and how many deliveries that concerns."""

    queue: QueueView
    affected: int


async def flush_queue(
    actor: Actor, queue_id: uuid.UUID, *, reason: str | None = None
) -> QueueChanged:
    """Make everything that is deferred due now; limits still hold.

    The first thousands at once; the rest follows within seconds.

    Raises:
        NotFound: there is no such queue.
        QueueHeld: it is held.
        VmtaPaused: its vMTA is.
    """
    actor.require(Permission.WRITE_QUEUES)
    _check_reason(reason)
    async with transaction() as tx:
        queue = await _lock(actor, queue_id)
        if queue["state"] == QueueState.HELD:
            raise QueueHeld
        if queue["vmta_status"] == QueueState.PAUSED:
            raise VmtaPaused
        await fetch(
            "UPDATE queues SET flushed_at = {}, resume_at = NULL, "
            "next_due_at = CASE WHEN next_due_at IS NOT NULL "
            "THEN least(next_due_at, {}::timestamptz) END "
            "WHERE id = {}",
            clock.now(),
            clock.now(),
            queue_id,
        )
        moved, is_all = await flush_some(queue_id)
        affected = moved if is_all else max(queue["deferred"], moved)
        await _record(tx, actor, "queue.flushed", queue_id, affected, reason=reason)
        tx.after_commit(lambda: ring([queue_id]))
    return QueueChanged(await get_queue(actor, queue_id), affected)


async def hold_queue(
    actor: Actor,
    queue_id: uuid.UUID,
    *,
    reason: str | None = None,
    duration_seconds: int | None = None,
) -> QueueChanged:
    """Begin no more attempts, for *duration_seconds* or until it is released.

    What is on the wire ends as it does, and mail is still accepted. Holding it again changes
    reason and duration.

    Raises:
        NotFound: there is no such queue.
        InvalidInput: a long reason, or a duration out of range.
        AutoBlockActive: an auto-block holds it.
    """
    actor.require(Permission.WRITE_QUEUES)
    _check_reason(reason)
    lasts = _checked_duration(duration_seconds)
    now = clock.now()
    async with transaction() as tx:
        queue = await _lock(actor, queue_id)
        _check_source(queue)
        await fetch(
            "UPDATE queues SET state = 'held', hold_source = {}, hold_reason = {}, held_by = {}, "
            "held_at = {}, held_until = {} WHERE id = {}",
            HOLD_SOURCE_USER,
            reason,
            actor.user_id,
            now,
            now + lasts if lasts else None,
            queue_id,
        )
        await _record(
            tx,
            actor,
            "queue.held",
            queue_id,
            queue["depth"],
            reason=reason,
            duration_seconds=duration_seconds,
        )
    return QueueChanged(await get_queue(actor, queue_id), queue["depth"])


async def release_queue(
    actor: Actor, queue_id: uuid.UUID, *, reason: str | None = None
) -> QueueChanged:
    """End a hold; a queue that is not held stays as it is.

    Raises:
        NotFound: there is no such queue.
        AutoBlockActive: an auto-block holds it.
    """
    actor.require(Permission.WRITE_QUEUES)
    _check_reason(reason)
    affected = 0
    async with transaction() as tx:
        queue = await _lock(actor, queue_id)
        _check_source(queue)
        if queue["state"] == QueueState.HELD:
            affected = queue["depth"]
            await fetch(
                "UPDATE queues SET state = 'active', hold_source = NULL, hold_reason = NULL, "
                "held_by = NULL, held_at = NULL, held_until = NULL WHERE id = {}",
                queue_id,
            )
            await _record(tx, actor, "queue.released", queue_id, affected, reason=reason)
            tx.after_commit(lambda: ring([queue_id]))
    return QueueChanged(await get_queue(actor, queue_id), affected)


async def _lock(actor: Actor, queue_id: uuid.UUID) -> dict[str, Any]:
    rows = await fetch(
        "SELECT queues.*, vmtas.status AS vmta_status FROM queues "
        "JOIN vmtas ON vmtas.id = queues.vmta_id "
        "WHERE queues.id = {} AND queues.organization_id = {} "
        "AND (depth > 0 OR scheduled > 0 OR emptied_at > {}) FOR NO KEY UPDATE OF queues",
        queue_id,
        actor.organization_id,
        clock.now() - KNOWN,
    )
    if not rows:
        raise NotFound("There is no such queue in this organization.")
    return rows[0]


def _check_source(queue: dict[str, Any]) -> None:
    if queue["state"] == QueueState.HELD and queue["hold_source"] == HOLD_SOURCE_AUTO_BLOCK:
        raise AutoBlockActive


def _check_reason(reason: str | None) -> None:
    if reason is not None and len(reason) > LONGEST_REASON:
        raise InvalidInput.of(
            "reason", DetailCode.TOO_LONG, f"A reason has at most {LONGEST_REASON} characters."
        )


def _checked_duration(seconds: int | None) -> timedelta | None:
    if seconds is None:
        return None
    shortest, longest = int(SHORTEST_HOLD.total_seconds()), int(LONGEST_HOLD.total_seconds())
    if seconds < shortest:
        raise InvalidInput.of(
            "durationSeconds", DetailCode.TOO_SMALL, f"A hold lasts at least {shortest} seconds."
        )
    if seconds > longest:
        raise InvalidInput.of(
            "durationSeconds", DetailCode.TOO_LARGE, f"A hold lasts at most {longest} seconds."
        )
    return timedelta(seconds=seconds)


async def _record(
    tx: Any, actor: Actor, action: str, queue_id: uuid.UUID, affected: int, **said: Any
) -> None:
    changes = {name: value for name, value in said.items() if value is not None}
    await record(
        tx,
        actor,
        action=action,
        target_type="queue",
        target_id=queue_id,
        changes={"affected": affected, **changes},
    )
