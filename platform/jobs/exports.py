"""Exports: files are written in the background, page by page."""

import uuid
from typing import Any

from ..exports.work import run_export
from .alive import saying_alive


async def write_export(ctx: dict[str, Any], *, export_id: str) -> None:
    """Go on with one file; nothing happens to one that is over."""
    async with saying_alive(ctx):
        await run_export(uuid.UUID(export_id), ctx["read_page"])
