"""Sums of the mail that a question is about, from cells, and at the ends from events."""

import uuid
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..core.actor import OrganizationId, ProjectId
from ..core.database import fetch
from ..core.ids import first_id_at
from .counting import ALL, AT_THEIR_OWN_TIME, COUNTED, FULL, Key, keys_of
from .rolling import group
from .rules import COUNTERS, Dimension
from .windows import Piece

Filters = Mapping[Dimension, Sequence[str]]

SLACK = timedelta(minutes=10)
"""Between when a message got its id and when it counts as accepted, at the most."""
MOST_COUNTED_AGAIN = 200_000
"""Events that are counted again for one question."""

SUMS = ", ".join(f"sum(cell.{name})::bigint AS {name}" for name in COUNTERS)
CELLS = f"""
    SELECT width_bucket(cell.starts_at, {{}}::timestamptz[]) AS bucket, chosen.key, chosen.isp,
        {SUMS}
    FROM unnest({{}}::text[], {{}}::timestamptz[], {{}}::timestamptz[])
        AS piece (grain, starts_at, ends_at)
    CROSS JOIN ({{chosen}}) AS chosen
    JOIN analytics_cells AS cell ON cell.set_id = chosen.id AND cell.grain = piece.grain
        AND cell.starts_at >= piece.starts_at AND cell.starts_at < piece.ends_at
    GROUP BY 1, 2, 3
"""
EVENTS = """
    SELECT id, position, organization_id, project_id, message_id, delivery_id, type, simulated,
        data, occurred_at
    FROM events WHERE type = ANY({}::text[]) AND message_id IN (
        SELECT id FROM messages WHERE organization_id = {} AND id >= {} AND id < {}
        AND created_at >= {} AND created_at < {})
    UNION ALL
    SELECT id, position, organization_id, project_id, message_id, delivery_id, type, simulated,
        data, occurred_at
    FROM events WHERE organization_id = {} AND occurred_at >= {} AND occurred_at < {}
        AND type IN ('message.opened', 'message.clicked', 'message.complained')
    ORDER BY position LIMIT {}
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Which mail it is about, and by what its sums are told apart."""

    organization_id: OrganizationId
    project_id: ProjectId | None = None
    filters: Filters = field(default_factory=dict)
    by: Dimension | None = None
    by_isp: bool = False
    """Told apart by provider besides."""

    @property
    def kind(self) -> str:
        """The kind of sets that answer it: those of one dimension, if it names no other."""
        named = set(self.filters) | ({self.by} if self.by else set())
        if self.by_isp and self.by is Dimension.BOUNCE_CLASS:
            named.discard(Dimension.ISP)
        if not named:
            return ALL
        # A message with two of the tags would be counted twice.
        tags = self.filters.get(Dimension.TAG, ())
        if len(named) > 1 or (tags and (len(tags) > 1 or self.by is Dimension.TAG)):
            return FULL
        return next(iter(named)).value

    @property
    def has_minutes(self) -> bool:
        """Whether its sums are kept by the minute."""
        return self.kind == ALL


@dataclass(frozen=True, slots=True)
class Sums:
    """What mail came to in one bucket."""

    bucket: int
    """0 is the first."""
    key: str
    isp: str
    counts: Mapping[str, int]


async def read(
    question: Question, pieces: Sequence[Piece], edges: Sequence[datetime]
) -> list[Sums]:
    """Return the sums of a question, for each bucket that is not empty, key and provider."""
    found: dict[tuple[int, str, str], dict[str, int]] = {}
    kept = [piece for piece in pieces if piece.grain is not None]
    for sums in await _cells(question, kept, edges) if kept else ():
        _add(found, (sums.bucket, sums.key, sums.isp), sums.counts)
    for piece in pieces:
        if piece.grain is None:
            for sums in await count_again(question, piece.start, piece.end, edges):
                _add(found, (sums.bucket, sums.key, sums.isp), sums.counts)
    return [Sums(*place, counts) for place, counts in sorted(found.items())]


def _add(
    found: dict[tuple[int, str, str], dict[str, int]],
    place: tuple[int, str, str],
    counts: Mapping[str, int],
) -> None:
    sums = found.setdefault(place, {})
    for name, count in counts.items():
        if count:
            sums[name] = sums.get(name, 0) + count


