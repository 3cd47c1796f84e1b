"""Notices on their way: sent once, tried again, given up, and never lost."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from postlane.core import clock
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.jobs.notices import send_notice
from postlane.jobs.outbound import Outbound
from postlane.jobs.tidy import tidy
from postlane.mail.outcome import Verdict
from postlane.notices import work
from postlane.notices.operations import send
from postlane.notices.rules import Notice
from tests.dns_server import DnsServer
from tests.sink import Sink
from tests.workers import worker

SECRET = "kT0-a-token-that-opens-an-account"


async def make_notice(to: str = "ada@dest.example") -> UUID:
    """Put a notice with a secret into the outbox, as an operation does."""
    async with transaction() as tx:
        return await send(
            tx,
            to=to,
            notice=Notice.PASSWORD_RESET,
            values={"name": "Ada", "link": f"http://x/reset/{SECRET}", "minutes": "60"},
        )


async def row_of(notice_id: UUID) -> Mapping[str, Any]:
    """Return what the outbox says of a notice."""
    (row,) = await fetch("SELECT * FROM notices WHERE id = {}", notice_id)
    return row


async def run(outbound: Outbound, notice_id: UUID) -> None:
    """Do what the job does."""
    await send_notice({"outbound": outbound}, notice_id=str(notice_id))


async def test_a_notice_is_sent_and_its_secret_forgotten(outbound: Outbound, sink: Sink) -> None:
    notice_id = await make_notice()
    waiting = await row_of(notice_id)

    await run(outbound, notice_id)

    sent = await row_of(notice_id)
    (received,) = sink.messages
    assert received.recipient == "ada@dest.example"
    assert received.envelope_from == "postmaster@mail.postlane.test"
    assert SECRET.encode() in received.data
    assert SECRET not in str(waiting)
    assert SECRET.encode() not in waiting["sealed_values"]
    assert (sent["state"], sent["attempts"], sent["due_at"]) == ("sent", 1, None)
    assert sent["sealed_values"] is None


async def test_a_notice_is_sent_once_however_often_it_is_asked_for(
    outbound: Outbound, sink: Sink
) -> None:
    notice_id = await make_notice()

    await asyncio.gather(*(run(outbound, notice_id) for _ in range(8)))
    await run(outbound, notice_id)

    assert len(sink.messages) == 1


async def test_a_notice_is_sent_by_a_worker_whose_clock_is_a_little_behind(
    outbound: Outbound, sink: Sink
) -> None:
    with clock.frozen(clock.now()):
        notice_id = await make_notice()
        # The job comes once, and a sweep for it a minute later.
        with clock.frozen(clock.now() - timedelta(seconds=0.2)):
            await run(outbound, notice_id)

    assert len(sink.messages) == 1


async def test_what_is_rolled_back_sends_nothing(outbound: Outbound, sink: Sink) -> None:
    kept = []

    async def fail() -> None:
        async with transaction() as tx:
            values = {"name": "", "link": "", "minutes": ""}
            to = "ada@dest.example"
            kept.append(await send(tx, to=to, notice=Notice.PASSWORD_RESET, values=values))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await run(outbound, kept[0])

    assert await fetch("SELECT FROM notices WHERE id = {}", kept[0]) == []
    assert sink.messages == []


async def test_a_deferral_is_tried_again_by_the_ladder(
    outbound: Outbound, sink: Sink, frozen: datetime
) -> None:
    notice_id = await make_notice("451-at-data@dest.example")

    await run(outbound, notice_id)
    await run(outbound, notice_id)
    first = await row_of(notice_id)
    with clock.frozen(frozen + timedelta(minutes=1)):
        await run(outbound, notice_id)
    second = await row_of(notice_id)

    assert (first["state"], first["attempts"]) == ("queued", 1)
    assert first["due_at"] == frozen + timedelta(minutes=1)
    assert first["reply"].startswith("451 ")
    assert second["attempts"] == 2
    assert second["due_at"] == frozen + timedelta(minutes=6)


@pytest.mark.parametrize("to", ["550-at-rcpt@dest.example", "not an address"])
async def test_a_notice_that_nobody_takes_is_given_up(
    outbound: Outbound, sink: Sink, to: str
) -> None:
    notice_id = await make_notice(to)

    await run(outbound, notice_id)

    row = await row_of(notice_id)
    assert (row["state"], row["due_at"], row["sealed_values"]) == ("failed", None, None)


async def test_a_worker_that_died_holds_a_notice_for_its_lease_only(
    outbound: Outbound, sink: Sink, frozen: datetime
) -> None:
    notice_id = await make_notice()
    late = await work.claim(notice_id)
    assert late is not None

    await run(outbound, notice_id)
    held = len(sink.messages)
    with clock.frozen(frozen + work.LEASE):
        await run(outbound, notice_id)
    await work.settle(late, Verdict.DEFERRED, reply="much too late")

    assert (held, len(sink.messages)) == (0, 1)
    assert (await row_of(notice_id))["state"] == "sent"


async def test_a_notice_that_is_told_too_little_is_refused_at_once(database: None) -> None:
    with pytest.raises(ValueError, match="password_reset is told"):
        async with transaction() as tx:
            await send(tx, to="a@b.example", notice=Notice.PASSWORD_RESET, values={"link": "x"})


@pytest.mark.slow
async def test_a_worker_captures_notices_without_anybody_to_own_them(
    own_database: str, tmp_path: Path
) -> None:
    async with worker(own_database, tmp_path, delivery="capture") as running:
        await make_notice()
        deadline = time.monotonic() + 10
        while not (rows := await fetch("SELECT * FROM captured_messages")):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        await running.stop()

    assert rows[0]["envelope_to"] == "ada@dest.example"
    assert SECRET.encode() in rows[0]["data"]
    # Else a colleague could read somebody's reset, and be them.
    assert rows[0]["organization_id"] is None


async def test_a_killed_worker_loses_no_notice(
    own_database: str, sink: Sink, dns: DnsServer, tmp_path: Path
) -> None:
    direct = {"delivery": "direct", "mx_port": str(sink.port)}
    async with worker(own_database, tmp_path, **direct) as running:
        await make_notice("slow-3s@dest.example")
        deadline = time.monotonic() + 10
        while not await fetch("SELECT FROM notices WHERE attempts = 1"):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        running.kill()
    # The lease would take five minutes.
    await fetch("UPDATE notices SET due_at = now()")
    async with worker(own_database, tmp_path, **direct) as running:
        await sink.received(1, within=40)
        await running.stop()

    rows = await fetch("SELECT state, attempts FROM notices")
    assert [dict(row) for row in rows] == [{"state": "sent", "attempts": 2}]


async def test_old_notices_are_forgotten(own_database: str) -> None:
    old, recent = new_id(), new_id()
    for notice_id, days in ((old, 31), (recent, 29)):
        await fetch(
            "INSERT INTO notices (id, notice, recipient, state, due_at, finished_at) "
            "VALUES ({}, 'invitation', 'a@b.example', 'sent', NULL, {})",
            notice_id,
            clock.now() - timedelta(days=days),
        )

    await tidy({})

    assert [row["id"] for row in await fetch("SELECT id FROM notices")] == [recent]
