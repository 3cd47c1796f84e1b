"""A database of its own, for tests that see everything that is due."""

from collections.abc import AsyncIterator

import pytest

from tests.workers import own_database as make_own_database


@pytest.fixture
async def own_database(database: None, database_url: str) -> AsyncIterator[str]:
    """The URL of a database that nobody else uses; the test is connected to it."""
    async with make_own_database(database_url) as url:
        yield url
