"""Draining while something breaks on our side: nothing is lost, and nothing goes out twice."""

import asyncio
import errno
import os
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from postlane.core import clock
from postlane.core.database import fetch, transaction
from postlane.delivery.operations import cancel_deliveries
from postlane.delivery.work import QueueRoute, Settlement, claim_batch, find_queue
from postlane.jobs.delivery import DATABASE_AWAY_SECONDS, Drain, drain
from postlane.jobs.outbound import Outbound, Transport, Way
from postlane.jobs.settler import Settler
from postlane.mail.outcome import Failure, outcome_of_reply
from tests.delivery.spool import lose_lease, make_many, make_spooled
from tests.dns_server import DnsServer
from tests.jobs.sending import direct, drain_queue, sending
from tests.sink import Sink
from tests.workers import own_server, unreachable


async def _in_conversation(sink: Sink) -> None:
    """Return once the sink is being told a message."""
    while not sink.book.commands["DATA"]:  # noqa: ASYNC110 it counts in another thread
        await asyncio.sleep(0.01)


async def test_a_cancelled_message_is_not_sent_when_its_worker_died(
    outbound: Outbound, sink: Sink
) -> None:
    spooled = await make_spooled("ada@dest.example")
    await claim_batch(spooled.queue_id)
    async with transaction() as tx:
        await cancel_deliveries(tx, spooled.id)
    await lose_lease(spooled)

    await drain_queue(outbound, spooled.queue_id)

    assert sink.messages == []
    assert await spooled.state() == "cancelled"


async def test_a_lost_database_cuts_no_conversation(
    own_database: str, sink: Sink, dns: DnsServer
) -> None:
    spooled = await make_spooled("slow-1s+ada@dest.example")
    async with sending(direct(dns, sink.port)) as outbound:
        draining = asyncio.create_task(drain_queue(outbound, spooled.queue_id))
        await _in_conversation(sink)

        async with unreachable(own_database):
            await sink.received(1)
        await draining

    assert await spooled.state() == "delivered"
    assert len(sink.messages) == 1


@dataclass
class _AtTheDoor:
    """A transport that keeps every lane from its conversation until it may go on."""

    inner: Transport
    came: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    _is_claiming: bool = True

    async def find_way(self, queue: QueueRoute) -> Way | Failure:
        if self._is_claiming:
            self._is_claiming = False
        else:
            self.came.set()
            await self.may_go_on.wait()
        return await self.inner.find_way(queue)


@pytest.mark.slow
async def test_what_a_dead_database_kept_from_being_begun_is_begun_when_it_is_back(
    database: None, database_url: str, sink: Sink, dns: DnsServer, tmp_path: Path
) -> None:
    async with own_server(database_url, tmp_path) as server:
        spooled = (await make_many([[f"slow-0.5s+{n}@dest.example"] for n in range(8)]))[0]
        door = _AtTheDoor(direct(dns, sink.port))
        async with sending(door) as outbound:
            draining = asyncio.create_task(drain_queue(outbound, spooled.queue_id))
            await door.came.wait()

            server.process.kill()
            await server.process.wait()
            door.may_go_on.set()
            await asyncio.sleep(0.3)
            await server.start()
            await draining

            rows = await fetch("SELECT state, attempts FROM deliveries")
        assert {(row["state"], row["attempts"]) for row in rows} == {("delivered", 1)}
        assert len(sink.messages) == len(rows) == 8


@pytest.mark.parametrize("fault", [errno.EMFILE, errno.ENOSPC, errno.EADDRNOTAVAIL])
async def test_a_fault_of_this_machine_is_not_taken_for_the_databases(
    database: None, sink: Sink, dns: DnsServer, fault: int
) -> None:
    class Broken:
        inner = direct(dns, sink.port)

        async def find_way(self, queue: QueueRoute) -> Way | Failure:
            task = asyncio.current_task()
            if task is not None and "_lane" in repr(task.get_coro()):
                raise OSError(fault, os.strerror(fault))
            # Whoever claims asks, too.
            return await self.inner.find_way(queue)

    spooled = await make_spooled("ada@dest.example")
    async with sending(Broken()) as outbound:
        async with asyncio.timeout(sum(DATABASE_AWAY_SECONDS) / 2):
            await drain_queue(outbound, spooled.queue_id)

    delivery = await spooled.delivery()
    # Nobody else is blamed, and the attempt is written down.
    assert (delivery.state, delivery.attempts) == ("deferred", 1)
    assert delivery.reply == "the attempt failed on our side"


