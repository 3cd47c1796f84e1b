"""Tidying: once a day, what was kept for a while is removed."""

import logging
from typing import Any

from ..delivery.work import remove_old_captured, remove_old_contents

log = logging.getLogger(__name__)


async def tidy(ctx: dict[str, Any]) -> None:
    """Remove what nobody may ask for any more."""
    contents = await remove_old_contents()
    captured = await remove_old_captured()
    log.info("tidied", extra={"contents": contents, "captured_messages": captured})
