"""Moving mail that waits from the queues of one vMTA to those of others."""

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from ..vmtas.rules import Route
from .rules import queue_id

STEP = 1_000
"""Deliveries moved by one statement; each lot goes to one of the vMTAs, by weight."""

AT_ONCE = 50_000
"""Deliveries moved in one transaction; what is beyond follows in the background."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How many deliveries were moved, and into which queues."""

    count: int
    queue_ids: frozenset[uuid.UUID]


async def move_mail(
    tx: Tx, vmta_id: uuid.UUID, targets: Sequence[Route], *, any_mail: bool
) -> Moved:
    """Move what waits for a vMTA to *targets*, and what is on the wire stays claimed as it is.

    Without *any_mail*, only what was routed by its pool and is not on the wire is moved.
    Deliveries that somebody else changes now are left.
    """
    count, touched = 0, set[uuid.UUID]()
    queues = await _queues_of(vmta_id) if targets else ()
    drawn = {queue["id"]: _draw(targets) for queue in queues}
    await _ensure_queues([_Wanted.of(queue, drawn[queue["id"]]) for queue in queues])
    for queue in queues:
        target = drawn[queue["id"]]
        while count < AT_ONCE:
            wanted = queue_id(OrganizationId(queue["organization_id"]), target, queue["domain"])
            moved = await _move(queue["id"], wanted, any_mail=any_mail)
            count += moved
            if moved:
                touched.add(wanted)
            if moved < STEP:
                break
            target = _draw(targets)
            await _ensure_queues([_Wanted.of(queue, target)])
    return Moved(count, frozenset(touched))


async def move_queue(tx: Tx, from_queue: uuid.UUID, targets: Sequence[Route]) -> Moved:
    """Move one lot of what waits in a queue, was routed by its pool and is not on the wire."""
    rows = await fetch("SELECT id, organization_id, domain FROM queues WHERE id = {}", from_queue)
    if not rows or not targets:
        return Moved(0, frozenset())
    wanted = _Wanted.of(rows[0], _draw(targets))
    await _ensure_queues([wanted])
    moved = await _move(from_queue, wanted.id, any_mail=False)
    return Moved(moved, frozenset({wanted.id}) if moved else frozenset())


async def waiting_for(vmta_id: uuid.UUID) -> tuple[int, int]:
    """Return how many deliveries wait for a vMTA, and how many are on the wire."""
    rows = await fetch(
        "SELECT count(*) FILTER (WHERE deliveries.state <> 'sending') AS waiting, "
        "count(*) FILTER (WHERE deliveries.state = 'sending') AS in_flight "
        "FROM queues JOIN deliveries ON queue_id = queues.id AND due_at IS NOT NULL "
        "WHERE queues.vmta_id = {}",
        vmta_id,
    )
    return rows[0]["waiting"], rows[0]["in_flight"]


async def has_mail(vmta_id: uuid.UUID, *, on_the_wire: bool = False) -> bool:
    """Say whether anything waits for a vMTA, or with *on_the_wire* is being sent by it."""
    rows = await fetch(
        "SELECT FROM queues WHERE vmta_id = {} AND EXISTS (SELECT FROM deliveries "
        "WHERE queue_id = queues.id AND due_at IS NOT NULL "
        "AND (NOT {} OR deliveries.state = 'sending')) LIMIT 1",
        vmta_id,
        on_the_wire,
    )
    return bool(rows)


def _draw(targets: Sequence[Route]) -> uuid.UUID:
    weights = [target.weight or 1 for target in targets]
    return random.choices(targets, weights)[0].vmta_id


async def _queues_of(vmta_id: uuid.UUID) -> Sequence[dict[str, Any]]:
    # In the order of ids, so that two who move never wait for each other.
    return await fetch(
        "SELECT id, organization_id, domain FROM queues WHERE vmta_id = {} AND EXISTS ("
        "SELECT FROM deliveries WHERE queue_id = queues.id AND due_at IS NOT NULL) ORDER BY id",
        vmta_id,
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A queue that mail is to be moved to, and the one it comes from."""

    id: uuid.UUID
    vmta_id: uuid.UUID
    like: uuid.UUID

    @staticmethod
    def of(queue: Mapping[str, Any], vmta_id: uuid.UUID) -> "_Wanted":
        """Return the queue of another vMTA for the same mail."""
        owner = OrganizationId(queue["organization_id"])
        return _Wanted(queue_id(owner, vmta_id, queue["domain"]), vmta_id, queue["id"])


async def _ensure_queues(wanted: Sequence[_Wanted]) -> None:
    # In the order of ids, as accepting does, and all before any mail is moved: whoever makes
    # the same queues at this moment waits here for us, or we for them, and never both.
    ordered = sorted(wanted, key=lambda each: each.id)
    await fetch(
        "INSERT INTO queues (id, organization_id, vmta_id, domain, state, created_at, isp, site, "
        "scheduled, queued, sending, deferred, depth, emptied_at) "
        "SELECT new.id, organization_id, new.vmta_id, domain, 'active', {}, isp, site, "
        "0, 0, 0, 0, 0, 'epoch'::timestamptz "
        "FROM unnest({}::uuid[], {}::uuid[], {}::uuid[]) AS new (id, vmta_id, old) "
        "JOIN queues ON queues.id = new.old ORDER BY new.id ON CONFLICT DO NOTHING",
        clock.now(),
        [each.id for each in ordered],
        [each.vmta_id for each in ordered],
        [each.like for each in ordered],
    )


async def _move(from_queue: uuid.UUID, to_queue: uuid.UUID, *, any_mail: bool) -> int:
    rows = await fetch(
        "WITH picked AS (SELECT deliveries.id FROM deliveries "
        "JOIN spooled_messages AS message ON message.id = message_id "
        "WHERE queue_id = {} AND due_at IS NOT NULL "
        "AND ({} OR (deliveries.state <> 'sending' AND NOT names_vmta)) "
        "LIMIT {} FOR NO KEY UPDATE OF deliveries SKIP LOCKED), moved AS ("
        "UPDATE deliveries SET queue_id = {} WHERE id = ANY(ARRAY(SELECT id FROM picked)) "
        "RETURNING 1) SELECT count(*) AS n FROM moved",
        from_queue,
        any_mail,
        STEP,
        to_queue,
    )
    count: int = rows[0]["n"]
    return count
