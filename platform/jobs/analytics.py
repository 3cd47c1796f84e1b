"""Analytics: events are added to the counts as they come."""

import asyncio
import logging

from ..analytics.work import BATCH, roll_up

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
"""Between two looks: the more come together, the less each costs."""
PAUSE_SECONDS = 0.05
"""Between two batches while there is more: mail goes first."""
RETRY_SECONDS = 10.0


async def keep_counting(stopping: asyncio.Event) -> None:
    """Add events to the counts until the process is to end.

    It is no job, so that it does not wait behind jobs. Of several workers one counts at a
    time, and the others find nothing.
    """
    while not stopping.is_set():
        try:
            pause = PAUSE_SECONDS if await roll_up() == BATCH else EVERY_SECONDS
        except Exception as error:  # an edge: what was not added comes again
            log.warning("events could not be counted; the next try comes soon: %r", error)
            pause = RETRY_SECONDS
        await asyncio.sleep(pause)