async def test_what_could_not_be_put_back_waits_for_its_lease(own_database: str) -> None:
    # The same attempt may be another worker's by the time it is tried again.
    spooled = await make_spooled("ada@dest.example")
    (claim,) = await claim_batch(spooled.queue_id)
    settler = Settler()
    async with unreachable(own_database):
        settling = asyncio.create_task(settler.run())
        await asyncio.wait_for(settler.settle(Settlement(claim, "default", None)), 10)
    settling.cancel()

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.attempts) == ("sending", 1)


async def test_a_drain_that_is_cancelled_gives_its_memory_back(
    outbound: Outbound, sink: Sink
) -> None:
    spooled = (await make_many([[f"slow-5s+{n}@dest.example"] for n in range(30)]))[0]
    draining = asyncio.create_task(drain_queue(outbound, spooled.queue_id))
    await _in_conversation(sink)

    draining.cancel()
    await asyncio.wait([draining])

    await asyncio.wait_for(outbound.memory.acquire(192 * 1024 * 1024), 1)


async def test_a_slow_host_does_not_keep_a_drain_beyond_its_time(
    outbound: Outbound, sink: Sink
) -> None:
    spooled = (await make_many([[f"slow-0.5s+{n}@dest.example"] for n in range(100)]))[0]
    queue = await find_queue(spooled.queue_id)
    assert queue is not None
    began = time.monotonic()

    await Drain(outbound, queue, seconds=0.8).run()

    assert time.monotonic() - began < 2.5
    rows = await fetch(
        "SELECT state, count(*) AS n FROM deliveries WHERE queue_id = {} GROUP BY state",
        spooled.queue_id,
    )
    assert {row["state"] for row in rows} == {"delivered", "queued"}


async def test_outcomes_are_written_before_a_worker_ends(database: None) -> None:
    spooled = await make_spooled("ada@dest.example")
    (claim,) = await claim_batch(spooled.queue_id)
    settler = Settler()
    settling = asyncio.create_task(settler.run())
    outcome = outcome_of_reply(250, "Taken", started_at=clock.now(), duration=timedelta())
    settler.settle(Settlement(claim, "default", outcome))

    await settler.finish()
    settling.cancel()

    assert await spooled.state() == "delivered"


async def test_an_outcome_that_cannot_be_kept_takes_no_other_with_it(database: None) -> None:
    # What hosts are called and what they say is theirs to choose.
    odd, fine = await make_spooled("ada@dest.example"), await make_spooled("bob@dest.example")
    outcome = outcome_of_reply(250, "Taken", started_at=clock.now(), duration=timedelta())
    too_long = replace(outcome, mx_host="x" * 300, text="\0")
    settler = Settler()
    settling = asyncio.create_task(settler.run())

    for spooled, each in ((odd, too_long), (fine, outcome)):
        (claim,) = await claim_batch(spooled.queue_id)
        settler.settle(Settlement(claim, "default", each))
    await settler.finish()
    settling.cancel()

    assert (await odd.state(), await fine.state()) == ("delivered", "delivered")
    (attempt,) = await odd.attempts()
    assert (attempt["code"], attempt["mx_host"]) == (250, None)
    assert attempt["reply"] == "The reply cannot be kept."


async def test_mail_on_the_wire_outlives_the_job_that_is_given_up(
    outbound: Outbound, sink: Sink
) -> None:
    spooled = await make_spooled("slow-1s@dest.example")
    job = asyncio.create_task(drain({"outbound": outbound}, queue_id=str(spooled.queue_id)))
    async with asyncio.timeout(10):
        while not sink.book.commands["DATA"]:  # noqa: ASYNC110 it is another thread's
            await asyncio.sleep(0.01)

    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    await drain({"outbound": outbound}, queue_id=str(spooled.queue_id))
    await asyncio.gather(*outbound.drains)

    assert await spooled.state() == "delivered"
    assert [message.recipient for message in sink.messages] == ["slow-1s@dest.example"]
