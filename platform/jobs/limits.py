"""What one worker may do now: its leases of connections, its blocks of messages.

Within a scope organizations take turns, message by message, so that the first message of one
waits for one message of another and not for all of them.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..core import clock
from ..core.ids import new_id
from ..delivery.limits import SiteLimits
from ..delivery.work import (
    CONNECTION_LEASE,
    ScopeKey,
    Taken,
    Wish,
    end_leases,
    ensure_scopes,
    give_back_messages,
    lease_connections,
    suspend,
    take_messages,
    wanted_by_others,
)
from .gates import Gate, Owner

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.3
"""How often a worker looks whether another waits for its connections."""

RENEW_SECONDS = CONNECTION_LEASE.total_seconds() / 3
BLOCK = 10
"""Messages that are counted at once, at least."""

KEPT_SECONDS = 10.0
"""How long messages that were counted and not sent are kept for the next drain."""

FORGOTTEN_SECONDS = 3600.0
"""How long it is known who used how much of a scope: shares are of an hour."""

NEWCOMER_SHARE = 0.05
"""Of a limit: an organization that sent less may use all of it, others leave this much."""


@dataclass(slots=True)
class _Stock:
    """Messages of one scope that were counted and are not sent yet."""

    scope: ScopeKey
    count: int = 0
    since: float = 0.0
    used: Counter[Owner] = field(default_factory=Counter)
    hour: datetime | None = None

    def share_for(self, organization_id: Owner, limits: SiteLimits) -> float:
        """Return how much of the limits an organization may use up."""
        hour = clock.now().replace(minute=0, second=0, microsecond=0)
        if self.hour != hour:
            self.hour, self.used = hour, Counter()
        most = limits.messages_per_hour or limits.messages_per_day
        is_new = most is None or self.used[organization_id] < most * NEWCOMER_SHARE
        return 1.0 if is_new else 1.0 - NEWCOMER_SHARE


class Limits:
    """All gates and stocks of this worker."""

    def __init__(self) -> None:
        self.worker_id: uuid.UUID = new_id()
        self._gates: dict[ScopeKey, Gate] = {}
        self._stocks: dict[ScopeKey, _Stock] = {}
        self._leasing = asyncio.Lock()
        self._asking: Counter[Gate] = Counter()
        self._soon = asyncio.Event()

    async def gate(self, scope: ScopeKey, limit: int) -> Gate:
        """Return the gate of a scope; its first connection is leased if one is free.

        The caller uses it until it says otherwise: `gate.users` counts one more.
        """
        gate = self._gates.get(scope)
        if gate is None:
            await ensure_scopes([scope])
            gate = self._gates.setdefault(scope, Gate(scope))
        gate.limit = limit
        gate.users += 1
        try:
            if time.monotonic() - gate.leased_at > RENEW_SECONDS:
                await self._lease_with_others(gate)
        except BaseException:
            gate.users -= 1
            raise
        return gate

    async def ask_for_more(self, gate: Gate) -> None:
        """Lease as many connections as lanes wait for, as far as there are any."""
        is_modest = time.monotonic() < gate.modest_until
        if not is_modest and gate.allowed < min(gate.limit, gate.open + gate.waiting + 1):
            await self._lease_with_others(gate, lanes=1)

    async def take(
        self,
        scopes: Sequence[tuple[ScopeKey, SiteLimits]],
        count: int,
        organization_id: Owner,
    ) -> Taken:
        """Return how many messages may be sent, after every one of the scopes."""
        granted: list[tuple[ScopeKey, int]] = []
        for scope, limits in scopes:
            taken = await self._take_one(scope, limits, count, organization_id)
            if taken.count == 0:
                for earlier, held in granted:
                    self._put_back(earlier, held)
                return taken
            granted.append((scope, taken.count))
            count = min(count, taken.count)
        for scope, held in granted:
            self._put_back(scope, held - count)
        return Taken(count)

    def put_back(self, scopes: Sequence[tuple[ScopeKey, SiteLimits]], count: int) -> None:
        """Keep for later what was not sent after all."""
        for scope, _ in scopes:
            self._put_back(scope, count)

    async def suspend(self, gate: Gate, lasts: timedelta, reply: str) -> datetime:
        """Send nothing in the gate's scope, on any worker, and return until when."""
        until = clock.now() + lasts
        gate.suspended_until, gate.suspended_by = until, reply
        await suspend(gate.scope, until, reply)
        return until

    def closed(self, gate: Gate) -> None:
        """A connection was closed for another worker, which is to hear of it at once.

        For a moment nothing is asked for, or the two would hand it to and fro.
        """
        gate.leased_at = 0.0
        gate.modest_until = time.monotonic() + 2 * LOOK_SECONDS
        self._soon.set()

    async def keep(self) -> None:
        """Renew, share and give back for as long as the process runs."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), LOOK_SECONDS)
            self._soon.clear()
            try:
                await self.look()
            except Exception as error:  # an edge: without the database leases run out
                log.warning("limits could not be looked after: %r", error)
                await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Do once what `keep` does again and again."""
        now = time.monotonic()
        await self._give_up(now)
        gates = list(self._gates.values())
        if gates:
            contested = await wanted_by_others(self.worker_id, list(self._gates))
            await self._lease(
                [
                    gate
                    for gate in gates
                    if gate.scope.id in contested
                    or (gate.waiting and gate.allowed < gate.limit)
                    or now - gate.leased_at > RENEW_SECONDS
                ],
                contested=contested,
            )
        for stock in list(self._stocks.values()):
            if stock.count and now - stock.since > KEPT_SECONDS:
                count, stock.count = stock.count, 0
                await give_back_messages(stock.scope, count)
            elif now - stock.since > FORGOTTEN_SECONDS:
                # Each queue in back-off and each hour of a warm-up has a scope of its own.
                del self._stocks[stock.scope]

    async def _give_up(self, now: float) -> None:
        """Let others have the connections of gates that nobody uses."""
        if not any(gate.is_idle(now, RENEW_SECONDS) for gate in self._gates.values()):
            return
        async with self._leasing:
            # Looked at now, for somebody may have come meanwhile; and given up before the
            # database is told, so that whoever comes makes another, and leases after this.
            idle = [g for g in self._gates.values() if g.is_idle(now, RENEW_SECONDS)]
            for gate in idle:
                del self._gates[gate.scope]
            if idle:
                await end_leases(self.worker_id, [gate.scope for gate in idle])

    async def close(self) -> None:
        """Give up everything."""
        for stock in self._stocks.values():
            if stock.count:
                count, stock.count = stock.count, 0
                await give_back_messages(stock.scope, count)
        await end_leases(self.worker_id)

    async def _lease_with_others(self, gate: Gate, *, lanes: int = 0) -> None:
        """Lease connections of a gate for *lanes* more, but one in any case.

        All who ask while a lease is being written share the next one. One by one, the first
        message of an organization would wait behind every lane of another's many queues.
        """
        self._asking[gate] += lanes
        async with self._leasing:
            if gate not in self._asking:
                return
            asking, self._asking = self._asking, Counter()
            await self._write_leases(
                {
                    each: max(
                        1,
                        each.wanted(is_contested=False),
                        each.open + each.waiting + more if more else 0,
                    )
                    for each, more in asking.items()
                }
            )

    async def _lease(
        self, gates: Sequence[Gate], *, contested: Collection[uuid.UUID] = frozenset()
    ) -> None:
        if not gates:
            return
        async with self._leasing:
            await self._write_leases(
                {gate: gate.wanted(is_contested=gate.scope.id in contested) for gate in gates}
            )

    async def _write_leases(self, wanted: Mapping[Gate, int]) -> None:
        """Lease what is wanted of each gate, as far as its limit goes."""
        gates = list(wanted)
        wishes = [
            Wish(
                gate.scope,
                gate.limit,
                open=gate.held,
                wanted=min(gate.limit, wanted[gate]),
                organizations=gate.organizations,
            )
            for gate in gates
        ]
        # What the last lease still allows may be another worker's before this one is written.
        before = {gate: gate.allowed for gate in gates}
        for gate in gates:
            gate.allowed = min(gate.allowed, gate.held)
        try:
            leased = await lease_connections(self.worker_id, wishes)
        except BaseException:
            # Without the database nobody else can have them either.
            for gate in gates:
                gate.allowed = before[gate]
            raise
        for gate in gates:
            gate.leased_at = time.monotonic()
            gate.allowed = leased[gate.scope].connections
            gate.suspended_until = leased[gate.scope].suspended_until
            gate.suspended_by = leased[gate.scope].suspended_by
            gate.wake()

    async def _take_one(
        self,
        scope: ScopeKey,
        limits: SiteLimits,
        count: int,
        organization_id: Owner,
    ) -> Taken:
        stock = self._stock(scope)
        if stock.count < count:
            asked = max(count - stock.count, BLOCK)
            share = 1.0 if scope.is_whole else stock.share_for(organization_id, limits)
            taken = await take_messages(scope, limits, asked, share=share)
            stock.count += taken.count
            stock.since = time.monotonic()
            if stock.count == 0:
                return taken
        granted = min(count, stock.count)
        stock.count -= granted
        stock.used[organization_id] += granted
        return Taken(granted)

    def _put_back(self, scope: ScopeKey, count: int) -> None:
        if count > 0:
            stock = self._stock(scope)
            stock.count += count
            stock.since = time.monotonic()

    def _stock(self, scope: ScopeKey) -> _Stock:
        return self._stocks.setdefault(scope, _Stock(scope, since=time.monotonic()))
