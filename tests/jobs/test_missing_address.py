"""A vMTA whose address a worker does not have: told at the start, and no attempt is spent."""

from pathlib import Path

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.delivery.tables import Queue
from postlane.delivery.work import has_due
from postlane.jobs.outbound import Outbound
from postlane.jobs.pace import ADDRESS_MISSING
from postlane.vmtas.tables import Vmta
from tests.delivery.spool import make_spooled
from tests.factories import make_organization
from tests.jobs.sending import drain_queue
from tests.sink import Sink
from tests.workers import worker

ELSEWHERE = "203.0.113.77"
"""Of a range for documentation: no machine has it."""


async def make_vmta(**values: str) -> Vmta:
    organization = await make_organization()
    vmta = Vmta(
        organization_id=organization.id, name="elsewhere", hostname="", ip_address=ELSEWHERE
    )
    for name, value in values.items():
        setattr(vmta, name, value)
    await vmta.save()
    return vmta


async def test_a_worker_says_at_its_start_which_addresses_it_lacks(
    own_database: str, tmp_path: Path
) -> None:
    await make_vmta()
    await make_vmta(name="here", ip_address="127.0.0.1")
    await make_vmta(name="asleep", ip_address="203.0.113.78", status="paused")

    async with worker(own_database, tmp_path, delivery="direct") as running:
        await running.stop()

    told = [line for line in running.log.read_text().splitlines() if "no address of this" in line]
    assert len(told) == 1
    assert f"vMTA elsewhere sends from {ELSEWHERE}" in told[0]
    assert "ERROR" in told[0].upper()


async def test_its_mail_waits_for_another_worker_and_keeps_its_attempts(
    outbound: Outbound, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    vmta = await make_vmta(ip_address="203.0.113.79", name=f"v{new_id().hex}")
    spooled = await make_spooled("ada@dest.example", vmta_id=vmta.id)

    await drain_queue(outbound, spooled.queue_id)

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.attempts) == ("queued", 0)
    assert "203.0.113.79, which is no address of this machine" in caplog.text
    queue = await Queue.objects().get(Queue.id == spooled.queue_id)
    assert queue is not None
    assert (queue.rest_reason, queue.rest_detail) == ("no_address", "203.0.113.79")
    assert not await has_due(spooled.queue_id)

    # A worker that has it sends it.
    await fetch("UPDATE vmtas SET ip_address = '127.0.0.1' WHERE id = {}", vmta.id)
    with clock.frozen(clock.now() + ADDRESS_MISSING):
        assert await has_due(spooled.queue_id)
        await drain_queue(outbound, spooled.queue_id)
    assert await spooled.state() == "delivered"
    assert sink.messages[-1].peer == "127.0.0.1"
