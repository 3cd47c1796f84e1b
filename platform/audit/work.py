"""What the platform does for itself: forgetting what is old enough."""

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import fetch
from ..core.retention import Term

BATCH = 5_000


async def remove_old_entries(term: Term) -> int:
    """Delete entries that are old enough and return how many; the only way in which any goes.

    Source: postmta-api section 1.9: two years unless it is set otherwise.
    """
    removed = 0
    while rows := await fetch(
        "DELETE FROM audit_entries WHERE id = ANY(ARRAY(SELECT id FROM audit_entries "
        "WHERE created_at < {} AND ({}::uuid[] IS NULL OR organization_id = ANY({}::uuid[])) "
        "LIMIT {})) RETURNING 1",
        clock.now() - term.length,
        term.organization_ids,
        term.organization_ids,
        BATCH,
    ):
        removed += len(rows)
    return removed


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
