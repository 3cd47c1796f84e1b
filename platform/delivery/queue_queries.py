"""Reading queues for an actor: what waits where, and how it goes.

Numbers are those of the last roll-up, about a second old; nothing is counted to read them.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core import clock
from ..core.actor import Actor, OrganizationId, Permission
from ..core.database import fetch
from ..core.errors import NotFound
from ..core.paging import Order, Page, PageRequest, decode_cursor, encode_cursor
from .isps import Isp
from .rules import QueueState

LISTED = timedelta(hours=1)
"""How long an empty queue is still listed."""

KNOWN = timedelta(hours=24)
"""How long an empty queue can still be asked for by its id."""

SEEN = timedelta(seconds=15)
"""How long what a worker said of its connections counts."""

BY_DEPTH = Order("depth", "depth", lambda queue: queue.depth, descending=True)
BY_NAME = Order("name", "name", lambda queue: queue.name)
OLDEST_FIRST = Order(
    "oldest_message_at",
    "coalesce(oldest_message_at, 'infinity')",
    lambda queue: queue.oldest_message_at or datetime.max.replace(tzinfo=clock.now().tzinfo),
)


@dataclass(frozen=True, slots=True)
class Hold:
    """Who holds a queue, since when, until when and why."""

    source: str
    at: datetime
    reason: str | None
    by: uuid.UUID | None
    until: datetime | None
    """None: until it is released."""


@dataclass(frozen=True, slots=True)
class LastReply:
    """The last reply of a receiver to a queue's mail."""

    code: int | None
    enhanced_code: str | None
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue as its users see it."""

    id: uuid.UUID
    organization_id: OrganizationId
    vmta_id: uuid.UUID
    vmta: str
    pool: str
    domain: str
    name: str
    isp: Isp
    site: str | None
    state: QueueState
    depth: int
    ready: int
    deferred: int
    in_flight: int
    scheduled: int
    oldest_message_at: datetime | None
    hold: Hold | None
    last_reply: LastReply | None


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which queues are wanted; what is left out fits all."""

    vmta: str | None = None
    """Name or id."""
    pool: str | None = None
    domain: str | None = None
    isp: Isp | None = None
    states: Sequence[QueueState] = ()
    min_depth: int | None = None

    @property
    def scope(self) -> str:
        """Text that ties a cursor to these filters."""
        states = ",".join(sorted(self.states))
        return f"{self.vmta}|{self.pool}|{self.domain}|{self.isp}|{states}|{self.min_depth}"


# What stands for a queue in lists: those that hold something, and for a while those that did.
_VIEW = """
    SELECT queues.*, vmtas.name AS vmta, vmtas.pool,
        queues.domain || '/' || vmtas.name AS name,
        CASE WHEN queues.state = 'held' THEN 'held'
            WHEN vmtas.status = 'paused' THEN 'paused'
            WHEN queues.backoff_until > {} THEN 'backoff' ELSE 'active' END AS shown_state
    FROM queues JOIN vmtas ON vmtas.id = queues.vmta_id
    WHERE queues.organization_id = {}
    AND (queues.depth > 0 OR queues.scheduled > 0 OR queues.emptied_at > {})
"""
_FILTER = """
    ({}::text IS NULL OR vmta = {} OR vmta_id::text = {})
    AND ({}::text IS NULL OR pool = {}) AND ({}::text IS NULL OR domain = {})
    AND ({}::text IS NULL OR isp = {})
    AND (cardinality({}::text[]) = 0 OR shown_state = ANY({}::text[]))
    AND depth >= {}
"""


async def list_queues(
    actor: Actor, page: PageRequest, *, wanted: QueueFilter, order: Order = BY_DEPTH
) -> Page[QueueView]:
    """Return the organization's queues, the deepest first unless *order* says otherwise."""
    actor.require(Permission.READ_QUEUES)
    walking = order.reversed if page.backwards else order
    start = page.before if page.backwards else page.after
    sign, direction = ("<", "DESC") if walking.descending else (">", "ASC")
    beyond: str = "true"
    values: tuple[Any, ...] = ()
    if start is not None:
        beyond = f"({order.expression}, id) {sign} ({{}}, {{}})"
        values = decode_cursor(start, order, scope=wanted.scope)
    rows = await fetch(
        f"SELECT * FROM ({_VIEW}) AS queue WHERE {_FILTER} AND {beyond} "
        f"ORDER BY {order.expression} {direction}, id {direction} LIMIT {{}}",
        *_view_values(actor, LISTED),
        *_filter_values(wanted),
        *values,
        page.size + 1,
    )
    found = [_view(row) for row in rows[: page.size]]
    more = len(rows) > page.size
    if page.backwards:
        found.reverse()
    return Page(
        items=found,
        cursors=[encode_cursor(order, each, scope=wanted.scope) for each in found],
        has_next=start is not None if page.backwards else more,
        has_previous=more if page.backwards else start is not None,
    )


async def count_queues(actor: Actor, *, wanted: QueueFilter) -> int:
    """Return how many queues are listed."""
    actor.require(Permission.READ_QUEUES)
    rows = await fetch(
        f"SELECT count(*) AS n FROM ({_VIEW}) AS queue WHERE {_FILTER}",
        *_view_values(actor, LISTED),
        *_filter_values(wanted),
    )
    count: int = rows[0]["n"]
    return count


