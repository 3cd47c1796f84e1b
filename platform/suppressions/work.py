"""What the platform does with suppressions for itself."""

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ..accounts.work import own_projects
from ..core import clock
from ..core.actor import OrganizationId, ProjectId
from ..core.database import Tx, fetch, transaction
from ..core.ids import first_id_at, new_id
from ..core.queue import JobName, enqueue
from ..core.sharing import joined, texts
from ..events.operations import NewEvent, append
from ..events.rules import EventType
from .files import NO_PROJECT, Line, UnreadableFile, read_file
from .rules import (
    MARKETING,
    MAX_DESCRIPTION,
    SuppressionReason,
    erased_key,
    erasers,
    stand_in_for,
)

LINES_AT_ONCE = 500
"""Of a file, what one transaction takes."""

TURN_SECONDS = 600.0
"""How long one job reads; then others have their turn, and the sweep asks for the next."""

IMPORTS_KEPT = timedelta(days=30)


@dataclass(slots=True)
class Recipients:
    """Addresses that somebody wants to send to, in lower case."""

    organization_id: OrganizationId
    project_id: ProjectId
    stream: str
    address_keys: list[str]

    def asks_as(self, other: "Recipients") -> bool:
        """Whether what stops mail to an address of one would stop it to one of the other."""
        return (
            self.organization_id == other.organization_id
            and self.project_id == other.project_id
            and self.stream == other.stream
        )


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """An address to stop sending to; without a project in all of them, without an end for good."""

    organization_id: OrganizationId
    project_id: ProjectId | None
    address: str
    reason: SuppressionReason
    description: str | None = None
    expires_at: datetime | None = None
    stream: str | None = None
    """The only stream it stops; None is every one, or what the reason says."""

    @property
    def address_key(self) -> str:
        return self.address.lower()


# Whose addresses are to be looked for by what stands for them, too: of that there is an index.
FIND = """
    WITH asked AS (
        SELECT * FROM unnest({}::uuid[], {}::uuid[], {}::text[]) WITH ORDINALITY
        AS asked (organization_id, project_id, stream, place)
    )
    SELECT own.nth, found.reason, NULL::uuid AS has_erased
    FROM unnest(coalesce({}::text[], string_to_array({}, E'\\n')),
        string_to_array({}, E'\\n', '')::int[]) WITH ORDINALITY AS own (address_key, place, nth)
    JOIN asked USING (place)
    JOIN suppressions AS found ON found.organization_id = asked.organization_id
    AND found.address_key = own.address_key
    WHERE (found.project_id IS NULL OR found.project_id = asked.project_id)
    AND (found.expires_at IS NULL OR found.expires_at > {})
    AND (found.stream IS NULL OR found.stream = asked.stream)
    AND (asked.stream = {} OR found.reason <> {})
    UNION ALL
    SELECT 0, NULL, organization_id FROM asked WHERE EXISTS (
        SELECT FROM suppressions WHERE organization_id = asked.organization_id
        AND left(address_key, 1) = '#')
"""

_have_erased: set[OrganizationId] = set()
"""Organizations that this process knows to have erased somebody."""


async def suppressed(asked: Sequence[Recipients]) -> list[SuppressionReason | None]:
    """Return for each address why it gets no mail, or None; one statement for all of them.

    It takes one more for an organization that is first seen to have erased somebody. It reads in
    the open transaction if there is one.
    """
    keys = [key for each in asked for key in each.address_keys]
    if not keys:
        return []
    places = [place for place, each in enumerate(asked, 1) for _ in each.address_keys]
    known = {each.organization_id for each in asked} & _have_erased
    erased = _erased_among(asked, known)
    rows, have_erased = await _find(asked, keys + erased.keys, places + erased.places)
    nths = [*range(len(keys)), *erased.nths]
    found = [(nths[nth], reason) for nth, reason in rows]
    if new := have_erased - known:
        if len(_have_erased) > 100_000:
            _have_erased.clear()
        _have_erased.update(new)
        erased = _erased_among(asked, new)
        rows, _ = await _find(asked, erased.keys, erased.places)
        found += [(erased.nths[nth], reason) for nth, reason in rows]
    weight = list(SuppressionReason)
    answers: list[SuppressionReason | None] = [None] * len(keys)
    for nth, reason in found:
        known_one = answers[nth]
        if known_one is None or weight.index(reason) < weight.index(known_one):
            answers[nth] = reason
    return answers


@dataclass(slots=True)
class _Erased:
    """What may stand for addresses, of whom each is, and at which place it was asked for."""

    keys: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    nths: list[int] = field(default_factory=list)


def _erased_among(asked: Sequence[Recipients], whose: Set[OrganizationId]) -> _Erased:
    found = _Erased()
    nth = 0
    for place, each in enumerate(asked, 1):
        count = len(each.address_keys)
        # As often as there are secret keys that somebody may have been erased under: once, but
        # for the time after a rotation.
        for erased in erasers(each.organization_id) if each.organization_id in whose else ():
            found.keys += map(erased, each.address_keys)
            found.places += [place] * count
            found.nths += range(nth, nth + count)
        nth += count
    return found


