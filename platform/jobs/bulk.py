"""Bulk actions: what is done to all messages that match, page by page."""

import uuid
from typing import Any

from ..bulk.work import run_bulk
from .alive import saying_alive


async def go_on_in_bulk(ctx: dict[str, Any], *, bulk_id: str) -> None:
    """Go on with one bulk action; nothing happens to one that is over."""
    async with saying_alive(ctx):
        await run_bulk(uuid.UUID(bulk_id))
