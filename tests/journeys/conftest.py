"""One Postlane for all journeys: it takes longer to start than a journey takes."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .books import Books
from .stack import Account, World, open_account, register


@pytest.fixture(scope="session")
async def world() -> AsyncIterator[World]:
    """A running Postlane that delivers directly, to exchangers and by names of the test's."""
    # Not pytest's folder: every run of pytest closes that to other users, the database's too.
    with tempfile.TemporaryDirectory(prefix="postlane-journeys-") as folder:
        async with World(Path(folder)) as running:
            yield running


@pytest.fixture(scope="session")
async def account(world: World) -> AsyncIterator[Account]:
    """Somebody who can send; tests that change what they may do make an account of their own."""
    opened = await open_account(world)
    yield opened
    await opened.http.aclose()


@pytest.fixture(scope="session")
async def sender(world: World) -> AsyncIterator[Account]:
    """Somebody who may send, and of whom everything is refused."""
    opened = await open_account(world)
    yield opened
    await opened.http.aclose()


@pytest.fixture(scope="session")
async def stranger(world: World) -> AsyncIterator[Account]:
    """Somebody of another organization."""
    registered = await register(world)
    yield registered
    await registered.http.aclose()


@pytest.fixture(scope="session")
async def books(world: World) -> AsyncIterator[Books]:
    """The database from the side."""
    opened = await Books.open(world)
    yield opened
    await opened.close()
