"""Tracking: hits become events, beside all other work."""

import asyncio
import logging

from ..tracking.work.settling import AT_ONCE, settle_hits
from .hearing import wait_for

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
"""Between two rounds: the more come together, the less each costs."""


async def keep_settling(sign: asyncio.Event, stopping: asyncio.Event) -> None:
    """Make events of hits whenever *sign* is set, until the process is to end.

    It is no job, so that it does not wait behind jobs.
    """
    while not stopping.is_set():
        sign.clear()
        try:
            while await settle_hits() == AT_ONCE and not stopping.is_set():
                pass
        except Exception as error:  # an edge: the rows are still there, and the next look sees them
            log.warning("opens and clicks wait to be settled: %r", error)
        await asyncio.sleep(EVERY_SECONDS)
        await wait_for(sign, stopping)
