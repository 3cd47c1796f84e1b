"""One Postlane for all journeys: it takes longer to start than a journey takes."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .stack import Account, World, open_account


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
