"""The world that tests of foreign APIs start in."""

import pytest

from tests.client import Client
from tests.dns_server import DnsServer

from .world import World, make_world


@pytest.fixture
async def world(client: Client, dns: DnsServer) -> World:
    """An organization with its owner, signed in."""
    return await make_world(client, dns)
