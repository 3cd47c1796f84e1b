"""What the platform does for itself: forgetting what is old enough."""

from datetime import timedelta

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import fetch

KEPT = timedelta(days=730)
"""Two years.

Source: postmta-api section 1.9.
"""


async def remove_old_entries() -> None:
    """Delete entries that are older than two years; the only way in which any goes."""
    await fetch("DELETE FROM audit_entries WHERE created_at < {}", clock.now() - KEPT)


async def erase_address(organization_id: OrganizationId, address_key: str, *, stand_in: str) -> int:
    """Let no entry name the address of somebody erased; return how many did.

    It is the only way in which an entry changes: who did what, and when, stays.
    """
    rows = await fetch(
        "UPDATE audit_entries "
        "SET changes = jsonb_set(changes, ARRAY['address'], to_jsonb({}::text)) "
        "WHERE organization_id = {} AND lower(changes->>'address') = {} RETURNING id",
        stand_in,
        organization_id,
        address_key,
    )
    return len(rows)
