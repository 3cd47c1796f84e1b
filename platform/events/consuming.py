"""Events for consumers that keep their place: each once, also after a stop or a crash.

A consumer's place is a row: the highest position it has had, and below that the holes,
positions that were given out and could not be seen yet. What fills a hole is taken like
anything new, and a hole goes when every transaction that could fill it has ended. So a look
reads what is new and nothing else; a transaction that stays open for long costs its own
holes only.

A place is told in positions, which a dump, a restore and a freeze leave as they are. Numbers
of transactions, of 64 bits, say only when a hole may go:

- A transaction has its number before it draws a position (`operations.APPEND`). So whoever
  could fill a hole that one look has found has a lower number than the transaction of the
  next look, which has none yet when it gets hold of the row.
- When every transaction below that number had ended before a look, and the look did not see
  the hole filled, nobody fills it.

Source: https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, LiteralString

from ..core import clock
from ..core.database import Tx, fetch
from ..core.ids import made_at, new_id

RECENT = 10_000
"""Positions below the last one among which a consumer that starts now looks for holes."""

LIVE_FOR = timedelta(days=30)
"""Events are kept for a consumer that has looked within this time, however old they are."""


class Start(StrEnum):
    """Where a consumer begins that has no place yet."""

    BEGINNING = "beginning"
    """With the oldest event there is."""
    NOW = "now"
    """With what commits from now on. Left out may be what was written before more than 10,000
    other events and commits after this."""


START = (
    "INSERT INTO event_consumers (id, name, upto, holes, waiting, waiting_below, looked_at) "
    "SELECT {}, {}, last.position, "
    "(int8multirange(int8range(greatest(last.position - {}, 0) + 1, last.position + 1)) "
    "- coalesce(had.positions, int8multirange()))::text, int8multirange()::text, 0, {} "
    "FROM (SELECT CASE WHEN {} THEN 0 ELSE coalesce(max(position), 0) END AS position "
    "FROM events) AS last CROSS JOIN LATERAL ("
    "SELECT range_agg(int8range(position, position, '[]')) AS positions FROM events "
    "WHERE position <= last.position AND position > last.position - {}) AS had "
    "ON CONFLICT (name) DO NOTHING"
)
MOMENT = (
    "SELECT pg_current_xact_id_if_assigned() IS NULL AS is_fresh, "
    "pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_open"
)
# Having the row, the transaction has its number, too, and not a moment before.
LOCK = (
    "SELECT upto, holes, waiting, waiting_below FROM event_consumers WHERE name = {} "
    "FOR UPDATE SKIP LOCKED"
)
COLUMNS = (
    "id, position, organization_id, project_id, message_id, delivery_id, type, simulated, "
    "data, occurred_at"
)
"""By name: a process of one release reads while the migrations of the next one run."""
# Each half reads its index from where it begins, and no further than the limit.
_NEXT = (
    "FROM ((SELECT {columns} "
    "FROM unnest({{}}::text::int8multirange + {{}}::text::int8multirange) AS hole "
    "CROSS JOIN LATERAL (SELECT {columns} FROM events WHERE position >= lower(hole) "
    "AND position < upper(hole) ORDER BY position LIMIT {{}}) AS event "
    "ORDER BY position LIMIT {{}}) UNION ALL ("
    "SELECT {columns} FROM events WHERE position > {{}} ORDER BY position LIMIT {{}})) AS event "
    "ORDER BY position LIMIT {{}}"
)
LOOK = f"SELECT {COLUMNS} {_NEXT.format(columns=COLUMNS)}"
_WHOSE = "organization_id, position"
LOOK_WHOSE = (
    "SELECT organization_id, array_agg(position ORDER BY position) AS positions "
    f"FROM (SELECT {_WHOSE} {_NEXT.format(columns=_WHOSE)}) AS next GROUP BY organization_id"
)
READ = f"SELECT {COLUMNS} FROM events WHERE position = ANY({{}}::bigint[]) ORDER BY position"
HAS_MORE = (
    "coalesce((SELECT NOT isempty(holes::int8multirange + waiting::int8multirange) "
    "OR EXISTS (SELECT FROM events WHERE position > upto) "
    "FROM event_consumers WHERE name = {}), true)"
)
"""Whether a consumer, by name, may get something: for whoever looks now and then."""
# At a turn the holes of before now wait for whoever has a lower number than this one,
# and those go that waited. Numbers begin again in a database that was restored from a dump.
ADVANCE = (
    "UPDATE event_consumers AS place SET upto = {}, looked_at = {}, "
    "holes = (CASE WHEN turns THEN gaps ELSE holes::int8multirange + gaps - had END)::text, "
    "waiting = (CASE WHEN turns THEN holes ELSE waiting END::int8multirange - had)::text, "
    "waiting_below = CASE WHEN turns THEN ours ELSE waiting_below END "
    "FROM (SELECT had, int8multirange(int8range({}, {})) - had AS gaps, ours, "
    "{}::boolean AND ({}::bigint <= {}::bigint OR {}::bigint > ours) AS turns FROM ("
    "SELECT coalesce(range_agg(int8range(position, position, '[]')), int8multirange()) AS had, "
    "pg_current_xact_id()::text::bigint AS ours FROM unnest({}::bigint[]) AS position) AS taken"
    ") AS look WHERE place.name = {}"
)


@dataclass(slots=True)
class Taken:
    """An event that a consumer has had, as it was written down.

    A row of Piccolo's takes ten times as long to make, and each event is one.
    """

    id: uuid.UUID
    position: int
    organization_id: uuid.UUID
    project_id: uuid.UUID | None
    message_id: uuid.UUID | None
    delivery_id: uuid.UUID | None
    type: str
    simulated: bool
    data: str
    """As JSON."""
    occurred_at: datetime


async def take_rows(
    tx: Tx, consumer: str, *, limit: int, start: Start = Start.BEGINNING
) -> Sequence[dict[str, Any]]:
    """Return the next events that *consumer* has not had, at most *limit*, by position.

    They are columns of rows, with `data` as JSON. They are had when the caller's transaction
    commits, and if it does not, they come again. Each comes once, whatever order transactions
    end in. While another transaction takes for this consumer there are none. What the caller's
    own transaction appends comes later.

    It must be called before the transaction writes anything, and needs read committed, which
    `transaction()` is. *start* counts when the consumer comes for the first time.
    """

    def positions(rows: Sequence[dict[str, Any]]) -> list[int]:
        return [row["position"] for row in rows]

    return await _take(tx, consumer, LOOK, positions, limit=limit, start=start)


async def take_positions(
    tx: Tx, consumer: str, *, limit: int, start: Start = Start.BEGINNING
) -> dict[uuid.UUID, list[int]]:
    """Do what `take_rows` does for one that reads the events of few: return where whose are."""

    def positions(rows: Sequence[dict[str, Any]]) -> list[int]:
        return sorted(each for row in rows for each in row["positions"])

    rows = await _take(tx, consumer, LOOK_WHOSE, positions, limit=limit, start=start)
    return {row["organization_id"]: row["positions"] for row in rows}


async def read_events(positions: Sequence[int]) -> list[Taken]:
    """Return the events at *positions*, in their order."""
    if not positions:
        return []
    return [Taken(**row) for row in await fetch(READ, positions)]


async def _take(
    tx: Tx,
    consumer: str,
    look: LiteralString,
    positions: Callable[[Sequence[dict[str, Any]]], list[int]],
    *,
    limit: int,
    start: Start,
) -> Sequence[dict[str, Any]]:
    moment = (await fetch(MOMENT))[0]
    if not moment["is_fresh"]:
        raise RuntimeError("events are taken before the transaction writes anything")
    place = await _lock(tx, consumer, start)
    if place is None:
        return []
    rows = await fetch(
        look, place["holes"], place["waiting"], limit, limit, place["upto"], limit, limit
    )
    await _advance(consumer, moment, place, positions(rows), limit=limit)
    return rows


async def _advance(
    consumer: str,
    moment: Mapping[str, Any],
    place: Mapping[str, Any],
    positions: Sequence[int],
    *,
    limit: int,
) -> None:
    upto = max(place["upto"], positions[-1] if positions else 0)
    # Were the limit reached among the holes, some that are filled may not have been taken.
    saw_holes = len(positions) < limit or upto > place["upto"]
    below = place["waiting_below"]
    await fetch(
        ADVANCE,
        upto,
        clock.now(),
        place["upto"] + 1,
        upto + 1,
        saw_holes,
        below,
        moment["oldest_open"],
        below,
        positions,
        consumer,
    )


async def start_consumer(tx: Tx, consumer: str, *, start: Start) -> None:
    """Give *consumer* a place, unless it has one."""
    del tx
    await fetch(
        START,
        new_id(),
        consumer,
        RECENT,
        clock.now(),
        start is Start.BEGINNING,
        RECENT,
    )


async def _lock(tx: Tx, consumer: str, start: Start) -> dict[str, Any] | None:
    if places := await fetch(LOCK, consumer):
        return places[0]
    if await fetch("SELECT FROM event_consumers WHERE name = {}", consumer):
        return None
    await start_consumer(tx, consumer, start=start)
    places = await fetch(LOCK, consumer)
    return places[0] if places else None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a consumer is behind."""

    consumer: str
    events: int
    """How many it has not had; at the most, for positions have gaps."""
    seconds: float
    """How long the next one has waited for it."""
    looked_at: datetime


async def consumer_lags() -> list[Lag]:
    """Return how far each consumer is behind, by name: two probes of an index for each."""
    rows = await fetch(
        "SELECT name, looked_at, greatest(last.position - upto, 0) AS events, next.id AS next "
        "FROM event_consumers CROSS JOIN (SELECT max(position) AS position FROM events) AS last "
        "LEFT JOIN LATERAL (SELECT id FROM events WHERE position > upto "
        "ORDER BY position LIMIT 1) AS next ON true ORDER BY name"
    )
    now = clock.now()
    return [
        Lag(
            row["name"],
            row["events"] if row["next"] else 0,
            max((now - made_at(row["next"])).total_seconds(), 0) if row["next"] else 0,
            row["looked_at"],
        )
        for row in rows
    ]


async def first_needed_position() -> int | None:
    """Return the position from which on some live consumer may have to read; None if there is none.

    Events below it may be removed.
    """
    rows = await fetch(
        "SELECT min(least(upto + 1, lower(holes::int8multirange + waiting::int8multirange))) "
        "AS position FROM event_consumers WHERE looked_at > {}",
        clock.now() - LIVE_FOR,
    )
    position: int | None = rows[0]["position"]
    return position
