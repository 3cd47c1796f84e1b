"""Reading how far bulk actions are."""

import uuid
from collections.abc import Collection, Mapping

from piccolo.query import Objects

from ..core.actor import Actor, Permission
from ..core.paging import Page, PageRequest, by_id, fetch_page
from .tables import BulkAction


async def list_bulk_actions(actor: Actor, *, page: PageRequest) -> Page[BulkAction]:
    """Return bulk actions, newest first."""
    return await fetch_page(_visible(actor), page, by_id(), scope="bulk")


async def find_bulk_actions(
    actor: Actor, ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, BulkAction]:
    """Return those of the bulk actions that the actor may see."""
    rows = await _visible(actor).where(BulkAction.id.is_in(list(ids)))
    return {row.id: row for row in rows}


def _visible(actor: Actor) -> "Objects[BulkAction]":
    actor.require(Permission.READ_MESSAGES)
    query = BulkAction.objects().where(BulkAction.organization_id == actor.organization_id)
    if actor.project_id is not None:
        query = query.where(BulkAction.project_id == actor.project_id)
    return query
