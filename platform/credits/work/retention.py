"""Forgetting lines of the ledger that are old enough, so that the rest still adds up."""

from datetime import timedelta

from ...core import clock
from ...core.database import fetch
from ...core.ids import first_id_at
from ...core.settings import settings

BATCH = 10_000
"""Lines that one statement forgets: seconds of work that a worker may lose."""

# One statement, so that nobody ever sees the ledger without what it no longer holds.
FORGET = """
    WITH old AS (
        SELECT id FROM credit_entries WHERE id < {} ORDER BY id LIMIT {} FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM credit_entries e USING old WHERE e.id = old.id RETURNING e.*
    ), carried AS (
        INSERT INTO credit_carried AS before
            (id, organization_id, type, source, entries, amount, counted, change)
        SELECT gen_random_uuid(), organization_id, type, source, count(*), sum(amount),
            coalesce(sum(amount) FILTER (WHERE balance_after IS NOT NULL), 0),
            sum(CASE WHEN balance_after IS NULL THEN 0 WHEN to_account = 'balance' THEN amount
                ELSE -amount END)
        FROM gone GROUP BY organization_id, type, source
        ON CONFLICT (organization_id, type, source) DO UPDATE SET
            entries = before.entries + excluded.entries, amount = before.amount + excluded.amount,
            counted = before.counted + excluded.counted, change = before.change + excluded.change
    ), spent AS (
        SELECT each.key::uuid AS lot_id, sum(each.value::bigint) AS amount
        FROM gone, jsonb_each_text(gone.lots) AS each GROUP BY 1
    ), settled AS (
        UPDATE credit_lots l SET settled = settled + spent.amount
        FROM spent WHERE l.id = spent.lot_id
    )
    SELECT count(*) AS entries FROM gone
"""


async def forget_entries() -> int:
    """Forget the lines of the ledger that are old enough; return how many.

    What they moved is carried forward in sums, so that reconciling finds what it found before.
    The sums by day that the history of usage is read from stay.

    Source: postmta-api section 1.9: two years unless it is set otherwise.
    """
    before = first_id_at(clock.now() - timedelta(days=settings().ledger_days))
    forgotten = 0
    while True:
        rows = await fetch(FORGET, before, BATCH)
        taken: int = rows[0]["entries"]
        forgotten += taken
        if taken < BATCH:
            return forgotten
