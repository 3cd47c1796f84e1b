"""Going on with bulk actions, page by page, and forgetting them."""

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any

import msgspec

from ..core import clock
from ..core.actor import Actor, Mode
from ..core.database import fetch, transaction
from ..core.errors import OperationError
from ..core.ids import first_id_at
from ..core.paging import Cursor, Page, PageRequest
from ..core.queue import JobName, enqueue
from ..core.shares import share_of
from ..delivery.matching import recipient_counts
from ..messages.queries import FoundMessage, MessageFilter, list_messages
from ..security.later import Asked, actor_of
from .rules import (
    LISTED,
    LONGEST_WAIT,
    MOST_FAILURES,
    MOST_RECIPIENTS,
    NEEDS,
    PAGE,
    SMALL_PAGE,
    BulkKind,
)
from .steps import ONE_BY_ONE, TOGETHER, Did, Later, StopsAll, is_passing

log = logging.getLogger(__name__)

TURN_SECONDS = 600.0
"""How long one job goes on; then others have their turn, and the sweep asks for the next."""
NOBODY = "Whoever asked for it may not do it any more."
BROKEN = "It could not be done to its end; try again later."


async def ask_for_bulk(id: uuid.UUID) -> None:
    """Ask for the job that goes on with a bulk action."""
    await enqueue(JobName.GO_ON_IN_BULK, key=f"bulk:{id}", bulk_id=str(id))


_OPEN = "SELECT id FROM bulk_actions WHERE state IN ('queued', 'running')"
ANY_OPEN_BULK = f"EXISTS ({_OPEN})"


async def ask_for_open_bulk(*, limit: int) -> None:
    """Ask for the jobs of those that are not done, in case theirs were lost."""
    rows = await fetch(f"{_OPEN} ORDER BY id LIMIT {{}}", limit)
    for row in rows:
        await ask_for_bulk(row["id"])


async def run_bulk(id: uuid.UUID) -> None:
    """Go on from where it was left, to its end or for ten minutes."""
    ends_at = time.monotonic() + TURN_SECONDS
    while time.monotonic() < ends_at:
        rows = await fetch(
            "UPDATE bulk_actions SET state = 'running' WHERE id = {} "
            "AND state IN ('queued', 'running') RETURNING *",
            id,
        )
        if not rows or not await _one_page(rows[0]):
            return


async def _one_page(row: Mapping[str, Any]) -> bool:
    """Do it to some messages; say whether there is more to do."""
    actor = await actor_of(_asked(row))
    if actor is None:
        await _give_up(row["id"], NOBODY)
        return False
    wanted = msgspec.convert(msgspec.json.decode(row["filter"]), MessageFilter)
    try:
        actor.require(NEEDS[BulkKind(row["kind"])])
        if row["place"] is None:
            row = await _with_bounds(row, actor, wanted)
        size = PAGE if row["kind"] in TOGETHER else SMALL_PAGE
        page = await _read(row, actor, wanted, first=size)
        if row["kind"] in TOGETHER:
            page = await _within_bounds(actor, page)
        return await _do(row, actor, wanted, page)
    except StopsAll as stop:
        await _give_up(row["id"], str(stop))
    except Later as later:
        await _wait(row["id"], str(later))
    except OperationError as error:
        await (_wait if is_passing(error) else _give_up)(row["id"], error.sentence)
    except Exception:
        await _miss(row["id"])
        raise
    return False


def _asked(row: Mapping[str, Any]) -> Asked:
    return Asked(
        organization_id=row["organization_id"],
        project_id=row["project_id"],
        user_id=row["user_id"],
        api_key_id=row["api_key_id"],
        permissions=row["permissions"],
        mode=Mode(row["mode"]),
        allowed_domains=row["allowed_domains"],
        request_id=f"bulk-{row['id']}",
    )


async def _read(
    row: Mapping[str, Any],
    actor: Actor,
    wanted: MessageFilter,
    *,
    first: int | None = None,
    last: int | None = None,
) -> Page[FoundMessage]:
    after = None if row["place"] is None else Cursor(row["place"])
    return await list_messages(
        actor, PageRequest(first=first, after=after, last=last, maximum=PAGE), wanted=wanted
    )


async def _with_bounds(
    row: Mapping[str, Any], actor: Actor, wanted: MessageFilter
) -> Mapping[str, Any]:
    """Return it with the times of the first and the last message, by which it is measured."""
    newest = await _read(row, actor, wanted, first=1)
    oldest = await _read(row, actor, wanted, last=1)
    bounds = {
        "newest_at": newest.items[0].created_at if newest.items else None,
        "oldest_at": oldest.items[0].created_at if oldest.items else None,
    }
    await fetch(
        "UPDATE bulk_actions SET newest_at = {}::timestamptz, oldest_at = {}::timestamptz "
        "WHERE id = {} AND place IS NULL",
        *bounds.values(),
        row["id"],
    )
    return {**row, **bounds}


