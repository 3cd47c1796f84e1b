"""Telling every process that something was written: a hint, while the rows are the truth.

A process tells at once, then at most every `EVERY_SECONDS`, whatever it writes. It tells
after its transactions and in none of them: those that notify commit one after the other,
each waiting for the disk of the one before.
"""

import asyncio
import logging
import uuid
from collections.abc import Collection
from contextvars import Context

from ..core.database import fetch

log = logging.getLogger(__name__)

CHANNEL = "postlane_events"
EVERY_SECONDS = 0.1
MOST_NAMED = 200
"""Organizations that one notification names; PostgreSQL takes 8,000 bytes."""

_waiting: set[uuid.UUID] = set()
_teller: asyncio.Task[None] | None = None


def announce(organization_ids: Collection[uuid.UUID]) -> None:
    """Tell soon that there are new events of these organizations, without waiting for it."""
    global _teller
    _waiting.update(organization_ids)
    if _teller is None or _teller.done():
        # It belongs to nobody: neither to a transaction nor to the request that began it.
        _teller = asyncio.create_task(_tell(), context=Context())


async def _tell() -> None:
    while _waiting:
        named = payload(_waiting)
        _waiting.clear()
        try:
            await fetch("SELECT pg_notify({}, {})", CHANNEL, named)
        except Exception:  # an edge: whoever listens looks without being told, only later
            log.debug("new events could not be announced", exc_info=True)
        await asyncio.sleep(EVERY_SECONDS)


def payload(organization_ids: Collection[uuid.UUID]) -> str:
    """Return what a notification says: the organizations, or nothing if there are too many."""
    if len(organization_ids) > MOST_NAMED:
        return ""
    return ",".join(each.hex for each in organization_ids)


def named(text: str) -> frozenset[uuid.UUID] | None:
    """Return the organizations that a notification names; None is any."""
    if not text:
        return None
    try:
        return frozenset(uuid.UUID(hex=each) for each in text.split(","))
    except ValueError:
        # Anybody who may use the database may notify.
        return None
