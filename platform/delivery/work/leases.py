"""Limits over all workers: connections leased for seconds, messages in blocks.

A scope is what a limit counts against: a source address at a site, a vMTA everywhere, a queue in
back-off. Whoever takes from a scope holds its row, so that workers never take the same twice.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...core import clock
from ...core.database import fetch, transaction
from ...core.ids import new_id
from ..limits import SiteLimits
from ..rules import RestReason
from ..windows import DAY, HOUR, MINUTE, Claimant, Window, fair_share

CONNECTION_LEASE = timedelta(seconds=15)
"""How long a worker that says nothing keeps its connections; then others may have them.

It says so every few seconds. Without the database it goes on with those that it has, for
nobody else can lease them either.
"""

SCOPES_KEPT = timedelta(days=2)
"""The longest window is a day, and fades out in another."""

SCOPE_NAMESPACE = uuid.UUID("8f3f1c52-6d3e-5f0b-a4e7-9a1f5b2c7d31")
_SPANS = (("minute", MINUTE), ("hour", HOUR), ("day", DAY))


@dataclass(frozen=True, slots=True)
class ScopeKey:
    """Names a scope: our address (or vMTA, or queue), and all exchangers of the site."""

    source: str
    site: str
    is_whole: bool = False
    """Nothing of it is kept back for others."""

    @property
    def id(self) -> uuid.UUID:
        """The same for every worker."""
        return uuid.uuid5(SCOPE_NAMESPACE, f"{self.source}|{self.site}")

    @property
    def shown_site(self) -> str:
        """The site's first exchanger."""
        return self.site.partition(",")[0][:253]


@dataclass(frozen=True, slots=True)
class Wish:
    """What one worker wants of a scope."""

    scope: ScopeKey
    limit: int
    open: int
    """Connections it has open: it cannot go below them at once."""
    wanted: int
    organizations: int


@dataclass(frozen=True, slots=True)
class Leased:
    """What it got: how many connections it may hold; what is open above that is to be closed."""

    connections: int
    suspended_until: datetime | None
    suspended_by: str | None = None
    """The reply that asked for it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Messages that may be sent now, and when to ask again if there are none."""

    count: int
    retry_at: datetime | None = None


async def ensure_scopes(scopes: Collection[ScopeKey]) -> None:
    """Make the rows of scopes that nobody has used yet."""
    ordered = sorted(scopes, key=lambda scope: scope.id)
    now = clock.now()
    await fetch(
        "INSERT INTO sending_scopes (id, source, site, minute_at, minute_count, minute_before, "
        "hour_at, hour_count, hour_before, day_at, day_count, day_before, updated_at) "
        "SELECT id, source, site, {}, 0, 0, {}, 0, 0, {}, 0, 0, {} "
        "FROM unnest({}::uuid[], {}::text[], {}::text[]) AS new (id, source, site) "
        "ON CONFLICT (id) DO NOTHING",
        *(now, now, now, now),
        [scope.id for scope in ordered],
        [scope.source[:60] for scope in ordered],
        [scope.shown_site for scope in ordered],
    )


async def lease_connections(worker_id: uuid.UUID, wishes: Sequence[Wish]) -> dict[ScopeKey, Leased]:
    """Lease connections of several scopes for a while, and return what this worker may hold."""
    if not wishes:
        return {}
    now = clock.now()
    ids = [wish.scope.id for wish in wishes]
    async with transaction():
        scopes = await _lock_all(wishes)
        rows = await fetch(
            "SELECT scope_id, worker_id, connections, wanted, organizations "
            "FROM connection_leases "
            "WHERE scope_id = ANY({}::uuid[]) AND worker_id <> {} AND ends_at > {}",
            ids,
            worker_id,
            now,
        )
        shares = [_share(worker_id, wish, rows, now) for wish in wishes]
        held = [max(wish.open, share) for wish, share in zip(wishes, shares, strict=True)]
        await _write_leases(worker_id, wishes, held, now + CONNECTION_LEASE)
    known = {row["id"]: (row["suspended_until"], row["suspended_by"]) for row in scopes}
    return {
        wish.scope: Leased(share, *known.get(wish.scope.id, (None, None)))
        for wish, share in zip(wishes, shares, strict=True)
    }


