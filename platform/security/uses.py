"""Counting the requests of each API key, away from the requests themselves.

A process notes each use in memory and writes what gathered: within a second for a key it
has not seen lately, then at most once a minute for each key. A crash loses that minute.
"""

import asyncio
import logging
import time
import uuid
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime

from ..core import clock
from ..core.database import fetch

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
SOON_SECONDS = 1.0


@dataclass(slots=True)
class Use:
    """What gathered for one key since it was written last."""

    requests: int
    last_at: datetime
    address: str | None


_pending: dict[uuid.UUID, Use] = {}
_written: dict[uuid.UUID, float] = {}
"""When each key was written last, in monotonic seconds."""
_writer: asyncio.Task[None] | None = None


def note(key_id: uuid.UUID, address: str | None) -> None:
    """Count one request with a key that was found good."""
    global _writer
    use = _pending.get(key_id)
    if use is None:
        _pending[key_id] = Use(1, clock.now(), address)
    else:
        use.requests, use.last_at, use.address = use.requests + 1, clock.now(), address
    if _writer is None or _writer.done():
        # It is the process's, not that of whoever is noted first.
        _writer = asyncio.create_task(_write_while_pending(), context=Context())


async def flush() -> None:
    """Write everything that gathered; a process calls this before it ends."""
    await _write(list(_pending))


async def _write_while_pending() -> None:
    while _pending:
        await asyncio.sleep(SOON_SECONDS)
        long_ago = time.monotonic() - EVERY_SECONDS
        await _write([key for key in _pending if _written.get(key, long_ago) <= long_ago])


async def _write(keys: list[uuid.UUID]) -> None:
    taken = {key: _pending.pop(key) for key in sorted(keys)}
    if not taken:
        return
    _written.update(dict.fromkeys(taken, time.monotonic()))
    _forget()
    try:
        await _store(taken)
    except Exception:  # an edge: the counts of this minute are lost, no request is
        log.exception("the uses of API keys could not be written")


def _forget() -> None:
    long_ago = time.monotonic() - EVERY_SECONDS
    for key in [key for key, at in _written.items() if at < long_ago]:
        del _written[key]


async def _store(taken: dict[uuid.UUID, Use]) -> None:
    # Keys are locked in the order of their ids, so that two processes never deadlock, and
    # one that is being rotated is skipped rather than waited for.
    await fetch(
        """
        WITH used AS (
            SELECT * FROM unnest({}::uuid[], {}::bigint[], {}::timestamptz[], {}::text[])
                AS u (id, requests, last_at, address)
        ), found AS (
            SELECT u.* FROM used u JOIN api_keys k ON k.id = u.id
            ORDER BY u.id FOR NO KEY UPDATE OF k SKIP LOCKED
        ), moved AS (
            UPDATE api_keys k SET last_used_at = greatest(k.last_used_at, f.last_at),
                last_used_address = f.address
            FROM found f WHERE k.id = f.id
        )
        INSERT INTO api_key_uses (id, api_key_id, hour, requests)
        SELECT gen_random_uuid(), id, date_trunc('hour', last_at), requests
        FROM found ORDER BY id
        ON CONFLICT (api_key_id, hour)
            DO UPDATE SET requests = api_key_uses.requests + excluded.requests
        """,
        list(taken),
        [use.requests for use in taken.values()],
        [use.last_at for use in taken.values()],
        [use.address for use in taken.values()],
    )
