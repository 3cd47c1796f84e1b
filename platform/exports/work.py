"""Writing files page by page, handing them out, and forgetting them."""

import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from ..core import clock
from ..core.actor import OrganizationId
from ..core.csv_lines import csv_lines
from ..core.database import Tx, fetch, transaction
from ..core.ids import first_id_at, new_id
from ..core.queue import JobName, enqueue
from ..core.shares import share_of
from ..security import limits
from .links import read_token
from .pages import Asking, Page, PageMissing, PageRefused, ReadPage
from .rules import (
    DELIMITERS,
    KEPT,
    LISTED,
    MOST_BYTES,
    MOST_FAILURES,
    PAGE,
    Dataset,
    Delimiter,
)

log = logging.getLogger(__name__)

TURN_SECONDS = 600.0
"""How long one job writes; then others have their turn, and the sweep asks for the next."""
NOT_READ = "The list could not be read to its end; try again later."
TOO_LARGE = f"A file has at most {MOST_BYTES // 2**20} MiB. Ask for less at a time."


async def ask_for_export(id: uuid.UUID) -> None:
    """Ask for the job that writes a file."""
    await enqueue(JobName.WRITE_EXPORT, key=f"export:{id}", export_id=str(id))


_OPEN = "SELECT id FROM exports WHERE state IN ('queued', 'running')"
ANY_OPEN_EXPORT = f"EXISTS ({_OPEN})"


async def ask_for_open_exports(*, limit: int) -> None:
    """Ask for the jobs of files that are not written to their end."""
    rows = await fetch(f"{_OPEN} ORDER BY id LIMIT {{}}", limit)
    for row in rows:
        await ask_for_export(row["id"])


async def run_export(id: uuid.UUID, read: ReadPage, *, most_bytes: int = MOST_BYTES) -> None:
    """Write a file from where it was left, to its end or for ten minutes.

    Two that write the same file do no harm: the part of one of them is thrown away.
    """
    ends_at = time.monotonic() + TURN_SECONDS
    while time.monotonic() < ends_at:
        rows = await fetch(
            "UPDATE exports SET state = 'running' WHERE id = {} AND state IN ('queued', 'running') "
            "RETURNING *",
            id,
        )
        if not rows:
            return
        try:
            row = rows[0] if rows[0]["parts"] else await _with_bounds(rows[0], read)
            page = await read(_asking(row))
        except PageRefused as refused:
            await _give_up(id, str(refused))
            return
        except PageMissing:
            await _miss(id)
            return
        if not await _write(row, page, most_bytes):
            return


def _asking(row: Mapping[str, Any], **more: Any) -> Asking:
    given: dict[str, Any] = {"size": PAGE, "after": row["place"]} | more
    return Asking(
        export_id=row["id"],
        organization_id=OrganizationId(row["organization_id"]),
        project_id=row["project_id"],
        user_id=row["user_id"],
        api_key_id=row["api_key_id"],
        permissions=row["permissions"],
        dataset=Dataset(row["dataset"]),
        filter=json.loads(row["filter"]),
        **given,
    )


async def _with_bounds(row: Mapping[str, Any], read: ReadPage) -> Mapping[str, Any]:
    """Return the export with the times of the first and the last row, by which it is measured."""
    newest = await read(_asking(row, size=1))
    oldest = await read(_asking(row, size=1, is_last=True))
    bounds = {"newest_at": newest.until, "oldest_at": oldest.until}
    await fetch(
        "UPDATE exports SET newest_at = {}::timestamptz, oldest_at = {}::timestamptz "
        "WHERE id = {} AND parts = 0",
        *bounds.values(),
        row["id"],
    )
    return {**row, **bounds}


async def _write(row: Mapping[str, Any], page: Page, most_bytes: int) -> bool:
    """Add a page to the file; say whether there is more to write."""
    header = [] if row["parts"] else [page.header]
    delimiter = DELIMITERS[Delimiter(row["delimiter"])]
    data = csv_lines([*header, *page.rows], delimiter=delimiter)
    is_end, now = page.place is None, clock.now()
    async with transaction() as tx:
        changed = await fetch(
            "UPDATE exports SET parts = parts + 1, rows = rows + {}, size_bytes = size_bytes + {}, "
            "place = {}, share = {}, failures = 0, state = {}, completed_at = {}::timestamptz, "
            "expires_at = {}::timestamptz "
            "WHERE id = {} AND state = 'running' AND parts = {} RETURNING size_bytes",
            len(page.rows),
            len(data),
            page.place,
            _share(row, page),
            "done" if is_end else "running",
            now if is_end else None,
            now + KEPT if is_end else None,
            row["id"],
            row["parts"],
        )
        # Somebody cancelled it, or another worker was here first.
        if not changed:
            return False
        if changed[0]["size_bytes"] > most_bytes:
            await _fail(tx, row["id"], TOO_LARGE)
            return False
        await fetch(
            "INSERT INTO export_parts (id, export_id, number, data) VALUES ({}, {}, {}, {})",
            new_id(),
            row["id"],
            row["parts"],
            data,
        )
    return not is_end


