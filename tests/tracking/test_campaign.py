"""A campaign whose recipients do what is known beforehand, while what counts it is killed."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from postlane.core.database import fetch
from postlane.tracking.rules import Tracks
from tests.delivery.spool import make_many, make_organization, make_signing_domain
from tests.dns_server import DnsServer
from tests.serving import running_web
from tests.sink import Sink
from tests.tracking.hits import PERSON
from tests.tracking.test_restart import SAFE_AFTER, kill
from tests.workers import own_database as make_own_database
from tests.workers import worker

RECIPIENTS = 160
HTML = (
    '<p><a href="https://shop.example/one">one</a> <a href="https://shop.example/two">two</a></p>'
)
COUNTED = """
    SELECT count(*) FILTER (WHERE type = 'message.opened' AND NOT machine) AS opens,
        count(*) FILTER (WHERE type = 'message.opened' AND NOT machine AND first) AS unique_opens,
        count(*) FILTER (WHERE type = 'message.opened' AND machine) AS machine_opens,
        count(*) FILTER (WHERE type = 'message.clicked' AND NOT machine) AS clicks,
        count(*) FILTER (WHERE type = 'message.clicked' AND NOT machine AND first) AS unique_clicks,
        count(*) FILTER (WHERE type = 'message.clicked' AND machine) AS bot_clicks
    FROM (SELECT type, coalesce(data->>'machine_open', data->>'bot')::boolean AS machine,
        (data->>'first')::boolean AS first FROM events WHERE organization_id = {}) AS event
"""
OPENED, FETCHED, CLICKED, SCANNED = range(100), range(100, 150), range(40), range(150, 160)
KNOWN = {
    "opens": 100,
    "unique_opens": 100,
    "machine_opens": 50,
    "clicks": 80,
    "unique_clicks": 40,
    "bot_clicks": 20,
}


@pytest.fixture
async def own_database(database: None, database_url: str) -> AsyncIterator[str]:
    """The URL of a database that nobody else uses; the test is connected to it."""
    async with make_own_database(database_url) as url:
        yield url


class Robot:
    """Every recipient's program: it knows what came, and does what it is told."""

    def __init__(self, sink: Sink) -> None:
        self.mail = {}
        for received in sink.messages:
            said = received.data.replace(b"=\r\n", b"").replace(b"=3D", b"=").decode()
            number = int(received.recipient.partition("@")[0].removeprefix("user"))
            self.mail[number] = re.findall(r'"http://postlane\.test(/track/[^"]+)"', said)

    async def ask(self, url: str, numbers: range, place: int, *, agent: str = PERSON) -> None:
        """Let recipients ask for their first or second link, or their pixel."""
        async with httpx.AsyncClient(
            base_url=url, trust_env=False, headers={"user-agent": agent}
        ) as http:
            for number in numbers:
                answer = await http.get(self.mail[number][place])
                assert answer.status_code in (200, 302)


FIRST, SECOND, PIXEL = 0, 1, 2


@pytest.mark.slow
async def test_every_number_is_the_known_one_whatever_is_killed(
    own_database: str, dns: DnsServer, sink: Sink, tmp_path: Path
) -> None:
    dns.set("mx.sink.example", "A", "127.0.0.1")
    dns.set("dest.example", "MX", "10 mx.sink.example")
    limits = tmp_path / "limits.toml"
    limits.write_text("[other]\nmessages_per_connection = 100\n")
    settings = {"delivery": "direct", "mx_port": str(sink.port), "limits_file": str(limits)}
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    await make_many(
        [[f"user{number}@dest.example"] for number in range(RECIPIENTS)],
        organization=organization,
        domain_id=domain.id,
        tracks=Tracks.OPENS | Tracks.CLICKS,
        html=HTML,
    )

    async with worker(own_database, tmp_path, **settings) as running:
        await until(
            "SELECT count(*) AS n FROM deliveries WHERE organization_id = {} "
            "AND state = 'delivered'",
            organization.id,
            {"n": RECIPIENTS},
        )
        robot = Robot(sink)
        # Nobody reads mail in the moment in which it arrives.
        await asyncio.sleep(2.5)
        async with running_web(own_database) as web:
            await robot.ask(web.url, OPENED, PIXEL)
            await robot.ask(web.url, FETCHED, PIXEL, agent="GoogleImageProxy")
            await robot.ask(web.url, CLICKED, FIRST)
            await asyncio.sleep(SAFE_AFTER)
            kill(web.process.pid)
            await web.process.wait()
        # In the midst of making events of them.
        await asyncio.sleep(2)
        running.kill()
        async with running_web(own_database) as web:
            await robot.ask(web.url, CLICKED, SECOND)
            for place in (FIRST, SECOND):
                await robot.ask(web.url, SCANNED, place, agent="Barracuda Sentinel (EE)")
    async with worker(own_database, tmp_path, **settings) as running:
        await until(COUNTED, organization.id, KNOWN)
        await until("SELECT count(*) AS n FROM tracking_hits", None, {"n": 0})
        await running.stop()

    rows = await fetch(COUNTED, organization.id)
    assert rows == [KNOWN]


async def until(sql: str, organization_id: object, wanted: dict[str, int]) -> None:
    """Wait until the database answers so."""
    given = () if organization_id is None else (organization_id,)
    async with asyncio.timeout(90):
        while await fetch(sql, *given) != [wanted]:  # type: ignore[arg-type]  # noqa: ASYNC110
            await asyncio.sleep(0.2)
