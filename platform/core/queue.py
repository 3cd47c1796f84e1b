"""Jobs by name: put in the queue with a time limit and a key, run by `postlane worker`."""

import asyncio
import contextlib
import logging
import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from psycopg_pool import PoolClosed, PoolTimeout
from saq import Queue
from saq.job import Job
from saq.queue.postgres import DEQUEUE, ENQUEUE, PostgresQueue
from saq.utils import now_seconds

from . import clock
from .settings import settings

log = logging.getLogger(__name__)


class JobName(StrEnum):
    """Every kind of job."""

    DRAIN = "drain"
    CHECK_DOMAIN = "check_domain"
    CHECK_VMTA = "check_vmta"
    CHECK_LISTINGS = "check_listings"
    TEST_BLOCKLISTS = "test_blocklists"
    SEND_NOTICE = "send_notice"
    CLOSE_BOOKS = "close_books"
    BILL = "bill"
    TIDY = "tidy"
    FORGET = "forget"
    SIMULATE = "simulate"
    IMPORT_SUPPRESSIONS = "import_suppressions"
    ERASE_RECIPIENT = "erase_recipient"
    WRITE_EXPORT = "write_export"
    GO_ON_IN_BULK = "go_on_in_bulk"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """How long a job may run, how often it is tried, and when it counts as dead."""

    timeout: timedelta
    retries: int
    heartbeat: timedelta = timedelta()
    """A job that says nothing for longer died with its worker; zero asks for no signs of life."""


_LONG = JobPolicy(timedelta(minutes=30), retries=3, heartbeat=timedelta(seconds=40))

POLICIES: dict[JobName, JobPolicy] = {
    # A drain ends by itself well before this; what it leaves, the sweep finds.
    JobName.DRAIN: JobPolicy(timedelta(minutes=10), retries=1, heartbeat=timedelta(seconds=40)),
    JobName.CHECK_DOMAIN: JobPolicy(timedelta(minutes=1), retries=3),
    JobName.CHECK_VMTA: JobPolicy(timedelta(minutes=1), retries=3),
    JobName.CHECK_LISTINGS: JobPolicy(timedelta(minutes=1), retries=3),
    JobName.TEST_BLOCKLISTS: JobPolicy(timedelta(minutes=10), retries=1),
    # Less than the lease of its claim, so that nobody else has it meanwhile.
    JobName.SEND_NOTICE: JobPolicy(timedelta(minutes=4), retries=1),
    # It reads the whole ledger.
    JobName.CLOSE_BOOKS: JobPolicy(timedelta(hours=1), retries=3),
    JobName.BILL: JobPolicy(timedelta(minutes=30), retries=1),
    JobName.TIDY: JobPolicy(timedelta(minutes=10), retries=1),
    # It ends by itself well before this, and the next one goes on.
    JobName.FORGET: JobPolicy(timedelta(minutes=30), retries=1),
    JobName.SIMULATE: JobPolicy(timedelta(minutes=1), retries=3),
    # These end by themselves after ten minutes, and the next goes on from there.
    JobName.IMPORT_SUPPRESSIONS: _LONG,
    JobName.ERASE_RECIPIENT: _LONG,
    JobName.WRITE_EXPORT: _LONG,
    JobName.GO_ON_IN_BULK: _LONG,
    JobName.REMOVE: JobPolicy(timedelta(minutes=1), retries=3),
}


EARLY_SECONDS = 0.01
"""How much later than its time a job is looked for: timers may come a moment early."""

AT = "postlane:at:"
"""Begins what is told of a job for later; its time comes behind."""

TIDY_SECONDS = 60.0
"""How often what SAQ keeps for a while is removed, although nothing goes on."""


PUT_BACK_SECONDS = 2.0
"""How long a worker that ends waits for a connection to put jobs back with."""