def _share(row: Mapping[str, Any], page: Page) -> float:
    if page.place is None:
        return 1.0
    newest, oldest = row["newest_at"], row["oldest_at"]
    if page.until is None or newest is None or oldest is None:
        return float(row["share"])
    return share_of(newest, oldest, page.until)


async def _give_up(id: uuid.UUID, failure: str) -> None:
    async with transaction() as tx:
        await _fail(tx, id, failure)


async def _fail(tx: Tx, id: uuid.UUID, failure: str) -> None:
    await fetch(
        "UPDATE exports SET state = 'failed', failure = {}, completed_at = {}, expires_at = NULL "
        "WHERE id = {} AND state IN ('running', 'done')",
        failure,
        clock.now(),
        id,
    )
    await remove_parts(tx, [id])


async def _miss(id: uuid.UUID) -> None:
    """Note that a page could not be read; the sweep asks again, until it was too often."""
    rows = await fetch(
        "UPDATE exports SET failures = failures + 1 WHERE id = {} RETURNING failures", id
    )
    log.warning("a page of an export could not be read", extra={"export_id": str(id)})
    if rows and rows[0]["failures"] >= MOST_FAILURES:
        await _give_up(id, NOT_READ)


async def remove_parts(tx: Tx, ids: Collection[uuid.UUID]) -> None:
    """Throw files away."""
    await fetch("DELETE FROM export_parts WHERE export_id = ANY({}::uuid[])", list(ids))


_OUTDATED = (
    "state IN ('queued', 'running', 'done') AND EXISTS (SELECT FROM erasures "
    "WHERE organization_id = exports.organization_id "
    # One that was asked for before may have been at work while the file was written.
    "AND coalesce(completed_at, created_at) >= exports.created_at)"
)
ANY_OUTDATED = f"EXISTS (SELECT FROM exports WHERE {_OUTDATED})"


async def drop_outdated() -> int:
    """Throw away files in which somebody may be who was erased since they were begun.

    The table of erasures is another area's: it is only read.
    """
    return await _drop(
        f"UPDATE exports SET state = 'outdated', expires_at = NULL WHERE {_OUTDATED} RETURNING id"
    )


async def drop_expired() -> int:
    """Throw away files whose time is up, and forget what there was a month ago."""
    now = clock.now()
    dropped = await _drop(
        "UPDATE exports SET state = 'expired' WHERE state = 'done' AND expires_at <= {} "
        "RETURNING id",
        now,
    )
    await fetch(
        "DELETE FROM exports WHERE id < {} AND state NOT IN ('queued', 'running')",
        first_id_at(now - LISTED),
    )
    return dropped


async def _drop(statement: LiteralString, *arguments: Any) -> int:
    async with transaction() as tx:
        rows = await fetch(statement, *arguments)
        await remove_parts(tx, [row["id"] for row in rows])
    return len(rows)


@dataclass(frozen=True, slots=True)
class Download:
    """A file that may be had."""

    export_id: uuid.UUID
    dataset: Dataset
    size_bytes: int
    parts: int
    created_at: datetime


async def find_download(token: str) -> Download | None:
    """Return the file that a link leads to.

    Returns None if there was such a file, and is none any more.

    Raises:
        LookupError: the link is none of ours.
        TooManyRequests: it was followed too often in the last minute.
    """
    named = read_token(token)
    if named is None:
        raise LookupError(token)
    export_id, until = named
    now = clock.now()
    if now >= until:
        return None
    await limits.count(limits.DOWNLOAD, str(export_id))
    await drop_outdated()
    rows = await fetch(
        "SELECT dataset, size_bytes, parts, created_at FROM exports "
        "WHERE id = {} AND state = 'done' AND expires_at > {}",
        export_id,
        now,
    )
    if not rows:
        return None
    return Download(export_id, **{**rows[0], "dataset": Dataset(rows[0]["dataset"])})


async def read_parts(download: Download) -> AsyncIterator[bytes]:
    """Yield a file part by part; one is in memory at a time.

    Raises:
        LookupError: it was thrown away meanwhile.
    """
    for number in range(download.parts):
        rows = await fetch(
            "SELECT data FROM export_parts WHERE export_id = {} AND number = {}",
            download.export_id,
            number,
        )
        if not rows:
            raise LookupError(download.export_id)
        yield rows[0]["data"]
