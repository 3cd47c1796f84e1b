"""Sealing stored values anew, after the secret key was changed."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import LiteralString

from .crypto import SealBroken, reseal
from .database import fetch

BATCH = 500


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of sealed values, in a table whose key is `id`."""

    table: LiteralString
    column: LiteralString
    purpose: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is with one column."""

    read: int = 0
    renewed: int = 0
    broken: tuple[uuid.UUID, ...] = ()
    """Rows whose value no secret key opens; they are left as they are."""


async def reseal_all(sealed: Sealed) -> AsyncIterator[Progress]:
    """Seal the values of a column with the secret key in use, and yield how far it is by batches.

    It may be stopped at any time and begun again: what is sealed so already is only read. No
    row is locked for longer than its own change, and what is changed meanwhile stays changed.
    """
    done, after = Progress(), uuid.UUID(int=0)
    while rows := await fetch(
        f"SELECT id, {sealed.column} AS value FROM {sealed.table} WHERE id > {{}} "
        f"AND length({sealed.column}) > 0 ORDER BY id LIMIT {{}}",
        after,
        BATCH,
    ):
        after = rows[-1]["id"]
        found: list[tuple[uuid.UUID, bytes, bytes]] = []
        broken: list[uuid.UUID] = []
        for row in rows:
            try:
                anew = reseal(row["value"], purpose=sealed.purpose)
            except SealBroken:
                broken.append(row["id"])
            else:
                if anew is not None:
                    found.append((row["id"], row["value"], anew))
        changed = await _store(sealed, found) if found else 0
        done = Progress(done.read + len(rows), done.renewed + changed, (*done.broken, *broken))
        yield done


async def _store(sealed: Sealed, found: list[tuple[uuid.UUID, bytes, bytes]]) -> int:
    # Only where the value is still the one that was read. In the order of the key, so that two
    # who do this at once never deadlock.
    rows = await fetch(
        f"UPDATE {sealed.table} AS stored SET {sealed.column} = renewed.anew "
        "FROM unnest({}::uuid[], {}::bytea[], {}::bytea[]) AS renewed (id, value, anew) "
        f"WHERE stored.id = renewed.id AND stored.{sealed.column} = renewed.value "
        "RETURNING stored.id",
        [id for id, _, _ in found],
        [value for _, value, _ in found],
        [anew for _, _, anew in found],
    )
    return len(rows)
