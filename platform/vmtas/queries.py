"""Reading vMTAs and pools."""

import random
import time
import uuid
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from piccolo.columns.combination import And, Or, Where, WhereRaw

from ..core import clock
from ..core.actor import Actor, OrganizationId, Permission
from ..core.database import fetch
from ..core.errors import NotFound
from ..core.paging import Order, Page, PageRequest, by_id, fetch_page
from ..core.settings import settings
from .rules import (
    AUTO_BLOCK,
    DEFAULT_POOL,
    Route,
    VmtaStatus,
    choose_by_name,
    choose_from_pool,
)
from .tables import Pool, Vmta

BY_NAME = Order("name", "name", lambda row: row.name)
NEWEST_FIRST = by_id()

FRESH_SECONDS = 5.0
"""How long a process may choose by what it read before; a pause takes effect within this."""

REMEMBERED_ORGANIZATIONS = 10_000

VmtaRow: TypeAlias = Vmta
"""A vMTA as other areas are handed it; they change it through this one only."""


async def list_vmtas(
    actor: Actor,
    *,
    page: PageRequest,
    pool: str | None = None,
    status: VmtaStatus | None = None,
    warming: bool | None = None,
    search: str | None = None,
    order: Order = BY_NAME,
) -> Page[Vmta]:
    """Return the organization's vMTAs and the shared ones; *search* is part of a name."""
    actor.require(Permission.READ_VMTAS)
    query = Vmta.objects().where(_usable(actor))
    if pool is not None:
        query = query.where(Vmta.pool == pool)
    if status is not None:
        query = query.where(_with_status(status))
    if warming is not None:
        query = query.where(WhereRaw(_WARMING if warming else f"NOT {_WARMING}"))
    wanted = (search or "").strip().lower()
    if wanted:
        query = query.where(WhereRaw("strpos(name, {}) > 0", wanted))
    scope = f"{pool if pool is not None else ''}/{status or ''}/{warming}/{wanted}"
    return await fetch_page(query, page, order, scope=scope)


_WARMING = "EXISTS (SELECT FROM vmta_warmups WHERE vmta_id = vmtas.id AND state <> 'completed')"


def _with_status(status: VmtaStatus) -> Where | And:
    if status is VmtaStatus.ACTIVE:
        return Vmta.status == status.value
    blocked = WhereRaw("pause_source IS NOT DISTINCT FROM {}", AUTO_BLOCK)
    free = WhereRaw("pause_source IS DISTINCT FROM {}", AUTO_BLOCK)
    paused = Vmta.status == VmtaStatus.PAUSED.value
    return paused & (blocked if status is VmtaStatus.BLOCKED else free)


async def count_vmtas(
    actor: Actor,
    *,
    pool: str | None = None,
    status: VmtaStatus | None = None,
    warming: bool | None = None,
    search: str | None = None,
) -> int:
    """Return how many vMTAs `list_vmtas` goes through."""
    actor.require(Permission.READ_VMTAS)
    query = Vmta.count().where(_usable(actor))
    if pool is not None:
        query = query.where(Vmta.pool == pool)
    if status is not None:
        query = query.where(_with_status(status))
    if warming is not None:
        query = query.where(WhereRaw(_WARMING if warming else f"NOT {_WARMING}"))
    wanted = (search or "").strip().lower()
    if wanted:
        query = query.where(WhereRaw("strpos(name, {}) > 0", wanted))
    return int(await query)


@dataclass(frozen=True, slots=True)
class VmtaRef:
    """Names one vMTA, by id or by name."""

    id: uuid.UUID | None = None
    name: str | None = None


async def get_vmta(actor: Actor, *, id: uuid.UUID | None = None, name: str | None = None) -> Vmta:
    """Return one vMTA by id or name: the organization's own before a shared one.

    Raises:
        NotFound: there is none that the organization may use.
    """
    actor.require(Permission.READ_VMTAS)
    wanted = Vmta.id == id if id is not None else Vmta.name == (name or "")
    found = await Vmta.objects().where(_usable(actor)).where(wanted)
    own = [row for row in found if row.organization_id is not None]
    if not found:
        raise NotFound
    return (own or found)[0]


async def find_by_address(actor: Actor, ip: str) -> uuid.UUID | None:
    """Return the id of the organization's own vMTA that has an address, None if none has."""
    rows = await fetch(
        "SELECT id FROM vmtas WHERE organization_id = {} AND ip_address = {} LIMIT 1",
        actor.organization_id,
        ip,
    )
    return rows[0]["id"] if rows else None


