"""Noting which deliveries a receiver has put off because it did not know us yet."""

from collections.abc import Iterable
from datetime import timedelta

from ...core import clock
from ...core.database import Tx, fetch
from ...mail.outcome import Outcome, Verdict, is_greylisting
from .settlements import Settled

KEPT = timedelta(days=400)


async def note_greylisted(tx: Tx, settled: Iterable[Settled]) -> None:
    """Write down which deliveries were put off, as the replies say; the first time counts."""
    found = sorted(
        (each.step.claim.delivery_id, each.step.claim.organization_id)
        for each in settled
        if _is_greylisted(each.step.settlement.outcome)
    )
    if not found:
        return
    await fetch(
        "INSERT INTO greylisted_deliveries (id, organization_id, greylisted_at) "
        "SELECT id, organization_id, {}::timestamptz FROM unnest({}::uuid[], {}::uuid[]) "
        "AS new (id, organization_id) ON CONFLICT (id) DO NOTHING",
        clock.now(),
        [delivery_id for delivery_id, _ in found],
        [organization_id for _, organization_id in found],
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
