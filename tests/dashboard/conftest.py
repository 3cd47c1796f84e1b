"""One Chromium and one web process for all tests of pages: starting either takes long."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.dns_server import DnsServer
from tests.parts import CHROMIUM
from tests.pseudo import another_language
from tests.serving import web_process
from tests.webhooks.receiver import Receiver, reachable

__all__ = ["another_language"]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A browser."""
    async with async_playwright() as playwright:
        path = CHROMIUM.path()
        assert path is not None
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=["--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        await browser.close()


@pytest.fixture
def receiver(dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A customer's program, at an address that may be called."""
    with reachable(dns, monkeypatch) as server:
        made = Receiver(server)
        made.serve()
        yield made


@pytest.fixture(scope="session")
async def url(database: None, database_url: str) -> AsyncIterator[str]:
    """A running web process."""
    async with web_process(database_url) as found:
        yield found