async def _lock_all(wishes: Sequence[Wish]) -> Sequence[Mapping[str, Any]]:
    sql = (
        "SELECT id, suspended_until, suspended_by FROM sending_scopes WHERE id = ANY({}::uuid[]) "
        "ORDER BY id FOR NO KEY UPDATE"
    )
    ids = [wish.scope.id for wish in wishes]
    rows: Sequence[Mapping[str, Any]] = await fetch(sql, ids)
    known = {row["id"] for row in rows}
    if missing := [wish.scope for wish in wishes if wish.scope.id not in known]:
        # Nobody had used them for days. Without their rows two workers would lease the same.
        await ensure_scopes(missing)
        rows = await fetch(sql, ids)
    return rows


def _share(
    worker_id: uuid.UUID, wish: Wish, rows: Sequence[Mapping[str, Any]], now: datetime
) -> int:
    mine = Claimant(wish.open, wish.wanted, wish.organizations, worker_id.hex)
    others = [
        Claimant(row["connections"], row["wanted"], row["organizations"], row["worker_id"].hex)
        for row in rows
        if row["scope_id"] == wish.scope.id
    ]
    return fair_share(wish.limit, mine, others, moment=int(now.timestamp()))


async def _write_leases(
    worker_id: uuid.UUID, wishes: Sequence[Wish], shares: Sequence[int], ends_at: datetime
) -> None:
    await fetch(
        "INSERT INTO connection_leases AS old (id, scope_id, worker_id, connections, wanted, "
        "organizations, ends_at) "
        "SELECT id, scope_id, {}, connections, wanted, organizations, {}::timestamptz "
        "FROM unnest({}::uuid[], {}::uuid[], {}::int[], {}::int[], {}::int[]) "
        "AS new (id, scope_id, connections, wanted, organizations) "
        "ON CONFLICT (scope_id, worker_id) DO UPDATE SET connections = excluded.connections, "
        "wanted = excluded.wanted, organizations = excluded.organizations, "
        "ends_at = excluded.ends_at",
        worker_id,
        ends_at,
        [new_id() for _ in wishes],
        [wish.scope.id for wish in wishes],
        list(shares),
        [wish.wanted for wish in wishes],
        [wish.organizations for wish in wishes],
    )


async def wanted_by_others(worker_id: uuid.UUID, scopes: Collection[ScopeKey]) -> set[uuid.UUID]:
    """Return those of the scopes in which another worker waits for connections."""
    rows = await fetch(
        "SELECT DISTINCT scope_id FROM connection_leases WHERE scope_id = ANY({}::uuid[]) "
        "AND worker_id <> {} AND ends_at > {} AND wanted > connections",
        [scope.id for scope in scopes],
        worker_id,
        clock.now(),
    )
    return {row["scope_id"] for row in rows}


async def end_leases(worker_id: uuid.UUID, scopes: Collection[ScopeKey] | None = None) -> None:
    """Give up a worker's connections in some scopes, or in all."""
    await fetch(
        "DELETE FROM connection_leases WHERE worker_id = {} "
        "AND ({}::uuid[] IS NULL OR scope_id = ANY({}::uuid[]))",
        worker_id,
        None if scopes is None else [scope.id for scope in scopes],
        None if scopes is None else [scope.id for scope in scopes],
    )


