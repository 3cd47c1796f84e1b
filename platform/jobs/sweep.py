"""The sweep: finds mail that is due and that no job is coming for."""

import asyncio
import logging
from datetime import timedelta

from ..core import clock
from ..core.queue import JobName, enqueue
from ..delivery.work import DueQueue, due_queues
from .delivery import drain_key

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=2)
OVERDUE = timedelta(seconds=10)
"""Mail due for longer is too much for the drains at work, or theirs died with its worker."""

SLOTS = 4
"""Drains that work on one queue at the same time at most, on as many workers."""


async def sweep() -> int:
    """Ask for a drain of every queue that has something due; return how many were put in.

    The queue refuses those that are waiting or running already.
    """
    return sum([await _ask_for_drain(queue) for queue in await due_queues()])


async def _ask_for_drain(queue: DueQueue) -> bool:
    is_overdue = clock.now() - queue.due_since > OVERDUE
    queue_id = str(queue.queue_id)
    for slot in range(SLOTS if is_overdue else 1):
        if await enqueue(JobName.DRAIN, key=drain_key(queue_id, slot), queue_id=queue_id):
            return True
    return False


async def keep_sweeping() -> None:
    """Sweep every few seconds for as long as the process runs.

    It is no job, so that it does not wait behind jobs.
    """
    while True:
        try:
            await sweep()
        except Exception:  # an edge: the next sweep finds what this one missed
            log.warning("the sweep failed; the next comes soon", exc_info=True)
        await asyncio.sleep(EVERY.total_seconds())
