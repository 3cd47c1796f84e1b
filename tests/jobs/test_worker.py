"""The worker as a process: both job queues, the sweep, stopping, jobs of dead workers."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.queue import JobName, count_jobs, enqueue
from postlane.delivery.operations import ring
from postlane.delivery.rules import DeliveryState
from postlane.jobs.delivery import drain_key
from postlane.jobs.tidy import tidy
from tests.delivery.spool import make_many, make_spooled
from tests.dns_server import DnsServer
from tests.parts import REDIS, needs
from tests.sink import Sink
from tests.workers import own_database as make_own_database
from tests.workers import redis, worker

pytestmark = pytest.mark.slow


@pytest.fixture(params=["postgres", pytest.param("redis", marks=needs(REDIS))])
async def queue_url(
    request: pytest.FixtureRequest,
    database: None,
    database_url: str,
    tmp_path: Path,
) -> AsyncIterator[tuple[str, str]]:
    """The URLs of a database of the test's own and of the job queue."""
    if request.param == "postgres":
        async with make_own_database(database_url) as url:
            yield url, url
        return
    async with (
        redis(tmp_path / "redis_data") as queue,
        make_own_database(database_url, queue_url=queue) as url,
    ):
        yield url, queue


@pytest.fixture
def settings(queue_url: tuple[str, str], sink: Sink, dns: DnsServer) -> dict[str, str]:
    """The settings of a worker that delivers to the sink."""
    database, queue = queue_url
    return {
        "delivery": "direct",
        "mx_port": str(sink.port),
        "queue_url": queue if queue != database else "",
    }


async def test_mail_is_sent_when_its_queue_is_rung(
    queue_url: tuple[str, str], settings: dict[str, str], sink: Sink, tmp_path: Path
) -> None:
    async with worker(queue_url[0], tmp_path, **settings) as running:
        # While it stands still no sweep of its own can find the mail.
        running.process.send_signal(signal.SIGSTOP)
        spooled = await make_spooled("ada@dest.example")
        before = await _asked()
        await ring([spooled.queue_id])
        async with asyncio.timeout(30):
            while await _asked() == before:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        running.process.send_signal(signal.SIGCONT)
        await sink.received(1)
        assert await running.stop() == 0
    assert await spooled.state() == "delivered"


async def _asked() -> int:
    counts = await count_jobs()
    return counts.queued + counts.active


async def test_mail_nobody_rang_for_is_found_by_the_sweep(
    queue_url: tuple[str, str], settings: dict[str, str], sink: Sink, tmp_path: Path
) -> None:
    async with worker(queue_url[0], tmp_path, **settings) as running:
        spooled = await make_spooled("ada@dest.example")
        # A sweep that was slow, as the first of a cold process is, puts the next one off.
        await sink.received(1, within=40)
        await running.stop()

    assert await spooled.state() == "delivered"


async def test_scheduled_mail_waits_for_its_time(
    own_database: str, sink: Sink, dns: DnsServer, tmp_path: Path
) -> None:
    due_at = clock.now() + timedelta(seconds=3)
    spooled = await make_spooled("ada@dest.example", due_at=due_at, state=DeliveryState.SCHEDULED)

    async with worker(own_database, tmp_path, delivery="direct", mx_port=str(sink.port)) as running:
        await sink.received(1)
        await running.stop()

    (attempt,) = await spooled.attempts()
    assert attempt["started_at"] >= due_at


async def test_a_wake_up_that_was_refused_is_made_good(
    queue_url: tuple[str, str], settings: dict[str, str], sink: Sink, tmp_path: Path
) -> None:
    first = await make_spooled("user0@dest.example")
    took = []

    async with worker(queue_url[0], tmp_path, **settings) as running:
        await sink.received(1)
        for number in range(1, 60):
            started = time.monotonic()
            await make_spooled(f"user{number}@dest.example", organization=first.organization)
            await enqueue(
                JobName.DRAIN, key=drain_key(str(first.queue_id)), queue_id=str(first.queue_id)
            )
            await sink.received(number + 1)
            took.append(time.monotonic() - started)
        await running.stop()

    # The sweep would take two seconds for nearly each; a busy machine is late now and then.
    assert sum(seconds > 1 for seconds in took) <= 5
    assert set(sink.count_by_recipient.values()) == {1}


