"""Suppressions: files that customers hand in are read in the background."""

import uuid
from typing import Any

from ..suppressions.work import run_import
from .alive import saying_alive


async def import_suppressions(ctx: dict[str, Any], *, import_id: str) -> None:
    """Read one imported file to its end; nothing happens to one that was read."""
    async with saying_alive(ctx):
        await run_import(uuid.UUID(import_id))
