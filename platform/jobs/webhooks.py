"""Calling webhooks: events become calls, and calls become requests, as long as a worker runs.

It is no job, so that it does not wait behind jobs. A round is asked for by every event that
is written down: at once, or within a second where there are no webhooks.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence
from contextvars import Context
from typing import Any

from ..core.batching import Batcher
from ..core.ids import new_id
from ..mail.fetching import Fetcher, open_fetcher
from ..webhooks.documents import Shape
from ..webhooks.rules import DisabledReason
from ..webhooks.work import (
    LEASE,
    Lane,
    Settlement,
    claim_webhooks,
    due_calls,
    fan_out,
    find_forgotten,
    go_on_replaying,
    release,
    renew,
    settle,
    switch_off,
)
from ..webhooks.work.fanning import AT_ONCE, Fanned
from .hearing import wait_for
from .webhook_lanes import CALLS_AT_ONCE, LaneRun

log = logging.getLogger(__name__)

PLACES = 300
"""Webhooks that one worker sends for at a time; those of one organization are 20 at most."""
APART_SECONDS = 0.1
"""Between two rounds, so that many notifications cost one."""
BATCHES = 10
"""Of events, in one round; then it is time for other things."""
FORGOTTEN_EVERY_SECONDS = 60.0
RETRY_SECONDS = 1.0
LARGEST_BATCH = 200
MOST_UNCALLED = 10_000
"""Organizations without webhooks that are remembered."""


class Caller:
    """Sends for the webhooks that this worker holds."""

    def __init__(
        self,
        shape: Shape,
        *,
        sign: asyncio.Event | None = None,
        stopping: asyncio.Event | None = None,
        fetcher: Fetcher | None = None,
        places: int = PLACES,
        uncalled: set[uuid.UUID] | None = None,
    ) -> None:
        """*shape* runs the documents of webhooks.

        A round is made whenever *sign* is set; nothing begins once *stopping* is. Organizations
        that have events and no webhooks are written into *uncalled*.
        """
        self.worker_id = new_id()
        self.stopping = stopping or asyncio.Event()
        self.sign = sign or asyncio.Event()
        self._shape = shape
        # How many connections there are follows from the places.
        self._fetcher = fetcher or open_fetcher(connections=0)
        self._places = places
        self._uncalled = set() if uncalled is None else uncalled
        self._lanes: dict[uuid.UUID, LaneRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._settler: Batcher[Settlement, DisabledReason | None] = Batcher(
            self._settle, largest=LARGEST_BATCH, crowd=LARGEST_BATCH, at_once=1
        )
        self._releasing: Batcher[uuid.UUID, None] = Batcher(self._release, at_once=1)

    async def keep(self) -> None:
        """Make rounds until `stopping` is set; then let what is on its way end."""
        helpers = [
            asyncio.create_task(self._keep_finding(), context=Context()),
            asyncio.create_task(self._renew(), context=Context()),
        ]
        async with self._fetcher:
            try:
                await self._make_rounds()
            finally:
                for lane in self._lanes.values():
                    lane.stop()
                if self._tasks:
                    await asyncio.wait(self._tasks)
                for task in helpers:
                    task.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)

    async def round(self) -> int:
        """Turn new events into calls and send what is due, to the end; return how many events.

        For tests and commands; a worker does not wait for lanes.
        """
        async with self._fetcher:
            events = 0
            while found := await self._fan_out():
                events += found
            while await self._claim() or self._tasks:
                await asyncio.gather(*self._tasks)
        return events

    async def _make_rounds(self) -> None:
        while not self.stopping.is_set():
            self.sign.clear()
            try:
                await self._fan_out()
                await self._claim()
                if await go_on_replaying():
                    self.sign.set()
                    await self._claim()
            except Exception as error:  # an edge: the next round finds what this one missed
                log.warning("webhooks could not be looked at; the next time comes soon: %r", error)
                self.sign.set()
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(APART_SECONDS)
            await wait_for(self.sign, self.stopping)

    async def _keep_finding(self) -> None:
        """Find now and then what was lost with a worker."""
        while True:
            try:
                await find_forgotten()
            except Exception as error:  # an edge: the next time comes
                log.warning("forgotten webhooks could not be looked for: %r", error)
            await asyncio.sleep(FORGOTTEN_EVERY_SECONDS)

    async def _fan_out(self) -> int:
        total = 0
        for _ in range(BATCHES):
            found = await fan_out()
            total += found.events
            self._learn(found)
            if found.calls:
                await self._claim()
            if found.events < AT_ONCE or self.stopping.is_set():
                return total
        self.sign.set()
        return total

    def _learn(self, found: Fanned) -> None:
        if len(self._uncalled) > MOST_UNCALLED:
            self._uncalled.clear()
        self._uncalled.difference_update(found.organizations)
        self._uncalled.update(found.uncalled)

    async def _claim(self) -> int:
        """Begin to send for webhooks that have something due; return how many."""
        free = self._places - len(self._lanes)
        if free <= 0:
            return 0
        lanes = await claim_webhooks(self.worker_id, limit=free)
        if not lanes:
            return 0
        until = time.monotonic() + LEASE.total_seconds()
        first = await due_calls([lane.webhook for lane in lanes], each=CALLS_AT_ONCE)
        for lane in lanes:
            self._begin(lane, first.get(lane.webhook.id, []), until)
        return len(lanes)

    def _begin(self, lane: Lane, calls: list[Any], until: float) -> None:
        run = LaneRun(
            lane,
            calls,
            until=until,
            fetcher=self._fetcher,
            shape=self._shape,
            settle=self._settler.run,
        )
        self._lanes[lane.webhook.id] = run
        task = asyncio.create_task(self._run(run), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, run: LaneRun) -> None:
        webhook_id = run.webhook.id
        try:
            try:
                await run.run()
            finally:
                # Before it is let go of: it may be claimed anew the next moment.
                self._lanes.pop(webhook_id, None)
            if run.disabled is not None:
                await switch_off(webhook_id, run.disabled)
            # One that broke keeps its lease until it ends: what cannot be written down must not
            # be sent again and again.
            if not run.is_broken:
                await self._releasing.run(webhook_id)
        except Exception as error:  # an edge: what is due is due again when the lease ends
            log.warning(
                "calls of a webhook broke off: %r", error, extra={"webhook_id": str(webhook_id)}
            )

    async def _settle(self, items: Sequence[Settlement]) -> "list[DisabledReason | None]":
        disabled = await settle(items)
        return [disabled.get(each.call.webhook_id) for each in items]

    async def _release(self, items: Sequence[uuid.UUID]) -> "list[None]":
        if await release(self.worker_id, items):
            self.sign.set()
        return [None] * len(items)

    async def _renew(self) -> None:
        """Keep the leases, and see what was changed of webhooks, for as long as it takes."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 6)
            lanes = dict(self._lanes)
            until = time.monotonic() + LEASE.total_seconds()
            try:
                held = await renew(self.worker_id, list(lanes))
            except Exception as error:  # an edge: without the database the leases run out
                log.warning("leases of webhooks could not be renewed: %r", error)
                continue
            for webhook_id, lane in lanes.items():
                if webhook_id in held:
                    lane.renewed(held[webhook_id], until)
                else:
                    lane.stop()
