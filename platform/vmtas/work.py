"""What the platform does with vMTAs for itself."""

import uuid
from collections.abc import Sequence

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from ..core.ids import new_id
from . import checking
from .inventory import is_on_this_machine
from .rules import DEFAULT_POOL, DEFAULT_VMTA
from .tables import Vmta


async def ensure_default_vmta() -> uuid.UUID:
    """Return the id of the shared vMTA `default`, made at the first call.

    Any number of processes may call it at once; one makes it. Its source address is the
    system's choice and its EHLO name the deployment's.
    """
    await fetch(
        "INSERT INTO vmtas (id, organization_id, name, hostname, pool, weight, status, "
        "max_connections, tls, created_at, updated_at) "
        "VALUES ({}, NULL, {}, '', {}, 100, 'active', 100, 'opportunistic', {}, {}) "
        "ON CONFLICT (organization_id, name) DO NOTHING",
        new_id(),
        DEFAULT_VMTA,
        DEFAULT_POOL,
        clock.now(),
        clock.now(),
    )
    rows = await fetch(
        "SELECT id FROM vmtas WHERE organization_id IS NULL AND name = {}", DEFAULT_VMTA
    )
    vmta_id: uuid.UUID = rows[0]["id"]
    return vmta_id


async def every_vmta() -> Sequence[Vmta]:
    """Return the vMTAs of all organizations and the shared ones, by name."""
    return await Vmta.objects().order_by(Vmta.name)


async def count_vmtas(organization_id: OrganizationId) -> int:
    """Return how many vMTAs an organization has of its own."""
    return int(await Vmta.count().where(Vmta.organization_id == organization_id))


async def missing_addresses() -> Sequence[Vmta]:
    """Return the active vMTAs whose address this machine does not have, by name."""
    rows = (
        await Vmta.objects()
        .where(Vmta.status == "active", Vmta.ip_address.is_not_null())
        .order_by(Vmta.name)
    )
    return [row for row in rows if not is_on_this_machine(str(row.ip_address))]


async def check(vmta_id: uuid.UUID) -> None:
    """Look up what the DNS says of a vMTA's address, and write it down."""
    await checking.look(vmta_id)


async def find_own_vmtas(
    names: Sequence[tuple[uuid.UUID, str]], *, with_shared: bool = False
) -> dict[tuple[uuid.UUID, str], uuid.UUID]:
    """Return the ids of those of the organizations' vMTAs that there are.

    *with_shared* finds the deployment's for an organization that has none of the name.
    """
    if not names:
        return {}
    rows = await fetch(
        "SELECT vmtas.id, asked.organization_id, asked.name "
        "FROM unnest({}::uuid[], {}::text[]) AS asked (organization_id, name) "
        "JOIN vmtas ON vmtas.name = asked.name "
        "AND (vmtas.organization_id = asked.organization_id "
        "OR ({}::boolean AND vmtas.organization_id IS NULL)) "
        "ORDER BY vmtas.organization_id IS NOT NULL",
        [organization_id for organization_id, _ in names],
        [name for _, name in names],
        with_shared,
    )
    # The organization's own come last, and stay.
    return {(row["organization_id"], row["name"]): row["id"] for row in rows}


async def note_listed(tx: Tx, vmta_id: uuid.UUID, *, is_listed: bool) -> None:
    """Write down whether blocklists have the address of a vMTA."""
    await fetch("UPDATE vmtas SET is_listed = {} WHERE id = {}", is_listed, vmta_id)


async def due_for_check(*, limit: int) -> Sequence[uuid.UUID]:
    """Return vMTAs whose address it is time to look up."""
    rows = await fetch(
        "SELECT id FROM vmtas WHERE next_check_at <= {} ORDER BY next_check_at LIMIT {}",
        clock.now(),
        limit,
    )
    return [row["id"] for row in rows]
