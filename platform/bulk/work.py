"""Going on with bulk actions, page by page, and forgetting them."""

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, TypeAlias

import msgspec

from ..core import clock
from ..core.actor import Actor, Mode
from ..core.database import fetch, transaction
from ..core.errors import OperationError
from ..core.ids import first_id_at
from ..core.paging import Cursor, Page, PageRequest
from ..core.queue import JobName, enqueue
from ..core.shares import share_of
from ..core.storable import to_json
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
from .steps import (
    ONE_BY_ONE,
    TOGETHER,
    Did,
    DomainBlocked,
    Later,
    StopsAll,
    is_passing,
    leave,
)

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
        if row["place"] is None and row["only_domain"] is None:
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


LeftOut: TypeAlias = list[tuple[str, str | None]]
"""Domains whose mail was passed over, each with the cursor before the first message of it."""


@dataclass(slots=True)
class _Turn:
    """What became of a page."""

    page: Page[FoundMessage]
    left_out: LeftOut = field(default_factory=list)
    did: Did = field(default_factory=Did)
    waits_for: str | None = None
    is_over: bool = False
    """Nothing behind the page is meant."""
    stop: Later | StopsAll | None = None


async def _do(
    row: Mapping[str, Any], actor: Actor, wanted: MessageFilter, page: Page[FoundMessage]
) -> bool:
    kind = BulkKind(row["kind"])
    turn = _Turn(page)
    if kind in ONE_BY_ONE:
        turn = await _each(row, actor, wanted, page)
    turn.is_over = turn.is_over or not turn.page.has_next
    async with transaction() as tx:
        if not await _note(row, turn):
            # Somebody stopped it, or another worker was here first.
            return False
        if kind in TOGETHER:
            turn.did += await TOGETHER[kind](tx, actor, turn.page.items, wanted)
        await fetch(
            "UPDATE bulk_actions SET affected = affected + {}, refused = refused + {} "
            "WHERE id = {}",
            turn.did.affected,
            turn.did.refused,
            row["id"],
        )
    if turn.stop is not None:
        raise turn.stop
    return not turn.is_over or bool(turn.left_out)


async def _each(
    row: Mapping[str, Any], actor: Actor, wanted: MessageFilter, page: Page[FoundMessage]
) -> _Turn:
    """Do it to one message after the other: a change of its own, that is not done twice.

    Mail of a domain that is blocked is passed over, from the first message that was refused. The
    list is gone through again for each such domain, so that no other mail waits for its block.
    """
    only = row["only_domain"]
    turn = _Turn(page, msgspec.json.decode(row["left_out"], type=LeftOut))
    step = ONE_BY_ONE[BulkKind(row["kind"])]
    for nth, message in enumerate(page.items):
        # No block holds up the sandbox.
        is_sandbox = message.mode == Mode.SANDBOX
        if only is not None and (message.domain_id != only or is_sandbox):
            continue
        domain = str(message.domain_id)
        try:
            # What comes after it waits as well, even if the block ended meanwhile: what is gone
            # through later begins there, and nothing may be sent by both.
            is_left = any(domain == each for each, _ in turn.left_out)
            turn.did += await (
                leave(actor, message, wanted)
                if is_left and only is None and not is_sandbox
                else step(row["id"], actor, message, wanted)
            )
        except DomainBlocked as why:
            turn.left_out.append((domain, page.cursors[nth - 1] if nth else row["place"]))
            turn.waits_for = str(why)
            if only is not None:
                turn.page, turn.is_over, turn.stop = _first(page, nth), True, Later(str(why))
                break
            turn.did += Did(left=1)
        except (Later, StopsAll) as why:
            if nth == 0:
                raise
            turn.page, turn.stop = _first(page, nth), why
            break
    return turn


async def _note(row: Mapping[str, Any], turn: _Turn) -> bool:
    """Note how far it is, and for whom it comes again; say whether it was still there."""
    only, place, left_out = row["only_domain"], row["place"], turn.left_out
    is_first, did = only is None, turn.did
    seen = row["seen"] + (len(turn.page.items) if is_first else 0)
    left = row["waiting"] + did.left - (0 if is_first else did.affected + did.refused)
    if turn.page.cursors:
        place = turn.page.cursors[-1]
    if turn.is_over and left_out:
        (domain, place), *left_out = left_out
        only = uuid.UUID(domain)
    is_done = turn.is_over and not turn.left_out
    left = 0 if is_done else max(left, 0)
    changed = await fetch(
        "UPDATE bulk_actions SET place = {}, seen = {}, share = {}, failures = 0, "
        "waiting_since = CASE WHEN {} THEN NULL ELSE waiting_since END, "
        "only_domain = {}::uuid, left_out = {}::jsonb, waiting = {}, "
        "waiting_for = CASE WHEN {} THEN NULL ELSE coalesce({}::text, waiting_for) END, "
        "state = {}, completed_at = {}::timestamptz "
        "WHERE id = {} AND state = 'running' AND place IS NOT DISTINCT FROM {} "
        "AND only_domain IS NOT DISTINCT FROM {}::uuid RETURNING id",
        place,
        seen,
        _share(row, turn, is_first=is_first) * (1 - left / seen if left and seen else 1),
        # Mail that is only passed over on the way to what waits ends no waiting.
        is_first or did != Did(),
        only,
        to_json(left_out),
        left,
        is_done,
        turn.waits_for,
        "done" if is_done else "running",
        clock.now() if is_done else None,
        row["id"],
        row["place"],
        row["only_domain"],
    )
    return bool(changed)


def _share(row: Mapping[str, Any], turn: _Turn, *, is_first: bool) -> float:
    """Return how much of the list was gone through the first time, as far as time tells."""
    until = turn.page.items[-1].created_at if turn.page.items else None
    if is_first and not turn.is_over and until and row["newest_at"] and row["oldest_at"]:
        return share_of(row["newest_at"], row["oldest_at"], until)
    return 1.0


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
        "UPDATE bulk_actions SET state = 'failed', failure = {}, completed_at = {}, "
        "refused = refused + waiting, waiting = 0 "
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
        "UPDATE bulk_actions SET state = 'failed', failure = {}, completed_at = {}, "
        "refused = refused + waiting, waiting = 0 "
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