async def all_vmtas(actor: Actor) -> Sequence[Vmta]:
    """Return every vMTA that the organization may use, by name."""
    actor.require(Permission.READ_METRICS)
    return await Vmta.objects().where(_usable(actor)).order_by(Vmta.name)


async def find_vmtas(actor: Actor, ids: Collection[uuid.UUID]) -> Sequence[Vmta]:
    """Return those of the vMTAs that the organization may use."""
    actor.require(Permission.READ_VMTAS)
    return await Vmta.objects().where(_usable(actor)).where(Vmta.id.is_in(list(ids)))


async def list_pools(actor: Actor, *, page: PageRequest) -> Page[Pool]:
    """Return the organization's pools by name."""
    actor.require(Permission.READ_VMTAS)
    query = Pool.objects().where(Pool.organization_id == actor.organization_id)
    return await fetch_page(query, page, BY_NAME)


async def find_pools(actor: Actor, ids: Collection[uuid.UUID]) -> Sequence[Pool]:
    """Return those of the pools that are the organization's."""
    actor.require(Permission.READ_VMTAS)
    return await Pool.objects().where(
        (Pool.organization_id == actor.organization_id) & Pool.id.is_in(list(ids))
    )


async def members_of_pools(actor: Actor, pools: Collection[str]) -> dict[str, list[Vmta]]:
    """Return the organization's own vMTAs of each pool, by name."""
    actor.require(Permission.READ_VMTAS)
    rows = (
        await Vmta.objects()
        .where((Vmta.organization_id == actor.organization_id) & Vmta.pool.is_in(list(pools)))
        .order_by(Vmta.name)
    )
    found: dict[str, list[Vmta]] = {}
    for row in rows:
        found.setdefault(row.pool, []).append(row)
    return found


def ehlo_name(vmta: Vmta) -> str:
    """Return the name that a vMTA greets with: its own, or the deployment's."""
    return vmta.hostname or settings().hostname


def _usable(actor: Actor) -> Or:
    own: Where = Vmta.organization_id == actor.organization_id
    return own | Vmta.organization_id.is_null()


@dataclass(frozen=True, slots=True)
class _Routing:
    routes: Sequence[Route]
    pools: frozenset[str]
    read_at: float


_remembered: OrderedDict[OrganizationId, _Routing] = OrderedDict()


async def find_vmta_for(
    organization_id: OrganizationId,
    *,
    vmta: str | None = None,
    pool: str | None = None,
    sender: str | None = None,
) -> uuid.UUID | None:
    """Return the vMTA that mail of an organization goes through, or None if it names none.

    *vmta* is a name or an id and decides alone; else a member of *pool*, by weight; else of
    the pool `default`. Only those count that *sender*, the sending domain, may use. A name that
    is not known is looked up again, so that a vMTA or a pool can be used as soon as it is made.
    """
    routing = _fresh(organization_id) or await _read(organization_id)
    chosen = _choose(routing, vmta=vmta, pool=pool, sender=sender)
    if chosen is None:
        routing = await _read(organization_id)
        chosen = _choose(routing, vmta=vmta, pool=pool, sender=sender)
    return chosen.vmta_id if chosen else None


