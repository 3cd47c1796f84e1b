"""Pauses of vMTAs as rows: begun, ended; and vMTAs that go."""

import uuid
from datetime import datetime

from ..core import clock
from ..core.actor import Actor, OrganizationId
from ..core.database import Tx, fetch
from ..events.operations import NewEvent, append
from ..events.rules import EventType
from .errors import PausedByAutoBlock
from .rules import AUTO_BLOCK, VmtaStatus
from .tables import Vmta


async def begin_pause(
    tx: Tx, actor: Actor, vmta: Vmta, *, reason: str | None, until: datetime | None, reroutes: bool
) -> None:
    """Pause a locked vMTA, or change the pause it has.

    Raises:
        PausedByAutoBlock: an auto-block holds it already.
    """
    refuse_auto_block(vmta)
    was_active = vmta.status == VmtaStatus.ACTIVE
    now = clock.now()
    vmta.status = VmtaStatus.PAUSED.value
    vmta.pause_reason, vmta.pause_source = reason, "user"
    vmta.paused_by, vmta.paused_at = actor.user_id, now
    vmta.paused_until, vmta.pause_reroutes = until, reroutes
    vmta.updated_at = now
    await vmta.save()
    if was_active:
        await _tell(tx, vmta, EventType.VMTA_PAUSED, reason, actor.user_id)


async def end_pause(tx: Tx, vmta: Vmta) -> bool:
    """End the pause of a locked vMTA; say whether it had one."""
    if vmta.status == VmtaStatus.ACTIVE:
        return False
    by, reason = vmta.paused_by, vmta.pause_reason
    vmta.status = VmtaStatus.ACTIVE.value
    vmta.pause_reason = vmta.pause_source = vmta.paused_by = None
    vmta.paused_at = vmta.paused_until = None
    vmta.updated_at = clock.now()
    await vmta.save()
    await _tell(tx, vmta, EventType.VMTA_RESUMED, reason, by)
    return True


async def lock_if_pause_is_over(tx: Tx, vmta_id: uuid.UUID) -> Vmta | None:
    """Return a vMTA whose pause should be over, locked; None if another worker has it."""
    rows = await fetch(
        "SELECT FROM vmtas WHERE id = {} AND status = 'paused' AND paused_until <= {} "
        "FOR NO KEY UPDATE SKIP LOCKED",
        vmta_id,
        clock.now(),
    )
    return await Vmta.objects().where(Vmta.id == vmta_id).first() if rows else None


async def resume_warmup(tx: Tx, vmta_id: uuid.UUID) -> None:
    """Let a warm-up that complaints stopped go on at its day."""
    await fetch(
        "UPDATE vmta_warmups SET state = 'active', repeats = 0, day_on = {}, updated_at = {} "
        "WHERE vmta_id = {} AND state = 'paused'",
        clock.now().date(),
        clock.now(),
        vmta_id,
    )


async def begin_auto_block(
    tx: Tx,
    organization_id: OrganizationId,
    vmta_id: uuid.UUID,
    *,
    reason: str,
    until: datetime | None,
) -> Vmta | None:
    """Pause an active vMTA of an organization because of a rule; None if there is none such."""
    rows = await fetch(
        "SELECT FROM vmtas WHERE id = {} AND organization_id = {} AND status = 'active' "
        "FOR NO KEY UPDATE",
        vmta_id,
        organization_id,
    )
    vmta = await Vmta.objects().where(Vmta.id == vmta_id).first() if rows else None
    if vmta is None:
        return None
    now = clock.now()
    vmta.status, vmta.pause_source = VmtaStatus.PAUSED.value, AUTO_BLOCK
    vmta.pause_reason, vmta.paused_by, vmta.paused_at = reason, None, now
    vmta.paused_until, vmta.pause_reroutes, vmta.updated_at = until, True, now
    await vmta.save()
    await _tell(tx, vmta, EventType.VMTA_PAUSED, reason, None)
    return vmta


async def lock_auto_blocked(
    tx: Tx, organization_id: OrganizationId, vmta_id: uuid.UUID
) -> Vmta | None:
    """Return a vMTA that a rule has paused, locked; None if it has not, or it is gone."""
    rows = await fetch(
        "SELECT FROM vmtas WHERE id = {} AND organization_id = {} AND status = 'paused' "
        "AND pause_source = {} FOR NO KEY UPDATE",
        vmta_id,
        organization_id,
        AUTO_BLOCK,
    )
    return await Vmta.objects().where(Vmta.id == vmta_id).first() if rows else None


def refuse_auto_block(vmta: Vmta) -> None:
    """Do nothing unless an auto-block has paused the vMTA.

    Raises:
        PausedByAutoBlock: it has.
    """
    if vmta.status == VmtaStatus.PAUSED and vmta.pause_source == AUTO_BLOCK:
        raise PausedByAutoBlock


async def stop(tx: Tx, vmta: Vmta, *, reason: str) -> None:
    """Begin nothing more through a locked vMTA that is to go."""
    await fetch(
        "UPDATE vmtas SET status = 'paused', pause_source = coalesce(pause_source, 'user'), "
        "pause_reason = {}, paused_at = {}, paused_until = NULL, pause_reroutes = false "
        "WHERE id = {}",
        reason,
        clock.now(),
        vmta.id,
    )


async def remove(tx: Tx, vmta: Vmta, *, successor_id: uuid.UUID | None) -> None:
    """Delete a locked vMTA, and remember its name and who takes what still comes for it."""
    await fetch(
        "INSERT INTO past_vmtas (id, organization_id, name, successor_id, deleted_at) "
        "VALUES ({}, {}, {}, {}, {})",
        vmta.id,
        vmta.organization_id,
        vmta.name,
        successor_id,
        clock.now(),
    )
    await fetch("DELETE FROM vmtas WHERE id = {}", vmta.id)


async def _tell(
    tx: Tx, vmta: Vmta, type: EventType, reason: str | None, by: uuid.UUID | None
) -> None:
    data = {"vmta": vmta.name, "reason": reason, "by": by and str(by)}
    owner = OrganizationId(vmta.organization_id)
    await append(tx, [NewEvent(owner, None, None, None, type, data, clock.now())])
