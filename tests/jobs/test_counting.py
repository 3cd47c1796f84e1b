"""Workers add events to the counts as they come, however many workers there are."""

import asyncio
from datetime import UTC, datetime

import pytest

from postlane.analytics.rolling import roll_up
from postlane.core.database import fetch
from postlane.delivery.work import claim_batch
from postlane.jobs.analytics import keep_counting
from postlane.jobs.hearing import Signs
from postlane.jobs.outbound import Outbound
from tests.analytics.setup import cells_of, make_mail, roll_up_all, tell
from tests.client import Client
from tests.factories import make_actor, make_domain
from tests.jobs.sending import drain_queue
from tests.sink import Sink

pytestmark = pytest.mark.usefixtures("database")

AT = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)


async def test_a_worker_counts_what_comes_until_it_stops() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    signs, stopping = Signs(), asyncio.Event()
    counting = asyncio.create_task(keep_counting(signs.counts, stopping))

    await tell(ada.queued(), ada.delivered())
    await signs.look()
    async with asyncio.timeout(60):
        while not await cells_of(actor):  # noqa: ASYNC110 a worker changes it
            await asyncio.sleep(0.1)
        stopping.set()
        await counting

    assert await cells_of(actor) == {"": {"accepted": 1, "sent": 1, "delivered": 1, "latency_1": 1}}


async def test_workers_that_count_at_once_count_everything_once() -> None:
    actor = await make_actor()
    for nth in range(20):
        mail = await make_mail(actor, *(f"a{nth}-{n}@example.net" for n in range(10)), at=AT)
        await tell(*(each.queued() for each in mail), *(each.delivered() for each in mail))

    async def work() -> None:
        for _ in range(12):
            await roll_up(limit=50)

    await asyncio.gather(*(work() for _ in range(4)))
    await roll_up_all()

    assert await cells_of(actor) == {
        "": {"accepted": 200, "sent": 200, "delivered": 200, "latency_1": 200}
    }
    assert await cells_of(actor, kind="recipient_domain") == {
        "example.net": {"accepted": 200, "sent": 200, "delivered": 200, "latency_1": 200}
    }


SEND = """
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { uuid } } }
"""


async def test_mail_that_is_really_sent_comes_to_the_known_numbers(
    client: Client, outbound: Outbound, sink: Sink
) -> None:
    """Some of it by a second worker, after the first one died in the middle."""
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    addresses = [f"ok+{n}@dest.example" for n in range(30)]
    addresses += [f"550-at-rcpt+{n}@dest.example" for n in range(6)]
    addresses += [f"451-at-rcpt+{n}@dest.example" for n in range(4)]
    message = {"from": f"a@{domain.name}", "to": addresses, "subject": "Hi", "text": "Hi."}
    await client.data(SEND, {"input": message}, actor=actor)
    await roll_up_all()
    accepted = await cells_of(actor)
    [queue] = await fetch(
        "SELECT DISTINCT queue_id AS id FROM deliveries WHERE organization_id = {}",
        actor.organization_id,
    )

    died = await claim_batch(queue["id"], limit=7)
    await fetch(
        "UPDATE deliveries SET due_at = now() WHERE id = ANY({}::uuid[])",
        [claim.delivery_id for claim in died],
    )
    await drain_queue(outbound, queue["id"])
    await roll_up_all()

    assert len(died) == 7
    assert accepted == {"": {"accepted": 40}}
    [sums] = (await cells_of(actor)).values()
    told = {name: n for name, n in sums.items() if not name.startswith("latency")}
    assert told == {
        "accepted": 40,
        "sent": 40,
        "delivered": 30,
        "hard_bounced": 6,
        "deferred": 4,
        "deferrals": 4,
    }
    assert sum(n for name, n in sums.items() if name.startswith("latency")) == 30
    assert (await cells_of(actor, kind="recipient_domain"))["dest.example"] == sums
    assert (await cells_of(actor, kind="vmta"))["default"] == sums
