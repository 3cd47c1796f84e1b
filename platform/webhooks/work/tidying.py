"""What is removed after a while, and what hints have missed."""

from datetime import timedelta

from ...core import clock
from ...core.database import fetch
from ...core.ids import first_id_at
from ...core.retention import Term
from .claims import NEXT_DUE

BATCH = 5_000
OLD = (
    "DELETE FROM webhook_calls WHERE id = ANY(ARRAY("
    "SELECT id FROM webhook_calls WHERE id < {} ORDER BY id LIMIT {})) RETURNING 1"
)
OLD_OF = (
    "DELETE FROM webhook_calls WHERE id = ANY(ARRAY(SELECT call.id FROM webhooks "
    "CROSS JOIN LATERAL (SELECT id FROM webhook_calls WHERE webhook_id = webhooks.id "
    "AND id < {} ORDER BY id LIMIT {}) AS call "
    "WHERE webhooks.organization_id = ANY({}::uuid[]) LIMIT {})) RETURNING 1"
)
HOURS_KEPT = timedelta(days=32)
"""Usage is rolled up from hours, at the latest after a month."""


async def remove_old_calls(term: Term) -> int:
    """Remove calls that are kept no longer and return how many.

    Also calls that wait: their webhook has been off for so long. Of everybody, replays and
    deleted webhooks of that time go as well.
    """
    before, removed = first_id_at(clock.now() - term.length), 0
    statement, arguments = OLD, [before, BATCH]
    if term.organization_ids is not None:
        statement, arguments = OLD_OF, [before, BATCH, list(term.organization_ids), BATCH]
    while True:
        rows = await fetch(statement, *arguments)
        removed += len(rows)
        if len(rows) < BATCH:
            break
    if term.organization_ids is None:
        done = "DELETE FROM webhook_replays WHERE id < {} AND completed_at IS NOT NULL"
        await fetch(done, before)
        await fetch("DELETE FROM webhook_hours WHERE hour < {}", clock.now() - HOURS_KEPT)
        await fetch("DELETE FROM webhooks WHERE deleted_at < {}", clock.now() - term.length)
    return removed


async def find_forgotten() -> int:
    """Note for every webhook when its next call is due; return for how many that was not known.

    The hints are right by themselves. Were one not, a call would be late by a minute.
    """
    rows = await fetch(
        "UPDATE webhook_progress AS progress SET next_due_at = found.due_at FROM ("
        f"SELECT webhooks.id, {NEXT_DUE} AS due_at FROM webhooks JOIN webhook_progress "
        "ON webhook_id = webhooks.id WHERE enabled AND deleted_at IS NULL "
        "AND leased_until IS NULL ORDER BY webhooks.id FOR NO KEY UPDATE OF webhook_progress "
        "SKIP LOCKED) AS found WHERE progress.webhook_id = found.id AND found.due_at IS NOT NULL "
        "AND (progress.next_due_at IS NULL OR progress.next_due_at > found.due_at) RETURNING 1"
    )
    return len(rows)
