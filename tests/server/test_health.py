"""`/health` and the other answers that are no API."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from saq import Worker

from postlane.core import queue, row_security
from postlane.core.database import DB, close_pool, start_pool
from postlane.core.settings import Address, Settings, settings
from postlane.server.app import build_app
from postlane.server.health import HealthMonitor, HealthStatus
from tests.client import Client


async def nobody(scope: object) -> None:
    return None


def app_with(found: Settings) -> httpx.AsyncClient:
    """A client of an application of its own, which remembers nothing yet."""
    app = build_app(found, authenticate=nobody, opens_pool=False)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://postlane.test")


@pytest.fixture
async def dns_that_answers() -> AsyncIterator[Address]:
    """A name server that says of every name that it does not exist."""

    class NoSuchName(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
            answer = data[:2] + b"\x81\x83" + data[4:6] + bytes(6) + data[12:]
            end = answer.index(b"\0", 12) + 5
            self.transport.sendto(answer[:end], peer)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NoSuchName, ("127.0.0.1", 0))
    yield Address(*transport.get_extra_info("sockname"))
    transport.close()


@pytest.fixture
async def worker(database: None) -> AsyncIterator[None]:
    """A worker that has shown itself, and is gone again after the test."""
    opened = await queue.open_queue("")
    made = Worker(opened, functions=[])
    await made.worker_info(ttl=60)
    yield
    await opened.write_worker_info(made.id, await made.worker_info(ttl=0), ttl=-1)


async def test_all_is_well(database: None, worker: None, dns_that_answers: Address) -> None:
    async with app_with(replace(settings(), dns_servers=(dns_that_answers,))) as client:
        answer = await client.get("/health")

    body = answer.json()
    assert answer.status_code == 200
    assert body["status"] == "ok"
    assert set(body) == {"status", "version", "started_at", "uptime_seconds", "checks"}
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "ok",
        "spool": "ok",
        "delivery": "ok",
        "dns": "ok",
        "spam_scanner": "disabled",
        "av_scanner": "disabled",
    }
    assert isinstance(body["checks"]["database"]["latency_ms"], int)
    assert body["started_at"].endswith("Z")


async def test_without_a_worker_nothing_is_delivered_and_health_fails(database: None) -> None:
    async with app_with(settings()) as client:
        answer = await client.get("/health")

    assert answer.status_code == 503
    assert answer.json()["status"] == "fail"
    assert answer.json()["checks"]["delivery"] == {"status": "fail"}


async def test_dns_that_is_silent_degrades_and_names_no_server(
    database: None, worker: None
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = Address(*silent.getsockname())
        async with app_with(replace(settings(), dns_servers=(address,))) as client:
            answer = await client.get("/health")

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["dns"]["status"] == "fail"
    assert str(address.port) not in answer.text
    assert "127.0.0.1" not in answer.text


async def test_without_a_database_health_fails_and_says_nothing_of_it(
    database: None, database_url: str
) -> None:
    await close_pool()
    DB.config["dsn"] = "postgresql://127.0.0.1:1/nowhere"
    try:
        async with app_with(settings()) as client:
            answer = await client.get("/health")
    finally:
        await start_pool(database_url)
        await row_security.start(database_url, size=10)

    assert answer.status_code == 503
    assert answer.json()["checks"]["database"]["status"] == "fail"
    assert set(answer.json()["checks"]["spool"]) == {"status"}


async def test_a_process_that_stops_fails(
    database: None, worker: None, dns_that_answers: Address
) -> None:
    monitor = HealthMonitor(replace(settings(), dns_servers=(dns_that_answers,)))
    assert (await monitor.health()).status is HealthStatus.OK

    monitor.drain()

    assert (await monitor.health()).status is HealthStatus.FAIL


async def test_checks_are_made_once_in_five_seconds(database: None) -> None:
    monitor = HealthMonitor(settings())

    found = await asyncio.gather(*(monitor.health() for _ in range(20)))

    assert len({id(health.checks) for health in found}) == 1


@pytest.mark.parametrize(
    ("path", "media_type", "part"),
    [
        ("/", "text/html", "/graphql"),
        ("/robots.txt", "text/plain", "Disallow: /"),
        ("/favicon.ico", "image/svg+xml", "<svg"),
    ],
)
async def test_what_browsers_and_robots_ask_for(
    client: Client, path: str, media_type: str, part: str
) -> None:
    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert part in answer.text


async def test_health_answers_a_head_request(client: Client) -> None:
    answer = await client.head("/health")

    assert answer.status_code in (200, 503)
    assert answer.content == b""
