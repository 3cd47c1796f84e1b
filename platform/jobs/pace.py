"""How fast one drain may send: limits of its site and vMTA, back-off, suspension."""

import asyncio
import contextlib
import logging
from datetime import datetime, timedelta

from ..core import clock
from ..delivery.classify import Action, Judgement
from ..delivery.isps import isp_of
from ..delivery.limits import (
    UNLIMITED,
    SiteLimits,
    limits_at,
    limits_everywhere,
    throttled,
)
from ..delivery.rules import BACKOFF_SHARE, RestReason
from ..delivery.windows import DAY, HOUR
from ..delivery.work import QueueRoute, ScopeKey, overflow, rest_queue
from ..mail.outcome import Failure, Outcome
from ..vmtas.inventory import is_on_this_machine
from .gates import Gate, Patience
from .outbound import MESSAGES_PER_CONNECTION, Conversation, Outbound, Way

log = logging.getLogger(__name__)

CONNECTIONS = 10
"""Conversations that one drain holds at once, whatever more its limits allow."""

MANY = 10_000
"""Connections where there is no limit."""

LONGEST_PAUSE_SECONDS = 30.0

ADDRESS_MISSING = timedelta(seconds=10)
"""How long a queue rests whose address this machine does not have; another worker's may."""


class Pace:
    """What one drain keeps to; it asks the worker's limits, which ask the database."""

    def __init__(self, outbound: Outbound, queue: QueueRoute) -> None:
        self.gate: Gate | None = None
        self.share = queue.rate_share
        self._outbound = outbound
        self._queue = queue
        self._limits = UNLIMITED
        self._scopes: list[tuple[ScopeKey, SiteLimits]] = []
        self._warmup: tuple[ScopeKey, SiteLimits, datetime] | None = None
        self._stopped: asyncio.Task[object] | None = None

    @property
    def lanes(self) -> int:
        """How many conversations the drain may hold."""
        most = min(CONNECTIONS, self._limits.connections or CONNECTIONS)
        most = min(most, self._queue.limits.max_connections or most)
        return max(1, int(most * self.share) if self.share < 1 else most)

    @property
    def is_stopped(self) -> bool:
        """Whether the receiver wants nothing more for a while."""
        return self.gate is not None and self.gate.is_suspended

    async def allow(self, count: int) -> int:
        """Return how many of *count* messages may be sent; with none, the queue rests."""
        way = await self._outbound.transport.find_way(self._queue)
        if isinstance(way, Failure) or not way.site:
            # Nothing is counted, so that nothing may be taken back either.
            self._scopes = []
            return count
        if way.source_address and not is_on_this_machine(way.source_address):
            await self._lacks(way.source_address)
            return 0
        site = ScopeKey(way.source_address or "", way.site)
        await self._find_limits(site)
        gate = self.gate
        if gate is not None and gate.suspended_until and gate.is_suspended:
            await self._rest(gate.suspended_until, RestReason.SUSPENDED, gate.suspended_by)
            return 0
        if not self._scopes:
            return count
        taken = await self._outbound.limits.take(self._scopes, count, self._queue.organization_id)
        if taken.count == 0 and taken.retry_at is not None:
            is_warmup = await self._overflow()
            reason = RestReason.WARMUP if is_warmup else RestReason.LIMIT
            await self._rest(taken.retry_at, reason)
        return taken.count

    async def _lacks(self, address: str) -> None:
        """Leave the mail to a worker that has the address; no attempt is spent on it."""
        log.error(
            "vMTA %s sends from %s, which is no address of this machine; "
            "its mail waits for a worker that has it",
            self._queue.vmta,
            address,
        )
        until = clock.now() + ADDRESS_MISSING
        await self._rest(until, RestReason.NO_ADDRESS, address)

    async def _overflow(self) -> bool:
        """If it is the warm-up that allows nothing more, let warm members of the pool send."""
        if self._warmup is None or self._queue.vmta_id is None:
            return False
        scope, limits, until = self._warmup
        owner = self._queue.organization_id
        left = await self._outbound.limits.take([(scope, limits)], 1, owner)
        if left.count:
            self._outbound.limits.put_back([(scope, limits)], left.count)
            return False
        await overflow(self._queue.queue_id, self._queue.vmta_id, until=until)
        return True

    def _find_warmup(self) -> None:
        """Count against the day of the warm-up, or against its hour; a new one, a new count."""
        warmup, now = self._queue.warmup, clock.now()
        self._warmup = None
        if warmup is None or warmup.start_on > now.date():
            return
        source = f"warm-up {self._queue.vmta_id}"
        stage = warmup.plan.at(warmup.day)
        hour = now.replace(minute=0, second=0, microsecond=0)
        if stage.hourly_limit is not None:
            scope = ScopeKey(source, f"{hour:%Y-%m-%dT%H}", is_whole=True)
            limits = SiteLimits(messages_per_hour=stage.hourly_limit)
            self._warmup = scope, limits, hour + HOUR
        elif stage.daily_limit is not None:
            scope = ScopeKey(source, f"{hour:%Y-%m-%d}", is_whole=True)
            limits = SiteLimits(messages_per_day=stage.daily_limit)
            self._warmup = scope, limits, hour.replace(hour=0) + DAY

    def unused(self, count: int) -> None:
        """Take back what was allowed and is not sent."""
        if count > 0:
            self._outbound.limits.put_back(self._scopes, count)

    async def take(self, way: Way, *, end_at: float) -> Conversation | Outcome | None:
        """Return a conversation when it is this queue's turn, or None if none came in time."""
        if self._stopped is None:
            self._stopped = asyncio.create_task(self._outbound.stopping.wait())
        return await self._outbound.conversations.take(
            way,
            gate=self.gate,
            patience=Patience(self._queue.organization_id, end_at, self._stopped),
            most_messages=self._limits.messages_per_connection or MESSAGES_PER_CONNECTION,
        )

    async def follow(self, judged: Judgement) -> None:
        """Do what a receiver asks for: send slower, or nothing for a while."""
        if judged.action is Action.BACK_OFF:
            self.share = BACKOFF_SHARE
        elif judged.action is Action.SUSPEND and self.gate is not None:
            until = await self._outbound.limits.suspend(
                self.gate, judged.suspend_for, judged.outcome.text
            )
            await self._rest(until, RestReason.SUSPENDED, judged.outcome.text)
        if self.lanes == 1 and self.share < 1:
            pause = judged.outcome.duration.total_seconds() * (1 / self.share - 1)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._outbound.stopping.wait(), min(pause, LONGEST_PAUSE_SECONDS)
                )

    def close(self) -> None:
        """Wait for nothing more."""
        if self._stopped is not None:
            self._stopped.cancel()
        self._leave()

    async def _find_limits(self, site: ScopeKey) -> None:
        queue = self._queue
        isp = isp_of(queue.domain, site.shown_site)
        limits = limits_at(queue.limits, isp=isp, domain=queue.domain)
        everywhere = limits_everywhere(queue.limits)
        self._limits = limits
        self._scopes = [(site, limits), (ScopeKey(f"vmta {queue.vmta_id}", ""), everywhere)]
        self._find_warmup()
        if self._warmup is not None:
            self._scopes.append(self._warmup[:2])
        if self.share < 1:
            slow = ScopeKey(f"queue {queue.queue_id}", site.site)
            self._scopes.append((slow, throttled(limits, self.share)))
        self._scopes = [each for each in self._scopes if each[1].has_rate]
        # Without a limit there is a gate all the same: a suspension holds for all workers.
        gate = await self._outbound.limits.gate(site, limits.connections or MANY)
        self._leave()
        self.gate = gate

    def _leave(self) -> None:
        gate, self.gate = self.gate, None
        if gate is not None:
            gate.users -= 1

    async def _rest(self, until: datetime, reason: RestReason, detail: str | None = None) -> None:
        if until > clock.now():
            await rest_queue(self._queue.queue_id, until, reason, detail=detail)
