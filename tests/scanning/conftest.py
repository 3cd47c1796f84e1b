"""Real scanners, started once for all tests here."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.billing.setup import settings_with
from tests.conftest import DNS
from tests.scanners import running_clamd, running_rspamd


@pytest.fixture(scope="session")
async def clamd_places() -> AsyncIterator[tuple[str, str]]:
    """Where a clamd listens that knows one virus: its socket, and its address."""
    async with running_clamd() as places:
        yield places


@pytest.fixture(scope="session")
async def rspamd_url() -> AsyncIterator[str]:
    """Where an rspamd with Debian's rules listens."""
    async with running_rspamd(DNS) as url:
        yield url


@pytest.fixture
def clamd(clamd_places: tuple[str, str]) -> Iterator[str]:
    """A deployment with clamd."""
    with settings_with(clamd=clamd_places[0]):
        yield clamd_places[0]


@pytest.fixture
def rspamd(rspamd_url: str) -> Iterator[str]:
    """A deployment with rspamd."""
    with settings_with(rspamd_url=rspamd_url):
        yield rspamd_url
