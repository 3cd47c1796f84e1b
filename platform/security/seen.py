"""When each session was last used, written away from the requests that use it.

A process notes in memory and writes at most once a minute for each session; a crash loses
that minute.
"""

import asyncio
import logging
import time
import uuid
from contextvars import Context
from datetime import datetime

from ..core import clock
from ..core.database import fetch

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
SOON_SECONDS = 1.0

_pending: dict[uuid.UUID, tuple[datetime, str | None]] = {}
_written: dict[uuid.UUID, float] = {}
"""When each session was written last, in monotonic seconds."""
_writer: asyncio.Task[None] | None = None


def note(session_id: uuid.UUID, address: str | None) -> None:
    """Remember that a session was used now, from *address*."""
    global _writer
    long_ago = time.monotonic() - EVERY_SECONDS
    if _written.get(session_id, long_ago) > long_ago:
        return
    _pending[session_id] = (clock.now(), address)
    if _writer is None or _writer.done():
        # It is the process's, not that of whoever is noted first.
        _writer = asyncio.create_task(_write_soon(), context=Context())


async def flush() -> None:
    """Write everything that gathered; a process calls this before it ends."""
    taken = dict(sorted(_pending.items()))
    _pending.clear()
    if not taken:
        return
    now = time.monotonic()
    for session_id in [id for id, at in _written.items() if at < now - EVERY_SECONDS]:
        del _written[session_id]
    _written.update(dict.fromkeys(taken, now))
    # Locked in the order of their ids, so that two processes never deadlock.
    await fetch(
        """
        WITH used AS (
            SELECT * FROM unnest({}::uuid[], {}::timestamptz[], {}::text[])
                AS u (id, last_at, address)
        ), found AS (
            SELECT u.* FROM used u JOIN sessions s ON s.id = u.id
            ORDER BY u.id FOR NO KEY UPDATE OF s SKIP LOCKED
        )
        UPDATE sessions s SET last_used_at = greatest(s.last_used_at, f.last_at),
            last_used_address = f.address
        FROM found f WHERE s.id = f.id
        """,
        list(taken),
        [at for at, _ in taken.values()],
        [address for _, address in taken.values()],
    )


async def _write_soon() -> None:
    while _pending:
        await asyncio.sleep(SOON_SECONDS)
        try:
            await flush()
        except Exception:  # an edge: a minute of the list of sessions is lost, no request is
            log.exception("the uses of sessions could not be written")
