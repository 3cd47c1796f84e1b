"""A running application for clients that others wrote, and somebody who may send there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from postlane.accounts.tables import Organization
from postlane.core.actor import Actor
from postlane.server.app import build_app
from tests.factories import make_actor, make_api_key, make_domain, make_organization
from tests.serving import served


@dataclass(frozen=True, slots=True)
class Account:
    """An organization that may send, on a server that listens."""

    url: str
    """Of the GraphQL interface."""
    key: str
    sender: str
    organization: Organization
    actor: Actor
    """A member, for what a test prepares by itself."""

    @property
    def variables(self) -> dict[str, str]:
        """Return what the programs of `tests/tools` read from their environment."""
        return {"URL": self.url, "KEY": self.key, "SENDER": self.sender}


@pytest.fixture
async def account(database: None) -> AsyncIterator[Account]:
    organization = await make_organization()
    domain = await make_domain(organization.id)
    key = await make_api_key(organization)
    actor = await make_actor(organization)
    async with served(build_app(opens_pool=False)) as url:
        yield Account(f"{url}/graphql", key.secret, f"shop@{domain.name}", organization, actor)
