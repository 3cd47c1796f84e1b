"""Switching API keys off and on for the platform itself, because a rule says so.

It is written down beside what people say of a key, so that neither undoes the other: a key works
when both let it.
"""

import uuid

from ..core.actor import OrganizationId
from ..core.database import Tx, fetch


async def disable_api_key(
    tx: Tx, organization_id: OrganizationId, key_id: uuid.UUID, block_id: uuid.UUID
) -> bool:
    """Keep an API key off while a block holds; say whether it was on."""
    rows = await fetch(
        "UPDATE api_keys SET blocked_by = {} WHERE id = {} AND organization_id = {} "
        "AND status = 'active' AND blocked_by IS NULL RETURNING id",
        block_id,
        key_id,
        organization_id,
    )
    return bool(rows)


async def enable_api_key(tx: Tx, organization_id: OrganizationId, block_id: uuid.UUID) -> None:
    """Let an API key work again that a block has kept off; what people say of it stays."""
    await fetch(
        "UPDATE api_keys SET blocked_by = NULL WHERE blocked_by = {} AND organization_id = {}",
        block_id,
        organization_id,
    )
