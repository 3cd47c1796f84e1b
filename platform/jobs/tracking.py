"""Tracking: hits become events, beside all other work."""

import asyncio
import logging

from ..tracking.work.settling import AT_ONCE, settle_hits

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0


async def keep_settling(stopping: asyncio.Event) -> None:
    """Make events of hits until the process is to end.

    It is no job, so that it does not wait behind jobs.
    """
    while not stopping.is_set():
        count = 0
        try:
            count = await settle_hits()
        except Exception as error:  # an edge: the rows are still there
            log.warning("opens and clicks wait to be settled: %r", error)
        if count < AT_ONCE:
            await asyncio.sleep(EVERY_SECONDS)
