"""`postlane up`: everything dies once under load, and every accepted message arrives."""

import asyncio
import os
import random
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from postlane.server import demo
from postlane.server.embedded import running_url
from tests.server.commands import postlane_command
from tests.server.running import OwnSink, Up, demo_organization

MESSAGES = 2_000
SENDERS = 16
ARRIVAL_SECONDS = 420.0
"""A claim whose worker was killed waits for the end of its lease before it goes out again."""

pytestmark = pytest.mark.slow


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[OwnSink]:
    made = OwnSink(tmp_path)
    await made.start()
    yield made
    await made.stop()


class Load:
    """Sends messages over REST until each was accepted; a refused try is made again."""

    def __init__(self, up: Up, key: str) -> None:
        self._up = up
        self._key = key
        self.accepted: set[str] = set()
        self.failures = 0

    async def send_all(self, recipients: list[str]) -> None:
        waiting = list(recipients)
        async with httpx.AsyncClient(base_url=self._up.url, trust_env=False, timeout=30) as client:

            async def sender() -> None:
                while waiting:
                    await self._send(client, waiting.pop())

            await asyncio.gather(*(sender() for _ in range(SENDERS)))

    async def _send(self, client: httpx.AsyncClient, recipient: str) -> None:
        # The same key at every try: one that was accepted without our hearing of it must
        # not become two messages.
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": uuid.uuid4().hex}
        body = {"from": demo.SENDER, "to": [recipient], "subject": "Load", "text": "Hello."}
        while True:
            try:
                answer = await client.post("/api/v1/messages/send", json=body, headers=headers)
                if answer.status_code == 202:
                    self.accepted.add(recipient)
                    return
                assert answer.status_code in (409, 429, 500, 503), answer.text
            except httpx.HTTPError:
                pass
            self.failures += 1
            await asyncio.sleep(random.uniform(0.05, 0.2))

    async def reached(self, count: int) -> None:
        while len(self.accepted) < count:  # noqa: ASYNC110 one waiter, and no event to miss
            await asyncio.sleep(0.01)


async def kill_backend(data_dir: Path) -> None:
    """Kill one server process of the database, as the kernel does when memory runs out."""
    url = running_url(data_dir / "postgres")
    assert url is not None
    connection = await asyncpg.connect(url)
    try:
        pid = await connection.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'postlane' LIMIT 1"
        )
    finally:
        await connection.close()
    os.kill(pid, signal.SIGKILL)


async def test_every_accepted_message_arrives_whatever_is_killed(
    sink: OwnSink, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    data_dir = tmp_path / "var"
    async with demo_organization(data_dir) as organization:
        up = Up(
            data_dir,
            delivery="relay",
            relay_url=f"smtp://127.0.0.1:{sink.port}",
            **organization.settings,
        )
        await up.start()
        try:
            load = Load(up, await organization.prepare(up.url))
            recipients = [f"r{n}@d{n % 7}.example" for n in range(MESSAGES)]

            async def kill(name: str) -> None:
                up.part(name).kill()

            async def kill_web_worker() -> None:
                up.part("web").children()[0].kill()

            misfortunes: list[Callable[[], Awaitable[None]]] = [
                kill_web_worker,
                lambda: kill("web"),
                lambda: kill("worker"),
                lambda: kill_backend(data_dir),
                lambda: kill("database"),
                lambda: kill("worker"),
            ]
            sending = asyncio.create_task(load.send_all(recipients))
            for number, misfortune in enumerate(misfortunes, start=1):
                await load.reached(number * MESSAGES // (len(misfortunes) + 1))
                await misfortune()
                await up.healthy()
            await asyncio.wait_for(sending, 300)

            received = await arrived(sink, load.accepted)

            lost = load.accepted - received.keys()
            doubles = sum(count - 1 for count in received.values())
            record_property("lost", len(lost))
            record_property("doubles", doubles)
            record_property("failed_tries", load.failures)
            # The counts are what this test is run for.
            print(f"lost {len(lost)}, doubles {doubles}, failed tries {load.failures}")  # noqa: T201
            assert len(load.accepted) == MESSAGES
            assert lost == set()
            await up.healthy()
        finally:
            assert await up.stop() == 0


async def arrived(sink: OwnSink, wanted: set[str]) -> "dict[str, int]":
    """What the sink has got once it has got all that is wanted, or time is up."""
    for _ in range(int(ARRIVAL_SECONDS)):
        received = await asyncio.to_thread(sink.received)
        if wanted <= received.keys():
            break
        await asyncio.sleep(1)
    return received


async def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    up = Up(tmp_path)
    await up.start()
    family = up.process.children(recursive=True)

    code = await up.stop(ending=signal.SIGINT)

    assert code == 0
    assert [child for child in family if child.is_running()] == []
    order = [line.split()[-1] for line in up.log.decode().splitlines() if " stopping " in line]
    assert [name for name in order if name in ("web", "worker", "database")] == [
        "web",
        "worker",
        "database",
    ]


async def test_a_killed_supervisor_takes_its_children_along_and_the_next_one_starts(
    tmp_path: Path,
) -> None:
    up = Up(tmp_path)
    await up.start()
    family = up.process.children(recursive=True)

    await up.stop(ending=signal.SIGKILL)
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 30)

    assert alive == []
    await up.start()
    assert await up.stop() == 0


async def test_a_second_one_in_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    up = Up(tmp_path)
    await up.start()
    try:
        second = await postlane_command("up", env={**up.env, "POSTLANE_LISTEN": "127.0.0.1:1"})
    finally:
        assert await up.stop() == 0

    assert second.code == 1
    assert f"is already using {tmp_path}" in second.err
    assert "Traceback" not in second.err


async def test_two_signals_end_everything_at_once(tmp_path: Path) -> None:
    up = Up(tmp_path)
    await up.start()
    family = up.process.children(recursive=True)

    up.process.send_signal(signal.SIGTERM)
    await up.stop(ending=signal.SIGTERM)
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 30)

    assert alive == []
    await up.start()
    assert await up.stop() == 0


async def test_commands_find_the_running_database(tmp_path: Path) -> None:
    up = Up(tmp_path)
    await up.start()
    try:
        archive = tmp_path / "while-running.tar"
        answers = [
            await postlane_command("migrate", env=up.env),
            await postlane_command("backup", str(archive), env=up.env),
            await postlane_command("doctor", env=up.env),
        ]
        refused = await postlane_command("restore", "--force", str(archive), env=up.env)
    finally:
        assert await up.stop() == 0

    assert [answer.code for answer in answers] == [0, 0, 0], answers
    assert answers[0].out == "The database is up to date.\n"
    assert "FAULT" not in answers[2].out
    assert refused.code == 1
    assert "already using" in refused.err
