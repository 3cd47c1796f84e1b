"""Which vMTA mail goes through."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..core.actor import OrganizationId

DEFAULT_POOL = "default"
"""The pool that every organization has."""

DEFAULT_VMTA = "default"
"""Name of the shared vMTA that every deployment has."""


class VmtaStatus(StrEnum):
    """Whether a vMTA is used."""

    ACTIVE = "active"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Route:
    """A vMTA as the choice sees it; without an organization it is shared by all."""

    vmta_id: uuid.UUID
    organization_id: OrganizationId | None
    name: str
    pool: str
    weight: int
    status: VmtaStatus


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


def choose_by_name(routes: Sequence[Route], name: str) -> Route | None:
    """Return the vMTA with that name or id: the organization's own before a shared one."""
    named = [route for route in routes if name in (route.name, str(route.vmta_id))]
    own = [route for route in named if route.organization_id is not None]
    return next(iter(own or named), None)


def choose_from_pool(routes: Sequence[Route], pool: str, *, draw: float) -> Route | None:
    """Return a member of *pool* by weight; *draw* is a number from 0 up to, not including, 1.

    An organization with no vMTA in the pool uses the shared ones. Paused members are
    passed over while an active one is there; when all are paused, mail waits for one.
    A weight of 0 is for mail that asks by name only.
    """
    own = [r for r in routes if r.organization_id is not None and r.pool == pool]
    members = own or [r for r in routes if r.organization_id is None and r.pool == DEFAULT_POOL]
    weighted = [route for route in members if route.weight > 0]
    active = [route for route in weighted if route.status is VmtaStatus.ACTIVE]
    return _draw(active or weighted, draw)


def _draw(routes: Sequence[Route], draw: float) -> Route | None:
    left = draw * sum(route.weight for route in routes)
    for route in routes:
        left -= route.weight
        if left < 0:
            return route
    return routes[-1] if routes else None
