"""What `postlane doctor` checks of webhooks: that calls are made, and who is called in vain."""

from collections.abc import Sequence
from datetime import timedelta

from ..core import clock
from ..core.database import fetch
from ..core.wording import noun_for
from ..webhooks.work.standing import late_webhooks, switched_off
from .findings import Finding, fault, ok, warning

LATE = timedelta(minutes=5)
"""A webhook of a worker that was killed waits for half a minute, and then has its turn."""


async def webhooks() -> Sequence[Finding]:
    """Check that calls go out, and say how many webhooks were switched off for failing."""
    rows = await fetch("SELECT to_regclass('webhook_progress') IS NOT NULL AS made")
    if not rows[0]["made"]:
        return []
    findings = [*await _late(), *await _off()]
    return findings or [ok("webhooks", "Calls are made when they are due.")]


async def _late() -> Sequence[Finding]:
    late = await late_webhooks(than=LATE)
    waiting = [each for each in late if not each.is_served]
    if waiting:
        first = waiting[0]
        minutes = round((clock.now() - first.due_at).total_seconds() / 60)
        return [
            fault(
                "webhooks",
                f"Nobody makes the calls of {_many(len(waiting), 'webhook')}; one of "
                f"{first.webhook_id}, of organization {first.organization_id}, has been due for "
                f"{_many(minutes, 'minute')}.",
                "Workers make them: start one, or look for warnings in its log.",
            )
        ]
    if late:
        first = late[0]
        minutes = round((clock.now() - first.due_at).total_seconds() / 60)
        return [
            warning(
                "webhooks",
                f"{_many(len(late), 'webhook')} cannot take {noun_for(len(late), 'its', 'their')} "
                f"calls as fast as they come; the oldest of {first.webhook_id}, of organization "
                f"{first.organization_id}, has "
                f"been due for {_many(minutes, 'minute')}.",
                "The receiver is slow, or fails in between: its owner sees the calls in their log.",
            )
        ]
    return []


async def _off() -> Sequence[Finding]:
    off = await switched_off()
    if not off.webhooks:
        return []
    return [
        warning(
            "webhooks",
            f"{_many(off.webhooks, 'webhook')} of {_many(off.organizations, 'organization')} "
            f"{noun_for(off.webhooks, 'was', 'were')} switched off because they failed for "
            f"days or were gone, {off.lately} of them within a week.",
            "Their owners had mail. If it is many at once, look whether this machine still "
            "reaches the Internet.",
        )
    ]


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun_for(count, noun)}"
