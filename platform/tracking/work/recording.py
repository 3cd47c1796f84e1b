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
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ...core import clock
from ...core.database import fetch
from ...core.ids import new_id
from ...core.measuring import Counter
from ...core.storable import storable
from ..machines import HitKind, machine_of, network_of
from ..tokens import Mark

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.5
"""Half of the second for which a hit may be lost: the rest is for the database."""
AT_ONCE = 1_000
MOST_WAITING = 200_000
"""While the database cannot be reached; then the oldest go, some 100 MB later."""
LONGEST_AGENT = 500
LOST = Counter("tracking_hits_lost", "Opens and clicks that could not be written down.")

WRITE = (
    "INSERT INTO tracking_hits (id, organization_id, project_id, message_id, delivery_id, who, "
    "kind, url, link_index, user_agent, ip, machine, implies_open, aggregate, made_at, "
    "occurred_at) "
    # Four ids are one value here: making them apart took as long as the rest of a row.
    "SELECT id, encode(substring(ids, 1, 16), 'hex')::uuid, "
    "encode(substring(ids, 17, 16), 'hex')::uuid, encode(substring(ids, 33, 16), 'hex')::uuid, "
    "encode(substring(ids, 49, 16), 'hex')::uuid, who, kind, url, link_index, user_agent, ip, "
    "machine, implies_open, aggregate, made_at, occurred_at "
    "FROM unnest({}::uuid[], {}::bytea[], {}::bytea[], {}::text[], {}::text[], {}::smallint[], "
    "{}::text[], {}::text[], {}::text[], {}::boolean[], {}::boolean[], {}::timestamptz[], "
    "{}::timestamptz[]) "
    "AS new (id, ids, who, kind, url, link_index, user_agent, ip, machine, implies_open, "
    "aggregate, made_at, occurred_at) "
    "ON CONFLICT (id) DO NOTHING"
)


@dataclass(slots=True)
class Noted:
    """A request that was answered, as it came."""

    kind: HitKind
    mark: Mark
    agent: bytes
    address: str | None
    purpose: bytes
    at: datetime = field(default_factory=clock.now)
    id: uuid.UUID = field(default_factory=new_id)


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
    agent = str(storable(hit.agent.decode("utf-8", "replace")))[:LONGEST_AGENT]
    purpose = hit.purpose.decode("latin-1")
    machine = machine_of(hit.kind, agent=agent, address=hit.address, purpose=purpose)
    is_click = hit.kind is HitKind.CLICK
    # What is not to be kept is not written down in the first place.
    kept = not mark.aggregate
    return (
        hit.id,
        mark.ids,
        mark.who,
        hit.kind.value,
        mark.url if is_click else None,
        mark.link_index if is_click else None,
        agent if kept else None,
        network_of(hit.address) if kept else None,
        machine,
        is_click and mark.opens,
        mark.aggregate,
        datetime.fromtimestamp(mark.made_at, UTC),
        hit.at,
    )
