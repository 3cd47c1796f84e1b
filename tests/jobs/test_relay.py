"""A smarthost: signed in to under TLS, and never told the password otherwise."""

from typing import Any

import pytest

from postlane.core.database import fetch
from postlane.jobs.transports import Relay
from tests.delivery.spool import make_spooled
from tests.jobs.sending import drain_queue, sending
from tests.sink import Sink


async def attempt(sink: Sink, query: str = "?tls=verified", password: str = "p%40ss") -> Any:
    """Send one message by way of the sink, and return what its attempt says."""
    spooled = await make_spooled("ada@anywhere.example")
    url = f"smtp://shop:{password}@localhost:{sink.port}{query}"
    async with sending(Relay(url, hostname="mail.postlane.test", ca_file=sink.ca_file)) as outbound:
        await drain_queue(outbound, spooled.queue_id)
    rows = await fetch(
        "SELECT verdict, code, tls_version, tls_verified, tls_policy FROM attempts "
        "WHERE delivery_id = {}",
        spooled.deliveries["ada@anywhere.example"],
    )
    assert len(rows) == 1
    return tuple(rows[0].values())


@pytest.fixture
def smarthost(sink: Sink) -> Sink:
    """A sink that asks who is there, and speaks TLS."""
    sink.manner.login = ("shop", "p@ss")
    sink.manner.starttls = "on"
    return sink


async def test_a_smarthost_is_signed_in_to_under_verified_tls(
    database: None, smarthost: Sink
) -> None:
    assert await attempt(smarthost) == ("delivered", 250, "TLSv1.3", True, "verified")
    assert [message.tls for message in smarthost.messages] == [True]


@pytest.mark.parametrize(
    ("query", "manner"),
    [
        ("?tls=verified", {"certificate_names": ("x.example",)}),
        ("?tls=verified", {"certificate_expired": True}),
        ("?tls=verified", {"starttls": "off"}),
        ("", {"starttls": "off"}),
        ("", {"starttls": "broken"}),
        ("?tls=opportunistic", {"starttls": "refused"}),
    ],
)
async def test_the_password_is_not_told_to_anybody_else(
    database: None, smarthost: Sink, query: str, manner: dict[str, Any]
) -> None:
    for name, value in manner.items():
        setattr(smarthost.manner, name, value)

    verdict, *_ = await attempt(smarthost, query)

    assert verdict == "deferred"
    assert smarthost.book.commands["AUTH"] == 0
    assert smarthost.messages == []


async def test_a_wrong_password_defers(database: None, smarthost: Sink) -> None:
    verdict, code, *_ = await attempt(smarthost, password="other")

    assert (verdict, code) == ("deferred", 535)
    assert smarthost.messages == []
