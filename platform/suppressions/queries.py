"""Reading suppressions."""

import uuid
from collections.abc import Collection, Mapping, Sequence

from piccolo.columns.combination import WhereRaw
from piccolo.query import Objects

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.errors import NotFound
from ..core.paging import Order, Page, PageRequest, by_id, fetch_page
from ..mail.address import comparable
from .rules import SuppressionReason, erased_keys
from .tables import RefusedLine, Suppression, SuppressionImport

NEWEST_FIRST = by_id()
IN_ORDER = Order("id", "id", lambda line: line.id)


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
        # One that was erased is found by whoever knows it, and shown without it.
        keys = [key, *erased_keys(actor.organization_id, key)]
        query = query.where(Suppression.address_key.is_in(keys))
    return await fetch_page(query, page, NEWEST_FIRST, scope=f"{reason or ''}/{key}")


async def find_suppressions(actor: Actor, ids: Collection[uuid.UUID]) -> Sequence[Suppression]:
    """Return those of the suppressions that the actor may see."""
    actor.require(Permission.READ_MESSAGES)
    return await Suppression.objects().where(_visible(actor)).where(Suppression.id.is_in(list(ids)))


MOST_AT_ONCE = 10_000


async def list_suppressed(actor: Actor) -> list[Suppression]:
    """Return the newest 10,000 suppressions that hold now, the weightiest of an address first."""
    actor.require(Permission.READ_MESSAGES)
    query = Suppression.objects().where(_visible(actor)).where(_holds())
    rows = await query.order_by(Suppression.id, ascending=False).limit(MOST_AT_ONCE)
    return sorted(rows, key=_weight)


def _weight(row: Suppression) -> int:
    return list(SuppressionReason).index(SuppressionReason(row.reason))


async def suppressions_by_address(actor: Actor, keys: Collection[str]) -> dict[str, Suppression]:
    """Return the weightiest suppression that holds now of each address key that has one."""
    actor.require(Permission.READ_MESSAGES)
    query = Suppression.objects().where(_visible(actor)).where(_holds())
    rows = await query.where(Suppression.address_key.is_in(list(keys)))
    return {row.address_key: row for row in sorted(rows, key=_weight, reverse=True)}


async def find_imports(
    actor: Actor, ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, SuppressionImport]:
    """Return those of the imports that the actor may see."""
    actor.require(Permission.READ_MESSAGES)
    rows = await _imports(actor).where(SuppressionImport.id.is_in(list(ids)))
    return {row.id: row for row in rows}


async def list_imports(actor: Actor, *, page: PageRequest) -> Page[SuppressionImport]:
    """Return imports, newest first."""
    actor.require(Permission.READ_MESSAGES)
    return await fetch_page(_imports(actor), page, NEWEST_FIRST, scope="imports")


async def list_refused_lines(
    actor: Actor, import_id: uuid.UUID, *, page: PageRequest
) -> Page[RefusedLine]:
    """Return the lines of an import that were not taken, in the order of the file."""
    if import_id not in await find_imports(actor, [import_id]):
        raise NotFound
    query = RefusedLine.objects().where(RefusedLine.import_id == import_id)
    return await fetch_page(query, page, IN_ORDER, scope=str(import_id))


def _imports(actor: Actor) -> Objects[SuppressionImport]:
    query = SuppressionImport.objects().where(
        SuppressionImport.organization_id == actor.organization_id
    )
    if actor.project_id is not None:
        query = query.where(SuppressionImport.project_id == actor.project_id)
    return query


def _visible(actor: Actor) -> WhereRaw:
    return WhereRaw(
        "organization_id = {} AND ({}::uuid IS NULL OR project_id IS NULL OR project_id = {})",
        actor.organization_id,
        actor.project_id,
        actor.project_id,
    )


def _holds() -> WhereRaw:
    return WhereRaw("(expires_at IS NULL OR expires_at > {})", clock.now())
