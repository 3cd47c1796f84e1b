"""Reading suppressions."""

import uuid
from collections.abc import Collection, Sequence

from piccolo.columns.combination import WhereRaw

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..mail.address import comparable
from .rules import SuppressionReason
from .tables import Suppression

NEWEST_FIRST = by_id()


async def list_suppressions(
    actor: Actor,
    *,
    page: PageRequest,
    reason: SuppressionReason | None = None,
    address: str | None = None,
) -> Page[Suppression]:
    """Return the suppressions that hold now, newest first; *address* is a whole one.

    An actor of one project sees those of the project and those of all projects.
    """
    actor.require(Permission.READ_MESSAGES)
    query = Suppression.objects().where(_visible(actor)).where(_holds())
    if reason is not None:
        query = query.where(Suppression.reason == reason.value)
    key = comparable(address) if address is not None else ""
    if address is not None:
        query = query.where(Suppression.address_key == key)
    return await fetch_page(query, page, NEWEST_FIRST, scope=f"{reason or ''}/{key}")


async def find_suppressions(actor: Actor, ids: Collection[uuid.UUID]) -> Sequence[Suppression]:
    """Return those of the suppressions that the actor may see."""
    actor.require(Permission.READ_MESSAGES)
    return await Suppression.objects().where(_visible(actor)).where(Suppression.id.is_in(list(ids)))


def _visible(actor: Actor) -> WhereRaw:
    return WhereRaw(
        "organization_id = {} AND ({}::uuid IS NULL OR project_id IS NULL OR project_id = {})",
        actor.organization_id,
        actor.project_id,
        actor.project_id,
    )


def _holds() -> WhereRaw:
    return WhereRaw("(expires_at IS NULL OR expires_at > {})", clock.now())
