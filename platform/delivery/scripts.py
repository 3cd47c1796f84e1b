"""What can be simulated: for each outcome the reply that is made up, and what follows it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ..events.rules import EventType
from ..mail.outcome import BounceClass, Outcome, Verdict, read_enhanced_code

MAX_RESPONSE = 512
"""Characters of a reply that somebody makes up."""

MAX_DELAY = timedelta(hours=1)


class SimulatedOutcome(StrEnum):
    """What becomes of sandbox mail; the values are public."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCE = "soft_bounce"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    COMPLAINED = "complained"
    OPENED = "opened"
    CLICKED = "clicked"


@dataclass(frozen=True, slots=True)
class Script:
    """How an outcome comes about; without a *verdict* nothing is attempted."""

    verdict: Verdict | None = None
    code: int | None = None
    text: str = ""
    bounce_class: BounceClass | None = None
    expires: bool = False
    """After the attempt its time is up."""
    then: tuple[EventType, ...] = ()
    """What the recipient does with delivered mail."""

    def takes(self, code: int) -> bool:
        """Say whether *code* is a reply that leads to this outcome."""
        families = {Verdict.DELIVERED: 2, Verdict.DEFERRED: 4, Verdict.BOUNCED: 5}
        return self.verdict is not None and code // 100 == families[self.verdict]

    def outcome(self, *, code: int | None, text: str | None, now: datetime) -> Outcome:
        """Return the end of the attempt; *code* and *text* stand for the usual ones."""
        assert self.verdict is not None
        said = self.code if code is None else code
        reply = self.text if text is None else text.removeprefix(f"{said} ")
        return Outcome(
            verdict=self.verdict,
            code=said,
            enhanced_code=None if said is None else read_enhanced_code(said, reply),
            text=reply,
            bounce_class=self.bounce_class,
            mx_host=None,
            mx_address=None,
            tls_version=None,
            tls_cipher=None,
            tls_verified=None,
            started_at=now,
            duration=timedelta(),
            transcript=(),
        )


_ACCEPTED = "2.0.0 Accepted by the simulation"

SCRIPTS = {
    SimulatedOutcome.DELIVERED: Script(Verdict.DELIVERED, 250, _ACCEPTED),
    SimulatedOutcome.DEFERRED: Script(
        Verdict.DEFERRED, 451, "4.3.0 Try again later", BounceClass.TEMPORARY_FAILURE
    ),
    SimulatedOutcome.HARD_BOUNCE: Script(
        Verdict.BOUNCED, 550, "5.1.1 No such user", BounceClass.INVALID_RECIPIENT
    ),
    SimulatedOutcome.SOFT_BOUNCE: Script(
        Verdict.DEFERRED, 452, "4.2.2 Mailbox full", BounceClass.MAILBOX_FULL, expires=True
    ),
    SimulatedOutcome.BLOCKED: Script(
        Verdict.BOUNCED, 554, "5.7.1 Listed sender refused", BounceClass.REPUTATION_BLOCK
    ),
    SimulatedOutcome.EXPIRED: Script(
        Verdict.DEFERRED,
        None,
        "No mail exchanger answered.",
        BounceClass.CONNECTION_FAILURE,
        expires=True,
    ),
    SimulatedOutcome.SUPPRESSED: Script(),
    SimulatedOutcome.COMPLAINED: Script(
        Verdict.DELIVERED, 250, _ACCEPTED, then=(EventType.MESSAGE_COMPLAINED,)
    ),
    SimulatedOutcome.OPENED: Script(
        Verdict.DELIVERED, 250, _ACCEPTED, then=(EventType.MESSAGE_OPENED,)
    ),
    SimulatedOutcome.CLICKED: Script(
        Verdict.DELIVERED,
        250,
        _ACCEPTED,
        then=(EventType.MESSAGE_OPENED, EventType.MESSAGE_CLICKED),
    ),
}
