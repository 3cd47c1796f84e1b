"""What became of claims: as it was found, and as it was written down."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from ...mail.outcome import BounceClass, Outcome
from ..classify import Action
from ..rules import DeliveryState
from .claims import Claim


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one claim.

    Without an *outcome* nothing was attempted: the delivery expires if its time is up and
    is due again at once if not, and the attempt does not count.
    """

    claim: Claim
    vmta: str
    outcome: Outcome | None
    source_address: str | None = None
    """Our address, where the vMTA has one of its own."""
    action: Action | None = None
    """What follows beyond this delivery; None is what its bounce class says."""

    @property
    def is_throttling(self) -> bool:
        """Whether the receiver asked for less of what this queue sends."""
        if self.action is not None:
            return self.action is Action.BACK_OFF
        return self.outcome is not None and self.outcome.bounce_class is BounceClass.RATE_LIMITED


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from a settlement for its delivery."""

    settlement: Settlement
    state: DeliveryState
    due_at: datetime | None

    @property
    def claim(self) -> Claim:
        """The claim that is settled."""
        return self.settlement.claim


@dataclass(frozen=True, slots=True)
class Settled:
    """A step as it was written: a cancellation may have changed it, and what it said before."""

    step: Step
    state: DeliveryState
    due_at: datetime | None
    attempts: int
    code: int | None
    reply: str | None
    bounce_class: str | None
    cancelled_by: uuid.UUID | None
    refund_entry_id: uuid.UUID | None
