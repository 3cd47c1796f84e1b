"""kill -9: what was accepted is delivered, whatever dies on the way."""

import asyncio
import functools
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postlane.core.database import fetch
from postlane.delivery.work import LEASE
from postlane.jobs.delivery import CONNECTIONS, UNWRITTEN
from tests.delivery.spool import make_many, make_organization, make_signing_domain
from tests.dns_server import DnsServer
from tests.workers import SOURCE, own_database, worker

MESSAGES = 2000
KILLS = 4
ROOT = Path(SOURCE).parent


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


@pytest.mark.slow
async def test_a_worker_killed_under_load_loses_nothing(
    database: None,
    database_url: str,
    dns: DnsServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dns.set("mx.sink.example", "A", "127.0.0.1")
    dns.set("dest.example", "MX", "10 mx.sink.example")
    log = tmp_path / "accepted.jsonl"
    async with own_database(database_url) as url, sink_process(log) as port:
        organization = await make_organization()
        domain = await make_signing_domain(organization)
        addresses = [f"user{number}@dest.example" for number in range(MESSAGES)]
        await make_many(
            [[address] for address in addresses], organization=organization, domain_id=domain.id
        )
        settings = {"delivery": "direct", "mx_port": str(port)}

        for kill in range(1, KILLS + 1):
            async with worker(url, tmp_path, **settings) as running:
                enough = MESSAGES * kill // (KILLS + 2)
                await _until(functools.partial(_has_received, log, enough))
                await asyncio.sleep(random.uniform(0, 0.3))
                running.kill()
        async with worker(url, tmp_path, **settings) as running:
            await _until(
                functools.partial(_has_received, log, MESSAGES),
                seconds=LEASE.total_seconds() + 60,
            )
            await _until_settled()
            await running.stop()

    counts = received(log)
    doubled = sum(count - 1 for count in counts.values())
    with capsys.disabled():
        lost = MESSAGES - len(counts)
        print(f"\n{MESSAGES} messages, {KILLS} kills: {lost} lost, {doubled} doubled")  # noqa: T201
    assert set(counts) == set(addresses)
    assert doubled <= KILLS * (CONNECTIONS + UNWRITTEN)


def _has_received(log: Path, count: int) -> bool:
    return len(received(log)) >= count


async def _until(done: Callable[[], bool], *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 another process does it
            await asyncio.sleep(0.05)


async def _until_settled() -> None:
    async with asyncio.timeout(30):
        while await fetch("SELECT FROM deliveries WHERE state <> 'delivered' LIMIT 1"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
