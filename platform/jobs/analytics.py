"""Analytics: events are added to the counts as they come."""

import asyncio
import logging

from ..analytics.work import BATCH, roll_up
from .hearing import wait_for

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
"""Between two rounds: the more come together, the less each costs."""
PAUSE_SECONDS = 0.05
"""Between two batches while there is more: mail goes first."""
RETRY_SECONDS = 10.0


async def keep_counting(sign: asyncio.Event, stopping: asyncio.Event) -> None:
    """Add events to the counts whenever *sign* is set, until the process is to end.

    It is no job, so that it does not wait behind jobs. Of several workers one counts at a
    time, and the others find nothing.
    """
    while not stopping.is_set():
        sign.clear()
        pause = EVERY_SECONDS
        try:
            if await roll_up() == BATCH:
                pause = PAUSE_SECONDS
                sign.set()
        except Exception as error:  # an edge: what was not added comes again
            log.warning("events could not be counted; the next try comes soon: %r", error)
            pause = RETRY_SECONDS
            sign.set()
        await asyncio.sleep(pause)
        await wait_for(sign, stopping)
