"""Workers as processes: woken at once, killed in the middle, kept busy by the dead."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from postlane.core.database import fetch
from postlane.jobs.hearing import Signs, keep_hearing
from postlane.webhooks.telling import tell
from tests.client import Client
from tests.factories import make_actor
from tests.web_server import WebServer
from tests.workers import own_database, worker

from .conftest import Hooks
from .receiver import ADDRESS, Receiver

SETTINGS = {"private_destinations": f"{ADDRESS}/32", "webhook_urls": "any"}


@pytest.fixture
async def own(database: None, database_url: str) -> AsyncIterator[str]:
    """A database of the test's own: its workers send for every webhook there is."""
    async with own_database(database_url) as url:
        yield url


@pytest.fixture
async def hooks(client: Client, own: str) -> Hooks:
    return Hooks(client, await make_actor())


async def until(receiver: Receiver, count: int, *, within: float = 30) -> None:
    """Wait until *count* different events came."""
    give_up_at = time.monotonic() + within
    while len(told(receiver)) < count:
        assert time.monotonic() < give_up_at, f"{len(told(receiver))} of {count} came"
        await asyncio.sleep(0.02)


def told(receiver: Receiver) -> Counter[str]:
    return Counter(json.loads(asked.body)["data"]["vmta"] for asked in receiver.asked)


async def test_a_call_comes_within_a_second(
    own: str, hooks: Hooks, receiver: Receiver, tmp_path: Path
) -> None:
    """Three in a row, of which none is waited for with the others; busy machines take longer."""
    await hooks.create(receiver.url)
    async with worker(own, tmp_path, **SETTINGS) as running:
        await asyncio.sleep(1.5)
        waits = []
        for nth in range(3):
            began = time.monotonic()
            await hooks.emit(f"tx-{nth}")
            await until(receiver, nth + 1)
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.1)
        assert await running.stop() == 0

    assert sum(waits) < 3


async def test_a_worker_runs_the_document_of_a_webhook(
    own: str, hooks: Hooks, receiver: Receiver, tmp_path: Path
) -> None:
    """It has no schema until then, and loads it beside what it does."""
    document = "subscription { organizationEvents { kind: __typename } }"
    await hooks.create(receiver.url, document=document)
    async with worker(own, tmp_path, **SETTINGS) as running:
        await hooks.emit("tx-1", "tx-2")
        give_up_at = time.monotonic() + 60
        while len(receiver.asked) < 2:
            assert time.monotonic() < give_up_at, running.log.read_text()
            await asyncio.sleep(0.05)
        assert await running.stop() == 0

    data = [json.loads(asked.body)["data"] for asked in receiver.asked]
    assert data == [{"kind": "OrganizationEvent"}] * 2


async def test_the_first_webhook_of_an_organization_is_called_within_seconds(
    own: str, hooks: Hooks, receiver: Receiver, tmp_path: Path
) -> None:
    """Until then its events were looked at now and then only."""
    async with worker(own, tmp_path, **SETTINGS) as running:
        for nth in range(10):
            await hooks.emit(f"before-{nth}")
            await asyncio.sleep(0.2)
        await hooks.create(receiver.url)
        await hooks.emit("first")
        await until(receiver, 1)
        await hooks.emit("second")
        await until(receiver, 2)
        assert await running.stop() == 0

    assert told(receiver) == {"first": 1, "second": 1}


async def test_who_listens_is_told_of_events_of_any_process(
    database: None, database_url: str
) -> None:
    signs, actor = Signs(), await make_actor()
    listening = asyncio.create_task(keep_hearing(signs))
    try:
        # It is told once as it begins to listen.
        await asyncio.wait_for(signs.calls.wait(), 20)
        signs.calls.clear()
        signs.counts.clear()
        other = await asyncpg.connect(database_url)
        await other.execute("SELECT pg_notify('postlane_events', $1)", actor.organization_id.hex)
        await other.close()
        await asyncio.wait_for(signs.calls.wait(), 20)
        await asyncio.wait_for(signs.counts.wait(), 20)
    finally:
        listening.cancel()

    assert not signs.hits.is_set()


async def test_who_listens_is_told_of_calls_for_which_there_was_no_event(
    database: None, database_url: str
) -> None:
    signs = Signs()
    listening = asyncio.create_task(keep_hearing(signs))
    try:
        await asyncio.wait_for(signs.calls.wait(), 20)
        signs.calls.clear()
        signs.counts.clear()
        await tell()
        await asyncio.wait_for(signs.calls.wait(), 20)
    finally:
        listening.cancel()

    assert not signs.counts.is_set()


@pytest.mark.slow
async def test_a_worker_that_is_killed_loses_no_call(
    own: str, hooks: Hooks, receiver: Receiver, tmp_path: Path
) -> None:
    webhook = await hooks.create(receiver.url)
    names = [f"tx-{n}" for n in range(600)]
    async with worker(own, tmp_path, **SETTINGS) as first:
        for nth in range(0, 600, 50):
            await hooks.emit(*names[nth : nth + 50])
        await until(receiver, 100)
        first.kill()
        await first.process.wait()
    cut_off_at = len(told(receiver))
    # The lease of who is dead ends by itself, in half a minute.
    await fetch("UPDATE webhook_progress SET leased_until = now() WHERE leased_until > now()")
    async with worker(own, tmp_path, **SETTINGS) as second:
        await until(receiver, 600)
        assert await second.stop() == 0

    came = told(receiver)
    rows = await fetch("SELECT state, count(*) AS n FROM webhook_calls GROUP BY state")
    assert 100 <= cut_off_at < 600
    assert sorted(came) == sorted(names)
    # What was on its way, or not written down yet, came twice: no more than are at a time.
    assert sum(came.values()) - 600 <= 24 + 24
    assert rows == [{"state": "delivered", "n": 600}]
    assert (await hooks.show(webhook))["stats"]["delivered"] == 600


@pytest.mark.slow
async def test_receivers_that_hang_do_not_keep_others_waiting(
    own: str, hooks: Hooks, server: WebServer, tmp_path: Path
) -> None:
    held = threading.Event()
    dead = [Receiver(server, f"/dead/{n}", hold=held) for n in range(8)]
    good = Receiver(server)
    for each in (*dead, good):
        each.serve()
        await hooks.create(each.url)
    async with worker(own, tmp_path, **SETTINGS) as running:
        names = [f"tx-{n}" for n in range(100)]
        began = time.monotonic()
        await hooks.emit(*names)
        await until(good, 100)
        took = time.monotonic() - began
        at_the_dead = [len(each.asked) for each in dead]
        held.set()
        await running.stop()

    # By then none of the dead has run out of its ten seconds.
    assert took < 9
    assert max(at_the_dead) <= 4
