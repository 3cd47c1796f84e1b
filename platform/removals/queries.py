"""Reading removals."""

import uuid
from collections.abc import Collection, Mapping

from piccolo.query import Objects

from ..core.actor import Actor
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..security.queries import sees_all
from .rules import NEEDS, RemovedKind
from .tables import Removal


async def list_removals(
    actor: Actor, *, page: PageRequest, kind: RemovedKind | None = None
) -> Page[Removal]:
    """Return removals of what the actor may remove, newest first."""
    query = _visible(actor)
    if kind is not None:
        query = query.where(Removal.kind == kind.value)
    return await fetch_page(query, page, by_id(), scope=f"removals/{kind or ''}")


async def find_removals(actor: Actor, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Removal]:
    """Return those of the removals that the actor may see."""
    rows = await _visible(actor).where(Removal.id.is_in(list(ids)))
    return {row.id: row for row in rows}


def _visible(actor: Actor) -> "Objects[Removal]":
    kinds = [kind.value for kind, needed in NEEDS.items() if actor.may(needed)]
    if not kinds:
        actor.require(next(iter(NEEDS.values())))
    query = Removal.objects().where(
        (Removal.organization_id == actor.organization_id) & Removal.kind.is_in(kinds)
    )
    if actor.project_id is not None:
        query = query.where(Removal.project_id == actor.project_id)
    if not sees_all(actor):
        # Who handles their own keys only is told of no others.
        query = query.where(
            (Removal.kind != RemovedKind.API_KEY.value) | (Removal.user_id == actor.user_id)
        )
    return query
