"""Forgetting requests."""

from ..core import clock
from ..core.database import fetch
from ..core.ids import first_id_at
from ..core.retention import Term

BATCH = 5_000
OLD = (
    "DELETE FROM api_requests WHERE id = ANY(ARRAY("
    "SELECT id FROM api_requests WHERE id < {} ORDER BY id LIMIT {})) RETURNING 1"
)
OLD_OF = (
    "DELETE FROM api_requests WHERE id = ANY(ARRAY(SELECT old.id FROM unnest({}::uuid[]) AS given "
    "(organization_id) CROSS JOIN LATERAL (SELECT id FROM api_requests "
    "WHERE organization_id = given.organization_id AND id < {} ORDER BY id LIMIT {}) AS old "
    "LIMIT {})) RETURNING 1"
)


async def remove_old_requests(term: Term) -> int:
    """Remove what is kept no longer and return how many lines that was."""
    before, removed = first_id_at(clock.now() - term.length), 0
    statement, arguments = OLD, [before, BATCH]
    if term.organization_ids is not None:
        statement, arguments = OLD_OF, [list(term.organization_ids), before, BATCH, BATCH]
    while True:
        rows = await fetch(statement, *arguments)
        removed += len(rows)
        if len(rows) < BATCH:
            return removed