async def _find(
    asked: Sequence[Recipients], keys: Sequence[str], places: Sequence[int]
) -> tuple[list[tuple[int, SuppressionReason]], set[OrganizationId]]:
    """Return which of *keys* is suppressed and why, and who of those who ask has erased anybody."""
    rows = await fetch(
        FIND,
        [each.organization_id for each in asked],
        [each.project_id for each in asked],
        [each.stream for each in asked],
        *texts(keys),
        joined(places),
        clock.now(),
        MARKETING,
        SuppressionReason.UNSUBSCRIBE.value,
    )
    found = [(row["nth"] - 1, SuppressionReason(row["reason"])) for row in rows if row["nth"]]
    return found, {row["has_erased"] for row in rows if not row["nth"]}


async def add(tx: Tx, suppressions: Sequence[NewSuppression]) -> int:
    """Stop sending to addresses and return how many were not stopped like that before.

    One that is stopped already stays so until the later end, under another id.
    """
    distinct = {
        (
            item.organization_id,
            item.address_key,
            item.reason.value,
            str(item.project_id),
            item.stream or "",
        ): item
        for item in sorted(suppressions, key=_end)
    }
    if not distinct:
        return 0
    # In the order of the key, so that two workers that settle the same addresses never deadlock.
    items = [distinct[key] for key in sorted(distinct)]
    rows = await fetch(
        "INSERT INTO suppressions AS old (id, organization_id, project_id, address, address_key, "
        "stream, reason, description, expires_at, created_at) "
        "SELECT *, {}::timestamptz FROM unnest({}::uuid[], {}::uuid[], {}::uuid[], {}::text[], "
        "{}::text[], {}::text[], {}::text[], {}::text[], {}::timestamptz[]) "
        "ON CONFLICT (organization_id, address_key, reason, project_id, stream) DO UPDATE "
        # Another id: a removal that waits for the one before does not take this one away.
        "SET id = excluded.id, "
        "expires_at = CASE WHEN old.expires_at IS NULL OR excluded.expires_at IS NULL "
        "THEN NULL ELSE greatest(old.expires_at, excluded.expires_at) END "
        # A row that was there before has been locked by this statement; a new one has not.
        "RETURNING *, xmax = 0 AS is_new",
        clock.now(),
        [new_id() for _ in items],
        [item.organization_id for item in items],
        [item.project_id for item in items],
        [item.address for item in items],
        [item.address_key for item in items],
        [item.stream for item in items],
        [item.reason.value for item in items],
        [item.description and item.description[:MAX_DESCRIPTION] for item in items],
        [item.expires_at for item in items],
    )
    new = [row for row in rows if row["is_new"]]
    await append(tx, [changed(EventType.SUPPRESSION_CREATED, row) for row in new])
    return len(new)


def changed(type: EventType, row: Mapping[str, Any]) -> NewEvent:
    """Return the event that says that a suppression began or was taken away."""
    expires_at: datetime | None = row["expires_at"]
    return NewEvent(
        organization_id=row["organization_id"],
        project_id=row["project_id"],
        message_id=None,
        delivery_id=None,
        type=type,
        data={
            "suppression_id": str(row["id"]),
            "email": row["address"],
            "reason": row["reason"],
            "stream": row["stream"],
            "description": row["description"],
            "expires_at": expires_at and _rfc3339(expires_at),
        },
        occurred_at=clock.now(),
    )


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _end(item: NewSuppression) -> tuple[bool, datetime]:
    return item.expires_at is None, item.expires_at or clock.now()


async def ask_for_import(id: uuid.UUID) -> None:
    """Ask for the job that reads an imported file."""
    await enqueue(JobName.IMPORT_SUPPRESSIONS, key=f"import:{id}", import_id=str(id))


_OPEN = "SELECT id FROM suppression_imports WHERE completed_at IS NULL"
ANY_OPEN_IMPORT = f"EXISTS ({_OPEN})"


async def ask_for_open_imports(*, limit: int) -> None:
    """Ask for the jobs of files that are not read to their end, in case theirs were lost."""
    rows = await fetch(f"{_OPEN} ORDER BY created_at LIMIT {{}}", limit)
    for row in rows:
        await ask_for_import(row["id"])


async def run_import(id: uuid.UUID) -> None:
    """Read an imported file from where it was left, to its end or for ten minutes.

    Two that read the same file take turns, and no line is taken twice.
    """
    rows = await fetch("SELECT data FROM suppression_import_files WHERE id = {}", id)
    if not rows:
        return
    try:
        lines = await asyncio.to_thread(read_file, rows[0]["data"], now=clock.now())
    except UnreadableFile as error:
        await _give_up(id, str(error))
        return
    ends_at = time.monotonic() + TURN_SECONDS
    while time.monotonic() < ends_at and await _take_lines(id, lines):
        pass


async def _give_up(id: uuid.UUID, failure: str) -> None:
    async with transaction():
        await fetch(
            "UPDATE suppression_imports SET failure = {}, completed_at = {} "
            "WHERE id = {} AND completed_at IS NULL",
            failure,
            clock.now(),
            id,
        )
        await _forget_file(id)