async def find_queues(actor: Actor, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, QueueView]:
    """Return those of the queues that the organization has, or had in the last day."""
    actor.require(Permission.READ_QUEUES)
    rows = await fetch(
        f"SELECT * FROM ({_VIEW}) AS queue WHERE id = ANY({{}}::uuid[])",
        *_view_values(actor, KNOWN),
        list(ids),
    )
    return {row["id"]: _view(row) for row in rows}


async def get_queue(actor: Actor, queue_id: uuid.UUID) -> QueueView:
    """Return one queue.

    Raises:
        NotFound: there is none, it has been empty for a day, or it is another organization's.
    """
    found = await find_queues(actor, [queue_id])
    if queue_id not in found:
        raise NotFound("There is no such queue in this organization.")
    return found[queue_id]


async def next_attempts(
    actor: Actor, queue_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, datetime]:
    """Return when each queue's next delivery is due that no worker has: a few index probes."""
    rows = await fetch(
        "SELECT queues.id, min(first.due_at) AS due_at FROM queues "
        "CROSS JOIN (VALUES (0::smallint), (1::smallint)) AS turn (priority) "
        "CROSS JOIN LATERAL (SELECT due_at FROM deliveries WHERE queue_id = queues.id "
        "AND deliveries.priority = turn.priority AND due_at IS NOT NULL "
        "AND deliveries.state <> 'sending' ORDER BY due_at LIMIT 1) AS first "
        "WHERE queues.organization_id = {} AND queues.id = ANY({}::uuid[]) GROUP BY queues.id",
        actor.organization_id,
        list(queue_ids),
    )
    return {row["id"]: row["due_at"] for row in rows}


async def delivered_last_hour(
    actor: Actor, queue_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, int]:
    """Return how much of each queue was delivered in the last hour, to five minutes."""
    rows = await fetch(
        "SELECT queue_id, sum(delivered)::int AS n FROM sending_activity "
        "WHERE organization_id = {} AND queue_id = ANY({}::uuid[]) AND started_at > {} "
        "GROUP BY queue_id",
        actor.organization_id,
        list(queue_ids),
        clock.now() - timedelta(hours=1),
    )
    return {row["queue_id"]: row["n"] for row in rows}


async def open_connections(actor: Actor, queue_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return how many connections workers have open for each queue, as they said last."""
    rows = await fetch(
        "SELECT queue_id, sum(connections)::int AS n FROM queue_work "
        "JOIN queues ON queues.id = queue_id AND queues.organization_id = {} "
        "WHERE queue_id = ANY({}::uuid[]) AND seen_at > {} GROUP BY queue_id",
        actor.organization_id,
        list(queue_ids),
        clock.now() - SEEN,
    )
    return {row["queue_id"]: row["n"] for row in rows}


def _view_values(actor: Actor, kept: timedelta) -> tuple[Any, ...]:
    now = clock.now()
    return now, actor.organization_id, now - kept


def _filter_values(wanted: QueueFilter) -> tuple[Any, ...]:
    states = [state.value for state in wanted.states]
    isp = wanted.isp.value if wanted.isp else None
    return (
        *(wanted.vmta, wanted.vmta, wanted.vmta),
        *(wanted.pool, wanted.pool, wanted.domain, wanted.domain, isp, isp, states, states),
        max(wanted.min_depth or 0, 0),
    )


def _view(row: Mapping[str, Any]) -> QueueView:
    hold = None
    if row["state"] == QueueState.HELD:
        hold = Hold(
            source=row["hold_source"] or "user",
            at=row["held_at"],
            reason=row["hold_reason"],
            by=row["held_by"],
            until=row["held_until"],
        )
    last = None
    if row["last_reply_at"] is not None:
        last = LastReply(
            row["last_code"], row["last_enhanced_code"], row["last_reply"], row["last_reply_at"]
        )
    return QueueView(
        id=row["id"],
        organization_id=row["organization_id"],
        vmta_id=row["vmta_id"],
        vmta=row["vmta"],
        pool=row["pool"],
        domain=row["domain"],
        name=row["name"],
        isp=Isp(row["isp"]),
        site=row["site"],
        state=QueueState(row["shown_state"]),
        depth=max(row["depth"], 0),
        ready=max(row["queued"], 0),
        deferred=max(row["deferred"], 0),
        in_flight=max(row["sending"], 0),
        scheduled=max(row["scheduled"], 0),
        oldest_message_at=row["oldest_message_at"],
        hold=hold,
        last_reply=last,
    )


async def backoffs_by_isp(actor: Actor) -> dict[str, int]:
    """Return how many queues to each provider send slowly now, for want of its consent.

    It asks for no permission: it is a part of what analytics tell of providers.
    """
    rows = await fetch(
        "SELECT isp, count(*) AS queues FROM queues WHERE organization_id = {} AND depth > 0 "
        "AND backoff_until > {} GROUP BY isp",
        actor.organization_id,
        clock.now(),
    )
    return {row["isp"]: row["queues"] for row in rows}
