"""Draining a queue: claim, prepare, converse, settle, all at the same time."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..core import clock
from ..core.ids import made_at
from ..core.queue import JobName, enqueue
from ..core.reaching import is_database_away, is_unreachable
from ..delivery.classify import Judgement, judge
from ..delivery.isps import isp_of
from ..delivery.work import (
    Claim,
    QueueRoute,
    Settlement,
    claim_batch,
    find_queue,
    has_due,
    renew_claims,
)
from ..mail.outcome import BounceClass, Failure, Outcome, Verdict, outcome_of_failure
from ..mail.smtp import Envelope
from .measures import LATENCY_SECONDS, SENDING, TRANSACTION_SECONDS
from .memory import ByteWindow
from .outbound import Conversation, Outbound
from .pace import Pace
from .preparing import Prepared, prepare

log = logging.getLogger(__name__)

BATCH = 100
"""Deliveries claimed at once. The next are claimed when half of them wait for a connection, and no
more than that many for a connection or to be prepared: a drain has at most two hundred, and
those that are on the wire."""

THROTTLED_BATCH = 10

UNWRITTEN = 50
"""Outcomes of one drain that wait to be written; with more, sending waits for the database.

They are what may go out twice if the process is killed now.
"""

DRAIN_SECONDS = 50.0
"""How long one drain begins attempts; then it lets other queues have its place."""

BYTES_AHEAD = 8 * 1024 * 1024
"""Bytes that one drain holds prepared, so that a slow host does not fill the memory."""

LONGEST_ATTEMPT_SECONDS = 480.0
"""An attempt that takes longer is given up, so that every drain ends before its time limit."""

LOOK_AGAIN_SECONDS = (0.02, 0.1, 0.5, 2.0)
"""Waits between looks for new mail while conversations are still going on."""

DATABASE_AWAY_SECONDS = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits before a drain asks a database again that failed it. Were it to end, what it has claimed
would wait for the end of its lease, and its queue for the job queue to miss its job."""


async def drain(ctx: dict[str, Any], *, queue_id: str) -> None:
    """Send what is due in one queue until nothing is, or its time is up.

    Two drains of one queue do not disturb each other: each has its own claims.
    """
    queue = await find_queue(uuid.UUID(queue_id))
    if queue is not None and (queue.resume_at is None or queue.resume_at <= clock.now()):
        job, outbound = ctx.get("job"), ctx["outbound"]
        ctx["organization_id"] = queue.organization_id
        if outbound.at_work[queue.organization_id] >= outbound.places:
            # The sweep comes again; others have their place meanwhile.
            ctx["gave_way"] = True
            return
        running = Drain(outbound, queue, alive=job.update if job else None).run()
        # The job queue may give a job up, as it does with those that it has not heard of
        # while the database was away. What is on the wire is finished all the same: mail
        # whose conversation is cut off in the middle may have been taken, and goes out twice.
        task = asyncio.create_task(running)
        outbound.begin(task, queue.organization_id)
        await asyncio.shield(task)


async def look_again(ctx: dict[str, Any]) -> None:
    """Ask for another drain if mail came in after the last look of the one that just ended.

    While a job runs its key is taken, and a wake-up under that key is refused. This runs
    when the key is free again. A worker that is to end leaves it to the sweep of others, or
    it would take the job itself, over and over. So do a drain that gave way to others, and one
    that failed: it would fail again at once.
    """
    job, outbound = ctx.get("job"), ctx["outbound"]
    if job is None or job.function != JobName.DRAIN.value or outbound.stopping.is_set():
        return
    if ctx.get("gave_way") or ctx.get("exception"):
        return
    queue_id = job.kwargs["queue_id"]
    if await has_due(uuid.UUID(queue_id)):
        # Behind the queues of organizations that have fewer drains at work.
        priority = outbound.at_work[ctx.get("organization_id")] + 1
        await enqueue(JobName.DRAIN, key=drain_key(queue_id), priority=priority, queue_id=queue_id)


def drain_key(queue_id: str, slot: int = 0) -> str:
    """Return the key of a queue's drain; *slot* counts those that may run beside the first."""
    return f"drain:{queue_id}" if slot == 0 else f"drain:{queue_id}:{slot}"


