"""Worker processes of their own, on a database of their own, for tests that stop and kill them."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

import postlane.jobs.worker
from postlane.core import row_security
from postlane.core.database import close_pool, start_pool
from postlane.core.queue import close_queue, open_queue
from postlane.server.embedded import EmbeddedDatabase
from postlane.server.migrate import migrate
from postlane.vmtas.work import ensure_default_vmta
from tests.parts import REDIS

SOURCE = str(Path(postlane.jobs.worker.__file__).resolve().parents[2] / "src")
PROGRAM = """
import sys
from postlane.core.logs import start_logging
from postlane.jobs.worker import run_worker
from postlane.server.worker import read_page, shape
start_logging(form="text", level="info")
run_worker(
    database_url=sys.argv[1],
    shape=shape,
    read_page=read_page,
)
"""


@asynccontextmanager
async def own_database(url: str, *, queue_url: str = "") -> AsyncIterator[str]:
    """Connect this process to a new database beside *url* for the body, and yield its URL.

    A worker works on everything that is due, and other tests leave much behind. The job
    queue is in that database, too, or at *queue_url*.
    """
    name = f"worker_{secrets.token_hex(4)}"
    await _execute(
        url,
        f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C.UTF-8' LOCALE_PROVIDER 'builtin' "
        "ENCODING 'UTF8'",
    )
    own = urlsplit(url)._replace(path=f"/{name}").geturl()
    await _connect_to(own, queue_url or own)
    try:
        await migrate()
        await ensure_default_vmta()
        await row_security.start(own, size=5)
        yield own
    finally:
        await _connect_to(url, url)
        await row_security.start(url, size=10)
        await _execute(url, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def own_server(url: str, folder: Path) -> AsyncIterator[EmbeddedDatabase]:
    """Connect this process to a new database server for the body; *url* is where to go back to.

    It may be killed and started again.
    """
    server = EmbeddedDatabase(folder / "postgres")
    own = await server.start()
    await _connect_to(own, own)
    try:
        await migrate()
        await ensure_default_vmta()
        await row_security.start(own, size=5)
        yield server
    finally:
        await _connect_to(url, url)
        await row_security.start(url, size=10)
        await server.stop()


@asynccontextmanager
async def unreachable(url: str) -> AsyncIterator[None]:
    """Let nobody connect to the database at *url* during the body, as if its server were down."""
    parts = urlsplit(url)
    name, other = parts.path.lstrip("/"), parts._replace(path="/postgres").geturl()
    await _execute(other, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await _execute(
        other,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
    try:
        yield
    finally:
        await _execute(other, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _connect_to(url: str, queue_url: str) -> None:
    await close_queue()
    await close_pool()
    await start_pool(url)
    await open_queue(queue_url)


@dataclass(slots=True)
class WorkerProcess:
    """One `postlane worker`; what it logs is in the file *log*."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def kill(self) -> None:
        """End it without a warning, as kill -9 and a power cut do."""
        self.process.send_signal(signal.SIGKILL)

    async def stop(self, *, within: float = 30) -> int:
        """Ask it to end, as an operator does, and return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), within)


@asynccontextmanager
async def worker(database_url: str, folder: Path, **settings: str) -> AsyncIterator[WorkerProcess]:
    """Run a worker for the body; *settings* are those of the product, in lower case."""
    kept = {name: value for name, value in os.environ.items() if name != "POSTLANE_DATABASE_URL"}
    # The sinks of tests are here.
    settings = {"private_exchangers": "127.0.0.0/8"} | settings
    given = {f"POSTLANE_{name.upper()}": value for name, value in settings.items()}
    log = folder / f"worker-{secrets.token_hex(3)}.log"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", PROGRAM, database_url),
            env={**kept, "PYTHONPATH": SOURCE, **given},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    started = WorkerProcess(process, log)
    try:
        await _until_started(started)
        yield started
    finally:
        if process.returncode is None:
            started.kill()
            await process.wait()


async def _until_started(started: WorkerProcess) -> None:
    # A worker imports two thousand modules: on a busy machine that takes a while.
    for _ in range(6_000):
        if "worker started" in started.log.read_text():
            return
        assert started.process.returncode is None, started.log.read_text()
        await asyncio.sleep(0.05)
    raise AssertionError(f"the worker did not start: {started.log.read_text()}")


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[str]:
    """Run a Redis server for the body and yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir()
    program = REDIS.path()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        *(program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)
