"""Telling workers that a call is to be made for which no event was written just now."""

import logging

from ..core.database import fetch

log = logging.getLogger(__name__)

CHANNEL = "postlane_webhooks"
"""Tells workers that calls may be due, or that there is a new webhook."""


async def tell() -> None:
    """Have workers look at once for what is due; it is a hint, while the rows are the truth."""
    try:
        await fetch("SELECT pg_notify({}, '')", CHANNEL)
    except Exception:  # an edge: they look by themselves, only later
        log.debug("workers could not be told", exc_info=True)
