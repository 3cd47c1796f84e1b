"""Jobs that come by the clock are planned, and planned again whatever became of them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from saq import Queue
from saq.job import Status

from postlane.core.queue import _make_queue
from postlane.jobs.schedule import cron_jobs
from postlane.jobs.worker import PatientWorker
from tests.parts import REDIS, needs
from tests.workers import own_database as make_own_database
from tests.workers import redis

KEY = "cron:bill"


@pytest.fixture(params=["postgres", pytest.param("redis", marks=needs(REDIS))])
async def queue(
    request: pytest.FixtureRequest, database: None, database_url: str, tmp_path: Path
) -> AsyncIterator[Queue]:
    """An empty queue of the test's own."""
    if request.param == "postgres":
        async with make_own_database(database_url) as url:
            yield await _opened(url)
        return
    async with redis(tmp_path / "redis") as url:
        yield await _opened(url)


async def _opened(url: str) -> Queue:
    opened = _make_queue(url)
    await opened.connect()
    return opened


async def plan(queue: Queue) -> set[str]:
    """Let a new worker plan, and return the jobs that wait for their time."""
    worker: PatientWorker = PatientWorker(queue, [], cron_jobs=cron_jobs())
    await worker.schedule()
    return {job.key for job in await _jobs(queue) if job.status is Status.QUEUED}


async def _jobs(queue: Queue) -> list[Any]:
    found = await queue.jobs([f"cron:{each.function.__qualname__}" for each in cron_jobs()])
    return [job for job in found if job is not None]


async def test_all_are_planned_and_those_that_ended_again(queue: Queue) -> None:
    names = {f"cron:{each.function.__qualname__}" for each in cron_jobs()}
    assert await plan(queue) == names

    ended = await queue.job(KEY)
    assert ended is not None
    await queue.finish(ended, Status.COMPLETE)

    assert await plan(queue) == names
    await queue.disconnect()


async def test_one_whose_worker_died_comes_again_though_another_died_in_ending_it(
    queue: Queue,
) -> None:
    await plan(queue)
    await _begin(queue)

    # Whoever looks for jobs of dead workers is stopped as well, in what it waits for their word.
    reaping = asyncio.create_task(queue.sweep(lock=1, abort=0.5))
    await asyncio.sleep(0.25)
    reaping.cancel()
    await asyncio.gather(reaping, return_exceptions=True)

    for _ in range(3):
        await asyncio.sleep(2)
        await queue.sweep(lock=1, abort=0.1)
        if KEY in await plan(queue):
            break
    assert KEY in await plan(queue)
    await queue.disconnect()


async def _begin(queue: Queue) -> None:
    """Let the job be long begun by a worker that is gone."""
    job = await queue.job(KEY)
    assert job is not None
    job.scheduled = 1
    await job.update()
    if hasattr(queue, "_incomplete"):
        await queue.redis.zadd(queue._incomplete, {queue.job_id(KEY): 1})
        # A worker has looked just now, and until its lock ends nobody else does.
        await asyncio.sleep(1.2)
    await queue.schedule(1)
    begun = await queue.dequeue(timeout=5)
    assert begun is not None
    assert begun.key == KEY
    begun.started = begun.touched = 1
    begun.attempts = 1
    await begun.update(status=Status.ACTIVE)
