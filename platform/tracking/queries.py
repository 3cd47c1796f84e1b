"""Reading what was decided for single recipients."""

import uuid
from collections.abc import Collection

from piccolo.columns.combination import WhereRaw

from ..core.actor import Actor, Permission
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..mail.address import comparable
from .tables import TrackingChoice


async def list_choices(
    actor: Actor, *, address: str | None = None, page: PageRequest
) -> Page[TrackingChoice]:
    """Return choices, newest first, or those of one whole *address*.

    An actor of one project sees those of the project and those of all projects.
    """
    actor.require(Permission.READ_MESSAGES)
    query = TrackingChoice.objects().where(_visible(actor))
    key = comparable(address) if address is not None else ""
    if address is not None:
        query = query.where(TrackingChoice.address_key == key)
    return await fetch_page(query, page, by_id(), scope=f"choices/{key}")


async def find_choices(actor: Actor, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, TrackingChoice]:
    """Return those of the choices that the actor may see."""
    actor.require(Permission.READ_MESSAGES)
    query = TrackingChoice.objects().where(_visible(actor))
    rows = await query.where(TrackingChoice.id.is_in(list(ids)))
    return {row.id: row for row in rows}


def _visible(actor: Actor) -> WhereRaw:
    return WhereRaw(
        "organization_id = {} AND ({}::uuid IS NULL OR project_id IS NULL OR project_id = {})",
        actor.organization_id,
        actor.project_id,
        actor.project_id,
    )
