"""Erasing: a person is taken out of everything an organization has, bit by bit."""

import uuid
from typing import Any

from ..ingress.work import erase_sender
from ..messages.work import run_erasure
from .alive import saying_alive


async def erase_recipient(ctx: dict[str, Any], *, erasure_id: str) -> None:
    """Go on with one erasure as far as that goes; nothing happens to one that is done."""
    async with saying_alive(ctx):
        await run_erasure(uuid.UUID(erasure_id), [erase_sender])
