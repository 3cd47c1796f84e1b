"""Jobs of credits: alerts every few seconds, and the books closed every night."""

import asyncio
import logging
import time
from datetime import timedelta
from typing import Any

from ..credits.work import (
    end_lots,
    forget_entries,
    forget_references,
    look_at_alerts,
    reconcile,
)

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=10)
LARGEST_SHARE = 0.05
"""Of the time that looking at alerts may take: with very many it comes less often."""


async def close_books(ctx: dict[str, Any]) -> None:
    """End the lots whose time is up, and say so if the ledger and the balances disagree."""
    ended = await end_lots()
    await forget_references()
    forgotten = await forget_entries()
    disagreements = await reconcile()
    for each in disagreements:
        log.error(
            "the ledger and the %s of %s credits disagree",
            each.subject,
            each.type,
            extra={
                "organization_id": str(each.organization_id),
                "lot_id": each.lot_id and str(each.lot_id),
                "expected": each.expected,
                "found": each.found,
            },
        )
    log.info(
        "closed the books of credits",
        extra={
            "ended_credits": ended,
            "forgotten_entries": forgotten,
            "disagreements": len(disagreements),
        },
    )


async def keep_watching(stopping: asyncio.Event) -> None:
    """Look at alerts every few seconds until the process is to end.

    It is no job, so that it does not wait behind jobs.
    """
    while not stopping.is_set():
        started = time.monotonic()
        try:
            await look_at_alerts()
        except Exception as error:  # an edge: the next look finds what this one missed
            log.warning("alerts could not be looked at; the next time comes soon: %r", error)
        took = time.monotonic() - started
        await asyncio.sleep(max(EVERY.total_seconds(), took / LARGEST_SHARE))
