"""What one worker may do now: its leases of connections, its blocks of messages.

Within a scope organizations take turns, message by message, so that the first message of one
waits for one message of another and not for all of them.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..core import clock
from ..core.actor import OrganizationId
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

log = logging.getLogger(__name__)

Owner = OrganizationId | None
"""Whose mail it is; None is the platform's own."""

LOOK_SECONDS = 0.3
"""How often a worker looks whether another waits for its connections."""

RENEW_SECONDS = CONNECTION_LEASE.total_seconds() / 3
BLOCK = 10
"""Messages that are counted at once, at least."""

KEPT_SECONDS = 10.0
"""How long messages that were counted and not sent are kept for the next drain."""

NEWCOMER_SHARE = 0.05
"""Of a limit: an organization that sent less may use all of it, others leave this much."""


@dataclass(frozen=True, slots=True)
class Patience:
    """For whom somebody waits, and until when."""

    organization_id: Owner
    end_at: float
    """By the monotonic clock."""
    stopped: "asyncio.Future[Any]"
    """Done when the process is to end."""


class Gate:
    """The connections of one scope that this worker may hold.

    *open* counts those in use and those that idle. An idle one is closed, or handed on, when
    somebody waits.
    """

    def __init__(self, scope: ScopeKey) -> None:
        self.scope = scope
        self.limit = 0
        self.allowed = 0
        self.open = 0
        self.idle = 0
        self.leased_at = 0.0
        self.modest_until = 0.0
        self.suspended_until: datetime | None = None
        self.suspended_by: str | None = None
        self._promised = 0
        self._lines: OrderedDict[Owner, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many lanes wait for a connection."""
        return sum(len(line) for line in self._lines.values())

    @property
    def is_suspended(self) -> bool:
        """Whether nothing may be sent, because the receiver said so."""
        return self.suspended_until is not None and self.suspended_until > clock.now()

    @property
    def organizations(self) -> int:
        """How many organizations wait here, and one for those that send."""
        return max(1, len(self._lines))

    def wanted(self, *, is_contested: bool) -> int:
        """Return how many connections are wanted; idle ones only where nobody else waits."""
        used = self.open - self.idle
        if time.monotonic() < self.modest_until:
            return used
        return used + self.waiting if is_contested else max(self.open, used + self.waiting)

    def has_room(self) -> bool:
        """Say whether a connection may be opened, or an idle one taken, out of turn."""
        return not self._lines and self._spare > 0

    def must_yield(self) -> bool:
        """Say whether whoever holds a connection is to let others have it after a message."""
        return bool(self._lines) or self.is_over

    @property
    def is_over(self) -> bool:
        """Whether more is open than this worker may hold, because another's turn has come."""
        return self.open > self.allowed

    async def wait_for_turn(self, patience: "Patience") -> bool:
        """Return when a connection is there, which is to be taken at once, or that none came."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(patience.organization_id, deque()).append(turn)
        self.wake()
        is_there = False
        try:
            await asyncio.wait(
                {turn, patience.stopped},
                timeout=max(patience.end_at - time.monotonic(), 0),
                return_when=asyncio.FIRST_COMPLETED,
            )
            is_there = turn.done()
        finally:
            if turn.done():
                self._promised -= 1
                if not is_there:
                    self.wake()
            else:
                self._leave_line(patience.organization_id, turn)
        return is_there

    def wake(self) -> None:
        """Let those who wait have what is free, one organization after the other."""
        while self._lines and self._spare > 0:
            organization_id, line = self._lines.popitem(last=False)
            turn = line.popleft()
            if line:
                self._lines[organization_id] = line
            if not turn.done():
                self._promised += 1
                turn.set_result(None)

    @property
    def _spare(self) -> int:
        return self.allowed - self.open + self.idle - self._promised

    def _leave_line(self, organization_id: Owner, turn: "asyncio.Future[None]") -> None:
        line = self._lines.get(organization_id)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._lines[organization_id]


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
        self._soon = asyncio.Event()

    async def gate(self, scope: ScopeKey, limit: int) -> Gate:
        """Return the gate of a scope; its first connection is leased if one is free."""
        gate = self._gates.get(scope)
        if gate is None:
            await ensure_scopes([scope])
            gate = self._gates.setdefault(scope, Gate(scope))
        gate.limit = limit
        if time.monotonic() - gate.leased_at > RENEW_SECONDS:
            await self._lease([gate], least=1)
        return gate

    async def ask_for_more(self, gate: Gate) -> None:
        """Lease as many connections as lanes wait for, as far as there are any."""
        is_modest = time.monotonic() < gate.modest_until
        if not is_modest and gate.allowed < min(gate.limit, gate.open + gate.waiting + 1):
            await self._lease([gate], least=gate.open + gate.waiting + 1)

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
        for scope, gate in list(self._gates.items()):
            if gate.open == 0 and gate.waiting == 0 and now - gate.leased_at > RENEW_SECONDS:
                del self._gates[scope]
                await end_leases(self.worker_id, [scope])
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

    async def close(self) -> None:
        """Give up everything."""
        for stock in self._stocks.values():
            if stock.count:
                count, stock.count = stock.count, 0
                await give_back_messages(stock.scope, count)
        await end_leases(self.worker_id)

    async def _lease(
        self,
        gates: Sequence[Gate],
        *,
        least: int = 0,
        contested: Collection[uuid.UUID] = frozenset(),
    ) -> None:
        if not gates:
            return
        async with self._leasing:
            wishes = [
                Wish(
                    gate.scope,
                    gate.limit,
                    open=gate.open,
                    wanted=min(
                        gate.limit,
                        max(gate.wanted(is_contested=gate.scope.id in contested), least),
                    ),
                    organizations=gate.organizations,
                )
                for gate in gates
            ]
            leased = await lease_connections(self.worker_id, wishes)
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
        stock = self._stocks.setdefault(scope, _Stock(scope))
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
            stock = self._stocks.setdefault(scope, _Stock(scope))
            stock.count += count
            stock.since = time.monotonic()
