"""Proving that the ledger, the lots and the sums of the ledger tell the same."""

import uuid
from dataclasses import dataclass
from typing import Any

from ...core.database import fetch

# One statement, so that everything is read as of one moment, while others spend.
DISAGREEMENTS = """
    WITH known AS (
        SELECT organization_id, type, source, count(*) AS entries, sum(amount) AS amount,
            coalesce(sum(amount) FILTER (WHERE balance_after IS NOT NULL), 0) AS counted,
            sum(CASE WHEN balance_after IS NULL THEN 0 WHEN to_account = 'balance' THEN amount
                ELSE -amount END) AS change
        FROM credit_entries GROUP BY 1, 2, 3
        UNION ALL
        SELECT organization_id, type, source, entries, amount, counted, change
        FROM credit_carried
    ), moved AS (
        SELECT organization_id, type, source, sum(entries) AS entries, sum(amount) AS amount,
            sum(counted) AS counted, sum(change) AS change
        FROM known GROUP BY 1, 2, 3
    ), spent AS (
        SELECT each.key::uuid AS lot_id, sum(each.value::bigint) AS amount
        FROM credit_entries, jsonb_each_text(lots) AS each GROUP BY 1
    ), lots AS (
        SELECT l.id, l.organization_id, l.type, l.granted - l.settled AS granted,
            coalesce(sum(s.remaining), 0) AS left
        FROM credit_lots l LEFT JOIN credit_shares s ON s.lot_id = l.id GROUP BY l.id
    ), balances AS (
        SELECT organization_id, type, sum(change) AS expected FROM moved GROUP BY 1, 2
    ), held AS (
        SELECT organization_id, type, sum("left") AS found FROM lots GROUP BY 1, 2
    ), sums AS (
        SELECT organization_id, type, source, sum(entries) AS entries, sum(amount) AS amount,
            sum(counted) AS counted
        FROM credit_usage GROUP BY 1, 2, 3
    )
    SELECT organization_id, type, 'balance' AS subject, NULL::uuid AS lot_id,
        coalesce(expected, 0)::bigint AS expected, coalesce(found, 0)::bigint AS found
    FROM balances FULL JOIN held USING (organization_id, type)
    WHERE coalesce(expected, 0) <> coalesce(found, 0)
    UNION ALL
    SELECT organization_id, type, 'lot', lots.id,
        (granted - coalesce(spent.amount, 0))::bigint, "left"::bigint
    FROM lots LEFT JOIN spent ON spent.lot_id = lots.id
    WHERE granted - coalesce(spent.amount, 0) <> "left"
    UNION ALL
    SELECT organization_id, type, 'sum of ' || source, NULL,
        coalesce(moved.amount, 0)::bigint, coalesce(sums.amount, 0)::bigint
    FROM moved FULL JOIN sums USING (organization_id, type, source)
    WHERE (moved.amount, moved.entries, moved.counted)
        IS DISTINCT FROM (sums.amount, sums.entries, sums.counted)
    ORDER BY 1, 2, 3, 4
"""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Something that the ledger says otherwise."""

    organization_id: uuid.UUID
    type: str
    subject: str
    """`balance`, `lot`, or `sum of` a source of entries."""
    lot_id: uuid.UUID | None
    expected: int
    """Whole credits as the ledger has them."""
    found: int


async def reconcile() -> list[Disagreement]:
    """Return what disagrees with the ledger: balances, lots, sums; nothing if all is well.

    It reads the whole ledger, and of what is forgotten the sums. For every organization and
    type, what the ledger moved into the balance less what it moved out must be what the lots
    hold; for every lot, what was granted less what entries took must be what it holds; the sums
    must be those of the entries.
    """
    rows: list[dict[str, Any]] = list(await fetch(DISAGREEMENTS))
    return [Disagreement(**row) for row in rows]
