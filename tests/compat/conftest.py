"""The world that tests of foreign APIs start in."""

from collections.abc import AsyncIterator

import pytest

from tests.client import Client
from tests.dns_server import DnsServer

from .table import pytest_terminal_summary
from .world import World, make_world

__all__ = ["pytest_terminal_summary"]


@pytest.fixture
async def world(client: Client, dns: DnsServer) -> AsyncIterator[World]:
    """An organization with its owner, signed in."""
    made = await make_world(client, dns)
    async with made.leaves:
        yield made
