"""A customer's program, and a customer's IMAP server."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.dns_server import DnsServer
from tests.dovecot import Dovecot
from tests.parts import DOVECOT, skip_without
from tests.web_server import WebServer
from tests.webhooks.receiver import ADDRESS, Receiver, reachable
from tests.workers import own_database as make_own_database


@pytest.fixture
def server(dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A web server that may be called."""
    with reachable(dns, monkeypatch) as running:
        yield running


@pytest.fixture
def receiver(server: WebServer) -> Receiver:
    """A program that takes everything."""
    made = Receiver(server)
    made.serve()
    return made


@pytest.fixture
def imap(dns: DnsServer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dovecot]:
    """A server at an address that may be reached, with a certificate that is trusted."""
    skip_without(DOVECOT)
    with Dovecot(host=ADDRESS) as running:
        dns.set("imap.customer.example", "A", ADDRESS)
        monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate.ca_file))
        yield running


@pytest.fixture
async def own_database(database: None, database_url: str) -> AsyncIterator[str]:
    """The URL of a database that nobody else uses: workers of these tests take all that is due."""
    async with make_own_database(database_url) as url:
        yield url
