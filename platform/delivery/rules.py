"""States of deliveries and messages, and what comes next; no clock, no tables."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from functools import lru_cache

from ..core.actor import OrganizationId
from ..mail.outcome import Verdict

QUEUE_NAMESPACE = uuid.UUID("5b1f0f5e-8f0a-5f0e-9d53-0c3f6a6f7d10")
"""Namespace of queue ids; changing it would give every queue another id."""

LIFETIME = timedelta(hours=72)
"""How long a message is tried unless it says otherwise."""

GREYLISTING_LASTS = timedelta(hours=4)
GREYLISTED_TIMES = 5
"""Mail that is put off for so long, or so often, is not greylisted but refused for now.

Receivers ask for some minutes, seldom for an hour, and know a sender by the second or third try.
Source: RFC 6647 section 5.
"""

RETRY_AFTER = (
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
)
"""Wait before the 2nd, 3rd, 4th and every later attempt, up to 10 % of jitter aside."""


class Priority(IntEnum):
    """What goes first where several deliveries are due: the lower."""

    TRANSACTIONAL = 0
    MARKETING = 1


SET_ASIDE = len(Priority)
"""What is added to the priority of mail whose project is held: nobody claims from there."""


BACKOFF = timedelta(minutes=10)
"""How long a queue that was throttled sends at a tenth of its rate, from its last failure on."""


BACKOFF_SHARE = 0.1
"""Of its usual rate, what a queue sends in back-off."""

CLIMB_EVERY = timedelta(minutes=1)
"""After the back-off the rate doubles this often, until it is whole again."""


class QueueState(StrEnum):
    """What a queue does; a hold weighs more than a pause, a pause more than a back-off."""

    ACTIVE = "active"
    BACKOFF = "backoff"
    HELD = "held"
    PAUSED = "paused"


class RestReason(StrEnum):
    """Why a queue rests until a time."""

    LIMIT = "limit"
    WARMUP = "warmup"
    SUSPENDED = "suspended"
    NO_ADDRESS = "no_address"


HOLD_SOURCE_USER = "user"
HOLD_SOURCE_AUTO_BLOCK = "auto_block"


class DeliveryState(StrEnum):
    """How far one delivery is."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


class RecipientKind(StrEnum):
    """In which field of the message a recipient stands."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"


OPEN = frozenset(
    {
        DeliveryState.SCHEDULED,
        DeliveryState.QUEUED,
        DeliveryState.SENDING,
        DeliveryState.DEFERRED,
    }
)
FINAL = frozenset(DeliveryState) - OPEN


class MessageStatus(StrEnum):
    """How far a message is: the sum of its deliveries."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    PARTIAL = "partial"


@lru_cache(maxsize=16_384)
def queue_id(organization_id: OrganizationId, vmta_id: uuid.UUID, domain: str) -> uuid.UUID:
    """Return the id of a queue, the same for ever, so that it may come and go."""
    return uuid.uuid5(QUEUE_NAMESPACE, f"{organization_id}/{vmta_id}/{domain}")


def rate_share(backoff_until: datetime | None, now: datetime) -> float:
    """Return how much of its usual rate a queue sends at: a tenth in back-off, then more again.

    It climbs by doubling, so that a receiver that still has enough says so early.
    """
    if backoff_until is None:
        return 1.0
    if now < backoff_until:
        return BACKOFF_SHARE
    steps = (now - backoff_until) // CLIMB_EVERY + 1
    return 1.0 if steps > 10 else min(1.0, BACKOFF_SHARE * 2**steps)


def message_status(states: Collection[str]) -> str:
    """Return what a message is, from the states of its deliveries (at least one)."""
    for state in (
        DeliveryState.SENDING,
        DeliveryState.DEFERRED,
        DeliveryState.QUEUED,
        DeliveryState.SCHEDULED,
    ):
        if state in states:
            return state.value
    different = set(states)
    return different.pop() if len(different) == 1 else MessageStatus.PARTIAL.value


def next_step(
    verdict: Verdict, *, attempts: int, now: datetime, expires_at: datetime
) -> tuple[DeliveryState, datetime | None]:
    """Return the new state and, if there is to be another attempt, when (without jitter).

    *attempts* counts the one just made, so it is at least 1. A message whose next attempt
    would come after *expires_at* is given up.
    """
    if verdict is Verdict.DELIVERED:
        return DeliveryState.DELIVERED, None
    if verdict is Verdict.BOUNCED:
        return DeliveryState.BOUNCED, None
    due = now + RETRY_AFTER[min(attempts, len(RETRY_AFTER)) - 1]
    if due >= expires_at:
        return DeliveryState.EXPIRED, None
    return DeliveryState.DEFERRED, due
