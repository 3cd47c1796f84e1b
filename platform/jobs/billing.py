"""Jobs of billing."""

import logging
from typing import Any

from ..billing import work
from ..billing.provider import find_provider
from ..messages.work import bytes_delivered

log = logging.getLogger(__name__)


async def bill(ctx: dict[str, Any]) -> None:
    """Begin what begins, collect what is due, go after what is overdue, write usage down."""
    begun = await work.begin_periods()
    provider = find_provider()
    charged = await work.collect_due(provider) if provider is not None else 0
    overdue = await work.chase_all()
    await work.expire_checkouts()
    hours = await work.roll_up(bytes_delivered)
    done = {"begun": begun, "charged": charged, "overdue": overdue, "hours": hours}
    if any(done.values()):
        log.info("billed", extra=done)
