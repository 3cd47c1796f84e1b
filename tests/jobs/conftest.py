"""Names that lead to the sink, the sending side of one worker, and databases of their own."""

from collections.abc import AsyncIterator

import pytest

from postlane.jobs.outbound import Outbound
from tests.dns_server import DnsServer
from tests.jobs.sending import direct, sending
from tests.sink import Sink
from tests.workers import own_database as make_own_database


@pytest.fixture
def dns(dns: DnsServer) -> DnsServer:
    """The DNS server, which knows `dest.example` and `other.example`; the sink serves both."""
    dns.set("mx.sink.example", "A", "127.0.0.1")
    for domain in ("dest.example", "other.example"):
        dns.set(domain, "MX", "10 mx.sink.example")
    return dns


@pytest.fixture
async def outbound(database: None, sink: Sink, dns: DnsServer) -> AsyncIterator[Outbound]:
    """The sending side of a worker, to the sink."""
    async with sending(direct(dns, sink.port)) as opened:
        yield opened


@pytest.fixture
async def own_database(database: None, database_url: str) -> AsyncIterator[str]:
    """The URL of a database that nobody else uses; the test is connected to it."""
    async with make_own_database(database_url) as url:
        yield url
