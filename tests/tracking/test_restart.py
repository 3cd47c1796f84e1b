"""A web process that ends or loses its database: which hits are written down.

That one is killed is part of the journey `test_campaign`.
"""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from postlane.core.database import fetch
from tests.serving import running_web
from tests.tracking.hits import Mailed, mailed
from tests.workers import own_database as make_own_database
from tests.workers import unreachable

SAFE_AFTER = 1.0
"""Seconds after its answer, from which on a hit may not be lost any more."""


@pytest.fixture
async def own_database(database: None, database_url: str) -> AsyncIterator[str]:
    """The URL of a database that nobody else uses; the test is connected to it."""
    async with make_own_database(database_url) as url:
        yield url


async def hit(url: str, mail: Mailed, count: int) -> None:
    """Follow so many links, and be led on each time."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        for number in range(count):
            answer = await http.get(mail.link(number))
            assert answer.status_code == 302, answer.text


async def written(mail: Mailed) -> list[int]:
    """Return which links are known to have been followed."""
    rows = await fetch(
        "SELECT link_index FROM tracking_hits WHERE delivery_id = {} ORDER BY link_index",
        mail.recipient.delivery_id,
    )
    return [row["link_index"] for row in rows]


@pytest.mark.slow
async def test_a_process_that_ends_writes_down_what_it_answered(own_database: str) -> None:
    mail = await mailed()

    async with running_web(own_database) as web:
        await hit(web.url, mail, 20)
        web.process.terminate()
        await asyncio.wait_for(web.process.wait(), 60)

    assert await written(mail) == list(range(20))


@pytest.mark.slow
async def test_without_a_database_people_are_led_on_and_hits_wait(own_database: str) -> None:
    mail, more = await mailed(), await mailed()

    async with running_web(own_database) as web:
        async with unreachable(own_database):
            await hit(web.url, mail, 10)
            await asyncio.sleep(2 * SAFE_AFTER)
            await hit(web.url, more, 10)
        async with asyncio.timeout(60):
            while len(await written(more)) < 10:  # noqa: ASYNC110 another process writes
                await asyncio.sleep(0.1)

    assert await written(mail) == await written(more) == list(range(10))
