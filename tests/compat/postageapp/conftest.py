"""The world that tests of PostageApp's API start in."""

import pytest

from tests.client import Client
from tests.jobs.conftest import dns, outbound

from .world import Shop, make_shop

__all__ = ["dns", "outbound"]


@pytest.fixture
async def shop(client: Client) -> Shop:
    """An account with a verified domain, a project, and a key to each."""
    return await make_shop(client)
