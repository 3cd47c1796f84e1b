"""What one organization's first message waits for while another has very much to send."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.ids import new_id
from postlane.core.turns import Turns
from postlane.delivery.work import ScopeKey
from postlane.jobs.gates import Gate
from postlane.jobs.limits import Limits
from postlane.jobs.outbound import BUILDERS, Outbound
from postlane.jobs.sweep import pause_after
from tests.delivery.spool import make_spooled
from tests.jobs.sending import drain_queue
from tests.statements import count_statements


async def test_a_place_goes_to_the_organization_that_had_none() -> None:
    turns, done = Turns(1), []
    busy, late = OrganizationId(uuid.uuid4()), OrganizationId(uuid.uuid4())

    async def work(organization: OrganizationId, name: str) -> None:
        async with turns.turn(organization):
            await asyncio.sleep(0)
            done.append(name)

    await asyncio.gather(*(work(busy, f"busy {n}") for n in range(4)), work(late, "late"))

    assert done == ["busy 0", "busy 1", "late", "busy 2", "busy 3"]


async def test_nobody_has_every_place_where_some_are_kept_for_others() -> None:
    turns, entered, left = Turns(2, each=1), list[str](), asyncio.Event()

    async def work(owner: str) -> None:
        async with turns.turn(owner):
            entered.append(owner)
            await left.wait()

    working = [asyncio.create_task(work(owner)) for owner in ("busy", "busy", "late", "last")]
    await asyncio.sleep(0.01)
    before = list(entered)
    left.set()
    await asyncio.wait_for(asyncio.gather(*working), 5)

    assert before == ["busy", "late"]
    assert sorted(entered) == ["busy", "busy", "last", "late"]


async def test_whoever_gives_up_waiting_takes_no_place_along() -> None:
    turns, anybody = Turns(1), OrganizationId(uuid.uuid4())
    entered, left = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with turns.turn(anybody):
            entered.set()
            await left.wait()

    async def pass_through() -> None:
        async with turns.turn(anybody):
            pass

    holding = asyncio.create_task(hold())
    await entered.wait()
    impatient, patient = (asyncio.create_task(pass_through()) for _ in range(2))
    await asyncio.sleep(0)
    left.set()
    await holding
    # Its turn has come at this moment, and it does not take it.
    impatient.cancel()

    await asyncio.wait_for(patient, 5)
    await asyncio.wait_for(pass_through(), 5)


async def test_more_builders_than_there_are_places_wait(outbound: Outbound) -> None:
    taken = [outbound.builders.turn(None) for _ in range(BUILDERS)]
    for each in taken:
        await each.__aenter__()
    spooled = await make_spooled("ada@dest.example")
    draining = asyncio.create_task(drain_queue(outbound, spooled.queue_id))
    async with asyncio.timeout(30):
        while (before := await spooled.state()) == "queued":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    before = await spooled.state()
    for each in taken:
        await each.__aexit__(None, None, None)

    await draining

    assert (before, await spooled.state()) == ("sending", "delivered")


async def test_lanes_that_want_connections_at_once_share_a_lease(database: None) -> None:
    limits = Limits()
    gates = [
        await limits.gate(ScopeKey(f"192.0.2.{number}", f"mx{new_id().hex}.example"), 10)
        for number in range(20)
    ]

    async def ask(gate: Gate) -> None:
        await limits.ask_for_more(gate)

    for gate in gates:
        gate.open = 1
    with count_statements() as sent:
        await asyncio.gather(*(ask(gate) for gate in gates for _ in range(9)))

    # The first lane alone, which has not opened its connection yet, and all others together.
    assert [gate.allowed for gate in gates] == [9, *[10] * 19]
    assert sum("INSERT INTO connection_leases" in statement for statement in sent) == 2
    await limits.close()


async def test_mail_of_a_clock_ahead_is_found_by_the_drain_it_was_rung_for(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_followed", None)
    clock.follow(datetime.now(UTC), since=time.monotonic())
    due_at = clock.now() + timedelta(seconds=0.2)
    spooled = await make_spooled("ada@dest.example", due_at=due_at)

    await drain_queue(outbound, spooled.queue_id)

    assert await spooled.state() == "delivered"
    (attempt,) = await spooled.attempts()
    assert attempt["started_at"] >= due_at


@pytest.mark.parametrize(("took", "pause"), [(0.001, 1), (0.2, 4), (4.0, 10), (100.0, 10)])
def test_a_slow_sweep_puts_the_next_one_off_for_so_long_and_no_longer(
    took: float, pause: float
) -> None:
    assert pause_after(took) == pause