PUT_BACK = """
    UPDATE {} AS jobs SET status = 'queued'
    FROM unnest(%s::text[], %s::bigint[]) AS ours (key, started)
    WHERE jobs.key = ours.key AND status = 'active'
        AND (convert_from(job, 'UTF8')::json->>'started')::bigint = ours.started
"""
"""A job that another worker has begun since, because this one seemed dead, is not ours any more."""

LISTEN_AGAIN_SECONDS = 1.0
"""After the connection that listens is lost."""

QUIET_SECONDS = 30.0
"""How long a connection over which nothing comes is believed in."""
ANSWER_SECONDS = 10.0
"""How long it may take to answer then."""

SCHEDULE_SECONDS = 15
"""How often a worker asks which jobs have their time until it asks again."""

LONG_AGO_SECONDS = 60
"""How much earlier a job is put in that is for now: whoever looks may go by a clock that is behind,
and would overlook it until its own clock is there."""


class AttentiveQueue(PostgresQueue):
    """SAQ's queue on PostgreSQL, which overlooks no job that it is told of, and asks little.

    SAQ begins to listen after each look for jobs, and ends when it has one. What is put in
    between the look and the listening waits for the clock: up to fifteen seconds, with nothing
    else to do. Here one connection listens for as long as the worker takes jobs.

    One look for jobs goes on at a time, and SAQ lets whoever is told of a job during it not
    look at all. A job that this look came too early for would wait as long.

    SAQ finds a job whose time comes later by its clock. Here who puts it in tells when that is,
    and the clock asks what has its time before it comes again.
    """

    _told = False
    _tidied_at = -TIDY_SECONDS
    _listening: asyncio.Task[None] | None = None
    _places = 0
    """Of this worker, those that wait for a job."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._later: dict[int, asyncio.Task[None]] = {}
        """The looks that are to come, by the second that is their time."""
        self._taken: dict[str, Job] = {}
        """By key, the jobs that were handed out here and have not ended."""

    @property
    def _waiting(self) -> int:
        """How many jobs a look takes: none for a place whose job has come and is not fetched yet.

        With one more, that would be kept from others until some place here is free.
        """
        return max(0, self._places - self._job_queue.qsize())

    @_waiting.setter
    def _waiting(self, count: int) -> None:
        """Let SAQ begin with none."""

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:
        """Return the next job; None when this is cancelled, or after *timeout* seconds if any."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._keep_listening())
        self._places += 1
        try:
            if self._waiting:
                await self._dequeue()
            job: Job = await asyncio.wait_for(self._job_queue.get(), timeout or None)
        except (TimeoutError, asyncio.CancelledError):
            return None
        finally:
            self._places -= 1
        self._taken[job.key] = job
        self._job_queue.task_done()
        return job

    async def disconnect(self) -> None:
        """Listen no more, put back what was taken and not done, and leave."""
        tasks = list(self._later.values())
        if self._listening is not None:
            tasks.append(self._listening)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listening is not None:
            self._listening = None
            await self.put_back()
        await super().disconnect()

    async def put_back(self) -> None:
        """Leave to others what this worker took and did not do, and tell them to look.

        SAQ forgets a job whose task it cancels before it has begun. Its key would stay taken,
        and whoever asks for it be refused, until it is missed.
        """
        while not self._job_queue.empty():
            job = self._job_queue.get_nowait()
            self._taken[job.key] = job
        taken, self._taken = self._taken, {}
        try:
            async with self.pool.connection(PUT_BACK_SECONDS) as connection:
                await connection.execute(
                    SQL(PUT_BACK).format(self.jobs_table),
                    [list(taken), [job.started for job in taken.values()]],
                )
                # Also of those that SAQ put back itself, which tells nobody.
                await connection.execute("SELECT pg_notify(%s, %s)", [self._channel, ENQUEUE])
        except (psycopg.Error, PoolClosed, PoolTimeout, OSError) as error:
            log.debug("jobs could not be put back: %r", error)

    async def _finish(self, job: Job, *args: Any, **options: Any) -> None:
        await super()._finish(job, *args, **options)
        self._taken.pop(job.key, None)

    async def _retry(self, job: Job, error: str | None) -> None:
        await super()._retry(job, error)
        self._taken.pop(job.key, None)

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:  # an edge: whoever does not listen waits for the clock
                log.warning("jobs that are put in cannot be heard; trying again: %r", error)
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def _listen(self) -> None:
        async with self.pool.connection() as connection:
            try:
                await connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
                # For what was put in while nobody listened.
                await self._try_to_look()
                while True:
                    async for heard in connection.notifies(timeout=QUIET_SECONDS):
                        await self._hear(heard.payload)
                    # Of one that is gone without a word nothing comes either.
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await connection.execute("SELECT 1")
            finally:
                # The pool gives it to others, and what it hears then is kept for nobody.
                with contextlib.suppress(psycopg.Error, TimeoutError):
                    async with asyncio.timeout(PUT_BACK_SECONDS):
                        await connection.execute("UNLISTEN *")

    async def _hear(self, told: str) -> None:
        if told == ENQUEUE:
            await self._try_to_look()
        elif (second := _time_in(told)) is not None:
            self._look_at(second)

    async def _try_to_look(self) -> None:
        try:
            await self._dequeue()
        except Exception as error:  # an edge: the next look finds it, and listening goes on
            log.warning("jobs could not be looked for; the clock does it again: %r", error)

    def _look_at(self, second: int) -> None:
        """Look for jobs at that second, too, unless the clock asks before."""
        is_far = second > now_seconds() + SCHEDULE_SECONDS
        if not is_far and second not in self._later:
            self._later[second] = asyncio.create_task(self._look_then(second))

    async def _look_then(self, second: int) -> None:
        try:
            await asyncio.sleep(second - now_seconds() + EARLY_SECONDS)
            await self._try_to_look()
        finally:
            del self._later[second]

    async def _enqueue(self, job: Job) -> Job | None:
        """Put *job* in and tell of it; return None if there is one with its key.

        SAQ's own statement locks the job that is there, to take the place of one that has ended.
        Whoever looks for jobs passes over what is locked, and nobody tells of a job that was
        refused: the one that was there would wait for the clock. Here ended jobs are deleted.
        """
        values = {
            "key": job.key,
            "job": self.serialize(job),
            "queue": self.name,
            "status": job.status,
            "priority": job.priority,
            "group_key": job.group_key,
            "scheduled": job.scheduled or int(now_seconds()) - LONG_AGO_SECONDS,
            "channel": self._channel,
            "told": f"{AT}{job.scheduled}" if job.scheduled else ENQUEUE,
        }
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                SQL(
                    "WITH new AS (INSERT INTO {} "
                    "(key, job, queue, status, priority, group_key, scheduled) VALUES (%(key)s, "
                    "%(job)s, %(queue)s, %(status)s, %(priority)s, %(group_key)s, %(scheduled)s) "
                    "ON CONFLICT (key) DO NOTHING RETURNING key) "
                    "SELECT pg_notify(%(channel)s, %(told)s) FROM new"
                ).format(self.jobs_table),
                values,
            )
            is_new = await cursor.fetchone() is not None
        return job if is_new else None

    async def _notify(
        self, key: str, connection: "psycopg.AsyncConnection[Any] | None" = None
    ) -> None:
        # That a job was taken concerns nobody here: who waits for one is handed it.
        if key != DEQUEUE:
            await super()._notify(key, connection)

    async def schedule(self, _lock: int = 1) -> list[str]:
        """Take jobs whose time has come, and look again when that of others does.

        With one statement if there are none.
        """
        now = int(now_seconds())
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                SQL(
                    "SELECT DISTINCT greatest(scheduled, %s) FROM {} "
                    "WHERE queue = %s AND status = 'queued' AND scheduled <= %s"
                ).format(self.jobs_table),
                [now, self.name, now + SCHEDULE_SECONDS],
            )
            seconds = {row[0] for row in await cursor.fetchall()}
        for second in seconds - {now}:
            self._look_at(second)
        return await super().schedule(_lock) if now in seconds else []

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:
        """Look for jobs of dead workers, with one statement while none is worked on."""
        is_tidy = time.monotonic() - self._tidied_at < TIDY_SECONDS
        if is_tidy and not await self._has_begun():
            return []
        self._tidied_at = time.monotonic()
        return await super().sweep(lock, abort)

    async def _has_begun(self) -> bool:
        """Say whether any worker has a job, dead ones included."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                SQL(
                    "SELECT EXISTS (SELECT FROM {} WHERE queue = %s "
                    "AND status IN ('active', 'aborting'))"
                ).format(self.jobs_table),
                [self.name],
            )
            row = await cursor.fetchone()
        return bool(row and row[0])

    async def _dequeue(self) -> None:
        self._told = True
        while self._told and self._waiting and not self._dequeue_lock.locked():
            self._told = False
            await super()._dequeue()


def _time_in(payload: str) -> int | None:
    """Return the second that a job was put in for, if *payload* tells of one."""
    said = payload.removeprefix(AT)
    return int(said) if said != payload and said.isascii() and said.isdigit() else None


_queue: Queue | None = None


async def open_queue(database_url: str) -> Queue:
    """Connect this process to the job queue and return it; the second call returns the same."""
    global _queue
    if _queue is None:
        url = settings().queue_url or database_url
        queue = _make_queue(url)
        await queue.connect()
        _queue = queue
    return _queue


def _make_queue(url: str) -> Queue:
    if not url.startswith("postgres"):
        return Queue.from_url(url)
    # SAQ keeps four connections to PostgreSQL unless told otherwise; a web process
    # needs one, and every connection is a server process of some ten megabytes.
    return AttentiveQueue.from_url(url, min_size=1, max_size=4)


async def close_queue() -> None:
    """Leave the job queue."""
    global _queue
    if _queue is not None:
        await _queue.disconnect()
        _queue = None


async def enqueue(
    name: JobName,
    *,
    key: str | None = None,
    at: datetime | None = None,
    priority: int = 0,
    **arguments: str,
) -> bool:
    """Ask for job *name* to run, at *at* or now; say whether it was put in.

    A lower *priority* goes first; a job queue on Redis knows none.

    A job whose *key* is queued or running is not put in again. Callers rely on the rows
    that say what is due, so a job that is lost or refused delays work and loses none.
    """
    if _queue is None:
        raise RuntimeError("open_queue() has not been called in this process")
    policy = POLICIES[name]
    job = await _queue.enqueue(
        name.value,
        timeout=int(policy.timeout.total_seconds()),
        retries=policy.retries,
        heartbeat=int(policy.heartbeat.total_seconds()),
        # Finished jobs are deleted at once: SAQ on PostgreSQL refuses a key whose finished
        # row is from the same second, and mail that came in that second would wait.
        ttl=-1,
        # Whole seconds, and never too early: a job that finds nothing due yet is gone.
        scheduled=math.ceil((at + clock.APART).timestamp()) if at else 0,
        priority=priority,
        kwargs=arguments,
        **({"key": key} if key else {}),
    )
    return job is not None


async def count_workers() -> int:
    """Return how many workers have shown themselves in the last seconds."""
    return (await count_jobs()).workers


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How the job queue stands."""

    queued: int
    active: int
    scheduled: int
    workers: int


async def count_jobs() -> JobCounts:
    """Return how many jobs there are, and how many workers for them."""
    if _queue is None:
        raise RuntimeError("open_queue() has not been called in this process")
    info = await _queue.info()
    return JobCounts(info["queued"], info["active"], info["scheduled"], len(info["workers"]))
