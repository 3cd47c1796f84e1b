"""Having something done to all messages that match, and stopping it."""

import uuid
from dataclasses import replace
from functools import partial

import msgspec

from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch, transaction
from ..core.errors import NotFound
from ..core.storable import storable
from ..messages.queries import MessageFilter
from .errors import AlreadyOver, TooManyBulkActions
from .queries import find_bulk_actions
from .rules import MOST_OPEN, NEEDS, OPEN, BulkKind
from .tables import BulkAction
from .work import ask_for_bulk

OPEN_STATES = [state.value for state in OPEN]


async def start_bulk_action(actor: Actor, kind: BulkKind, *, wanted: MessageFilter) -> BulkAction:
    """Have *kind* done to the messages that match now; a job does it, and the row says how far.

    Raises:
        NotPermitted: the actor may not do it.
        TooManyBulkActions: three are at work.
    """
    actor.require(Permission.READ_MESSAGES)
    actor.require(NEEDS[kind])
    now = clock.now()
    before = min(now, wanted.created_before or now)
    filter = storable(msgspec.to_builtins(replace(wanted, created_before=before)))
    new = BulkAction(
        organization_id=actor.organization_id,
        project_id=actor.project_id,
        user_id=actor.user_id,
        api_key_id=actor.api_key_id,
        permissions=sorted(each.value for each in actor.permissions),
        allowed_domains=sorted(actor.allowed_domains),
        mode=actor.mode.value,
        kind=kind.value,
        filter=filter,
        created_at=now,
    )
    async with transaction() as tx:
        # The organization's row, so that those who come at once are counted one by one.
        await fetch(
            "SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", actor.organization_id
        )
        [found] = await fetch(
            "SELECT count(*) AS n FROM bulk_actions "
            "WHERE organization_id = {} AND state = ANY({}::text[])",
            actor.organization_id,
            OPEN_STATES,
        )
        if found["n"] >= MOST_OPEN:
            message = f"{MOST_OPEN} bulk actions are at work already."
            raise TooManyBulkActions(message, retry_after_seconds=60)
        await BulkAction.insert(new)
        await record(
            tx,
            actor,
            action="bulk_action.started",
            target_type="bulk_action",
            target_id=new.id,
            changes={"kind": kind.value, "filter": {k: v for k, v in filter.items() if v}},
        )
        tx.after_commit(partial(ask_for_bulk, new.id))
    return new


async def cancel_bulk_action(actor: Actor, id: uuid.UUID) -> BulkAction:
    """Stop a bulk action; what is done stays done.

    Raises:
        NotFound: there is none that the actor may see.
        AlreadyOver: it is over.
    """
    actor.require(Permission.WRITE_MESSAGES)
    if id not in await find_bulk_actions(actor, [id]):
        raise NotFound
    async with transaction() as tx:
        rows = await fetch(
            "UPDATE bulk_actions SET state = 'cancelled', completed_at = {}, waiting = 0 "
            "WHERE id = {} AND state = ANY({}::text[]) RETURNING id",
            clock.now(),
            id,
            OPEN_STATES,
        )
        if not rows:
            raise AlreadyOver
        await record(
            tx, actor, action="bulk_action.cancelled", target_type="bulk_action", target_id=id
        )
    return (await find_bulk_actions(actor, [id]))[id]
