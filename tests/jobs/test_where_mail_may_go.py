"""Where direct delivery does not go, whatever strangers publish: private networks, ourselves."""

import pytest

from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.delivery.work import find_queue
from postlane.jobs.outbound import Way
from postlane.vmtas.tables import Vmta
from tests.delivery.spool import Spooled, make_spooled
from tests.dns_server import DnsServer
from tests.jobs.sending import direct, drain_queue, sending
from tests.sink import Sink

PRIVATE = [
    ("A", "127.0.0.1"),
    ("A", "0.0.0.0"),
    ("A", "10.0.0.1"),
    ("A", "100.64.0.1"),
    ("A", "169.254.169.254"),
    ("A", "172.16.0.1"),
    ("A", "192.168.1.1"),
    ("A", "224.0.0.1"),
    ("AAAA", "::1"),
    ("AAAA", "fd00::1"),
    ("AAAA", "fe80::1"),
    ("AAAA", "::ffff:7f00:1"),
    ("AAAA", "64:ff9b::7f00:1"),
]


def publish(dns: DnsServer, kind: str, address: str) -> str:
    """Return a domain whose only exchanger has the address."""
    name = f"d{new_id().hex}.example"
    dns.set(f"mx.{name}", kind, address)
    dns.set(name, "MX", f"10 mx.{name}")
    return name


async def attempt(dns: DnsServer, sink: Sink, spooled: Spooled) -> tuple[str, str, str, str]:
    """Attempt a message where no private network is allowed; return what became of it."""
    async with sending(direct(dns, sink.port, exchangers=())) as outbound:
        await drain_queue(outbound, spooled.queue_id)
    (tried,) = await spooled.attempts()
    return tried["verdict"], tried["bounce_class"], tried["enhanced_code"], tried["reply"]


@pytest.mark.parametrize(("kind", "address"), PRIVATE)
async def test_an_exchanger_at_a_private_address_gets_nothing(
    database: None, dns: DnsServer, sink: Sink, kind: str, address: str
) -> None:
    spooled = await make_spooled(f"ada@{publish(dns, kind, address)}")

    found = await attempt(dns, sink, spooled)

    assert found[:3] == ("bounced", "policy_rejected", "5.4.4")
    assert "private" in found[3]
    assert sink.book.connections == 0
    # It says nothing of the recipient.
    assert not await fetch(
        "SELECT FROM suppressions WHERE organization_id = {}", spooled.organization.id
    )


async def test_a_domain_without_mx_leads_to_no_private_address_either(
    database: None, dns: DnsServer, sink: Sink
) -> None:
    name = f"d{new_id().hex}.example"
    dns.set(name, "A", "127.0.0.1")

    found = await attempt(dns, sink, await make_spooled(f"ada@{name}"))

    assert found[:3] == ("bounced", "policy_rejected", "5.4.4")


async def test_public_addresses_among_private_ones_are_what_is_tried(
    database: None, dns: DnsServer, sink: Sink
) -> None:
    name = f"d{new_id().hex}.example"
    dns.set(f"one.{name}", "A", "10.0.0.1", "8.8.4.4")
    dns.set(f"two.{name}", "A", "192.168.1.1")
    dns.set(name, "MX", f"5 two.{name}", f"10 one.{name}")
    queue = await find_queue((await make_spooled(f"ada@{name}")).queue_id)
    assert queue is not None

    way = await direct(dns, sink.port, exchangers=()).find_way(queue)

    assert isinstance(way, Way)
    assert [(host.name, host.address) for host in way.hosts] == [(f"one.{name}", "8.8.4.4")]


async def test_a_network_that_the_operator_allows_is_reached(
    database: None, dns: DnsServer, sink: Sink
) -> None:
    spooled = await make_spooled(f"ada@{publish(dns, 'A', '127.0.0.1')}")

    async with sending(direct(dns, sink.port)) as outbound:
        await drain_queue(outbound, spooled.queue_id)

    assert await spooled.state() == "delivered"


@pytest.mark.parametrize("name", ["mail.postlane.test", "mta7.postlane.test"])
async def test_mail_to_ourselves_is_refused(
    database: None, dns: DnsServer, sink: Sink, name: str
) -> None:
    """Under the deployment's name as under the name that the vMTA says at EHLO."""
    domain = f"d{new_id().hex}.example"
    dns.set(name, "A", "127.0.0.1")
    dns.set(domain, "MX", f"10 {name}")
    vmta = Vmta(name=f"v{new_id().hex}", hostname="mta7.postlane.test", pool="ourselves")
    await vmta.save()
    spooled = await make_spooled(f"ada@{domain}", vmta_id=vmta.id)

    found = await attempt(dns, sink, spooled)
    # Shared no longer than this takes: all tests have one database.
    await Vmta.update({Vmta.organization_id: spooled.organization.id}).where(Vmta.id == vmta.id)

    assert found[:3] == ("bounced", "policy_rejected", "5.4.6")
    assert sink.book.connections == 0
