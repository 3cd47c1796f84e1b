"""What blocks do to what they stop, and how that is undone; each area changes its own rows."""

import uuid
from datetime import datetime

from ..core.actor import OrganizationId
from ..core.database import Tx
from ..delivery import auto_holds
from ..domains import work as domains
from ..security import abuse, switching
from .rules import Action


async def begin(
    tx: Tx,
    action: Action,
    *,
    block_id: uuid.UUID,
    organization_id: OrganizationId | None,
    target_id: str,
    reason: str,
    until: datetime | None,
) -> bool:
    """Stop a target; say whether it is there and nobody else stops it already."""
    if action is Action.ALERT_ONLY:
        return True
    if action is Action.BLOCK_IP:
        return await abuse.block_address(tx, target_id, block_id=block_id, until=until)
    id = uuid.UUID(target_id)
    if organization_id is None:
        return False
    match action:
        case Action.BLOCK_SENDING:
            return await domains.block_sending(tx, organization_id, id, block_id, until=until)
        case Action.PAUSE_VMTA:
            return await auto_holds.pause_vmta(tx, organization_id, id, reason, until=until)
        case Action.HOLD_QUEUE:
            return await auto_holds.hold_queue(tx, organization_id, id, reason, until=until)
        case Action.HOLD_PROJECT:
            return await auto_holds.hold_project(
                tx, organization_id, id, block_id, reason, until=until
            )
        case _:
            return await switching.disable_api_key(tx, organization_id, id, block_id)


async def end(
    tx: Tx,
    action: Action,
    *,
    block_id: uuid.UUID,
    organization_id: OrganizationId | None,
    target_id: str,
) -> None:
    """Undo what a block does; what somebody else has stopped meanwhile stays stopped."""
    if action is Action.ALERT_ONLY:
        return
    if action is Action.BLOCK_IP:
        await abuse.unblock_address(tx, block_id)
        return
    id = uuid.UUID(target_id)
    if organization_id is None:
        return
    match action:
        case Action.BLOCK_SENDING:
            await domains.allow_sending(tx, block_id)
        case Action.PAUSE_VMTA:
            await auto_holds.resume_vmta(tx, organization_id, id)
        case Action.HOLD_QUEUE:
            await auto_holds.release_queue(tx, organization_id, id)
        case Action.HOLD_PROJECT:
            await auto_holds.release_project(tx, organization_id, block_id)
        case _:
            await switching.enable_api_key(tx, organization_id, block_id)
