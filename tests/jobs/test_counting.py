"""Workers add events to the counts as they come, however many workers there are."""

import asyncio
from datetime import UTC, datetime

import pytest

from postlane.analytics.rolling import roll_up
from postlane.jobs.analytics import keep_counting
from tests.analytics.setup import cells_of, make_mail, roll_up_all, tell
from tests.factories import make_actor

pytestmark = pytest.mark.usefixtures("database")

AT = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)


async def test_a_worker_counts_what_comes_until_it_stops() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    stopping = asyncio.Event()
    counting = asyncio.create_task(keep_counting(stopping))

    await tell(ada.queued(), ada.delivered())
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
