"""The worker process: takes jobs from the queue and runs them until it is told to stop."""

import asyncio
import contextlib
import logging
import resource
import signal
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import uvloop
from saq import CronJob, Queue, Worker
from saq.job import TERMINAL_STATUSES

from ..core import row_security
from ..core.database import close_pool, follow_clock, start_pool
from ..core.garbage import settle_down
from ..core.measuring import share_in
from ..core.queue import SCHEDULE_SECONDS, AttentiveQueue, JobName, close_queue, open_queue
from ..core.settings import settings
from ..core.tracing import Kind, span, start_tracing, stop_tracing
from ..exports.pages import ReadPage
from ..webhooks.documents import Shape
from .analytics import keep_counting
from .billing import bill
from .blocklists import check_listings, test_blocklists
from .bulk import go_on_in_bulk
from .capture import CaptureListener
from .credits import close_books, keep_watching
from .delivery import drain, look_again
from .domains import check_domain
from .erasing import erase_recipient
from .exports import write_export
from .hearing import Signs, keep_hearing, keep_looking
from .ingress import Ingress
from .notices import send_notice
from .outbound import Outbound
from .protection import keep_protecting
from .removals import remove
from .schedule import cron_jobs
from .simulating import run
from .suppressions import import_suppressions
from .sweep import keep_sweeping
from .tidy import forget, tidy
from .tracking import keep_settling
from .transports import make_transport
from .vmtas import check_vmta, report_missing_addresses
from .webhooks import Caller

log = logging.getLogger(__name__)

Function = Callable[..., Awaitable[None]]

FUNCTIONS: dict[JobName, Function] = {
    JobName.DRAIN: drain,
    JobName.CHECK_DOMAIN: check_domain,
    JobName.CHECK_VMTA: check_vmta,
    JobName.CHECK_LISTINGS: check_listings,
    JobName.TEST_BLOCKLISTS: test_blocklists,
    JobName.SEND_NOTICE: send_notice,
    JobName.CLOSE_BOOKS: close_books,
    JobName.BILL: bill,
    JobName.TIDY: tidy,
    JobName.FORGET: forget,
    JobName.SIMULATE: run,
    JobName.IMPORT_SUPPRESSIONS: import_suppressions,
    JobName.ERASE_RECIPIENT: erase_recipient,
    JobName.WRITE_EXPORT: write_export,
    JobName.GO_ON_IN_BULK: go_on_in_bulk,
    JobName.REMOVE: remove,
}
"""What each kind of job runs."""

STOP_SECONDS = 25.0
"""How long conversations may go on after the signal to stop; then their leases run out."""

CALLING_SECONDS = 12.0
"""How long calls to webhooks may go on then: each ends by itself within ten. A post of mail that
came in, or a look into an account, that takes longer is done again when its lease ends."""

LARGEST_PART = 0.75
"""Of a worker's places, how many one organization may have."""

CLOCK_EVERY = 30.0
REAP_SECONDS = 15.0
CRON_SECONDS = 30.0
"""How often jobs that come by the clock are put in for their next time."""
DATABASE_CONNECTIONS = 10
DOCUMENT_CONNECTIONS = 4


class PatientWorker(Worker[Any]):
    """SAQ's worker, without its signals and its own idea of when jobs are stuck."""

    SIGNALS: list[signal.Signals] = []
    _planned_at = -CRON_SECONDS

    async def schedule(self, lock: int = 1) -> None:
        """Take jobs whose time has come; now and then plan those of the clock that are not there.

        SAQ plans all of them each time, which would be most of what an idle worker asks.
        """
        every, self.cron_jobs = self.cron_jobs, await self._not_planned()
        try:
            await super().schedule(lock)
        finally:
            self.cron_jobs = every

    async def _not_planned(self) -> list[CronJob[Any]]:
        if time.monotonic() - self._planned_at < CRON_SECONDS:
            return []
        if not isinstance(self.queue, AttentiveQueue):
            # In Redis a job may stay known that no list has any more: whoever was ending it died.
            self._planned_at = time.monotonic()
            return list(self.cron_jobs or ())
        known = await self.queue.jobs(
            [f"cron:{each.function.__qualname__}" for each in self.cron_jobs]
        )
        self._planned_at = time.monotonic()
        return [
            each
            for each, job in zip(self.cron_jobs, known, strict=True)
            if job is None or job.status in TERMINAL_STATUSES
        ]

    async def upkeep(self) -> list[asyncio.Task[None]]:
        """Start what SAQ does beside jobs, and look for jobs of dead workers."""
        # SAQ would look for them as well, beside us: it waits five seconds for each, and
        # complains of one that ends meanwhile.
        self.queue.sweep = _find_nothing  # type: ignore[method-assign]
        try:
            tasks = await super().upkeep()
        finally:
            del self.queue.sweep
        return [*tasks, asyncio.create_task(self._reap())]

    async def _reap(self) -> None:
        while not self.event.is_set():
            # For each stuck job SAQ waits for the worker to say that it gave up; 5 seconds
            # unless told otherwise, and a dead one says nothing.
            try:
                await self.queue.sweep(lock=int(REAP_SECONDS), abort=0.2)
            except Exception:  # an edge: a job may end while it is looked at
                log.debug("looking for stuck jobs failed", exc_info=True)
            await asyncio.sleep(REAP_SECONDS)


async def _find_nothing(lock: int = 60, abort: float = 5.0) -> list[str]:
    return []


