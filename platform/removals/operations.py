"""Removing something later, and taking that back."""

import uuid
from functools import partial

from ..accounts.operations.members import check_removable
from ..accounts.queries import get_person
from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, ApiKeyId, UserId
from ..core.database import Tx, fetch, transaction
from ..core.errors import NotFound
from ..security.operations.api_keys import lock_api_key
from ..suppressions.operations import lock_suppression
from .errors import OwnRemoval, TooLate
from .queries import find_removals
from .rules import GRACE, NEEDS, RemovedKind
from .tables import Removal
from .work import ask_for_removal


async def remove_later(actor: Actor, kind: RemovedKind, target_id: uuid.UUID) -> Removal:
    """Remove something in half a minute, unless somebody takes that back.

    What waits for that already goes on waiting as it does. Nothing is allowed here that is not
    when it is removed at once, and what would be refused then is refused now.

    Raises:
        NotFound: there is no such thing, or the actor may not remove it.
        NotPermitted, Conflict: as removing it at once says.
    """
    actor.require(NEEDS[kind])
    async with transaction() as tx:
        name = await _checked(tx, actor, kind, target_id)
        new = Removal(
            organization_id=actor.organization_id,
            project_id=actor.project_id,
            user_id=actor.user_id,
            api_key_id=actor.api_key_id,
            permissions=sorted(each.value for each in actor.permissions),
            mode=actor.mode.value,
            kind=kind.value,
            target_id=target_id,
            name=name,
            due_at=clock.now() + GRACE,
            created_at=clock.now(),
        )
        # What is locked is the thing itself, so that two who remove it come in turn.
        rows = await fetch(
            "SELECT id FROM removals WHERE organization_id = {} AND kind = {} "
            "AND target_id = {} AND state = 'waiting'",
            actor.organization_id,
            kind.value,
            target_id,
        )
        if not rows:
            await Removal.insert(new)
            await record(
                tx,
                actor,
                action="removal.begun",
                target_type=kind.value,
                target_id=target_id,
                changes={"due_at": new.due_at.isoformat()},
            )
            tx.after_commit(partial(ask_for_removal, new.id, new.due_at))
    if not rows:
        return new
    found = await Removal.objects().where(Removal.id == rows[0]["id"]).first()
    assert found is not None
    return found


async def _checked(tx: Tx, actor: Actor, kind: RemovedKind, target_id: uuid.UUID) -> str:
    """Return what the thing is called, which nobody else removes before this transaction ends."""
    if kind is RemovedKind.SUPPRESSION:
        return await lock_suppression(tx, actor, target_id)
    if kind is RemovedKind.API_KEY:
        return (await lock_api_key(tx, actor, ApiKeyId(target_id))).name
    await check_removable(tx, actor, UserId(target_id))
    return (await get_person(UserId(target_id))).email


async def undo_removal(actor: Actor, id: uuid.UUID) -> Removal:
    """Leave what was to be removed where it is.

    A member stays if somebody says so who might remove them, and never because they do.

    Raises:
        NotFound: there is no such removal, or the actor may not see it.
        TooLate: it is over.
        OwnRemoval: it is the actor who is removed.
        OwnersOnly: it is an owner who is, and the actor is none.
    """
    found = await find_removals(actor, [id])
    if id not in found:
        raise NotFound
    async with transaction() as tx:
        rows = await fetch(
            "UPDATE removals SET state = 'undone', completed_at = {} "
            "WHERE id = {} AND state = 'waiting' RETURNING kind, target_id",
            clock.now(),
            id,
        )
        if not rows:
            raise TooLate
        if found[id].kind == RemovedKind.MEMBER:
            await _check_may_keep(tx, actor, UserId(found[id].target_id))
        await record(
            tx,
            actor,
            action="removal.undone",
            target_type=rows[0]["kind"],
            target_id=rows[0]["target_id"],
        )
    return (await find_removals(actor, [id]))[id]


async def _check_may_keep(tx: Tx, actor: Actor, member: UserId) -> None:
    # Also if they asked for it themselves: another who asked later was told that it waits.
    if member == actor.user_id:
        raise OwnRemoval
    await check_removable(tx, actor, member)
