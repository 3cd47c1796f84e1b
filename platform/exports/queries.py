"""Reading how far exports are."""

import uuid
from collections.abc import Collection, Mapping

from piccolo.query import Objects

from ..core.actor import Actor
from ..core.paging import Page, PageRequest, by_id, fetch_page
from .rules import NEEDS
from .tables import Export

NEWEST_FIRST = by_id()


async def list_exports(actor: Actor, *, page: PageRequest) -> Page[Export]:
    """Return exports of what the actor may read, newest first."""
    return await fetch_page(_visible(actor), page, NEWEST_FIRST, scope="exports")


async def find_exports(actor: Actor, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Export]:
    """Return those of the exports that the actor may see."""
    rows = await _visible(actor).where(Export.id.is_in(list(ids)))
    return {row.id: row for row in rows}


def _visible(actor: Actor) -> "Objects[Export]":
    readable = [dataset.value for dataset, needed in NEEDS.items() if actor.may(needed)]
    if not readable:
        actor.require(next(iter(NEEDS.values())))
    query = Export.objects().where(
        (Export.organization_id == actor.organization_id) & Export.dataset.is_in(readable)
    )
    if actor.project_id is not None:
        query = query.where(Export.project_id == actor.project_id)
    return query
