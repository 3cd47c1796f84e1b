"""Which notices there are, what each needs to be told, and when one is tried again."""

from datetime import datetime, timedelta
from enum import StrEnum

from ..mail.outcome import Verdict


class Notice(StrEnum):
    """Every kind of notice; the value names its template."""

    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"
    PASSWORD_CHANGED = "password_changed"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    RECOVERY_CODE_USED = "recovery_code_used"
    CREDITS_LOW = "credits_low"
    BILLING = "billing"
    WEBHOOK_DISABLED = "webhook_disabled"


class NoticeState(StrEnum):
    """What became of a notice."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


VALUES: dict[Notice, frozenset[str]] = {
    Notice.INVITATION: frozenset({"organization", "invited_by", "role", "link", "expires_at"}),
    Notice.PASSWORD_RESET: frozenset({"name", "link", "minutes"}),
    Notice.BILLING: frozenset({"organization", "headline", "what", "link"}),
    Notice.PASSWORD_CHANGED: frozenset({"name", "at", "address"}),
    Notice.SECOND_FACTOR_CHANGED: frozenset({"name", "change", "at", "address"}),
    Notice.RECOVERY_CODE_USED: frozenset({"name", "left", "at", "address"}),
    Notice.WEBHOOK_DISABLED: frozenset({"organization", "url", "reason", "link"}),
    Notice.CREDITS_LOW: frozenset({"organization", "type", "balance", "threshold"}),
}
"""What each notice is told, by the names its templates use; all of it is text."""

TRY_AGAIN_AFTER = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 180, 360, 720, 1440))
"""Wait before the 2nd, 3rd, ... attempt, nearly two days in all; then it is given up."""

KEPT = timedelta(days=30)
"""How long it is known that a notice was sent, or could not be."""


def next_step(
    verdict: Verdict, *, attempts: int, now: datetime
) -> tuple[NoticeState, datetime | None]:
    """Return the new state and, if there is to be another attempt, when.

    *attempts* counts the one just made, so it is at least 1.
    """
    if verdict is Verdict.DELIVERED:
        return NoticeState.SENT, None
    if verdict is Verdict.BOUNCED or attempts > len(TRY_AGAIN_AFTER):
        return NoticeState.FAILED, None
    return NoticeState.QUEUED, now + TRY_AGAIN_AFTER[attempts - 1]
