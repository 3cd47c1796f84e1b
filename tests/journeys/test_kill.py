"""kill -9: what was accepted is delivered, whatever dies on the way."""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postlane.core.database import fetch
from postlane.jobs.delivery import UNWRITTEN
from postlane.jobs.pace import CONNECTIONS
from postlane.server.embedded import DATABASE
from tests.delivery.spool import make_many, make_organization, make_signing_domain
from tests.dns_server import DnsServer
from tests.workers import SOURCE, own_server, worker
from tests.workers import own_database as make_own_database

MESSAGES = 2000
KILLS = 4
ROOT = Path(SOURCE).parent


@pytest.fixture
def dns(dns: DnsServer) -> DnsServer:
    """The DNS server, which knows that the sink takes mail for `dest.example`."""
    dns.set("mx.sink.example", "A", "127.0.0.1")
    dns.set("dest.example", "MX", "10 mx.sink.example")
    return dns


@pytest.fixture
async def own_database(database: None, database_url: str) -> AsyncIterator[str]:
    """The URL of a database that nobody else uses; the test is connected to it."""
    async with make_own_database(database_url) as url:
        yield url


@asynccontextmanager
async def sink_process(log: Path) -> AsyncIterator[int]:
    """Run a sink as a process of its own and yield its port; it logs before it says 250."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sink", "--log", str(log)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


def received(log: Path) -> Counter[str]:
    """Return how often each recipient's message was taken."""
    if not log.exists():
        return Counter()
    return Counter(json.loads(line)["to"] for line in log.read_text().splitlines())


def _settings(folder: Path, port: int) -> dict[str, str]:
    """Send straight to the sink, without limits: a killed worker's would have to run out first."""
    limits = folder / "limits.toml"
    limits.write_text("[other]\nmessages_per_connection = 100\n")
    return {"delivery": "direct", "mx_port": str(port), "limits_file": str(limits)}


@pytest.mark.slow
async def test_a_worker_killed_under_load_loses_nothing(
    own_database: str, dns: DnsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "accepted.jsonl"
    addresses = await _spool()

    async with sink_process(log) as port:
        settings = _settings(tmp_path, port)
        for kill in range(1, KILLS + 1):
            async with worker(own_database, tmp_path, **settings) as running:
                await _until_received(log, MESSAGES * kill // (KILLS + 2))
                await asyncio.sleep(random.uniform(0, 0.3))
                running.kill()
        async with worker(own_database, tmp_path, **settings) as running:
            await _until_received(log, MESSAGES)
            await _until_settled()
            await running.stop()

    doubled = _count(log, addresses, "a worker", capsys)
    assert doubled <= KILLS * (CONNECTIONS + UNWRITTEN)


@pytest.mark.slow
async def test_a_database_killed_under_load_loses_nothing(
    database: None,
    database_url: str,
    dns: DnsServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = tmp_path / "accepted.jsonl"
    async with own_server(database_url, tmp_path) as server, sink_process(log) as port:
        addresses = await _spool()

        settings = _settings(tmp_path, port)
        async with worker(server.url(DATABASE), tmp_path, **settings) as running:
            for kill in range(1, KILLS + 1):
                await _until_received(log, MESSAGES * kill // (KILLS + 2))
                await asyncio.sleep(random.uniform(0, 0.3))
                server.process.kill()
                await server.start()
            await _until_received(log, MESSAGES)
            await _until_settled()
            await running.stop()

    # The worker lives on and knows what it has sent.
    assert _count(log, addresses, "the database", capsys) == 0


async def _spool() -> list[str]:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    addresses = [f"user{number}@dest.example" for number in range(MESSAGES)]
    await make_many(
        [[address] for address in addresses], organization=organization, domain_id=domain.id
    )
    return addresses


def _count(log: Path, addresses: list[str], killed: str, capsys: pytest.CaptureFixture[str]) -> int:
    """Fail if a message was lost; print and return how many came twice."""
    counts = received(log)
    lost = len(set(addresses) - counts.keys())
    doubled = sum(count - 1 for count in counts.values())
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{MESSAGES} messages, {killed} killed {KILLS} times: {lost} lost, {doubled} doubled"
        )
    assert lost == 0
    return doubled


async def _until_received(log: Path, count: int, *, seconds: float = 300) -> None:
    async with asyncio.timeout(seconds):
        while len(received(log)) < count:  # noqa: ASYNC110 it is another process's
            await asyncio.sleep(0.2)


async def _until_settled() -> None:
    async with asyncio.timeout(180):
        while await fetch("SELECT FROM deliveries WHERE state <> 'delivered' LIMIT 1"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
