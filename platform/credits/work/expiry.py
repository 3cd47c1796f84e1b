"""Ending lots: what is left of them leaves the balance, with a line of the ledger."""

import uuid

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import fetch, transaction
from ..lots import expire
from ..rules import CreditType


async def end_lots() -> int:
    """Take what is left out of every lot that has ended; return the credits that were.

    They could not be spent since then. Twice is once: what is taken out is not there again,
    unless a refund has put something back, which then ends, too.
    """
    rows = await fetch(
        "SELECT l.organization_id, l.type, array_agg(DISTINCT l.id) AS lots FROM credit_lots l "
        "JOIN credit_shares s ON s.lot_id = l.id AND s.remaining > 0 WHERE l.expires_at <= {} "
        "GROUP BY 1, 2 ORDER BY 1, 2",
        clock.now(),
    )
    ended = 0
    for row in rows:
        owner = OrganizationId(row["organization_id"]), CreditType(row["type"])
        lots: list[uuid.UUID] = list(row["lots"])
        # One organization at a time: nobody waits for the others' rows.
        async with transaction() as tx:
            ended += await expire(tx, owner, lots)
    return ended
