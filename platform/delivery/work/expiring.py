"""Giving up mail that is held, or whose vMTA is paused: its time runs on meanwhile."""

from datetime import timedelta

from ...core import clock
from ...core.database import fetch
from .claims import claim_expired
from .settlements import Settlement
from .settling import settle_batch

SHORTEST_LIFETIME = timedelta(minutes=5)
"""What is younger has not expired, whatever its sender asked for."""

AT_ONCE = 200
MOST_QUEUES = 1_000


async def expire_waiting() -> int:
    """Let what waits in held queues and projects, or for paused vMTAs, expire once its time is up.

    Everywhere else a drain finds it. Any number of workers may; it returns how many expired.
    """
    expired = 0
    for row in await fetch(
        "SELECT queues.id FROM queues LEFT JOIN vmtas ON vmtas.id = vmta_id "
        "WHERE depth + scheduled > 0 AND coalesce(oldest_message_at, '-infinity') < {} "
        "AND (queues.state = 'held' OR vmtas.status = 'paused' OR EXISTS (SELECT FROM "
        "project_holds WHERE project_holds.organization_id = queues.organization_id)) "
        "ORDER BY queues.id LIMIT {}",
        clock.now() - SHORTEST_LIFETIME,
        MOST_QUEUES,
    ):
        while claims := await claim_expired(row["id"], AT_ONCE):
            expired += await settle_batch([Settlement(claim, "", None) for claim in claims])
    return expired
