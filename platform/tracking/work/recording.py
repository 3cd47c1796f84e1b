"""Writing hits down: whoever asked has been answered, and waits for no database.

A process notes hits in memory and writes them at least once a second; a crash loses those, and
no others. A row has the id that it got in memory, so that what may have been written already can
be written again.
"""

import asyncio
import logging
import uuid
from collections import deque
from contextvars import Context
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from ...core.database import fetch
from ...core.measuring import Counter
from ...core.storable import storable
from ..machines import REMEMBERED, HitKind, machine_of, network_of
from ..tokens import Mark

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.5
"""Half of the second for which a hit may be lost: the rest is for the database."""
AT_ONCE = 1_000
MOST_WAITING = 200_000
"""While the database cannot be reached; then the oldest go, some 100 MB later."""
LONGEST_AGENT = 500
LOST = Counter("tracking_hits_lost", "Opens and clicks that could not be written down.")

_IDS = ", ".join(f"encode(substring(ids, {start}, 16), 'hex')::uuid" for start in range(1, 80, 16))
WRITE = (
    "INSERT INTO tracking_hits (id, organization_id, project_id, message_id, delivery_id, who, "
    "kind, url, link_index, user_agent, ip, machine, implies_open, aggregate, made_at, "
    "occurred_at) "
    # Values that are made here cost the most of a row, and plain ones the least: ids come as
    # octets, and times as numbers.
    f"SELECT {_IDS}, substring(ids, 81), kind, url, link_index, user_agent, ip, "
    "machine, implies_open, aggregate, to_timestamp(made_at), to_timestamp(occurred_at) "
    "FROM unnest({}::bytea[], {}::text[], {}::text[], {}::smallint[], "
    "{}::text[], {}::text[], {}::text[], {}::boolean[], {}::boolean[], {}::bigint[], "
    "{}::float8[]) "
    "AS new (ids, kind, url, link_index, user_agent, ip, machine, implies_open, aggregate, "
    "made_at, occurred_at) "
    "ON CONFLICT (id) DO NOTHING"
)


class Noted(NamedTuple):
    """A request that was answered, as it came."""

    id: uuid.UUID
    at: datetime
    kind: HitKind
    mark: Mark
    agent: bytes
    address: str | None
    purpose: bytes


class Recorder:
    """Writes the hits of one process down."""

    def __init__(self) -> None:
        self._waiting: deque[Noted] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def note(self, hit: Noted) -> None:
        """Remember a hit, which is written soon."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            LOST.add()
        self._waiting.append(hit)
        if self._writer is None or self._writer.done():
            # It belongs to nobody, least of all to the request that began it.
            self._writer = asyncio.create_task(self._write_soon(), context=Context())

    async def flush(self) -> None:
        """Write everything that gathered; a process calls this before it ends."""
        async with self._turn:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                try:
                    await _write(taken)
                except BaseException:
                    self._waiting.extendleft(reversed(taken))
                    raise

    async def _write_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.flush()
            except Exception as error:  # an edge: they are written when the database is back
                log.warning("opens and clicks wait to be written: %r", error)


RECORDER = Recorder()
"""This process's."""


async def _write(hits: list[Noted]) -> None:
    rows = [_row(hit) for hit in hits]
    await fetch(WRITE, *(list(column) for column in zip(*rows, strict=True)))


def _row(hit: Noted) -> tuple[object, ...]:
    mark = hit.mark
    agent = _agent(hit.agent)
    purpose = hit.purpose.decode("latin-1")
    machine = machine_of(hit.kind, agent=agent, address=hit.address, purpose=purpose)
    is_click = hit.kind is HitKind.CLICK
    # What is not to be kept is not written down in the first place.
    kept = not mark.aggregate
    return (
        hit.id.bytes + mark.ids + mark.who,
        hit.kind,
        mark.url if is_click else None,
        mark.link_index if is_click else None,
        agent if kept else None,
        network_of(hit.address) if kept else None,
        machine,
        is_click and mark.opens,
        mark.aggregate,
        mark.made_at,
        hit.at.timestamp(),
    )


@lru_cache(maxsize=REMEMBERED)
def _agent(said: bytes) -> str:
    return str(storable(said.decode("utf-8", "replace")))[:LONGEST_AGENT]
