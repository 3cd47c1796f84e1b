"""A sink, a DNS server that leads to it, and the sending side of one worker."""

from collections.abc import AsyncIterator, Iterator

import pytest

from postlane.jobs.outbound import Outbound
from tests.dns_server import DnsServer
from tests.jobs.sending import direct, sending
from tests.sink import Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A mail exchanger that fails as the recipient's local part asks."""
    with Sink() as opened:
        yield opened


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    """A DNS server that knows `dest.example` and `other.example`, both served by the sink."""
    with DnsServer() as server:
        server.set("mx.sink.example", "A", "127.0.0.1")
        for domain in ("dest.example", "other.example"):
            server.set(domain, "MX", "10 mx.sink.example")
        yield server


@pytest.fixture
async def outbound(database: None, sink: Sink, dns: DnsServer) -> AsyncIterator[Outbound]:
    """The sending side of a worker, to the sink."""
    async with sending(direct(dns, sink.port)) as opened:
        yield opened
