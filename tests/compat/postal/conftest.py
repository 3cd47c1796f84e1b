"""The world that tests of Postal's API start in."""

import pytest

from tests.client import Client

from .world import Server, make_server


@pytest.fixture
async def server(client: Client) -> Server:
    """An organization with a verified domain and a key."""
    return await make_server(client)
