"""MTA-STS: what the policy of a domain makes of its mail, and what may not unmake it."""

from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.delivery.work import KeptPolicy, keep_policy
from postlane.jobs.outbound import Outbound
from postlane.jobs.transports import Direct
from postlane.mail.dns import Resolver
from tests.certificates import make_certificate
from tests.delivery.spool import make_spooled
from tests.dns_server import DnsServer
from tests.jobs.sending import LOOPBACK, drain_queue, sending
from tests.sink import Sink
from tests.web_server import WebServer

PATH = "/.well-known/mta-sts.txt"
NAMES = ("mx.good.example", "mta-sts.good.example")
"""What the one certificate of these tests is good for: the exchanger's, and the policy's server."""

WEB = "127.0.0.2"
"""Where policies are; the one private address that may be asked."""

LIVES = 86_400


@pytest.fixture
def web(dns: DnsServer) -> Iterator[WebServer]:
    """Where `good.example` keeps its policy."""
    dns.set("mta-sts.good.example", "A", WEB)
    try:
        with WebServer(NAMES, host=WEB, wanted_port=443) as server:
            yield server
    except PermissionError:
        pytest.skip("only the superuser may listen on port 443 here")


@pytest.fixture
async def outbound(database: None, sink: Sink, dns: DnsServer) -> AsyncIterator[Outbound]:
    """The sending side of a worker that trusts the authority of the tests.

    The sink serves `good.example` as `mx.good.example`, with a certificate for that name.
    """
    await fetch("DELETE FROM sts_policies")
    dns.set("good.example", "MX", "10 mx.good.example")
    dns.set("mx.good.example", "A", "127.0.0.1")
    sink.manner.starttls = "on"
    sink.manner.certificate_names = NAMES
    async with sending(transport(dns, sink)) as opened:
        yield opened


def transport(dns: DnsServer, sink: Sink) -> Direct:
    """Return the way to exchangers, with nothing remembered."""
    return Direct(
        Resolver([dns.server]),
        port=sink.port,
        hostname="mail.postlane.test",
        allowed=[ip_network(f"{WEB}/32")],
        exchangers=LOOPBACK,
        ca_file=str(make_certificate(*NAMES).ca_file),
    )


def publish(
    dns: DnsServer,
    web: WebServer,
    *,
    mode: str = "enforce",
    mx: str = "mx.good.example",
    id: str = "one",
) -> None:
    """Let `good.example` have a policy."""
    dns.set("_mta-sts.good.example", "TXT", f"v=STSv1; id={id}", ttl=0)
    policy = f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {LIVES}\n"
    web.set(PATH, policy.encode(), "text/plain")


async def attempt(outbound: Outbound) -> dict[str, Any]:
    """Send one message to `good.example` and return its only attempt."""
    spooled = await make_spooled("ada@good.example")
    await drain_queue(outbound, spooled.queue_id)
    rows = await fetch(
        "SELECT verdict, enhanced_code, reply, tls_version, tls_verified, tls_policy FROM attempts "
        "WHERE delivery_id = {}",
        spooled.deliveries["ada@good.example"],
    )
    assert len(rows) == 1
    return dict(rows[0])


async def test_an_enforced_policy_is_kept_to(
    outbound: Outbound, sink: Sink, dns: DnsServer, web: WebServer
) -> None:
    publish(dns, web)

    made = await attempt(outbound)

    assert (made["verdict"], made["tls_version"], made["tls_verified"], made["tls_policy"]) == (
        "delivered",
        "TLSv1.3",
        True,
        "mta_sts",
    )
    assert [message.tls for message in sink.messages] == [True]


@pytest.mark.parametrize(
    ("manner", "words"),
    [
        ({"starttls": "off"}, "does not offer it"),
        ({"starttls": "broken"}, "STARTTLS failed"),
        ({"starttls": "refused"}, "STARTTLS failed"),
        ({"certificate_names": ("other.example",)}, "certificate"),
        ({"certificate_expired": True}, "certificate"),
    ],
)
async def test_an_enforced_policy_takes_no_less(
    outbound: Outbound,
    sink: Sink,
    dns: DnsServer,
    web: WebServer,
    manner: dict[str, Any],
    words: str,
) -> None:
    publish(dns, web)
    for name, value in manner.items():
        setattr(sink.manner, name, value)

    made = await attempt(outbound)

    assert (made["verdict"], made["enhanced_code"], made["tls_policy"]) == (
        "deferred",
        "4.7.5",
        "mta_sts",
    )
    assert words in made["reply"]
    assert sink.messages == []


async def test_a_host_that_the_policy_does_not_name_gets_nothing(
    outbound: Outbound, sink: Sink, dns: DnsServer, web: WebServer
) -> None:
    publish(dns, web, mx="*.elsewhere.example")

    made = await attempt(outbound)

    assert (made["verdict"], made["tls_policy"]) == ("deferred", None)
    assert "MTA-STS policy" in made["reply"]
    assert sink.book.connections == 0


