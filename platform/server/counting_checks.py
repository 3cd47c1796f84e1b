"""What `postlane doctor` checks of events: that they are taken, and that counts are right."""

from collections.abc import Sequence

from ..analytics.work import CONSUMER, disagreements
from ..core import clock
from ..core.database import fetch
from ..core.wording import counted, noun_for
from ..events.consuming import LIVE_FOR, consumer_lags
from .findings import Finding, fault, ok, warning

LONGEST_WAIT_SECONDS = 300.0
"""Each looks every few seconds; a worker that restarts takes some more."""


async def consumers() -> Sequence[Finding]:
    """Check that everything that follows events keeps up with them."""
    if not await _is_there("event_consumers"):
        return []
    findings: list[Finding] = []
    for lag in await consumer_lags():
        if clock.now() - lag.looked_at > LIVE_FOR:
            findings.append(
                warning(
                    "events",
                    f"Nothing has taken events for {lag.consumer} since "
                    f"{lag.looked_at:%Y-%m-%d}; they are not kept for it any more.",
                    "If it is of an earlier version, remove its row from event_consumers.",
                )
            )
        elif lag.seconds > LONGEST_WAIT_SECONDS:
            minutes = round(lag.seconds / 60)
            findings.append(
                fault(
                    "events",
                    f"{lag.consumer} is {lag.events:,} {noun_for(lag.events, 'event')} behind, the "
                    f"oldest of which has waited for {counted(minutes, 'minute')}.",
                    "A worker takes them: start one, or look for warnings in its log. Old mail "
                    "is not removed meanwhile.",
                )
            )
    return findings or [ok("events", "Everything that follows events keeps up with them.")]


async def counts() -> Sequence[Finding]:
    """Check that what was counted of yesterday is what the events of some organizations say."""
    if not await _is_there("analytics_cells"):
        return []
    behind = [lag for lag in await consumer_lags() if lag.consumer == CONSUMER and lag.events]
    found = await disagreements()
    if not found:
        return [ok("analytics", "The counts of yesterday are those of its events.")]
    first = found[0]
    sentence = (
        f"{counted(len(found), 'count')} of yesterday "
        f"{noun_for(len(found), 'is', 'are')} not what the events say; the first is "
        f"{first.metric} of organization {first.organization_id}: {first.counted} instead of "
        f"{first.events}."
    )
    if behind:
        return [warning("analytics", sentence, "Events wait to be counted: look again later.")]
    return [
        fault(
            "analytics",
            sentence,
            "Events and counts change in one transaction, so something else wrote to one of "
            "them, or they were restored in part. Please report it.",
        )
    ]


async def _is_there(table: str) -> bool:
    rows = await fetch("SELECT to_regclass({}) IS NOT NULL AS made", table)
    return bool(rows[0]["made"])
