"""Noting requests away from the requests themselves.

A process notes in memory and writes what gathered once a second; a crash loses that second. What
cannot be written waits for the database, as long as there is room: nobody's request waits for it.
"""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from ..core import clock
from ..core.actor import Actor, ApiKeyId, OrganizationId
from ..core.database import fetch
from ..core.ids import new_id
from ..core.measuring import Counter
from ..core.settings import settings
from .rules import Outcome, outcome_of

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
LINES_APART = 10
"""Of one organization and outcome within that time; further requests that are alike share a line.

Else a burst would cost a row for each message that is accepted, which nobody could read.
"""
MOST_SHARED = 50
"""Lines of one organization that are shared; beyond, operations of GraphQL share one whatever
they are called, which is for the client to choose."""
MOST_LINES = 200
"""Of one organization within that time, and `MOST_WAITING` of all: some 10 MB."""
MOST_WAITING = 20_000
AT_ONCE = 1_000
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""What the database will never take, however often it is asked."""
LOST = Counter("api_requests_not_logged", "Requests that are missing in the log of requests.")

WRITE = (
    "INSERT INTO api_requests (id, organization_id, project_id, api_key_id, user_id, api, method, "
    "route, operation, status, code, outcome, request_id, requests, microseconds, created_at) "
    "SELECT * FROM unnest({}::uuid[], {}::uuid[], {}::uuid[], {}::uuid[], {}::uuid[], {}::text[], "
    "{}::text[], {}::text[], {}::text[], {}::smallint[], {}::text[], {}::text[], {}::text[], "
    "{}::integer[], {}::bigint[], {}::timestamptz[]) "
    "ON CONFLICT (id) DO NOTHING"
)


class Asked(NamedTuple):
    """What is said of a request that was answered; a tuple, as one is made for each request."""

    api: str
    """A value of `Api`."""
    method: str
    route: str
    """Never the path itself, which may hold somebody's address."""
    operation: str | None
    status: int
    code: str | None


@dataclass(slots=True)
class _Line:
    caller: Actor
    asked: Asked
    request_id: str
    microseconds: int
    requests: int = 1
    at: datetime = field(default_factory=clock.now)
    id: uuid.UUID = field(default_factory=new_id)


@dataclass(slots=True)
class _Gathered:
    """What one organization asked since it was written last."""

    lines: list[_Line] = field(default_factory=list)
    apart: dict[Outcome, int] = field(default_factory=dict)
    shared: dict[tuple[ApiKeyId | None, Asked], _Line] = field(default_factory=dict)


class Notebook:
    """The requests of one process that are still to be written down."""

    def __init__(self) -> None:
        self._gathered: dict[OrganizationId, _Gathered] = {}
        self._taken: list[_Line] = []
        """What is being written, or could not be."""
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None

    def note(self, caller: Actor, asked: Asked, *, request_id: str, seconds: float) -> None:
        """Remember one request with an API key, which is written soon."""
        if not settings().keep_request_days:
            return
        own = self._gathered.get(caller.organization_id)
        if own is None:
            own = self._gathered[caller.organization_id] = _Gathered()
        taken = round(seconds * 1_000_000)
        outcome = outcome_of(asked.status, asked.code)
        if (apart := own.apart.get(outcome, 0)) < LINES_APART:
            if self._has_room(own):
                own.apart[outcome] = apart + 1
                own.lines.append(_Line(caller, asked, request_id, taken))
        elif (line := self._shared(own, caller, asked)) is not None:
            line.requests += 1
            line.microseconds += taken
            line.request_id = request_id
        if self._writer is None or self._writer.done():
            # It is the process's, not that of whoever is noted first.
            self._writer = asyncio.create_task(self._write_soon(), context=Context())

    def _shared(self, own: _Gathered, caller: Actor, asked: Asked) -> _Line | None:
        """Return the line for a request that has none of its own; None if there is no room."""
        key = caller.api_key_id, asked
        if key not in own.shared and len(own.shared) >= MOST_SHARED:
            asked = asked._replace(operation=None)
            key = caller.api_key_id, asked
        if key not in own.shared:
            if not self._has_room(own):
                return None
            own.shared[key] = line = _Line(caller, asked, "", 0, requests=0)
            own.lines.append(line)
        return own.shared[key]

    def _has_room(self, own: _Gathered) -> bool:
        if len(own.lines) >= MOST_LINES or self._waiting >= MOST_WAITING:
            LOST.add()
            return False
        self._waiting += 1
        return True

    async def flush(self) -> None:
        """Write everything that gathered; a process calls this before it ends."""
        async with self._turn:
            self._taken += [line for own in self._gathered.values() for line in own.lines]
            self._gathered = {}
            while self._taken:
                lines = self._taken[:AT_ONCE]
                if not await _write(lines):
                    return
                del self._taken[: len(lines)]
                self._waiting -= len(lines)

    async def _write_soon(self) -> None:
        while self._gathered or self._taken:
            await asyncio.sleep(EVERY_SECONDS)
            await self.flush()


NOTEBOOK = Notebook()
"""This process's."""


async def _write(lines: Sequence[_Line]) -> bool:
    """Say whether these are done with: written, or such as no database takes."""
    columns = zip(*(_row(line) for line in lines), strict=True)
    try:
        await fetch(WRITE, *(list(column) for column in columns))
    except REFUSED as error:
        LOST.add(amount=sum(line.requests for line in lines))
        log.warning("requests could not be written to their log: %r", error)
    except Exception as error:  # an edge: they are written when the database is back
        log.warning("requests wait to be written to their log: %r", error)
        return False
    return True


def _row(line: _Line) -> tuple[Any, ...]:
    caller, asked = line.caller, line.asked
    return (
        line.id,
        caller.organization_id,
        caller.project_id,
        caller.api_key_id,
        caller.user_id,
        asked.api,
        asked.method,
        asked.route[:200],
        None if asked.operation is None else asked.operation[:100],
        asked.status,
        asked.code,
        outcome_of(asked.status, asked.code).value,
        line.request_id,
        line.requests,
        line.microseconds,
        line.at,
    )
