"""Jobs of domains."""

import uuid
from typing import Any

from ..domains import work


async def check_domain(ctx: Any, *, domain_id: str) -> None:
    """Look at a domain that is due; nothing happens to one that is not."""
    await work.check(uuid.UUID(domain_id))
