"""Which vMTA mail goes through."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ..core.actor import OrganizationId

DEFAULT_POOL = "default"
"""The pool that every organization has."""

AUTO_BLOCK = "auto_block"
"""Who pauses a vMTA besides users."""

DEFAULT_VMTA = "default"
"""Name of the shared vMTA that every deployment has."""


class VmtaStatus(StrEnum):
    """Whether a vMTA is used."""

    ACTIVE = "active"
    PAUSED = "paused"
    BLOCKED = "blocked"
    """Paused by an auto-block; written down as paused."""


@dataclass(frozen=True, slots=True)
class Route:
    """A vMTA as the choice sees it; without an organization it is shared by all."""

    vmta_id: uuid.UUID
    organization_id: OrganizationId | None
    name: str
    pool: str
    weight: int
    status: VmtaStatus
    full_until: datetime | None = None
    """Its warm-up allows nothing more before."""
    allowed_domains: frozenset[str] = frozenset()
    """Sending domains that may use it; empty is any."""


@dataclass(frozen=True, slots=True)
class PlaceLimits:
    """What a vMTA may do at one provider or domain; None leaves it to others, 0 is no limit."""

    isp: str | None
    domain: str | None
    max_connections: int | None
    max_messages_per_connection: int | None
    max_messages_per_hour: int | None


@dataclass(frozen=True, slots=True)
class VmtaLimits:
    """What a vMTA may do, and what at some places; None is no limit."""

    max_connections: int
    max_messages_per_connection: int | None = None
    max_messages_per_hour: int | None = None
    max_messages_per_day: int | None = None
    places: tuple[PlaceLimits, ...] = ()

    def at_isp(self, isp: str) -> PlaceLimits | None:
        """Return what is said of a provider."""
        return next((place for place in self.places if place.isp == isp), None)

    def at_domain(self, domain: str) -> PlaceLimits | None:
        """Return what is said of a domain (A-labels)."""
        return next((place for place in self.places if place.domain == domain), None)


def shown_vmta_status(status: str, pause_source: str | None) -> VmtaStatus:
    """Return what is shown of a vMTA's state as it is written down."""
    if status == VmtaStatus.PAUSED and pause_source == AUTO_BLOCK:
        return VmtaStatus.BLOCKED
    return VmtaStatus(status)


def choose_by_name(
    routes: Sequence[Route], name: str, *, sender: str | None = None
) -> Route | None:
    """Return the vMTA with that name or id: the organization's own before a shared one.

    One that *sender*, a sending domain, may not use is as if it were not there.
    """
    named = [route for route in routes if name in (route.name, str(route.vmta_id))]
    usable = _usable_by(sender, named)
    own = [route for route in usable if route.organization_id is not None]
    return next(iter(own or usable), None)


def choose_from_pool(
    routes: Sequence[Route],
    pool: str,
    *,
    draw: float,
    sender: str | None = None,
    now: datetime | None = None,
) -> Route | None:
    """Return a member of *pool* by weight; *draw* is a number from 0 up to, not including, 1.

    An organization with no vMTA in the pool uses the shared ones. Paused members are
    passed over while an active one is there; when all are paused, mail waits for one. So are
    those whose warm-up allows nothing more before *now* has passed. A weight of 0 is for mail
    that asks by name only.
    """
    own = [r for r in routes if r.organization_id is not None and r.pool == pool]
    members = own or [r for r in routes if r.organization_id is None and r.pool == DEFAULT_POOL]
    weighted = [route for route in _usable_by(sender, members) if route.weight > 0]
    active = [route for route in weighted if route.status is VmtaStatus.ACTIVE]
    free = [r for r in active if r.full_until is None or (now and r.full_until <= now)]
    return _draw(free or active or weighted, draw)


def _usable_by(sender: str | None, routes: Sequence[Route]) -> Sequence[Route]:
    return [
        route
        for route in routes
        if not route.allowed_domains or sender is None or sender in route.allowed_domains
    ]


def _draw(routes: Sequence[Route], draw: float) -> Route | None:
    left = draw * sum(route.weight for route in routes)
    for route in routes:
        left -= route.weight
        if left < 0:
            return route
    return routes[-1] if routes else None
