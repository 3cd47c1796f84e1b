"""What auto-blocks do to vMTAs, queues and projects, and how that is undone.

What a user has paused or held is left alone, and what an auto-block holds a user cannot let go.
"""

import uuid
from datetime import datetime

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from ..vmtas.pausing import begin_auto_block, lock_auto_blocked
from ..vmtas.queries import forget
from .operations import ring
from .rules import HOLD_SOURCE_AUTO_BLOCK
from .vmta_operations import move_to_pool, resume


async def pause_vmta(
    tx: Tx,
    organization_id: OrganizationId,
    vmta_id: uuid.UUID,
    reason: str,
    *,
    until: datetime | None,
) -> bool:
    """Let an organization's own vMTA rest; say whether it was active.

    What waits for it and came by its pool goes on through the other members.
    """
    vmta = await begin_auto_block(tx, organization_id, vmta_id, reason=reason, until=until)
    if vmta is None:
        return False
    moved = await move_to_pool(tx, vmta)

    async def go_on() -> None:
        forget(organization_id)
        await ring(moved.queue_ids)

    tx.after_commit(go_on)
    return True


async def resume_vmta(tx: Tx, organization_id: OrganizationId, vmta_id: uuid.UUID) -> None:
    """Let a vMTA send again that an auto-block has paused."""
    vmta = await lock_auto_blocked(tx, organization_id, vmta_id)
    if vmta is not None:
        await resume(tx, vmta)

        async def read_anew() -> None:
            forget(organization_id)

        tx.after_commit(read_anew)


async def hold_queue(
    tx: Tx,
    organization_id: OrganizationId,
    queue_id: uuid.UUID,
    reason: str,
    *,
    until: datetime | None,
) -> bool:
    """Begin no attempts of a queue; say whether it was not held."""
    rows = await fetch(
        "UPDATE queues SET state = 'held', hold_source = {}, hold_reason = {}, held_by = NULL, "
        "held_at = {}, held_until = {} "
        "WHERE id = {} AND organization_id = {} AND state <> 'held' RETURNING id",
        HOLD_SOURCE_AUTO_BLOCK,
        reason,
        clock.now(),
        until,
        queue_id,
        organization_id,
    )
    return bool(rows)


async def release_queue(tx: Tx, organization_id: OrganizationId, queue_id: uuid.UUID) -> None:
    """End the hold of a queue that an auto-block holds."""
    rows = await fetch(
        "UPDATE queues SET state = 'active', hold_source = NULL, hold_reason = NULL, "
        "held_by = NULL, held_at = NULL, held_until = NULL "
        "WHERE id = {} AND organization_id = {} AND state = 'held' AND hold_source = {} "
        "RETURNING id",
        queue_id,
        organization_id,
        HOLD_SOURCE_AUTO_BLOCK,
    )
    if rows:
        tx.after_commit(lambda: ring([queue_id]))


async def hold_project(
    tx: Tx,
    organization_id: OrganizationId,
    project_id: uuid.UUID,
    block_id: uuid.UUID,
    reason: str,
    *,
    until: datetime | None,
) -> bool:
    """Begin no attempts of a project's mail; say whether it is there and was not held.

    Its mail is accepted all the same, and what is on the wire ends as it does.
    """
    rows = await fetch(
        "INSERT INTO project_holds (project_id, organization_id, block_id, reason, held_at, "
        "held_until) SELECT id, organization_id, {}, {}, {}, {} FROM projects "
        "WHERE id = {} AND organization_id = {} ON CONFLICT DO NOTHING RETURNING project_id",
        block_id,
        reason,
        clock.now(),
        until,
        project_id,
        organization_id,
    )
    return bool(rows)


async def release_project(tx: Tx, organization_id: OrganizationId, block_id: uuid.UUID) -> None:
    """End the hold of a project that an auto-block holds; its mail goes on step by step."""
    await fetch(
        "DELETE FROM project_holds WHERE block_id = {} AND organization_id = {}",
        block_id,
        organization_id,
    )
