"""Reading vMTAs and pools."""

import random
import time
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.actor import OrganizationId
from ..core.database import fetch
from .rules import DEFAULT_POOL, Route, VmtaStatus, choose_by_name, choose_from_pool

FRESH_SECONDS = 5.0
"""How long a process may choose by what it read before; a pause takes effect within this."""

REMEMBERED_ORGANIZATIONS = 10_000


@dataclass(frozen=True, slots=True)
class _Routing:
    routes: Sequence[Route]
    pools: frozenset[str]
    read_at: float


_remembered: OrderedDict[OrganizationId, _Routing] = OrderedDict()


async def find_vmta_for(
    organization_id: OrganizationId, *, vmta: str | None = None, pool: str | None = None
) -> uuid.UUID | None:
    """Return the vMTA that mail of an organization goes through, or None if it names none.

    *vmta* is a name or an id and decides alone; else a member of *pool*, by weight; else of
    the pool `default`. A name that is not known is looked up again, so that a vMTA or a pool
    can be used as soon as it is made.
    """
    routing = _fresh(organization_id) or await _read(organization_id)
    chosen = _choose(routing, vmta=vmta, pool=pool)
    if chosen is None:
        chosen = _choose(await _read(organization_id), vmta=vmta, pool=pool)
    return chosen.vmta_id if chosen else None


async def has_pool(organization_id: OrganizationId, name: str) -> bool:
    """Say whether the organization has a pool called *name*."""
    return name in (await _read(organization_id)).pools


def _choose(routing: _Routing, *, vmta: str | None, pool: str | None) -> Route | None:
    if vmta is not None:
        return choose_by_name(routing.routes, vmta)
    name = pool or DEFAULT_POOL
    if name != DEFAULT_POOL and name not in routing.pools:
        return None
    return choose_from_pool(routing.routes, name, draw=random.random())


def _fresh(organization_id: OrganizationId) -> _Routing | None:
    found = _remembered.get(organization_id)
    # The monotonic clock, because this is the age of a copy and not a time of the product.
    if found and time.monotonic() - found.read_at < FRESH_SECONDS:
        return found
    return None


async def _read(organization_id: OrganizationId) -> _Routing:
    read_at = time.monotonic()
    rows = await fetch(
        "SELECT id, organization_id, name, pool, weight, status FROM vmtas "
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
    )
