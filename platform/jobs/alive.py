"""Signs of life of long jobs: without them they are taken for dead, and begun again elsewhere."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
"""A step may take longer than a job may say nothing."""


@contextlib.asynccontextmanager
async def saying_alive(ctx: Mapping[str, Any]) -> AsyncIterator[None]:
    """Let the job queue know that a job goes on, while the body runs."""
    saying = asyncio.create_task(_say(ctx["job"]))
    try:
        yield
    finally:
        saying.cancel()


async def _say(job: Any) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await job.update()
        except Exception as error:  # an edge: the next sign may come through
            log.debug("a sign of life was lost: %r", error)
