"""Why a delivery is not attempted at this moment; no clock, no tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .rules import OPEN, DeliveryState, RestReason


class WaitReason(StrEnum):
    """What a delivery waits for."""

    SIMULATION = "simulation"
    SCHEDULE = "schedule"
    HOLD = "hold"
    PROJECT_HOLD = "project_hold"
    PAUSE = "pause"
    RETRY = "retry"
    SUSPENSION = "suspension"
    WARMUP = "warmup"
    LIMIT = "limit"
    NO_ADDRESS = "no_address"
    BACKOFF = "backoff"
    TURN = "turn"


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing that a delivery waits for."""

    reason: WaitReason
    until: datetime | None = None
    """None: nobody knows, or somebody has to end it."""
    detail: str | None = None
    """What a person or a receiver said, or the address that is missing."""


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What of a queue and its vMTA decides whether its mail is attempted."""

    is_held: bool = False
    held_until: datetime | None = None
    hold_reason: str | None = None
    is_paused: bool = False
    paused_until: datetime | None = None
    pause_reason: str | None = None
    resume_at: datetime | None = None
    rest_reason: str | None = None
    rest_detail: str | None = None
    backoff_until: datetime | None = None
    last_reply: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectHeld:
    """An auto-block holds the project: why, and until when."""

    reason: str
    until: datetime | None
    """None: until it is resolved."""


_OF_RESTS = {
    RestReason.LIMIT: WaitReason.LIMIT,
    RestReason.WARMUP: WaitReason.WARMUP,
    RestReason.SUSPENDED: WaitReason.SUSPENSION,
    RestReason.NO_ADDRESS: WaitReason.NO_ADDRESS,
}


def waits(
    state: DeliveryState,
    *,
    due_at: datetime | None,
    last_reply: str | None,
    queue: QueueFacts,
    now: datetime,
    project: ProjectHeld | None = None,
) -> Sequence[Wait]:
    """Return all that keeps a delivery from being attempted now, its own reasons first.

    Empty when it is on the wire or final. Mail that is due and that nothing keeps waits for its
    turn: for a worker, and for a connection that others have now. *last_reply* is what its own
    last attempt came to.
    """
    if state not in OPEN or state is DeliveryState.SENDING:
        return ()
    if due_at is None:
        return (Wait(WaitReason.SIMULATION),)
    found = []
    if due_at > now:
        is_first = state is DeliveryState.SCHEDULED
        reason = WaitReason.SCHEDULE if is_first else WaitReason.RETRY
        found.append(Wait(reason, due_at, None if is_first else last_reply))
    if project is not None:
        found.append(Wait(WaitReason.PROJECT_HOLD, project.until, project.reason))
    found += _of_queue(queue, now)
    return found or (Wait(WaitReason.TURN),)


def _of_queue(queue: QueueFacts, now: datetime) -> Sequence[Wait]:
    found = []
    if queue.is_held:
        found.append(Wait(WaitReason.HOLD, queue.held_until, queue.hold_reason))
    if queue.is_paused:
        found.append(Wait(WaitReason.PAUSE, queue.paused_until, queue.pause_reason))
    if queue.resume_at is not None and queue.resume_at > now and queue.rest_reason:
        reason = _OF_RESTS[RestReason(queue.rest_reason)]
        found.append(Wait(reason, queue.resume_at, queue.rest_detail))
    if queue.backoff_until is not None and queue.backoff_until > now:
        found.append(Wait(WaitReason.BACKOFF, queue.backoff_until, queue.last_reply))
    return found
