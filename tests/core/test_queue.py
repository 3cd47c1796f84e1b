"""The job queue on PostgreSQL: whoever waits for a job hears of every one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from psycopg_pool import AsyncConnectionPool
from saq.job import Job
from saq.queue.postgres import ENQUEUE, PostgresQueue

from postlane.core.database import fetch
from postlane.core.queue import AttentiveQueue, JobName, enqueue
from tests.workers import own_database


class SlowPool(AsyncConnectionPool):
    """A pool that takes connections back when it is told to, as on a busy machine."""

    def __init__(self, url: str) -> None:
        super().__init__(url, open=False)
        self.is_prompt = asyncio.Event()
        self.is_prompt.set()
        self.is_kept_waiting = asyncio.Event()

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[Any]:
        async with super().connection(timeout) as connection:
            yield connection
            if not self.is_prompt.is_set():
                self.is_kept_waiting.set()
            await self.is_prompt.wait()


@pytest.mark.slow
async def test_a_job_that_comes_during_a_look_is_not_left_to_the_clock(
    database: None, database_url: str
) -> None:
    async with own_database(database_url) as url:
        pool = SlowPool(url)
        await pool.open()
        queue = AttentiveQueue(pool=pool)
        await queue.connect()
        waiting = asyncio.create_task(queue.dequeue(timeout=10))
        await asyncio.sleep(0.5)  # it has looked, and listens now

        pool.is_prompt.clear()
        looking = asyncio.create_task(queue.schedule())
        await pool.is_kept_waiting.wait()
        await enqueue(JobName.TIDY, key="one")
        await asyncio.sleep(0.5)  # it has been told
        pool.is_prompt.set()
        await looking
        job = await asyncio.wait_for(waiting, 5)
        await queue.disconnect()
        await pool.close()

    assert job is not None
    assert job.key.endswith("one")


@pytest.fixture
async def queue(database: None, database_url: str) -> AsyncIterator[AttentiveQueue]:
    """The queue of a database of its own."""
    async with own_database(database_url) as url:
        made = AttentiveQueue.from_url(url, min_size=1, max_size=4)
        assert isinstance(made, AttentiveQueue)
        await made.connect()
        yield made
        await made.disconnect()


@pytest.mark.slow
async def test_jobs_of_dead_workers_are_looked_for_while_any_is_worked_on(
    queue: AttentiveQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    sweep = PostgresQueue.sweep

    async def look(self: PostgresQueue, lock: int = 60, abort: float = 5.0) -> list[str]:
        looked.append("looked")
        return await sweep(self, lock, abort)

    monkeypatch.setattr(PostgresQueue, "sweep", look)
    await queue.sweep(abort=0.1)
    await queue.sweep(abort=0.1)
    await enqueue(JobName.TIDY, key="later", at=datetime(2100, 1, 1, tzinfo=UTC))
    await queue.sweep(abort=0.1)
    idle = len(looked)

    await enqueue(JobName.DRAIN, key="dead", queue_id="0")
    job = await queue.dequeue(timeout=5)
    assert job is not None
    # It was begun an hour ago, and has said nothing since.
    job.started = job.touched = job.started - 3_600_000
    await fetch("UPDATE saq_jobs SET job = {} WHERE key = {}", queue.serialize(job), job.key)
    swept = await queue.sweep(abort=0.1)
    await fetch("UPDATE saq_jobs SET status = 'aborting' WHERE key = {}", job.key)
    await queue.sweep(abort=0.1)

    assert (idle, len(looked), swept) == (1, 3, [job.key])


async def test_a_job_whose_time_has_come_is_taken_by_the_clock(queue: AttentiveQueue) -> None:
    waiting = asyncio.create_task(queue.dequeue(timeout=10))
    await asyncio.sleep(0.5)  # it has looked, and listens now
    await enqueue(JobName.TIDY, key="due", at=datetime(2100, 1, 1, tzinfo=UTC))
    await queue.schedule()
    early = waiting.done()

    await fetch("UPDATE saq_jobs SET scheduled = 1")
    await queue.schedule()
    job = await asyncio.wait_for(waiting, 5)

    assert not early
    assert job is not None
    assert job.key.endswith("due")


async def test_a_job_for_later_is_taken_when_its_time_comes(queue: AttentiveQueue) -> None:
    waiting = await _waits(queue)

    # Nobody asks the clock here: whoever was told when it is looks by itself.
    at = datetime.now(UTC) + timedelta(seconds=0.5)
    await enqueue(JobName.TIDY, key="soon", at=at)
    job = await asyncio.wait_for(waiting, 15)

    assert job is not None
    assert time.time() >= at.timestamp()


async def test_a_job_for_later_is_taken_in_time_by_whoever_was_not_told(
    queue: AttentiveQueue,
) -> None:
    at = datetime.now(UTC) + timedelta(seconds=1)
    await enqueue(JobName.TIDY, key="soon", at=at)
    waiting = await _waits(queue)

    # The next time that the clock asks is after that of the job.
    await queue.schedule()
    is_early = waiting.done() and time.time() < at.timestamp()
    job = await asyncio.wait_for(waiting, 15)

    assert not is_early
    assert job is not None


async def test_a_job_for_later_that_is_far_off_is_left_to_the_clock(queue: AttentiveQueue) -> None:
    waiting = await _waits(queue)

    await enqueue(JobName.TIDY, key="far", at=datetime(2100, 1, 1, tzinfo=UTC))
    await queue.schedule()
    await asyncio.sleep(0.3)  # it has been told

    assert queue._later == {}
    waiting.cancel()


async def test_a_job_is_taken_by_whoever_has_a_clock_that_is_behind(
    queue: AttentiveQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await _waits(queue)

    with monkeypatch.context() as ahead:
        ahead.setattr("postlane.core.queue.now_seconds", lambda: time.time() + 30)
        await enqueue(JobName.DRAIN, key="one", queue_id="0")
    job = await asyncio.wait_for(waiting, 5)

    assert job is not None


async def test_no_job_runs_before_its_time(database: None) -> None:
    at = datetime(2100, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)

    await enqueue(JobName.REMOVE, key="not-yet", at=at, removal_id="0")

    [job] = await fetch("SELECT scheduled FROM saq_jobs WHERE key LIKE '%not-yet'")
    assert job["scheduled"] == at.timestamp() + 0.75


async def _waits(queue: AttentiveQueue) -> "asyncio.Task[Any]":
    """Return a place of a worker that waits for a job."""
    waiting = asyncio.create_task(queue.dequeue(timeout=10))
    await asyncio.sleep(0.3)  # it has looked, and listens now
    return waiting


async def test_a_job_that_is_refused_does_not_hide_the_one_that_is_there(
    queue: AttentiveQueue,
) -> None:
    # Whoever looks for jobs passes over rows that are locked.
    was_put_in = await enqueue(JobName.DRAIN, key="one", queue_id="0")
    was_put_in_again = await enqueue(JobName.DRAIN, key="one", queue_id="0")

    [row] = await fetch("SELECT xmax::text AS locked_by, status FROM saq_jobs")
    assert (was_put_in, was_put_in_again) == (True, False)
    assert dict(row) == {"locked_by": "0", "status": "queued"}


async def test_of_many_who_ask_at_once_one_is_heard_at_once(queue: AttentiveQueue) -> None:
    for _ in range(10):
        waiting = await _waits(queue)
        put_in = await asyncio.gather(
            *(enqueue(JobName.DRAIN, key="one", queue_id="0") for _ in range(8))
        )
        job = await asyncio.wait_for(waiting, 2)
        assert job is not None
        await job.finish("complete")
        assert put_in.count(True) == 1


async def test_a_job_is_heard_while_others_are_worked_on(queue: AttentiveQueue) -> None:
    first, second = await _waits(queue), await _waits(queue)

    await enqueue(JobName.DRAIN, key="one", queue_id="1")
    await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    # Whoever has it is busy, and asks for no other.
    await enqueue(JobName.DRAIN, key="two", queue_id="2")
    jobs = await asyncio.wait_for(asyncio.gather(first, second), 2)

    assert {job.kwargs["queue_id"] for job in jobs} == {"1", "2"}


async def test_a_worker_that_ends_leaves_what_it_took_and_did_not_do_to_others(
    queue: AttentiveQueue, database_url: str
) -> None:
    for key in ("done", "begun", "put-back"):
        await enqueue(JobName.DRAIN, key=key, queue_id="0")
    jobs = {
        job.key.rpartition(":")[2]: job for job in [await queue.dequeue(5) for _ in "123"] if job
    }
    await jobs["done"].finish("complete")
    await jobs["put-back"].retry("cancelled")
    # One that comes in the moment in which nobody waits for it any more.
    await enqueue(JobName.DRAIN, key="unseen", queue_id="0")
    queue._waiting += 1
    await queue._dequeue()
    queue._waiting -= 1

    heard: asyncio.Queue[str] = asyncio.Queue()
    (own,) = await fetch("SELECT current_database() AS name")
    connection = await asyncpg.connect(database_url, database=own["name"])
    await connection.add_listener("saq:default", lambda *said: heard.put_nowait(said[-1]))
    await queue.disconnect()
    told = await asyncio.wait_for(heard.get(), 5)
    await connection.close()

    rows = await fetch("SELECT key, status FROM saq_jobs")
    assert told == ENQUEUE
    assert {row["key"].rpartition(":")[2]: row["status"] for row in rows} == {
        "begun": "queued",
        "put-back": "queued",
        "unseen": "queued",
    }


async def test_whoever_cannot_listen_any_more_listens_again(queue: AttentiveQueue) -> None:
    waiting = await _waits(queue)

    ended = await fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND query LIKE 'LISTEN %'"
    )
    await enqueue(JobName.DRAIN, key="one", queue_id="0")
    job = await asyncio.wait_for(waiting, 5)

    assert ended
    assert job is not None


async def _states() -> dict[str, int]:
    rows = await fetch("SELECT status, count(*) AS jobs FROM saq_jobs GROUP BY status")
    return {row["status"]: row["jobs"] for row in rows}


async def _listens(queue: AttentiveQueue) -> None:
    """Let a worker have had its first job, so that it listens and has looked."""
    waiting = await _waits(queue)
    await enqueue(JobName.DRAIN, key="first", queue_id="0")
    await waiting


async def test_a_worker_takes_no_more_jobs_than_it_has_places(
    queue: AttentiveQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _listens(queue)
    await enqueue(JobName.DRAIN, key="one", queue_id="0")
    look, looks = PostgresQueue._dequeue, []

    async def others_come(self: PostgresQueue) -> None:
        await look(self)
        looks.append(1)
        if len(looks) == 1:
            # The job has come, and the place has not fetched it yet.
            for n in range(5):
                await enqueue(JobName.DRAIN, key=f"{n}", queue_id="0")
            await asyncio.sleep(0.5)

    monkeypatch.setattr(PostgresQueue, "_dequeue", others_come)
    await asyncio.wait_for(queue.dequeue(), 5)

    assert await _states() == {"active": 2, "queued": 5}


async def test_every_place_that_is_free_gets_a_job(
    queue: AttentiveQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _listens(queue)
    for n in range(3):
        await enqueue(JobName.DRAIN, key=f"{n}", queue_id="0")
    await asyncio.sleep(0.3)  # that was heard, and nobody was there
    look, places = PostgresQueue._dequeue, []

    async def another_comes(self: PostgresQueue) -> None:
        await look(self)
        if len(places) == 1:
            # The job of the first has come, and it has not fetched it yet.
            places.append(asyncio.create_task(queue.dequeue()))
            await asyncio.sleep(0)

    monkeypatch.setattr(PostgresQueue, "_dequeue", another_comes)
    places.append(asyncio.create_task(queue.dequeue()))
    await asyncio.wait({places[0]}, timeout=5)
    await asyncio.wait(set(places), timeout=5)

    assert await _states() == {"active": 3, "queued": 1}


async def test_a_job_that_cannot_be_read_ends_no_listening(
    queue: AttentiveQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await _waits(queue)
    with monkeypatch.context() as broken:
        broken.setattr(queue, "deserialize", lambda *_: Job("x", unknown=1))  # type: ignore[call-arg]
        await enqueue(JobName.DRAIN, key="one", queue_id="0")
        await asyncio.sleep(0.5)
    await enqueue(JobName.DRAIN, key="two", queue_id="0")

    assert await asyncio.wait_for(waiting, 5) is not None


async def test_a_job_that_another_has_begun_since_is_left_to_it(queue: AttentiveQueue) -> None:
    waiting = await _waits(queue)
    await enqueue(JobName.DRAIN, key="one", queue_id="0")
    job = await waiting
    job.started += 1
    await fetch("UPDATE saq_jobs SET job = {}", queue.serialize(job))
    job.started -= 1

    await queue.put_back()

    assert await _states() == {"active": 1}
