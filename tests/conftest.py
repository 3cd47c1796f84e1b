"""Real parts for every test: a database made by the migrations, and frozen time on wish."""

import atexit
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from tests.dns_server import DnsServer

DNS = DnsServer().start()
FOLDER = Path(tempfile.mkdtemp(prefix="postlane-tests-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
os.environ.update(
    POSTLANE_DATA_DIR=str(FOLDER),
    POSTLANE_SECRET_KEY=secrets.token_hex(32),
    POSTLANE_HOSTNAME="mail.postlane.test",
    POSTLANE_PUBLIC_URL="http://postlane.test",
    POSTLANE_DNS_SERVERS=f"{DNS.address}:{DNS.port}",
)

from litestar.types import HTTPScope

from postlane.core import clock, row_security
from postlane.core.actor import Actor
from postlane.core.database import (
    DB,
    close_pool,
    start_pool,
    start_tenant_pool,
    stop_tenant_pool,
)
from postlane.core.garbage import settle_down
from postlane.core.logs import JsonFormatter
from postlane.core.queue import close_queue, open_queue
from postlane.core.settings import Settings, settings
from postlane.mail.dns import resolver
from postlane.server import auth
from postlane.server.app import build_app
from postlane.server.edge import Edge
from postlane.server.embedded import EmbeddedDatabase
from postlane.server.migrate import migrate
from postlane.vmtas.work import ensure_default_vmta
from tests.order import pytest_collection_modifyitems
from tests.parts import pytest_terminal_summary

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary"]

from .client import Client
from .dns_server import DnsServer
from .secrets_in import Recorder, secrets_in
from .sink import Sink

ACTORS: dict[str, Actor] = {}
"""Whom the application takes at their word, by what `Client` sends for them."""
APPS: list[tuple[Settings, Edge]] = []
"""The applications built so far, with their settings, which cannot be hashed."""
NETWORKS = count(1)
"""Each client has a network of its own, so that limits per address are its own, too."""


def pytest_collection_finish() -> None:
    """Spare the collector of cycles what stays to the end: all modules, and every test."""
    settle_down()


@pytest.fixture(scope="session", autouse=True)
def nothing_secret_is_logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Of all that the run logs, in this process and in those it starts, nothing is a secret."""
    recorder = Recorder(FOLDER / "all.log")
    recorder.setFormatter(JsonFormatter())
    recorder.addFilter(lambda record: record.name != "httpx")  # the tests' own client
    logging.getLogger().addHandler(recorder)
    yield
    logging.getLogger().removeHandler(recorder)
    recorder.finish()
    logs = [recorder.path, *tmp_path_factory.getbasetemp().rglob("*.log")]
    found = {
        f"{path.name}: {each}"
        for path in logs
        for each in secrets_in(path.read_text("utf-8", "backslashreplace"))
    }
    assert sorted(found) == []


@pytest.fixture(scope="session")
async def database_url() -> AsyncIterator[str]:
    """The URL of a database with every table, served by the embedded PostgreSQL."""
    server = EmbeddedDatabase(FOLDER / "postgres")
    url = await server.start()
    # Whoever reads events waits for every transaction that was open when they were written,
    # and a test that looks once would now and then meet one of autovacuum's.
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER SYSTEM SET autovacuum = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
    yield url
    await server.stop()


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[None]:
    """This process's pool and job queue on a migrated database."""
    await start_pool(database_url)
    await migrate()
    await ensure_default_vmta()
    # As a process does: with POSTLANE_ROW_SECURITY=on everything is tested behind the policies.
    await row_security.start(database_url, size=10)
    await open_queue(database_url)
    yield
    await close_queue()
    await close_pool()


@pytest.fixture
async def wall(database: None, database_url: str) -> AsyncIterator[None]:
    """Tenants' statements run as their role, whatever the setting."""
    if DB.tenant_pool is not None:
        yield
        return
    await start_tenant_pool(database_url, size=3)
    yield
    await stop_tenant_pool()


@pytest.fixture
def frozen() -> Iterator[datetime]:
    """Time that stands still at noon of 2026-06-01, UTC."""
    at = datetime(2026, 6, 1, 12, tzinfo=UTC)
    with clock.frozen(at):
        yield at


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    """The only DNS server the product asks, with no records in it."""
    DNS.clear()
    resolver.cache_clear()
    yield DNS
    DNS.clear()


@pytest.fixture
async def client(database: None) -> AsyncIterator[Client]:
    """The whole web application over HTTP, without a socket."""
    ACTORS.clear()
    address = f"2001:db8:{next(NETWORKS):x}::1"
    async with Client(_app_with(settings()), ACTORS, address=address) as opened:
        yield opened


def _app_with(found: Settings) -> Edge:
    """Return one application for all tests with the same settings: it keeps nothing of theirs."""
    for known, app in APPS:
        if known == found:
            return app
    app = build_app(found, authenticate=_authenticate, opens_pool=False)
    APPS.append((found, app))
    return app


async def _authenticate(scope: HTTPScope) -> Actor | None:
    for name, value in scope["headers"]:
        if name == b"x-test-actor":
            return ACTORS[value.decode()]
    return await auth.authenticate(scope)


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A mail exchanger that has taken nothing yet."""
    with Sink() as running:
        yield running


@pytest.fixture
def dns_server() -> Iterator[DnsServer]:
    """A DNS server that knows no name."""
    with DnsServer() as running:
        yield running