async def take_messages(
    scope: ScopeKey, limits: SiteLimits, count: int, *, share: float = 1.0
) -> Taken:
    """Count up to *count* messages against a scope and return how many may be sent.

    Of each limit no more than *share* is used, so that something is left for others.
    """
    now = clock.now()
    most = _rates(limits)
    async with transaction():
        row = await _lock(scope)
        windows = {name: _window(row, name).at(now, length) for name, length in _SPANS}
        granted = count
        retry_at: datetime | None = None
        for name, length in _SPANS:
            limit = most[name]
            if limit is None:
                continue
            usable = max(1, int(limit * share))
            left = windows[name].left(usable, now, length)
            granted = min(granted, left)
            if left == 0:
                free_at = windows[name].free_at(usable, now, length)
                retry_at = max(retry_at or free_at, free_at)
        if granted:
            await _write_windows(scope, {n: w.plus(granted) for n, w in windows.items()})
    return Taken(granted, None if granted else retry_at)


async def give_back_messages(scope: ScopeKey, count: int) -> None:
    """Take back that *count* messages were counted: they were not sent."""
    now = clock.now()
    async with transaction():
        row = await _lock(scope)
        windows = {name: _window(row, name).at(now, length) for name, length in _SPANS}
        await _write_windows(scope, {name: w.plus(-count) for name, w in windows.items()})


async def suspend(scope: ScopeKey, until: datetime, reply: str) -> None:
    """Send nothing more in a scope before *until*."""
    await fetch(
        "UPDATE sending_scopes SET suspended_until = greatest(suspended_until, {}), "
        "suspended_by = {}, updated_at = {} WHERE id = {}",
        until,
        reply,
        clock.now(),
        scope.id,
    )


async def rest_queue(
    queue_id: uuid.UUID, until: datetime, reason: RestReason, *, detail: str | None = None
) -> None:
    """Let a queue wait; what is in it stays as it is.

    If the receiver asked for it, the queue shows as in back-off.
    """
    throttles = reason is RestReason.SUSPENDED
    await fetch(
        # One that is empty stays so: it would be looked at again and again.
        "UPDATE queues SET resume_at = {}, rest_reason = {}, rest_detail = {}, "
        "next_due_at = CASE WHEN next_due_at IS NOT NULL THEN greatest(next_due_at, {}) END, "
        "backoff_until = CASE WHEN {} THEN greatest(backoff_until, {}) ELSE backoff_until END "
        "WHERE id = {}",
        until,
        reason.value,
        detail,
        until,
        throttles,
        until,
        queue_id,
    )


async def remove_old_scopes() -> None:
    """Forget the scopes that nobody counted against, or held connections of, for two days."""
    await fetch(
        "DELETE FROM sending_scopes WHERE updated_at < {} "
        "AND coalesce(suspended_until, '-infinity') < {} AND NOT EXISTS ("
        "SELECT FROM connection_leases WHERE scope_id = sending_scopes.id AND ends_at > {})",
        clock.now() - SCOPES_KEPT,
        clock.now(),
        clock.now(),
    )


def _rates(limits: SiteLimits) -> dict[str, int | None]:
    return {
        "minute": limits.messages_per_minute,
        "hour": limits.messages_per_hour,
        "day": limits.messages_per_day,
    }


async def _lock(scope: ScopeKey) -> Mapping[str, Any]:
    sql = "SELECT * FROM sending_scopes WHERE id = {} FOR NO KEY UPDATE"
    rows = await fetch(sql, scope.id)
    if not rows:
        await ensure_scopes([scope])
        rows = await fetch(sql, scope.id)
    return rows[0]


def _window(row: Mapping[str, Any], name: str) -> Window:
    return Window(row[f"{name}_at"], row[f"{name}_count"], row[f"{name}_before"])


async def _write_windows(scope: ScopeKey, windows: Mapping[str, Window]) -> None:
    minute, hour, day = windows["minute"], windows["hour"], windows["day"]
    await fetch(
        "UPDATE sending_scopes SET minute_at = {}, minute_count = {}, minute_before = {}, "
        "hour_at = {}, hour_count = {}, hour_before = {}, day_at = {}, day_count = {}, "
        "day_before = {}, updated_at = {} WHERE id = {}",
        *(minute.started_at, minute.count, minute.before),
        *(hour.started_at, hour.count, hour.before),
        *(day.started_at, day.count, day.before),
        clock.now(),
        scope.id,
    )
