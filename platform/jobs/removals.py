"""Removals: what nobody has taken back is removed when its time has come."""

import uuid
from typing import Any

from ..removals.work import run_removal


async def remove(ctx: dict[str, Any], *, removal_id: str) -> None:
    """Remove one thing; nothing happens to what was taken back."""
    await run_removal(uuid.UUID(removal_id))