async def test_the_host_that_the_policy_names_is_taken_though_it_is_not_the_best(
    outbound: Outbound, sink: Sink, dns: DnsServer, web: WebServer
) -> None:
    dns.set("good.example", "MX", "1 mx.evil.example", "10 mx.good.example")
    dns.set("mx.evil.example", "A", "127.0.0.1")
    publish(dns, web)

    made = await attempt(outbound)

    assert made["verdict"] == "delivered"
    assert sink.book.connections == 1


@pytest.mark.parametrize("mode", ["testing", "none"])
async def test_a_policy_that_is_only_tested_refuses_nothing(
    outbound: Outbound, sink: Sink, dns: DnsServer, web: WebServer, mode: str
) -> None:
    publish(dns, web, mode=mode, mx="mx.elsewhere.example")
    sink.manner.starttls = "off"

    made = await attempt(outbound)

    assert (made["verdict"], made["tls_policy"]) == ("delivered", "opportunistic")


async def test_a_policy_is_fetched_once(
    outbound: Outbound, sink: Sink, dns: DnsServer, web: WebServer
) -> None:
    publish(dns, web)

    await attempt(outbound)
    await attempt(outbound)
    async with sending(transport(dns, sink)) as another_worker:
        made = await attempt(another_worker)

    assert made["tls_policy"] == "mta_sts"
    assert len(web.asked) == 1


@pytest.mark.parametrize("attack", ["web is down", "redirect", "nonsense", "no record", "SERVFAIL"])
async def test_a_policy_that_was_seen_holds_until_it_expires(
    outbound: Outbound, sink: Sink, dns: DnsServer, web: WebServer, attack: str
) -> None:
    publish(dns, web)
    await attempt(outbound)
    sink.manner.starttls = "off"
    publish(dns, web, mode="none", id="two")
    if attack == "web is down":
        dns.set("mta-sts.good.example", "A", "127.0.0.9")
    elif attack == "redirect":
        web.redirect(PATH, "https://mta-sts.good.example/other")
    elif attack == "nonsense":
        web.set(PATH, b"<html>It works!</html>", "text/plain")
    elif attack == "no record":
        dns.set("_mta-sts.good.example", "TXT")
    else:
        dns.fail("_mta-sts.good.example", "SERVFAIL")
    async with sending(transport(dns, sink)) as another_worker:
        made = await attempt(another_worker)

    assert (made["verdict"], made["tls_policy"]) == ("deferred", "mta_sts")
    assert len(sink.messages) == 1


async def test_a_policy_that_was_withdrawn_under_another_id_is_gone(
    outbound: Outbound, sink: Sink, dns: DnsServer, web: WebServer
) -> None:
    publish(dns, web)
    await attempt(outbound)
    publish(dns, web, mode="none", id="two")
    sink.manner.starttls = "off"
    async with sending(transport(dns, sink)) as another_worker:
        made = await attempt(another_worker)

    assert (made["verdict"], made["tls_policy"]) == ("delivered", "opportunistic")


@pytest.mark.parametrize("how", ["redirect", "404", "wrong type", "certificate"])
async def test_a_policy_that_cannot_be_read_is_none(
    outbound: Outbound, sink: Sink, dns: DnsServer, web: WebServer, how: str
) -> None:
    publish(dns, web)
    if how == "redirect":
        web.redirect(PATH, "https://mta-sts.good.example/policy")
        web.set("/policy", b"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 9\n", "text/plain")
    elif how == "404":
        web.pages.clear()
    elif how == "wrong type":
        web.set(PATH, b"version: STSv1\nmode: enforce\nmx: a.b\nmax_age: 9\n", "text/html")
    else:
        dns.set("_mta-sts.dest.example", "TXT", "v=STSv1; id=one")
        dns.set("mta-sts.dest.example", "A", WEB)
        dns.set("good.example", "MX", "10 mx.good.example")
    if how == "certificate":
        spooled = await make_spooled("ada@dest.example")
        await drain_queue(outbound, spooled.queue_id)
        assert await spooled.state() == "delivered"
        return
    made = await attempt(outbound)

    assert (made["verdict"], made["tls_policy"]) == ("delivered", "opportunistic")


async def test_an_expired_policy_does_not_hold(
    outbound: Outbound, sink: Sink, dns: DnsServer
) -> None:
    now = clock.now()
    text = "version: STSv1\nmode: enforce\nmx: mx.elsewhere.example\nmax_age: 60\n"
    await keep_policy(KeptPolicy("good.example", "one", text, now, now))

    made = await attempt(outbound)

    assert (made["verdict"], made["tls_policy"]) == ("delivered", "opportunistic")
