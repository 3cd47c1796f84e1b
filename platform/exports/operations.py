"""Having files made, and throwing them away."""

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..audit.operations import record
from ..core import clock
from ..core.actor import READ_ONLY, Actor
from ..core.database import Tx, fetch, transaction
from ..core.errors import NotFound
from ..core.storable import storable
from .errors import AlreadyOver, TooManyExports
from .queries import find_exports
from .rules import MOST_KEPT, MOST_OPEN, NEEDS, OPEN, Dataset, Delimiter, ExportState
from .tables import Export
from .work import ask_for_export, remove_parts

COUNT = (
    "SELECT count(*) FILTER (WHERE state = ANY({}::text[])) AS open, "
    "count(*) FILTER (WHERE state = 'done' AND expires_at > {}) AS kept "
    "FROM exports WHERE organization_id = {} AND state = ANY({}::text[])"
)


async def start_export(
    actor: Actor,
    dataset: Dataset,
    *,
    filter: Mapping[str, Any],
    delimiter: Delimiter = Delimiter.COMMA,
) -> Export:
    """Have a file written of a list, as the actor may read it now.

    Raises:
        NotPermitted: the actor may not read the list.
        TooManyExports: three are being written, or twenty files are kept.
    """
    actor.require(NEEDS[dataset])
    new = Export(
        organization_id=actor.organization_id,
        project_id=actor.project_id,
        user_id=actor.user_id,
        api_key_id=actor.api_key_id,
        permissions=sorted(each.value for each in READ_ONLY & actor.permissions),
        dataset=dataset.value,
        filter=storable(filter),
        delimiter=delimiter.value,
        created_at=clock.now(),
    )
    async with transaction() as tx:
        await _check_room(tx, actor)
        await Export.insert(new)
        await record(
            tx,
            actor,
            action="export.started",
            target_type="export",
            target_id=new.id,
            changes={"dataset": dataset.value, "filter": dict(filter)},
        )
        tx.after_commit(partial(ask_for_export, new.id))
    return new


async def _check_room(tx: Tx, actor: Actor) -> None:
    # The organization's row, so that those who come at once are counted one by one.
    await fetch("SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", actor.organization_id)
    is_open = [state.value for state in OPEN]
    [found] = await fetch(
        COUNT, is_open, clock.now(), actor.organization_id, [*is_open, ExportState.DONE.value]
    )
    if found["open"] >= MOST_OPEN:
        message = f"{MOST_OPEN} exports are being written already."
        raise TooManyExports(message, retry_after_seconds=60)
    if found["kept"] >= MOST_KEPT:
        raise TooManyExports(f"{MOST_KEPT} files are kept already; throw one away first.")


async def cancel_export(actor: Actor, export_id: uuid.UUID) -> Export:
    """Stop an export, or throw its file away if it is done.

    Raises:
        NotFound: there is none that the actor may see.
        AlreadyOver: it has failed, was cancelled, or its file is gone.
    """
    if export_id not in await find_exports(actor, [export_id]):
        raise NotFound
    async with transaction() as tx:
        rows = await fetch(
            "UPDATE exports SET state = 'cancelled', expires_at = NULL, "
            "completed_at = coalesce(completed_at, {}) "
            "WHERE id = {} AND state = ANY({}::text[]) RETURNING id",
            clock.now(),
            export_id,
            [*(state.value for state in OPEN), ExportState.DONE.value],
        )
        if not rows:
            raise AlreadyOver
        await remove_parts(tx, [export_id])
        await record(
            tx, actor, action="export.cancelled", target_type="export", target_id=export_id
        )
    return (await find_exports(actor, [export_id]))[export_id]
