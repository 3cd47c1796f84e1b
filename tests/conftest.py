"""Real parts for every test: a database made by the migrations, and frozen time on wish."""

import atexit
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

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

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import close_pool, start_pool
from postlane.core.queue import close_queue, open_queue
from postlane.mail.dns import resolver
from postlane.server import auth
from postlane.server.app import build_app
from postlane.server.embedded import EmbeddedDatabase
from postlane.server.migrate import migrate
from postlane.vmtas.work import ensure_default_vmta
from tests.parts import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

from .client import Client
from .dns_server import DnsServer
from .sink import Sink

NETWORKS = count(1)
"""Each client has a network of its own, so that limits per address are its own, too."""


@pytest.fixture(scope="session")
async def database_url() -> AsyncIterator[str]:
    """The URL of a database with every table, served by the embedded PostgreSQL."""
    server = EmbeddedDatabase(FOLDER / "postgres")
    url = await server.start()
    yield url
    await server.stop()


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[None]:
    """This process's pool and job queue on a migrated database."""
    await start_pool(database_url)
    await migrate()
    await ensure_default_vmta()
    await open_queue(database_url)
    yield
    await close_queue()
    await close_pool()


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
    actors: dict[str, Actor] = {}

    async def authenticate(scope: HTTPScope) -> Actor | None:
        for name, value in scope["headers"]:
            if name == b"x-test-actor":
                return actors[value.decode()]
        return await auth.authenticate(scope)

    app = build_app(authenticate=authenticate, opens_pool=False)
    async with Client(app, actors, address=f"2001:db8:{next(NETWORKS):x}::1") as opened:
        yield opened


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
