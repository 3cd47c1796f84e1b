"""Changing vMTAs and pools."""

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from ..core.ids import new_id
from .rules import DEFAULT_POOL


async def create_default_pool(tx: Tx, organization_id: OrganizationId) -> None:
    """Give a new organization its pool `default`; doing it twice makes one."""
    await fetch(
        "INSERT INTO pools (id, organization_id, name, created_at) VALUES ({}, {}, {}, {}) "
        "ON CONFLICT (organization_id, name) DO NOTHING",
        new_id(),
        organization_id,
        DEFAULT_POOL,
        clock.now(),
    )
