"""Fairness with many rows: whoever has much to send delays nobody who has little."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from saq import Job

from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.delivery.operations import ring
from postlane.delivery.rules import RestReason
from postlane.delivery.work import claim_batch, due_queues, renew_claims, rest_queue, roll_up
from postlane.delivery.work.queues import DUE_QUEUES
from postlane.jobs.delivery import drain, drain_key, look_again
from postlane.jobs.outbound import Outbound
from tests.delivery.spool import Spooled, make_spooled
from tests.factories import make_organization
from tests.sink import Sink

MANY = 100_000

# Copies of one delivery, in other queues or in its own, that take no work to make.
COPY = """
    INSERT INTO deliveries (id, token, organization_id, project_id, message_id, queue_id, kind,
        address, address_key, domain, priority, state, attempts, due_at, expires_at,
        cancel_requested, created_at)
    SELECT gen_random_uuid(), substr(md5(n::text || id::text), 1, 16), organization_id, project_id,
        message_id, queue_id, kind, address, address_key, domain, priority, state, 0, due_at,
        expires_at, false, created_at
    FROM deliveries, generate_series(1, {}) AS n WHERE id = {}
"""


async def test_a_hundred_thousand_messages_of_one_delay_nobody_elses_first(
    own_database: str,
) -> None:
    busy = await make_spooled("a@dest.example")
    await fetch(COPY, MANY, (await busy.delivery()).id)
    await fetch("ANALYZE deliveries")
    await roll_up()
    late = await make_spooled("b@dest.example")

    started = time.monotonic()
    await roll_up()
    found = [queue.queue_id for queue in await due_queues()]
    claims = await claim_batch(late.queue_id)
    took = time.monotonic() - started

    assert set(found) == {busy.queue_id, late.queue_id}
    assert [claim.address for claim in claims] == ["b@dest.example"]
    assert took < 1.0
    rows = await fetch("SELECT depth FROM queues WHERE id = {}", busy.queue_id)
    assert rows == [{"depth": MANY + 1}]


async def test_whose_turn_it_is_costs_the_organizations_and_not_their_mail(
    own_database: str,
) -> None:
    busy = await make_spooled("a@dest.example")
    await fetch(COPY, MANY, (await busy.delivery()).id)
    await make_queues(busy, 5_000)
    late = await make_spooled("b@dest.example")
    await roll_up()
    await fetch("ANALYZE deliveries")
    await fetch("ANALYZE queues")
    now = clock.now()

    plan = await fetch(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {DUE_QUEUES}", now, now, 3, now, 1000
    )

    root = json.loads(plan[0]["QUERY PLAN"])[0]["Plan"]
    scans = {(node["Relation Name"], node["Node Type"]) for node in nodes(root) if is_scan(node)}
    assert {relation for relation, _ in scans} == {"queues", "deliveries", "vmtas"}
    assert ("queues", "Seq Scan") not in scans
    assert ("deliveries", "Seq Scan") not in scans
    blocks = root["Shared Hit Blocks"] + root["Shared Read Blocks"]
    assert blocks < 200, "the organization's five thousand queues were looked at"
    found = [queue.queue_id for queue in await due_queues(share=3)]
    assert len(found) == 4
    assert late.queue_id in found[:2]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan's nodes."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def is_scan(node: dict[str, Any]) -> bool:
    """Say whether a node reads a table."""
    return "Relation Name" in node


async def make_queues(like: Spooled, count: int) -> None:
    """Make as many queues of the same organization, with one due delivery each."""
    await fetch(
        "INSERT INTO queues (id, organization_id, vmta_id, domain, state, created_at, isp, "
        "scheduled, queued, sending, deferred, depth, next_due_at) "
        "SELECT gen_random_uuid(), organization_id, vmta_id, 'd' || n || '.example', 'active', "
        "now(), 'other', 0, 1, 0, 0, 1, now() FROM queues, generate_series(1, {}) AS n "
        "WHERE id = {}",
        count,
        like.queue_id,
    )
    await fetch(
        "INSERT INTO deliveries (id, token, organization_id, project_id, message_id, queue_id, "
        "kind, address, address_key, domain, priority, state, attempts, due_at, expires_at, "
        "cancel_requested, created_at) "
        "SELECT gen_random_uuid(), substr(md5(queues.id::text), 1, 16), d.organization_id, "
        "d.project_id, d.message_id, queues.id, d.kind, d.address, d.address_key, queues.domain, "
        "0, 'queued', 0, now(), d.expires_at, false, now() "
        "FROM queues JOIN deliveries AS d ON d.id = {} WHERE queues.id <> d.queue_id",
        (await like.delivery()).id,
    )


async def test_an_organization_with_very_many_queues_goes_behind_ones_with_few(
    own_database: str,
) -> None:
    busy, late = await make_organization(), await make_organization()

    await ring([new_id() for _ in range(50)], OrganizationId(busy.id))
    await asyncio.sleep(0.5)
    first = new_id()
    await ring([first], OrganizationId(late.id))
    await asyncio.sleep(0.5)

    rows = await fetch("SELECT key FROM saq_jobs ORDER BY priority, scheduled")
    assert len(rows) == 51
    assert any(str(first) in row["key"] for row in rows[:2])


async def test_one_organization_never_has_all_places_of_a_worker(
    outbound: Outbound, sink: Sink
) -> None:
    outbound.places = 1
    slow = await make_spooled("slow-1s@dest.example")
    own = await make_spooled("a@other.example", organization=slow.organization)
    others = await make_spooled("b@other.example")
    job = asyncio.create_task(drain({"outbound": outbound}, queue_id=str(slow.queue_id)))
    await asyncio.sleep(0.2)

    await drain({"outbound": outbound}, queue_id=str(own.queue_id))
    await drain({"outbound": outbound}, queue_id=str(others.queue_id))

    assert (await own.state(), await others.state()) == ("queued", "delivered")
    await job
    assert not outbound.at_work


async def test_a_drain_that_gives_way_does_not_ask_for_itself_at_once(
    own_database: str, outbound: Outbound
) -> None:
    outbound.places = 0
    waiting = await make_spooled("a@dest.example")

    await run_job(outbound, waiting)

    assert await fetch("SELECT key FROM saq_jobs") == []


async def test_a_drain_that_failed_does_not_ask_for_itself_at_once(
    own_database: str, outbound: Outbound
) -> None:
    waiting = await make_spooled("a@dest.example", due_at=clock.now() + timedelta(days=1))
    context = await run_job(outbound, waiting, looks=False)
    await fetch("UPDATE deliveries SET due_at = now() WHERE message_id = {}", waiting.id)

    await look_again({**context, "exception": RuntimeError("it would fail again")})
    failed = await fetch("SELECT key FROM saq_jobs")
    await look_again(context)

    assert failed == []
    assert await fetch("SELECT key FROM saq_jobs") == [{"key": drain_key(str(waiting.queue_id))}]


async def test_mail_that_a_clock_a_little_ahead_made_due_is_asked_for_when_a_drain_ends(
    own_database: str, outbound: Outbound
) -> None:
    with clock.frozen(clock.now()):
        # It came after the last look, and its own wake-up was refused while the job ran.
        late = clock.now() + timedelta(seconds=0.2)
        waiting = await make_spooled("a@dest.example", due_at=late)
        queue_id = str(waiting.queue_id)
        job = QuietJob("drain", kwargs={"queue_id": queue_id})
        await look_again({"outbound": outbound, "job": job})

    assert await fetch("SELECT key FROM saq_jobs") == [{"key": drain_key(queue_id)}]


async def test_a_drain_that_goes_on_goes_behind_the_first_queue_of_others(
    own_database: str, outbound: Outbound
) -> None:
    outbound.places = 10
    busy = await make_spooled("a@dest.example")
    context = await run_job(outbound, busy, looks=False)
    await make_spooled("b@dest.example", organization=busy.organization)
    outbound.at_work[OrganizationId(busy.organization.id)] += 3

    await look_again(context)

    assert await fetch("SELECT priority FROM saq_jobs") == [{"priority": 4}]


async def run_job(outbound: Outbound, spooled: Spooled, *, looks: bool = True) -> dict[str, Any]:
    """Drain a queue as the worker does, and look again unless told otherwise."""
    queue_id = str(spooled.queue_id)
    context = {"outbound": outbound, "job": QuietJob("drain", kwargs={"queue_id": queue_id})}
    await drain(context, queue_id=queue_id)
    if looks:
        await look_again(context)
    return context


class QuietJob(Job):
    """A job that is in no job queue and says there no sign of life."""

    async def update(self, **changes: Any) -> None:
        """Do nothing."""


async def test_queues_whose_mail_is_on_the_wire_take_no_turn_of_others(own_database: str) -> None:
    sending = await make_spooled("a@dest.example")
    await make_queues(sending, 2)
    rows = await fetch("SELECT id FROM queues")
    short = timedelta(seconds=0.1)
    claims = [each for row in rows for each in await claim_batch(row["id"], lease=short)]
    await roll_up()
    await asyncio.sleep(0.2)
    waiting = await make_spooled("b@other.example", organization=sending.organization)

    await renew_claims(claims)
    await roll_up()
    found = await due_queues(share=3)

    assert len(claims) == 3
    assert [queue.queue_id for queue in found] == [waiting.queue_id]


async def test_an_empty_queue_that_rests_takes_no_turn_of_others(own_database: str) -> None:
    empty = await make_spooled("a@dest.example")
    await fetch("DELETE FROM deliveries")
    await roll_up()

    await rest_queue(empty.queue_id, clock.now() - timedelta(seconds=1), RestReason.LIMIT)
    waiting = await make_spooled("b@other.example", organization=empty.organization)
    await roll_up()
    found = await due_queues(share=1)

    assert [queue.queue_id for queue in found] == [waiting.queue_id]