async def vmta_names(actor: Actor, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the names of those vMTAs that the organization may use."""
    wanted = list(ids)
    # Those that were deleted too: what they sent remembers them.
    rows = await fetch(
        "SELECT id, name FROM vmtas WHERE id = ANY({}::uuid[]) "
        "AND (organization_id = {} OR organization_id IS NULL) UNION ALL "
        "SELECT id, name FROM past_vmtas WHERE id = ANY({}::uuid[]) AND organization_id = {}",
        wanted,
        actor.organization_id,
        wanted,
        actor.organization_id,
    )
    return {row["id"]: row["name"] for row in rows}


async def has_pool(organization_id: OrganizationId, name: str) -> bool:
    """Say whether the organization has a pool called *name*."""
    return name in (await _read(organization_id)).pools


async def list_addresses(organization_id: OrganizationId) -> list[str]:
    """Return the source addresses that an organization's mail may come from.

    A vMTA whose address the system chooses has none to tell.
    """
    rows = await fetch(
        "SELECT DISTINCT ip_address FROM vmtas WHERE status = {} AND ip_address IS NOT NULL "
        "AND (organization_id = {} OR organization_id IS NULL) ORDER BY ip_address",
        VmtaStatus.ACTIVE.value,
        organization_id,
    )
    return [row["ip_address"] for row in rows]


def forget(organization_id: OrganizationId) -> None:
    """Read anew at the next choice, because something was changed."""
    _remembered.pop(organization_id, None)


async def active_members(
    organization_id: OrganizationId, pool: str, *, besides: uuid.UUID
) -> list[Route]:
    """Return who else takes mail of *pool* from any domain now: active, and with a weight."""
    routing = await _read(organization_id)
    return [
        route
        for route in routing.routes
        if route.organization_id is not None
        and route.pool == pool
        and route.vmta_id != besides
        and route.weight > 0
        and route.status is VmtaStatus.ACTIVE
        and not route.allowed_domains
    ]


async def has_others(actor: Actor, *, besides: uuid.UUID) -> bool:
    """Say whether the organization has another vMTA of its own."""
    own = Vmta.organization_id == actor.organization_id
    return await Vmta.exists().where(own & (Vmta.id != besides))


async def others_for(
    organization_id: OrganizationId, name: str, *, besides: uuid.UUID
) -> list[Route]:
    """Return who can take the mail of one that goes: the vMTA of that name or id, or a pool's."""
    routing = await _read(organization_id)
    others = [route for route in routing.routes if route.vmta_id != besides]
    named = choose_by_name(others, name)
    if named is not None:
        return [named]
    own = [r for r in others if r.organization_id is not None and r.pool == name]
    shared = [r for r in others if r.organization_id is None]
    members = own or (shared if name in routing.pools else [])
    return [route for route in members if route.weight > 0]


async def successors_of(
    organization_id: OrganizationId, successor_id: uuid.UUID | None
) -> list[Route]:
    """Return who takes the mail of a vMTA that is gone: its successor, or the pool `default`."""
    routing = await _read(organization_id)
    named = [route for route in routing.routes if route.vmta_id == successor_id]
    chosen = choose_from_pool(routing.routes, DEFAULT_POOL, draw=random.random())
    return named or ([chosen] if chosen else [])


async def warm_members(
    organization_id: OrganizationId, pool: str, *, besides: uuid.UUID
) -> list[Route]:
    """Return those of the active members that are not being warmed up."""
    usable = await active_members(organization_id, pool, besides=besides)
    warming = await fetch(
        "SELECT vmta_id FROM vmta_warmups WHERE state <> 'completed' AND vmta_id = ANY({}::uuid[])",
        [route.vmta_id for route in usable],
    )
    cold = {row["vmta_id"] for row in warming}
    return [route for route in usable if route.vmta_id not in cold]


def _choose(
    routing: _Routing, *, vmta: str | None, pool: str | None, sender: str | None
) -> Route | None:
    if vmta is not None:
        return choose_by_name(routing.routes, vmta, sender=sender)
    name = pool or DEFAULT_POOL
    if name != DEFAULT_POOL and name not in routing.pools:
        return None
    return choose_from_pool(
        routing.routes, name, draw=random.random(), sender=sender, now=clock.now()
    )


def _fresh(organization_id: OrganizationId) -> _Routing | None:
    found = _remembered.get(organization_id)
    # The monotonic clock, because this is the age of a copy and not a time of the product.
    if found and time.monotonic() - found.read_at < FRESH_SECONDS:
        return found
    return None


async def _read(organization_id: OrganizationId) -> _Routing:
    read_at = time.monotonic()
    rows = await fetch(
        "SELECT id, organization_id, name, pool, weight, status, full_until, allowed_domains "
        "FROM vmtas "
        "WHERE organization_id = {} OR organization_id IS NULL ORDER BY id",
        organization_id,
    )
    pools = await fetch("SELECT name FROM pools WHERE organization_id = {}", organization_id)
    routing = _Routing(
        tuple(_route(row) for row in rows), frozenset(row["name"] for row in pools), read_at
    )
    _remembered[organization_id] = routing
    _remembered.move_to_end(organization_id)
    while len(_remembered) > REMEMBERED_ORGANIZATIONS:
        _remembered.popitem(last=False)
    return routing


def _route(row: dict[str, Any]) -> Route:
    return Route(
        vmta_id=row["id"],
        organization_id=row["organization_id"],
        name=row["name"],
        pool=row["pool"],
        weight=row["weight"],
        status=VmtaStatus(row["status"]),
        full_until=row["full_until"],
        allowed_domains=frozenset(row["allowed_domains"] or ()),
    )
