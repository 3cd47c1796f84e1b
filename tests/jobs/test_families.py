"""IPv4 and IPv6: each exchanger over what it has and what the vMTA's address can reach."""

import socket
from ipaddress import ip_network

import pytest

from postlane.core.ids import new_id
from postlane.vmtas.tables import Vmta
from tests.delivery.spool import Spooled, make_spooled
from tests.dns_server import DnsServer
from tests.factories import make_organization
from tests.jobs.sending import direct, drain_queue, sending
from tests.sink import Sink

LOOPBACKS = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def has_ipv6() -> bool:
    """Say whether this machine has IPv6, be it for itself alone."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def publish(dns: DnsServer, *addresses: str) -> str:
    """Return a domain whose only exchanger has the addresses."""
    name = f"d{new_id().hex}.example"
    for address in addresses:
        dns.set(f"mx.{name}", "AAAA" if ":" in address else "A", address)
    dns.set(name, "MX", f"10 mx.{name}")
    return name


async def attempt(dns: DnsServer, sink: Sink, spooled: Spooled) -> dict[str, object]:
    async with sending(direct(dns, sink.port, exchangers=LOOPBACKS)) as outbound:
        await drain_queue(outbound, spooled.queue_id)
    (tried,) = await spooled.attempts()
    return tried


async def from_address(dns: DnsServer, address: str, *exchanger: str) -> Spooled:
    """Make a message for a vMTA that sends from *address*."""
    organization = await make_organization()
    vmta = Vmta(organization_id=organization.id, name="one", hostname="", ip_address=address)
    await vmta.save()
    domain = publish(dns, *exchanger)
    return await make_spooled(f"ada@{domain}", organization=organization, vmta_id=vmta.id)


@pytest.mark.parametrize("addresses", [("::1",), ("::1", "127.0.0.1")], ids=["alone", "beside"])
async def test_an_exchanger_at_an_ipv6_address_gets_its_mail(
    database: None, dns: DnsServer, addresses: tuple[str, ...]
) -> None:
    spooled = await make_spooled(f"ada@{publish(dns, *addresses)}")

    with Sink(host="::1") as sink:
        tried = await attempt(dns, sink, spooled)

    assert (tried["verdict"], tried["mx_address"]) == ("delivered", "::1")
    assert [message.recipient for message in sink.messages] == list(spooled.deliveries)


async def test_an_ipv6_address_of_ours_reaches_what_has_one_too(
    database: None, dns: DnsServer
) -> None:
    spooled = await from_address(dns, "::1", "127.0.0.1", "::1")

    with Sink(host="::1") as sink:
        tried = await attempt(dns, sink, spooled)

    assert (tried["verdict"], tried["mx_address"]) == ("delivered", "::1")
    assert tried["source_address"] == "::1"


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (
            "127.0.0.1",
            "::1",
            "the domain's hosts have IPv6 addresses only, and the vMTA's address is IPv4",
        ),
        (
            "::1",
            "127.0.0.1",
            "the domain's hosts have IPv4 addresses only, and the vMTA's address is IPv6",
        ),
    ],
)
async def test_an_address_that_cannot_reach_the_exchanger_says_so_and_waits(
    database: None, dns: DnsServer, ours: str, theirs: str, said: str
) -> None:
    spooled = await from_address(dns, ours, theirs)

    with Sink(host=theirs) as sink:
        tried = await attempt(dns, sink, spooled)

    assert tried["verdict"] == "deferred"
    assert tried["reply"] == said
    assert sink.book.connections == 0
