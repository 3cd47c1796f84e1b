"""Mail beyond what a warm-up allows: warm members of the pool take it, or it waits."""

import uuid
from datetime import datetime

from ...core.actor import OrganizationId
from ...core.database import fetch, transaction
from ...vmtas.queries import warm_members
from ..moving import AT_ONCE, STEP, move_queue


async def overflow(queue_id: uuid.UUID, vmta_id: uuid.UUID, *, until: datetime) -> int:
    """Move what came by its pool from a queue to warm members; return how many.

    New mail passes the vMTA over *until* it may send again.
    """
    rows = await fetch(
        "UPDATE vmtas SET full_until = {} WHERE id = {} RETURNING organization_id, pool",
        until,
        vmta_id,
    )
    if not rows or rows[0]["organization_id"] is None:
        return 0
    organization_id = OrganizationId(rows[0]["organization_id"])
    targets = await warm_members(organization_id, rows[0]["pool"], besides=vmta_id)
    total = 0
    while targets and total < AT_ONCE:
        async with transaction() as tx:
            moved = await move_queue(tx, queue_id, targets)
            await fetch(
                "UPDATE vmta_warmups SET rerouted = rerouted + {} WHERE vmta_id = {}",
                moved.count,
                vmta_id,
            )
        total += moved.count
        if moved.count < STEP:
            break
    return total