async def _forget_file(id: uuid.UUID) -> None:
    await fetch("DELETE FROM suppression_import_files WHERE id = {}", id)


async def _take_lines(id: uuid.UUID, lines: Sequence[Line]) -> bool:
    """Take the next lines of a file; say whether there may be more."""
    async with transaction() as tx:
        rows = await fetch(
            "SELECT * FROM suppression_imports WHERE id = {} AND completed_at IS NULL "
            "FOR NO KEY UPDATE",
            id,
        )
        if not rows:
            return False
        done: int = rows[0]["done"]
        batch = await _in_known_projects(lines[done : done + LINES_AT_ONCE], rows[0])
        taken = [_suppression(line, rows[0]) for line in batch if line.problem is None]
        refused = [line for line in batch if line.problem is not None]
        added = await add(tx, taken)
        await _refuse(id, refused)
        is_end = done + len(batch) >= len(lines)
        await fetch(
            "UPDATE suppression_imports SET done = done + {}, added = added + {}, "
            "changed = changed + {}, refused = refused + {}, completed_at = {} WHERE id = {}",
            len(batch),
            added,
            len(taken) - added,
            len(refused),
            clock.now() if is_end else None,
            id,
        )
        if is_end:
            await _forget_file(id)
    return not is_end


async def _in_known_projects(lines: Sequence[Line], row: Mapping[str, Any]) -> list[Line]:
    """Return the lines, those refused that name a project which the file is not for."""
    named = {line.project_id for line in lines if line.project_id is not None}
    known = await own_projects(row["organization_id"], named) if named else frozenset()
    if row["project_id"] is not None:
        known &= {row["project_id"]}
    return [
        line
        if line.project_id is None or line.project_id in known
        else Line(line.number, problem=NO_PROJECT, text=line.text)
        for line in lines
    ]


def _suppression(line: Line, row: Mapping[str, Any]) -> NewSuppression:
    assert line.mailbox is not None
    return NewSuppression(
        organization_id=row["organization_id"],
        project_id=ProjectId(line.project_id) if line.project_id else row["project_id"],
        address=line.mailbox.address,
        reason=line.reason or SuppressionReason(row["reason"]),
        description=line.description,
        expires_at=line.expires_at,
        stream=line.stream or row["stream"],
    )


async def _refuse(id: uuid.UUID, lines: Sequence[Line]) -> None:
    if lines:
        await fetch(
            "INSERT INTO suppression_import_lines (id, import_id, line, text, problem) "
            "SELECT new.id, {}, line, text, problem "
            "FROM unnest({}::uuid[], {}::integer[], {}::text[], {}::text[]) "
            "AS new (id, line, text, problem)",
            id,
            [new_id() for _ in lines],
            [line.number for line in lines],
            [line.text for line in lines],
            [line.problem for line in lines],
        )


async def remove_old_imports() -> None:
    """Forget files that were read a month ago, and what was wrong with them."""
    await fetch(
        "DELETE FROM suppression_imports WHERE id < {} AND completed_at IS NOT NULL",
        first_id_at(clock.now() - IMPORTS_KEPT),
    )


async def stop_erased(tx: Tx, organization_id: OrganizationId, address_key: str) -> None:
    """Send nothing more to an address, of which only a keyed hash is kept."""
    key = erased_key(organization_id, address_key)
    await fetch(
        "INSERT INTO suppressions (id, organization_id, address, address_key, reason, created_at) "
        "VALUES ({}, {}, {}, {}, {}, {}) "
        "ON CONFLICT (organization_id, address_key, reason, project_id, stream) DO NOTHING",
        new_id(),
        organization_id,
        stand_in_for(key),
        key,
        SuppressionReason.ERASED.value,
        clock.now(),
    )


async def erase_address(tx: Tx, organization_id: OrganizationId, address_key: str) -> int:
    """Keep suppressions of an address by its keyed hash alone; return how many there were.

    They hold as before: whoever wanted no mail still gets none.
    """
    key = erased_key(organization_id, address_key)
    rows = await fetch(
        "WITH gone AS (DELETE FROM suppressions WHERE organization_id = {} AND address_key = {} "
        "RETURNING *) "
        "INSERT INTO suppressions AS old (id, organization_id, project_id, stream, address, "
        "address_key, reason, expires_at, created_at) "
        "SELECT id, organization_id, project_id, stream, {}, {}, reason, expires_at, created_at "
        "FROM gone ON CONFLICT (organization_id, address_key, reason, project_id, stream) "
        "DO UPDATE SET expires_at = CASE WHEN old.expires_at IS NULL "
        "OR excluded.expires_at IS NULL THEN NULL "
        "ELSE greatest(old.expires_at, excluded.expires_at) END RETURNING id",
        organization_id,
        address_key,
        stand_in_for(key),
        key,
    )
    await fetch(
        "DELETE FROM suppression_import_lines AS line USING suppression_imports AS file "
        "WHERE file.id = line.import_id AND file.organization_id = {} "
        "AND position({}::text IN lower(line.text)) > 0",
        organization_id,
        address_key,
    )
    return len(rows)