async def _within_bounds(actor: Actor, page: Page[FoundMessage]) -> Page[FoundMessage]:
    """Return as much of the page as has no more recipients than are taken together."""
    ids = [message.id for message in page.items]
    counts = await recipient_counts(actor.organization_id, ids)
    sums = accumulate(counts.get(id, 0) for id in ids)
    return _first(page, max(1, sum(total <= MOST_RECIPIENTS for total in sums)))


def _first(page: Page[FoundMessage], count: int) -> Page[FoundMessage]:
    """Return the page as if it ended after so many messages."""
    if count >= len(page.items):
        return page
    return replace(page, items=page.items[:count], cursors=page.cursors[:count], has_next=True)


async def _do(
    row: Mapping[str, Any], actor: Actor, wanted: MessageFilter, page: Page[FoundMessage]
) -> bool:
    kind = BulkKind(row["kind"])
    did = Did()
    stop: Later | StopsAll | None = None
    if kind in ONE_BY_ONE:
        # Each is a change of its own that does nothing when it is done again.
        for nth, message in enumerate(page.items):
            try:
                did += await ONE_BY_ONE[kind](row["id"], actor, message, wanted)
            except (Later, StopsAll) as why:
                if nth == 0:
                    raise
                page, stop = _first(page, nth), why
                break
    async with transaction() as tx:
        if not await _note(row, page):
            # Somebody stopped it, or another worker was here first.
            return False
        if kind in TOGETHER:
            did += await TOGETHER[kind](tx, actor, page.items, wanted)
        await fetch(
            "UPDATE bulk_actions SET affected = affected + {}, refused = refused + {} "
            "WHERE id = {}",
            did.affected,
            did.refused,
            row["id"],
        )
    if stop is not None:
        raise stop
    return page.has_next


async def _note(row: Mapping[str, Any], page: Page[FoundMessage]) -> bool:
    """Note how far it is; say whether it was still there."""
    until = page.items[-1].created_at if page.items else None
    share = 1.0
    if page.has_next and until and row["newest_at"] and row["oldest_at"]:
        share = share_of(row["newest_at"], row["oldest_at"], until)
    changed = await fetch(
        "UPDATE bulk_actions SET place = {}, seen = seen + {}, share = {}, failures = 0, "
        "waiting_since = NULL, "
        "state = {}, completed_at = {}::timestamptz "
        "WHERE id = {} AND state = 'running' AND place IS NOT DISTINCT FROM {} RETURNING id",
        page.cursors[-1] if page.cursors else row["place"],
        len(page.items),
        share,
        "running" if page.has_next else "done",
        None if page.has_next else clock.now(),
        row["id"],
        row["place"],
    )
    return bool(changed)


async def _wait(id: uuid.UUID, why: str) -> None:
    """Leave it where it is until the sweep asks for it again; give it up if that never helps."""
    now = clock.now()
    rows = await fetch(
        "UPDATE bulk_actions SET waiting_since = coalesce(waiting_since, {}) "
        "WHERE id = {} AND state = 'running' RETURNING waiting_since",
        now,
        id,
    )
    if rows and now - rows[0]["waiting_since"] >= LONGEST_WAIT:
        await _give_up(id, why)


async def _give_up(id: uuid.UUID, failure: str) -> None:
    await fetch(
        "UPDATE bulk_actions SET state = 'failed', failure = {}, completed_at = {} "
        "WHERE id = {} AND state = 'running'",
        failure,
        clock.now(),
        id,
    )


async def _miss(id: uuid.UUID) -> None:
    """Note that a page failed; after some in a row it is given up."""
    await fetch(
        "UPDATE bulk_actions SET failures = failures + 1 WHERE id = {} AND state = 'running'", id
    )
    await fetch(
        "UPDATE bulk_actions SET state = 'failed', failure = {}, completed_at = {} "
        "WHERE id = {} AND state = 'running' AND failures >= {}",
        BROKEN,
        clock.now(),
        id,
        MOST_FAILURES,
    )


async def forget_bulk_actions() -> None:
    """Forget what was done more than a month ago."""
    await fetch(
        "DELETE FROM bulk_actions WHERE id < {} AND state NOT IN ('queued', 'running')",
        first_id_at(clock.now() - LISTED),
    )
