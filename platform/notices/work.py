"""What the platform does for itself: claiming notices that are due, and settling them."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core import clock
from ..core.database import fetch
from ..mail.outcome import Verdict
from .operations import ask_for
from .rendering import Mail, render
from .rules import KEPT, Notice, NoticeState, next_step

LEASE = timedelta(minutes=5)
"""After this a notice is due again whose worker has not said what became of it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A notice that is this worker's for one attempt."""

    id: uuid.UUID
    attempts: int
    """This one included."""
    notice: Notice
    language: str
    recipient: str
    sealed_values: bytes
    created_at: datetime

    def mail(self) -> Mail:
        """Return what to send; `render` says what may be wrong."""
        return render(
            self.notice,
            language=self.language,
            id=self.id,
            to=self.recipient,
            sealed_values=self.sealed_values,
            created_at=self.created_at,
        )


async def ask_for_due(*, limit: int) -> None:
    """Have workers send the notices that it is time to send, those that wait longest first."""
    rows = await fetch(
        "SELECT id, attempts FROM notices WHERE due_at <= {} ORDER BY due_at LIMIT {}",
        clock.now(),
        limit,
    )
    for row in rows:
        await ask_for(row["id"], attempts=row["attempts"])


async def claim(notice_id: uuid.UUID) -> Claim | None:
    """Take a notice that is due for one attempt; None if it is not, or another worker has it.

    A claim is a lease: if the worker dies, the notice is due again when the lease ends. It may
    then be sent twice; it is never lost.
    """
    now = clock.now()
    rows = await fetch(
        "UPDATE notices SET attempts = attempts + 1, due_at = {} WHERE id = {} AND due_at <= {} "
        "RETURNING id, attempts, notice, language, recipient, sealed_values, created_at",
        now + LEASE,
        notice_id,
        # By the clock of whoever wrote it: what is not found due now waits for a sweep.
        now + clock.APART,
    )
    if not rows:
        return None
    row = rows[0]
    return Claim(
        id=row["id"],
        attempts=row["attempts"],
        notice=Notice(row["notice"]),
        language=row["language"],
        recipient=row["recipient"],
        sealed_values=row["sealed_values"],
        created_at=row["created_at"],
    )


async def settle(claim: Claim, verdict: Verdict, *, reply: str) -> NoticeState:
    """Write down what an attempt came to; what the notice says goes when that is final."""
    now = clock.now()
    state, due_at = next_step(verdict, attempts=claim.attempts, now=now)
    # Only where the attempt is still the last one: a worker that outlived its lease must not
    # undo what another has done since.
    await fetch(
        "UPDATE notices SET state = {}, due_at = {}, reply = {}, finished_at = {}, "
        "sealed_values = CASE WHEN {} THEN NULL ELSE sealed_values END "
        "WHERE id = {} AND attempts = {} AND due_at IS NOT NULL",
        state.value,
        due_at,
        reply.replace("\0", "")[:500],
        None if due_at else now,
        due_at is None,
        claim.id,
        claim.attempts,
    )
    return state


async def remove_old_notices() -> None:
    """Forget notices that were finished a month ago."""
    await fetch("DELETE FROM notices WHERE finished_at < {}", clock.now() - KEPT)
