"""Noting which deliveries a receiver has put off because it did not know us yet."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ...core import clock
from ...core.database import Tx, fetch
from ...mail.outcome import Outcome, Verdict, is_greylisting
from ..rules import GREYLISTED_TIMES, GREYLISTING_LASTS
from .settlements import Settled

KEPT = timedelta(days=400)


async def note_greylisted(tx: Tx, settled: Iterable[Settled]) -> None:
    """Write down which deliveries were put off, as the replies say: since when, and how often."""
    # Ordered by id so that two workers never deadlock.
    found = sorted(
        (claim.delivery_id, claim.organization_id, claim.queue_id)
        for claim in (
            each.step.claim for each in settled if _is_greylisted(each.step.settlement.outcome)
        )
    )
    if not found:
        return
    await fetch(
        "INSERT INTO greylisted_deliveries AS old (id, organization_id, queue_id, greylisted_at) "
        "SELECT id, organization_id, queue_id, {}::timestamptz "
        "FROM unnest({}::uuid[], {}::uuid[], {}::uuid[]) AS new (id, organization_id, queue_id) "
        "ON CONFLICT (id) DO UPDATE SET queue_id = excluded.queue_id, times = old.times + 1, "
        "outlasted_at = CASE WHEN old.times + 1 >= {} "
        "OR excluded.greylisted_at - old.greylisted_at >= {}::interval "
        "THEN excluded.greylisted_at ELSE old.outlasted_at END",
        clock.now(),
        [delivery_id for delivery_id, _, _ in found],
        [organization_id for _, organization_id, _ in found],
        [queue_id for _, _, queue_id in found],
        GREYLISTED_TIMES,
        GREYLISTING_LASTS,
    )


async def outlasting(since: datetime) -> Sequence[Mapping[str, Any]]:
    """Return, by vMTA and recipient domain, how many deliveries were put off since then though
    greylisting should have been over: `organization_id vmta recipient_domain n`."""
    return await fetch(
        "SELECT put_off.organization_id, vmtas.name AS vmta, queues.domain AS recipient_domain, "
        "count(*)::integer AS n FROM greylisted_deliveries AS put_off "
        "JOIN queues ON queues.id = put_off.queue_id JOIN vmtas ON vmtas.id = queues.vmta_id "
        "WHERE put_off.outlasted_at >= {} GROUP BY 1, 2, 3",
        since,
    )


def _is_greylisted(outcome: Outcome | None) -> bool:
    return (
        outcome is not None
        and outcome.verdict is Verdict.DEFERRED
        and is_greylisting(outcome.code, outcome.text)
    )


async def forget_greylisted() -> None:
    """Forget what was put off longer ago than any message is kept."""
    await fetch("DELETE FROM greylisted_deliveries WHERE greylisted_at < {}", clock.now() - KEPT)