@dataclass(slots=True)
class _Lane:
    """The conversation that a lane goes on with, and the site it goes to."""

    conversation: Conversation | None = None
    site: str = ""
    labels: tuple[str, str] = ("", "")
    """What its connection is measured by."""


class Drain:
    """One run over one queue.

    What is due is claimed and prepared a little ahead. Lanes, each with a conversation of its
    own, send what is ready and end when nothing is. Outcomes go to the process's settler.
    Nothing of the database is held while the network is waited for.
    """

    def __init__(
        self,
        outbound: Outbound,
        queue: QueueRoute,
        *,
        alive: Callable[[], Awaitable[None]] | None = None,
        seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._seconds = seconds
        self._outbound = outbound
        self._queue = queue
        self._alive = alive
        self._ready: asyncio.Queue[Prepared] = asyncio.Queue()
        self._hungry = asyncio.Event()
        self._room = ByteWindow(BYTES_AHEAD)
        self._held: dict[uuid.UUID, tuple[Claim, float]] = {}
        self._unprepared: dict[uuid.UUID, Claim] = {}
        self._lanes: set[asyncio.Task[None]] = set()
        self._working = 0
        self._pace = Pace(outbound, queue)
        self._settling: set[asyncio.Future[None]] = set()
        self._written = asyncio.Event()
        self._borrowed = 0
        self._end_at = 0.0

    async def run(self) -> None:
        """Send what is due, and return when everything that was begun is written down."""
        self._end_at = time.monotonic() + self._seconds
        renewing = asyncio.create_task(self._renew())
        try:
            await self._keep_feeding()
            await self._put_back()
            if self._lanes:
                await asyncio.wait(self._lanes)
            if self._settling:
                await asyncio.wait(self._settling)
        finally:
            # Only a run that is cancelled or failed has lanes left. Their deliveries are
            # due again when the leases end.
            for task in (renewing, *self._lanes):
                task.cancel()
            await asyncio.gather(renewing, *self._lanes, return_exceptions=True)
            self._pace.close()
            await self._outbound.memory.release(self._borrowed)

    async def _keep_feeding(self) -> None:
        """Feed until nothing is due, again and again while the database is away."""
        for pause in DATABASE_AWAY_SECONDS:
            try:
                await self._feed()
            except Exception as error:  # an edge: what is on the wire has to be written down
                log.warning("nothing more can be claimed now: %r", error)
                if not is_unreachable(error):
                    # It would be so again; what is claimed comes back when its lease ends,
                    # which is not put off any more.
                    for delivery_id in self._unprepared:
                        self._held.pop(delivery_id, None)
                    return
                await self._pause(pause)
            else:
                return

    async def _feed(self) -> None:
        """Have what is claimed prepared and sent until nothing is due, or limits allow no more."""
        outbound = self._outbound
        groups = prepare(
            self._claimed(),
            outbound.building,
            filled=outbound.filled,
            asking=outbound.asking,
            turns=outbound.builders,
        )
        async with contextlib.aclosing(groups):
            async for group in groups:
                await self._take_in(group)
        if self._lanes and not self._is_over:
            # What limits let through is sent before it is given back.
            await asyncio.wait(self._lanes)

    async def _claimed(self) -> AsyncGenerator[list[Claim], None]:
        """Claim, a little ahead of the lanes, until nothing is due.

        The next are claimed while those before them are prepared only if there were as many as
        are claimed at once: of fewer there are no more for now, and a look costs a statement.
        """
        if again := await self._sift(self._still_unprepared()):
            yield again
        looks, has_begun = 0, False
        while not self._is_over:
            claims = await self._claim()
            if claims is None:
                return
            if claims:
                looks, has_begun = 0, True
                yield claims
                await self._wait_for_hunger(with_unprepared=len(claims) == BATCH)
            elif self._unprepared:
                await self._wait_for_hunger(with_unprepared=False)
            elif self._lanes:
                pause = LOOK_AGAIN_SECONDS[min(looks, len(LOOK_AGAIN_SECONDS) - 1)]
                looks += 1
                await asyncio.wait(self._lanes, timeout=pause)
            elif has_begun:
                return
            else:
                has_begun = True
                # Whoever accepted the mail may go by a clock that is a little ahead.
                await asyncio.sleep(clock.APART.total_seconds())

    def _still_unprepared(self) -> list[Claim]:
        """Return what a run that failed has left."""
        left = [claim for claim in self._unprepared.values() if self._is_ours(claim)]
        self._unprepared = {claim.delivery_id: claim for claim in left}
        return left

    @property
    def _is_over(self) -> bool:
        is_late = time.monotonic() >= self._end_at
        return is_late or self._outbound.stopping.is_set() or self._pace.is_stopped

    async def _claim(self) -> list[Claim] | None:
        """Return what may be sent next; None if limits allow nothing for a while."""
        taking = asyncio.create_task(self._take())
        try:
            claims = await asyncio.shield(taking)
        except asyncio.CancelledError:
            # Others get what is claimed when its lease ends, so this run has to know of it; and
            # what limits allow is counted until it is given back.
            await asyncio.gather(taking, return_exceptions=True)
            raise
        return claims if claims is None else await self._sift(claims)

    async def _take(self) -> list[Claim] | None:
        allowed = await self._pace.allow(THROTTLED_BATCH if self._pace.share < 1 else BATCH)
        if allowed == 0:
            return None
        async with self._outbound.asking.turn(self._queue.organization_id):
            until = time.monotonic() + self._outbound.lease.total_seconds()
            claims = await claim_batch(self._queue.queue_id, allowed, lease=self._outbound.lease)
        self._pace.unused(allowed - len(claims))
        for claim in claims:
            self._held[claim.delivery_id] = (claim, until)
            self._unprepared[claim.delivery_id] = claim
        return claims

    async def _sift(self, claims: list[Claim]) -> list[Claim]:
        """Put back what is not to be sent any more, and return the rest."""
        now = clock.now()
        dropped = [claim for claim in claims if claim.expires_at <= now or claim.cancel_requested]
        for claim in dropped:
            del self._unprepared[claim.delivery_id]
            await self._settle(claim, None)
        return [claim for claim in claims if claim.delivery_id in self._unprepared]

    async def _take_in(self, group: Sequence[Prepared]) -> None:
        """Have what is prepared sent, if there is time for it."""
        for prepared in group:
            if self._unprepared.get(prepared.claim.delivery_id) is prepared.claim:
                del self._unprepared[prepared.claim.delivery_id]
            if self._is_over:
                await self._settle(prepared.claim, None)
                continue
            await self._borrow(prepared)
            self._ready.put_nowait(prepared)
            self._start_lane()
        if not self._unprepared:
            self._hungry.set()

    def _start_lane(self) -> None:
        if self._working < self._pace.lanes and not self._outbound.stopping.is_set():
            self._working += 1
            lane = asyncio.create_task(self._lane())
            self._lanes.add(lane)
            lane.add_done_callback(self._lane_ended)

    def _lane_ended(self, lane: asyncio.Task[None]) -> None:
        self._lanes.discard(lane)
        self._hungry.set()
        if not lane.cancelled() and (error := lane.exception()):
            log.error("a lane broke; its delivery is due again soon", exc_info=error)

    async def _wait_for_hunger(self, *, with_unprepared: bool) -> None:
        """Wait until few wait for a lane, and for nothing to be prepared if that is to be so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._end_at - time.monotonic()):
                while not self._is_hungry(with_unprepared):
                    self._hungry.clear()
                    await self._hungry.wait()

    def _is_hungry(self, with_unprepared: bool) -> bool:
        if self._unprepared:
            is_little = self._ready.qsize() + len(self._unprepared) <= BATCH
            return with_unprepared and is_little and self._ready.qsize() <= BATCH // 2
        return self._ready.qsize() <= BATCH // 2 or not self._lanes

    async def _put_back(self) -> None:
        """Make claims that no lane has begun due again at once."""
        while not self._ready.empty():
            prepared = self._ready.get_nowait()
            await self._settle(prepared.claim, None)
            await self._release(prepared)

    async def _lane(self) -> None:
        lane = _Lane()
        try:
            while self._may_go_on():
                prepared = self._ready.get_nowait()
                if self._ready.qsize() <= BATCH // 2:
                    self._hungry.set()
                if self._is_ours(prepared.claim):
                    await self._make(prepared, lane)
                await self._release(prepared)
                await self._yield(lane)
        finally:
            self._working -= 1
            await self._let_go(lane)
        if self._is_over:
            await self._put_back()

    def _may_go_on(self) -> bool:
        """Say whether a lane has another message to send, and is not one too many."""
        return not self._ready.empty() and self._working <= self._pace.lanes and not self._is_over

    async def _make(self, prepared: Prepared, lane: "_Lane") -> None:
        """Make one attempt, write down what came of it, and do what the receiver asks for."""
        outcome = await self._attempt(prepared, lane)
        if outcome is None:
            await self._settle(prepared.claim, None)
            return
        if outcome.verdict is Verdict.DELIVERED:
            LATENCY_SECONDS.observe(_latency(prepared.claim))
        judged = judge(outcome, domain=self._queue.domain)
        await self._settle(prepared.claim, judged)
        self._outbound.reports.saw(self._queue.queue_id, self._queue.domain, lane.site, outcome)
        await self._pace.follow(judged)

    async def _yield(self, lane: "_Lane") -> None:
        """Let others have the connection, if they wait for one and it is their turn."""
        gate = lane.conversation.gate if lane.conversation else None
        if gate is not None and gate.must_yield():
            await self._let_go(lane)

    async def _let_go(self, lane: "_Lane") -> None:
        if (conversation := self._taken_from(lane)) is not None:
            await self._outbound.conversations.give_back(conversation)

    def _hand_to(self, lane: "_Lane", conversation: Conversation) -> None:
        lane.conversation = conversation
        isp = isp_of(self._queue.domain, lane.site.partition(",")[0])
        lane.labels = self._queue.vmta, isp.value
        self._outbound.reports.opened(self._queue.queue_id)
        SENDING.add(*lane.labels)

    def _taken_from(self, lane: "_Lane") -> Conversation | None:
        conversation, lane.conversation = lane.conversation, None
        if conversation is not None:
            self._outbound.reports.closed(self._queue.queue_id)
            SENDING.add(*lane.labels, amount=-1)
        return conversation

    async def _attempt(self, prepared: Prepared, lane: "_Lane") -> Outcome | None:
        """Return what came of one attempt; None if there was no connection for it in time."""
        started_at = clock.now()
        if isinstance(prepared.envelope, Failure):
            return outcome_of_failure(prepared.envelope, started_at=started_at)
        try:
            async with asyncio.timeout(LONGEST_ATTEMPT_SECONDS):
                return await self._send(prepared.claim, prepared.envelope, lane)
        except TimeoutError:
            failure = _TOO_SLOW
        except Exception:  # an edge: whatever a peer does must not stop the other lanes
            log.exception("delivery %s failed in an unforeseen way", prepared.claim.delivery_id)
            failure = _UNFORESEEN
        # Nobody knows where the conversation stands, so it is not used again.
        if (conversation := self._taken_from(lane)) is not None:
            await self._outbound.conversations.close(conversation)
        return outcome_of_failure(failure, started_at=started_at)

    async def _send(self, claim: Claim, envelope: Envelope, lane: "_Lane") -> Outcome | None:
        while True:
            if lane.conversation is not None and not lane.conversation.is_usable:
                await self._let_go(lane)
            if lane.conversation is None:
                taken = await self._begin(claim, lane)
                if not isinstance(taken, Conversation):
                    return taken
                self._hand_to(lane, taken)
            else:
                taken = lane.conversation
            is_used = taken.message_count > 0
            outcome = await taken.deliver(envelope)
            TRANSACTION_SECONDS.observe(outcome.duration.total_seconds())
            if not (is_used and _went_stale(taken, outcome)):
                return outcome

    async def _begin(self, claim: Claim, lane: "_Lane") -> Conversation | Outcome | None:
        """Return a conversation, or why there is none; None if that is no fault of the host's.

        What a database that is away keeps from being begun waits for it, and not for the hour
        of a next attempt: nothing was sent.
        """
        for pause in DATABASE_AWAY_SECONDS:
            try:
                way = await self._outbound.transport.find_way(self._queue)
                if isinstance(way, Failure):
                    return outcome_of_failure(way, started_at=clock.now())
                lane.site = way.site
                return await self._pace.take(way, end_at=self._end_at)
            except Exception as error:  # an edge: what a database that is away looks like is many
                if not is_database_away(error):
                    # Such as a file that cannot be opened, or an address that is not ours.
                    raise
                log.warning("no conversation can be begun now: %r", error)
            await self._pause(pause)
            if self._is_over or not self._is_ours(claim):
                break
        return None

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the time at which the process is to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._outbound.stopping.wait()

    async def _settle(self, claim: Claim, judged: Judgement | None) -> None:
        if judged is None:
            self._pace.unused(1)
        # Handed over before anything is waited for: a drain that is cancelled while it waits
        # must not take the outcome of mail that was sent with it.
        written = self._outbound.settler.settle(
            Settlement(
                claim,
                self._queue.vmta,
                judged.outcome if judged else None,
                source_address=self._queue.source_address,
                action=judged.action if judged else None,
            )
        )
        self._settling.add(written)

        def was_written(_: asyncio.Future[None]) -> None:
            self._settling.discard(written)
            self._held.pop(claim.delivery_id, None)
            self._written.set()

        written.add_done_callback(was_written)
        while len(self._settling) >= UNWRITTEN:
            self._written.clear()
            await self._written.wait()
        await self._outbound.settler.wait_for_room()

    async def _borrow(self, prepared: Prepared) -> None:
        await self._room.acquire(prepared.share)
        await self._outbound.memory.acquire(prepared.share)
        self._borrowed += prepared.share

    async def _release(self, prepared: Prepared) -> None:
        await self._outbound.memory.release(prepared.share)
        self._borrowed -= prepared.share
        await self._room.release(prepared.share)

    def _is_ours(self, claim: Claim) -> bool:
        held = self._held.get(claim.delivery_id)
        # It may have been claimed again by this very run, after its lease had ended.
        return held is not None and held[0] is claim and held[1] > time.monotonic()

    async def _renew(self) -> None:
        """Keep the leases, and our job's key, for as long as the run takes."""
        while True:
            await asyncio.sleep(self._outbound.lease.total_seconds() / 4)
            try:
                if self._alive is not None:
                    await self._alive()
                until = time.monotonic() + self._outbound.lease.total_seconds()
                claims = [claim for claim, _ in self._held.values()]
                ours = await renew_claims(claims, lease=self._outbound.lease)
            except Exception as error:  # an edge: without the database the leases run out
                log.warning("leases could not be renewed: %r", error)
                continue
            for claim in claims:
                held = self._held.get(claim.delivery_id)
                if held is None or held[0] is not claim:
                    continue  # it was written down meanwhile, or claimed again
                if claim.delivery_id in ours:
                    self._held[claim.delivery_id] = (claim, until)
                else:
                    del self._held[claim.delivery_id]


def _latency(claim: Claim) -> float:
    """Return the seconds since the message was accepted, or due if it was scheduled.

    Of a scheduled message that was deferred, when it was first due is not known any more.
    """
    since = claim.due_since if claim.attempt == 1 else made_at(claim.message_id)
    return max((clock.now() - since).total_seconds(), 0)


def _went_stale(conversation: Conversation, outcome: Outcome) -> bool:
    """Say whether the host had enough of a conversation before it got this message's content.

    It hung up, or says 421 as many do after so many messages. Once the content was sent it
    may have been taken, and sending it at once again would be likely to deliver it twice.
    """
    is_content = any(line.startswith("C: (") for line in outcome.transcript)
    has_ended = conversation.session.closed and outcome.code in (None, 421)
    return has_ended and not is_content


_TOO_SLOW = Failure(
    Verdict.DEFERRED, BounceClass.CONNECTION_FAILURE, "the conversation took too long", "4.4.2"
)
_UNFORESEEN = Failure(
    Verdict.DEFERRED,
    BounceClass.TEMPORARY_FAILURE,
    "the attempt failed on our side",
    "4.3.0",
    is_local=True,
)