def run_worker(
    *, database_url: str, shape: Shape, read_page: ReadPage, concurrency: int | None = None
) -> None:
    """Run jobs until SIGTERM or SIGINT; *concurrency* is the setting's unless given.

    *shape* runs the GraphQL documents of webhooks, and *read_page* those of exports.
    """
    _allow_many_files()
    settle_down()
    at_once = concurrency or settings().worker_concurrency
    uvloop.run(work(database_url, concurrency=at_once, shape=shape, read_page=read_page))


def _allow_many_files() -> None:
    """Lift the limit on open files as far as the system lets us: every conversation is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def work(database_url: str, *, concurrency: int, shape: Shape, read_page: ReadPage) -> None:
    """Run jobs until SIGTERM or SIGINT, then finish what is on the wire and put back the rest."""
    share_in(settings().data_dir)
    start_tracing("worker")
    await start_pool(database_url, size=DATABASE_CONNECTIONS)
    # Jobs are the platform's; the documents of webhooks and exports run for organizations.
    await row_security.start(database_url, size=DOCUMENT_CONNECTIONS)
    queue = await open_queue(database_url)
    if settings().delivery == "direct":
        await report_missing_addresses()
    capture = CaptureListener()
    await capture.start()
    outbound = Outbound(
        make_transport(settings(), capture), places=max(1, int(concurrency * LARGEST_PART))
    )
    settling = asyncio.create_task(outbound.settler.run())
    await follow_clock()
    signs = Signs()
    caller = Caller(shape, sign=signs.calls, stopping=outbound.stopping, uncalled=signs.uncalled)
    ingress = Ingress(sign=signs.ingress, stopping=outbound.stopping)
    calling = {asyncio.create_task(caller.keep()), asyncio.create_task(ingress.keep())}
    housekeeping = [
        asyncio.create_task(keep_time()),
        asyncio.create_task(outbound.keep_house()),
        asyncio.create_task(outbound.limits.keep()),
        asyncio.create_task(outbound.reports.keep(outbound.limits.worker_id)),
        asyncio.create_task(keep_sweeping(signs, outbound.stopping)),
        asyncio.create_task(keep_watching(outbound.stopping)),
        asyncio.create_task(keep_hearing(signs)),
        asyncio.create_task(keep_looking(signs)),
        asyncio.create_task(keep_settling(signs.hits, outbound.stopping)),
        asyncio.create_task(keep_counting(signs.counts, outbound.stopping)),
        asyncio.create_task(keep_protecting(outbound.stopping)),
    ]
    try:
        worker = make_worker(queue, outbound, concurrency=concurrency)
        worker.context["read_page"] = read_page
        await _run_until_signal(worker, outbound)
    finally:
        for drain_task in list(outbound.drains):
            drain_task.cancel()
        outbound.stopping.set()
        if isinstance(queue, AttentiveQueue):
            await queue.put_back()
        await asyncio.wait(calling, timeout=CALLING_SECONDS)
        await outbound.settler.finish()
        for task in (*housekeeping, settling, *calling):
            task.cancel()
        await asyncio.gather(*housekeeping, settling, *calling, return_exceptions=True)
        await outbound.conversations.close_idle(older_than=0)
        with contextlib.suppress(Exception):  # an edge: without the database leases run out
            await outbound.limits.close()
        await capture.stop()
        await close_queue()
        await close_pool()
        stop_tracing()


def make_worker(queue: Queue, outbound: Outbound, *, concurrency: int) -> PatientWorker:
    """Return a worker that runs every kind of job we have."""
    worker = PatientWorker(
        queue,
        [(name.value, traced(name, function)) for name, function in FUNCTIONS.items()],
        concurrency=concurrency,
        cron_jobs=cron_jobs(),
        after_process=look_again,
        timers={"schedule": SCHEDULE_SECONDS},  # type: ignore[arg-type]  # all may be left out
    )
    worker.context["outbound"] = outbound
    return worker


def traced(name: JobName, function: Function) -> Function:
    """Return *function* with a span around it."""

    @wraps(function)
    async def run(ctx: dict[str, Any], **arguments: Any) -> None:
        with span(f"job {name.value}", Kind.CONSUMER):
            await function(ctx, **arguments)

    return run


async def keep_time() -> None:
    """Go by the database's clock for as long as the process runs."""
    while True:
        await asyncio.sleep(CLOCK_EVERY)
        try:
            await follow_clock()
        except Exception as error:  # an edge: until then the monotonic clock goes on
            log.debug("the database's clock could not be read: %r", error)


async def _run_until_signal(worker: PatientWorker, outbound: Outbound) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    running = asyncio.create_task(worker.start())
    waiting = asyncio.create_task(told.wait())
    log.info("worker started")
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if told.is_set():
        await finish(worker, outbound)
    await running
    log.info("worker stopped")


async def finish(worker: PatientWorker, outbound: Outbound) -> None:
    """Let the jobs at work end, for STOP_SECONDS at most, then stop the worker."""
    log.info("worker stopping; conversations at work finish first")
    outbound.stopping.set()
    give_up_at = time.monotonic() + STOP_SECONDS
    # SAQ has no event for "nothing is running".
    while (worker.job_task_contexts or outbound.drains) and time.monotonic() < give_up_at:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    # What is left waits for jobs, and SAQ would complain that it does not end by itself.
    worker.event.set()
    for task in list(worker.tasks):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker.stop()
