"""Removing a vMTA: its mail goes elsewhere first, or is cancelled."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...core.actor import Actor, Permission
from ...core.database import Tx, fetch, transaction
from ...core.errors import DetailCode, InvalidInput
from ...delivery.moving import Moved, has_mail, move_mail
from ...delivery.operations import ring
from ...vmtas.errors import LastVmta, SharedVmta, VmtaInUse
from ...vmtas.operations import lock_own, record_change
from ...vmtas.pausing import remove, stop
from ...vmtas.queries import VmtaRef, VmtaRow, forget, get_vmta, has_others, others_for
from ...vmtas.rules import Route
from .cancel import cancel_in

BATCH = 100
REASON = "The vMTA was deleted."


@dataclass(frozen=True, slots=True)
class DeletedVmta:
    """What deleting a vMTA did to recipients that were open."""

    vmta_id: uuid.UUID
    reassigned: int
    cancelled: int


async def delete_vmta(
    actor: Actor, ref: VmtaRef, *, reassign_to: str | None = None, force: bool = False
) -> DeletedVmta:
    """Delete a vMTA; what waits for it moves to *reassign_to*, or is cancelled with *force*.

    *reassign_to* is another vMTA's id or name, or a pool. Messages are cancelled and paid back
    as by `cancel_message`, each in a transaction of its own: interrupted, the vMTA is still
    there, paused, and can be deleted again. History keeps the name.

    Raises:
        NotFound: there is no such vMTA.
        SharedVmta: it is the deployment's.
        VmtaInUse: mail waits for it, and neither is given.
        LastVmta: so it does, and there is no other.
        InvalidInput: *reassign_to* names itself or nothing, or both are given.
    """
    actor.require(Permission.WRITE_VMTAS)
    vmta = await get_vmta(actor, id=ref.id, name=ref.name)
    if vmta.organization_id is None:
        raise SharedVmta
    targets = await _targets(actor, vmta, reassign_to, force=force)
    if not force and not targets and await has_mail(vmta.id):
        raise await _refusal(actor, vmta)
    cancelled = await _cancel_all(actor, vmta) if force else 0
    async with transaction() as tx:
        locked = await lock_own(tx, actor, VmtaRef(id=vmta.id))
        # What came in the meantime is not lost with it.
        if not targets and not force and await has_mail(locked.id):
            raise await _refusal(actor, vmta)
        moved = await _remove(tx, actor, locked, targets, cancelled)
    return DeletedVmta(vmta.id, moved.count, cancelled)


async def _remove(
    tx: Tx, actor: Actor, vmta: VmtaRow, targets: Sequence[Route], cancelled: int
) -> Moved:
    moved = await move_mail(tx, vmta.id, targets, any_mail=True)
    await remove(tx, vmta, successor_id=targets[0].vmta_id if targets else None)
    said = {"name": vmta.name, "reassigned": moved.count, "cancelled": cancelled}
    await record_change(tx, actor, vmta.id, "vmta.deleted", said)

    async def after() -> None:
        forget(actor.organization_id)
        await ring(moved.queue_ids)

    tx.after_commit(after)
    return moved


async def _targets(
    actor: Actor, vmta: VmtaRow, reassign_to: str | None, *, force: bool
) -> Sequence[Route]:
    if reassign_to is None:
        return ()
    if force:
        message = "Mail is either moved or cancelled."
        raise InvalidInput.of("reassignTo", DetailCode.MUTUALLY_EXCLUSIVE, message)
    if reassign_to in (vmta.name, str(vmta.id)):
        message = "Its mail cannot go to itself."
        raise InvalidInput.of("reassignTo", DetailCode.NOT_ALLOWED, message)
    found = await others_for(actor.organization_id, reassign_to, besides=vmta.id)
    if not found:
        message = "There is no other vMTA or pool with this name that could take its mail."
        raise InvalidInput.of("reassignTo", DetailCode.NOT_FOUND, message)
    return found


async def _refusal(actor: Actor, vmta: VmtaRow) -> VmtaInUse | LastVmta:
    return VmtaInUse() if await has_others(actor, besides=vmta.id) else LastVmta()


async def _cancel_all(actor: Actor, vmta: VmtaRow) -> int:
    """Pause the vMTA and cancel every message that has something in its queues."""
    async with transaction() as tx:
        locked = await lock_own(tx, actor, VmtaRef(id=vmta.id))
        await stop(tx, locked, reason=REASON)
    cancelled, after = 0, uuid.UUID(int=0)
    while messages := await _open_messages(vmta.id, after=after):
        for message in messages:
            async with transaction() as tx:
                done, _ = await cancel_in(tx, actor, message, reason=REASON)
            cancelled += len(done.cancelled) + done.in_progress
        after = messages[-1]["id"]
    return cancelled


async def _open_messages(vmta_id: uuid.UUID, *, after: uuid.UUID) -> Sequence[dict[str, Any]]:
    return await fetch(
        "SELECT id, project_id, mode, credits, credit_entry_id FROM messages WHERE id = ANY(ARRAY("
        "SELECT DISTINCT message_id FROM queues JOIN deliveries ON queue_id = queues.id "
        "AND due_at IS NOT NULL WHERE queues.vmta_id = {} AND message_id > {} "
        "ORDER BY message_id LIMIT {})) ORDER BY id",
        vmta_id,
        after,
        BATCH,
    )