async def test_mail_that_somebody_holds_keeps_no_worker_busy(
    own_database: str, sink: Sink, dns: DnsServer, tmp_path: Path
) -> None:
    spooled = await make_spooled("ada@dest.example")
    holder = await asyncpg.connect(own_database)
    async with holder.transaction():
        await holder.execute("SELECT FROM deliveries FOR NO KEY UPDATE")
        async with worker(
            own_database, tmp_path, delivery="direct", mx_port=str(sink.port)
        ) as running:
            await ring([spooled.queue_id])
            before = await _jobs_asked_for()
            await asyncio.sleep(8)
            asked = await _jobs_asked_for() - before
            await running.stop()
    await holder.close()

    # The sweep asks for a drain each second. Each ends after a quarter of one, and if it asked
    # for the next there would be thirty.
    assert 2 <= asked <= 14
    assert await spooled.state() == "queued"


async def _jobs_asked_for() -> int:
    """Return how many jobs were ever put into the job queue."""
    await asyncio.sleep(2)  # PostgreSQL counts in a while
    rows = await fetch("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'saq_jobs'")
    found: int = rows[0]["n_tup_ins"]
    return found


async def test_a_worker_that_is_stopped_ends_what_it_began_and_leaves_the_rest(
    queue_url: tuple[str, str], settings: dict[str, str], sink: Sink, tmp_path: Path
) -> None:
    made = await make_many([[f"slow-0.4s+{n}@dest.example"] for n in range(40)])

    async with worker(queue_url[0], tmp_path, **settings) as running:
        await sink.received(5)
        assert await running.stop(within=60) == 0
    states = Counter([await each.state() for each in made])
    sent = len(sink.messages)

    assert states == {"delivered": sent, "queued": 40 - sent}
    assert 5 <= sent < 40
    async with worker(queue_url[0], tmp_path, **settings) as running:
        await sink.received(40)
        await running.stop()
    assert set(sink.count_by_recipient.values()) == {1}


async def test_captured_mail_belongs_to_its_delivery(own_database: str, tmp_path: Path) -> None:
    spooled = await make_spooled("ada@dest.example", "bob@dest.example")

    async with worker(own_database, tmp_path, delivery="capture") as running:
        async with asyncio.timeout(60):
            while (await spooled.message()).status != "delivered":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await running.stop()

    rows = await fetch("SELECT * FROM captured_messages ORDER BY envelope_to")
    assert [row["envelope_to"] for row in rows] == ["ada@dest.example", "bob@dest.example"]
    assert {row["organization_id"] for row in rows} == {spooled.organization.id}
    assert {row["delivery_id"] for row in rows} == set(spooled.deliveries.values())
    assert b"Subject: Your order" in rows[0]["data"]


async def test_a_relay_gets_everything_after_signing_in(own_database: str, tmp_path: Path) -> None:
    spooled = await make_spooled("ada@one.example", "bob@two.example")
    with Sink(login=("user", "p@ss")) as sink:
        async with worker(
            own_database,
            tmp_path,
            delivery="relay",
            relay_url=f"smtp://user:p%40ss@127.0.0.1:{sink.port}?tls=disabled",
        ) as running:
            await sink.received(2)
            await running.stop()

    assert (await spooled.message()).status == "delivered"


async def test_removing_old_content_leaves_what_may_still_be_read(own_database: str) -> None:
    old = await make_spooled("ada@dest.example")
    still_open = await make_spooled("bob@dest.example")
    recent = await make_spooled("eve@dest.example")
    later = clock.now() + timedelta(days=4)
    await fetch("UPDATE spooled_messages SET completed_at = now() WHERE id = {}", old.id)
    await fetch("UPDATE spooled_messages SET completed_at = {} WHERE id = {}", later, recent.id)

    with clock.frozen(later):
        await tidy({})

    rows = await fetch(
        "SELECT spooled_messages.id FROM contents JOIN spooled_messages ON content_id = contents.id"
    )
    assert {row["id"] for row in rows} == {still_open.id, recent.id}
