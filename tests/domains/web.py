"""A web server that the product may reach: where brands keep logos and domains their policies."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from postlane.core.settings import settings
from tests.certificates import make_certificate
from tests.dns_server import DnsServer
from tests.web_server import WebServer

BRAND = "brand.example"
NAMES = (BRAND, "mta-sts.sts.example")
"""What the certificate is good for."""

ADDRESS = "127.0.0.2"
"""The one private address that the operator of the tests allows."""


@contextmanager
def reachable_web(
    dns: DnsServer, monkeypatch: pytest.MonkeyPatch, *, port: int = 0
) -> Iterator[WebServer]:
    """Run a web server under NAMES whose certificate is trusted and whose address is allowed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(*NAMES).ca_file))
    monkeypatch.setenv("POSTLANE_PRIVATE_DESTINATIONS", f"{ADDRESS}/32")
    settings.cache_clear()
    for name in NAMES:
        dns.set(name, "A", ADDRESS)
    try:
        with WebServer(NAMES, host=ADDRESS, wanted_port=port) as server:
            yield server
    finally:
        monkeypatch.undo()
        settings.cache_clear()
