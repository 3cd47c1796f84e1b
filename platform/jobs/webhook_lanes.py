"""Sending for one webhook: several calls at a time, fewer while it fails, one if in order."""

import asyncio
import logging
import random
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from ..core import clock
from ..core.crypto import SealBroken
from ..mail.fetching import Fetcher
from ..webhooks.calling import Tried, call
from ..webhooks.documents import Shape, Subject, body_of
from ..webhooks.formats import patience_of
from ..webhooks.rules import DisabledReason
from ..webhooks.tables import Webhook
from ..webhooks.targets import target_of
from ..webhooks.work import DueCall, Lane, Settlement, due_calls

log = logging.getLogger(__name__)

CALLS_AT_ONCE = 100
"""Calls that are read at once."""
WIDEST = 24
"""Calls of one webhook that are on their way at a time, while it answers well."""
FIRST_WIDTH = 4
TURN_SECONDS = 20.0
"""How long calls are begun; then another webhook may have the place."""

EVENT_GONE = "event_gone"
SECRET_BROKEN = "secret_broken"

Settle = Callable[[Settlement], Awaitable[DisabledReason | None]]


class LaneRun:
    """One turn of one webhook."""

    def __init__(
        self,
        lane: Lane,
        calls: Sequence[DueCall],
        *,
        until: float,
        fetcher: Fetcher,
        shape: Shape,
        settle: Settle,
    ) -> None:
        """*calls* are the first to make; the lease ends at *until* of the monotonic clock."""
        self.webhook: Webhook = lane.webhook
        self.disabled: DisabledReason | None = None
        """Set when it should be switched off."""
        self._waiting = deque(calls)
        self._may_be_more = len(calls) >= CALLS_AT_ONCE
        self._running: dict[asyncio.Task[None], uuid.UUID] = {}
        self._width = 1 if lane.is_failing or lane.webhook.in_order else FIRST_WIDTH
        self._until = until
        self._end_at = time.monotonic() + TURN_SECONDS
        self._stopped = False
        self.is_broken = False
        """Something that was sent could not be written down."""
        self._fetcher = fetcher
        self._shape = shape
        self._settle = settle

    def renewed(self, webhook: Webhook, until: float) -> None:
        """The lease goes on, and *webhook* is how it is now."""
        self.webhook, self._until = webhook, until

    def stop(self) -> None:
        """Begin no more calls."""
        self._stopped = True

    async def run(self) -> None:
        """Make what is due until nothing is, or its time is up; what is begun is finished."""
        try:
            while await self._has_more():
                while self._waiting and len(self._running) < self._width and self._may_begin:
                    self._begin(self._waiting.popleft())
                if not self._running:
                    return
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._running:
                await asyncio.wait(self._running)

    @property
    def _may_begin(self) -> bool:
        now = time.monotonic()
        is_over = self._stopped or self.disabled is not None
        return not is_over and now < self._end_at and now < self._until

    async def _has_more(self) -> bool:
        """Say whether there is something to begin or to wait for, and read what comes next."""
        if self._may_begin and self._may_be_more and len(self._waiting) < CALLS_AT_ONCE // 2:
            known = [each.id for each in self._waiting] + list(self._running.values())
            found = await due_calls([self.webhook], each=CALLS_AT_ONCE, without=known)
            calls = found.get(self.webhook.id, [])
            self._may_be_more = len(calls) >= CALLS_AT_ONCE
            self._waiting.extend(calls)
        return bool(self._waiting or self._running)

    def _begin(self, due: DueCall) -> None:
        if not due.is_due:
            # In order: nothing goes before the call that waits for its next attempt.
            self._waiting.clear()
            self._may_be_more = False
            return
        task = asyncio.create_task(self._make(due))
        self._running[task] = due.id
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self.is_broken = True
            self.stop()
            log.warning(
                "an attempt could not be written down: %r",
                error,
                extra={"webhook_id": str(self.webhook.id)},
            )

    async def _make(self, due: DueCall) -> None:
        # As it was when the attempt began: the webhook may be changed meanwhile.
        patience = patience_of(self.webhook)
        tried = await self._try(due)
        # Not for security: what failed together is to come again apart.
        settlement = Settlement(due, tried, random.random(), patience)
        reason = await self._settle(settlement)
        self.disabled = self.disabled or reason
        self._adapt(tried)
        if not tried.succeeded and self.webhook.in_order and not tried.is_final:
            self._waiting.clear()
            self._may_be_more = False

    async def _try(self, due: DueCall) -> Tried:
        if due.event is None:
            return Tried(clock.now(), 0, error=EVENT_GONE, is_final=True)
        # Of one webhook: it may be changed, to another format, while a body is made.
        webhook, subject = self.webhook, Subject(due.id, due.created_at, due.event)
        body = await body_of(webhook, subject, self._shape)
        if isinstance(body, Tried):
            return body
        try:
            target = await target_of(webhook)
        except SealBroken:
            return Tried(clock.now(), 0, error=SECRET_BROKEN)
        return await call(self._fetcher, target, id=str(due.event.id), body=body)

    def _adapt(self, tried: Tried) -> None:
        """Have more on its way while the receiver answers, and a half as much if it does not."""
        if not tried.succeeded:
            self._width = max(1, self._width // 2)
        elif not self.webhook.in_order:
            self._width = min(WIDEST, self._width + 1)