async def _cells(
    question: Question, pieces: Sequence[Piece], edges: Sequence[datetime]
) -> list[Sums]:
    chosen, arguments = _chosen(question)
    rows = await fetch(
        CELLS.replace("{chosen}", chosen),
        list(edges),
        [piece.grain for piece in pieces],
        [piece.start for piece in pieces],
        [piece.end for piece in pieces],
        *arguments,
    )
    return [
        # What lies before the first edge was widened to a whole quarter or day.
        Sums(max(row.pop("bucket") - 1, 0), row.pop("key"), row.pop("isp"), row)
        for row in rows
    ]


def _chosen(question: Question) -> tuple[str, list[Any]]:
    """Return the statement that finds the sets of a question, and its arguments."""
    kind, by = question.kind, question.by
    arguments: list[Any] = [question.organization_id, kind]
    isp = "isp" if question.by_isp else "''"
    if kind == FULL:
        column = "''" if by is None else "tag" if by is Dimension.TAG else by.value
        text = f"SELECT id, {column} AS key, {isp} AS isp FROM analytics_sets"
        if by is Dimension.TAG:
            text += " CROSS JOIN unnest(tags) AS tag"
    else:
        key = "key" if by is not None else "''"
        text = f"SELECT id, {key} AS key, {isp} AS isp FROM analytics_sets"
    text += " WHERE organization_id = {} AND kind = {}"
    if question.project_id is not None:
        text += " AND project_id = {}"
        arguments.append(question.project_id)
    for dimension, values in question.filters.items():
        if kind == FULL and dimension is Dimension.TAG:
            text += " AND tags && {}::varchar[]"
        elif kind in (FULL, dimension.value) or dimension is Dimension.ISP:
            text += (
                f" AND {'key' if kind == dimension.value else dimension.value} = ANY({{}}::text[])"
            )
        arguments.append(list(values))
    if kind == FULL and by is not None and by is not Dimension.TAG:
        text += f" AND {by.value} <> ''"
    return text, arguments


async def count_again(
    question: Question, start: datetime, end: datetime, edges: Sequence[datetime]
) -> list[Sums]:
    """Return the same sums from the events themselves, of a short stretch that is not kept."""
    found: dict[tuple[int, str, str], dict[str, int]] = {}
    rows = await read_events(question.organization_id, start, end)
    for (traits, isp, vmta, bounce_class, at), counts in (await group(rows)).items():
        if not start <= at < end:
            continue
        bucket = max(bisect_right(edges, at) - 1, 0)
        for key in keys_of(traits, isp, vmta, bounce_class):
            if _is_meant(key, question):
                for name in _names(key, question):
                    _add(found, (bucket, name, key.isp if question.by_isp else ""), counts)
    return [Sums(*place, counts) for place, counts in found.items()]


async def read_events(
    organization_id: uuid.UUID, start: datetime, end: datetime, *, limit: int = MOST_COUNTED_AGAIN
) -> Sequence[dict[str, Any]]:
    """Return the rows of events that count in a stretch, by position."""
    return await fetch(
        EVENTS,
        [each.value for each in COUNTED - AT_THEIR_OWN_TIME],
        organization_id,
        first_id_at(start - SLACK),
        first_id_at(end + SLACK),
        start,
        end,
        organization_id,
        start,
        end,
        limit,
    )


def _is_meant(key: Key, question: Question) -> bool:
    if key.kind != question.kind or (
        question.project_id is not None and key.project_id != question.project_id
    ):
        return False
    for dimension, values in question.filters.items():
        if key.kind == FULL and dimension is Dimension.TAG:
            if not set(key.tags) & set(values):
                return False
        elif (key.key if key.kind == dimension.value else getattr(key, dimension)) not in values:
            return False
    return True


def _names(key: Key, question: Question) -> Iterator[str]:
    if question.by is None:
        yield ""
    elif key.kind != FULL:
        yield key.key
    elif question.by is Dimension.TAG:
        yield from key.tags
    elif name := getattr(key, question.by):
        yield name
