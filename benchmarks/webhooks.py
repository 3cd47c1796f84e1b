"""Calls to webhooks a second: to a fast receiver alone, and while another one is dead.

A worker as an operator runs it, the embedded PostgreSQL, and in this process the receivers. It
runs in a process of its own, with settings and a database of its own.
"""

import asyncio
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop

AT_ONCE = 500
"""Events that are written down in one transaction."""
LONGEST_SECONDS = 120.0
FORGOTTEN_SECONDS = 6.0
"""After which no worker sends for a webhook that was deleted."""
GOAL = 500.0


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls a second in each run: alone, and beside a dead receiver."""

    alone: list[float]
    beside_dead: list[float]


async def measure(*, runs: int, calls: int) -> Calls:
    """Measure in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="postlane-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, folder, str(runs), str(calls)),
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("POSTLANE_")},
                "POSTLANE_DATA_DIR": folder,
                "POSTLANE_SECRET_KEY": secrets.token_hex(32),
                "POSTLANE_HOSTNAME": "mail.postlane.test",
                "POSTLANE_LOG_LEVEL": "warning",
                "POSTLANE_PRIVATE_DESTINATIONS": "127.0.0.0/8",
                "POSTLANE_WEBHOOK_URLS": "any",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"webhooks could not be measured: {printed.decode()[-500:]}")
    return Calls(**json.loads(printed.splitlines()[-1]))


def summary(found: Calls) -> dict[str, Any]:
    """Return the entries of the report."""
    alone, beside = statistics.median(found.alone), statistics.median(found.beside_dead)
    pairs = zip(found.beside_dead, found.alone, strict=True)
    return {
        "webhook_calls": {
            "value": round(alone, 1),
            "unit": "calls/s",
            "ratio": round(alone / GOAL, 3),
            "against": f"{GOAL:g} calls/s goal",
            "runs": len(found.alone),
        },
        "webhook_calls_beside_dead": {
            "value": round(beside, 1),
            "unit": "calls/s",
            "ratio": round(statistics.median(b / a for b, a in pairs), 3),
            "against": "the same without the dead",
            "runs": len(found.beside_dead),
        },
    }


class Fast(asyncio.Protocol):
    """Answers 200 to every request as soon as it is whole."""

    came = 0
    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def connection_made(self, transport: Any) -> None:
        """Keep where to answer."""
        self._transport, self._data = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._data += data
        while True:
            head, separator, rest = self._data.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            if not separator or len(rest) < int(length or 0):
                return
            self._data = rest[int(length or 0) :]
            Fast.came += 1
            self._transport.write(self.ANSWER)


class Dead(asyncio.Protocol):
    """Takes whatever comes, and never answers."""


async def _main(folder: Path, runs: int, calls: int) -> None:
    # Settings are read when the product is imported: only here, in the process that has them.
    from postlane.core.database import close_pool, start_pool
    from postlane.core.queue import close_queue, open_queue
    from postlane.server.embedded import EmbeddedDatabase
    from postlane.server.migrate import migrate
    from postlane.vmtas.work import ensure_default_vmta

    database = EmbeddedDatabase(folder / "postgres")
    url = await database.start()
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(kind, "127.0.0.1", 0) for kind in (Fast, Dead)]
    fast, dead = (f"http://127.0.0.1:{s.sockets[0].getsockname()[1]}/" for s in servers)
    try:
        await start_pool(url)
        await migrate()
        await ensure_default_vmta()
        await open_queue(url)
        async with _worker(url):
            print(json.dumps(asdict(await _measured(fast, dead, runs, calls))))
    finally:
        await close_queue()
        await close_pool()
        await database.stop()


@asynccontextmanager
async def _worker(url: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "postlane.server.cli", "worker"),
        env={**os.environ, "POSTLANE_DATABASE_URL": url},
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _measured(fast: str, dead: str, runs: int, calls: int) -> Calls:
    from tests.factories import make_actor

    # Both organizations have the same events in every run: what differs is the dead receiver.
    actors = [await make_actor(), await make_actor()]
    await _make_webhook(actors[0], fast)
    await _run(actors, min(calls, 500))  # warms caches, plans and connections
    found = Calls([], [])
    for _ in range(runs):
        found.alone.append(await _run(actors, calls))
        webhook_id = await _make_webhook(actors[1], dead)
        found.beside_dead.append(await _run(actors, calls))
        await _delete(actors[1], webhook_id)
        await asyncio.sleep(FORGOTTEN_SECONDS)
    return found


async def _make_webhook(actor: Any, url: str) -> UUID:
    from postlane.webhooks.operations import create_webhook
    from postlane.webhooks.requests import WebhookRequest

    made = await create_webhook(actor, WebhookRequest(url=url, events=("*",)))
    return made.webhook.id


async def _delete(actor: Any, webhook_id: UUID) -> None:
    from postlane.webhooks.operations import delete_webhook

    await delete_webhook(actor, webhook_id)


async def _run(actors: list[Any], calls: int) -> float:
    """Write down events of each organization; return how fast the fast receiver was called."""
    from postlane.core import clock
    from postlane.core.database import transaction
    from postlane.events.operations import NewEvent, append
    from postlane.events.rules import EventType

    target, data = Fast.came + calls, {"vmta": "tx-1", "reason": None, "by": None}
    began = time.perf_counter()
    for start in range(0, calls, AT_ONCE):
        async with transaction() as tx:
            await append(
                tx,
                [
                    NewEvent(
                        actor.organization_id,
                        *(None, None, None),
                        EventType.VMTA_PAUSED,
                        data,
                        clock.now(),
                    )
                    for actor in actors
                    for _ in range(min(AT_ONCE, calls - start))
                ],
            )
    async with asyncio.timeout(LONGEST_SECONDS):
        while Fast.came < target:  # noqa: ASYNC110 it is looked at far more often than it changes
            await asyncio.sleep(0.005)
    return calls / (time.perf_counter() - began)


if __name__ == "__main__":
    uvloop.run(_main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
