"""A mail sink and a DNS server for the tests of `postlane.mail`."""

from collections.abc import Iterator

import pytest

from tests.dns_server import DnsServer
from tests.sink import Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A mail exchanger that has taken nothing yet."""
    with Sink() as running:
        yield running


@pytest.fixture
def dns_server() -> Iterator[DnsServer]:
    """A DNS server that knows no name."""
    with DnsServer() as running:
        yield running
