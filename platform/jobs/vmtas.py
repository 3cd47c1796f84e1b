"""Jobs of vMTAs."""

import uuid
from typing import Any

from ..vmtas import work


async def check_vmta(ctx: Any, *, vmta_id: str) -> None:
    """Look up what the DNS says of a vMTA's address."""
    await work.check(uuid.UUID(vmta_id))
