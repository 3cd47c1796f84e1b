"""Greylisting over a real socket: who comes again gets in, who does not stays out."""

import asyncio
import smtplib
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor, Role
from postlane.core.database import fetch
from postlane.core.settings import Address
from postlane.greylisting import work
from postlane.greylisting.rules import Arrival, Decision, network_of, read_exemptions
from postlane.greylisting.work import judge, remove_what_is_over
from postlane.smtp.listener import InboundListener
from tests.billing.setup import settings_with
from tests.client import Client
from tests.dns_server import DnsServer
from tests.factories import make_actor
from tests.mail.report_shapes import STANDARD
from tests.smtp.test_inbound import deliver, hand_over

__all__ = ["deliver"]

HARD = {shape.name: shape for shape in STANDARD}["postfix"].data
MAIL = b"From: a@example.com\r\nSubject: Hi\r\n\r\nHello\r\n"
STATS = """{ organization { greylistingStats { inbound {
    enabled triplets deferred passed expired pending exempted autoAllowedClients passRate
    medianDelaySeconds topDeferredNetworks { network deferred } } } } }"""
SET = """mutation ($input: SetGreylistingInput!) { setGreylisting(input: $input) { config {
    enabled delaySeconds retryWindowSeconds exempt { networks domains reports } } } }"""
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
async def listener(database: None) -> AsyncIterator[InboundListener]:
    started = InboundListener(hostname="mail.postlane.test")
    await started.start(Address("127.0.0.1", 0))
    yield started
    await started.stop()


@pytest.fixture
def greylisting(dns: DnsServer) -> Iterator[None]:
    """A deployment that greylists; nobody is known to it."""
    work._known.clear()
    with settings_with(greylisting="on"):
        yield


def sender() -> str:
    """Return a sender that was not seen yet."""
    return f"{''.join(chr(97 + int(c, 16)) for c in uuid.uuid4().hex)}@stranger.example"


async def of(actor: Actor) -> Arrival:
    """Return an arrival at an organization, from somebody new."""
    peer = f"198.51.{uuid.uuid4().int % 100}.{uuid.uuid4().int % 250}"
    return Arrival(actor.organization_id, peer, sender(), "bounce@example.com", "mx.example")


async def at(arrival: Arrival, **later: float) -> Decision | None:
    """Return what is decided about an arrival so much after noon."""
    with clock.frozen(NOON + timedelta(**later)):
        return await judge(arrival, is_report=False)


async def test_who_comes_again_in_time_gets_in_and_stays_in(
    listener: InboundListener, greylisting: None
) -> None:
    who = sender()

    with clock.frozen(NOON):
        first = await hand_over(listener, "postmaster", MAIL, sender=who)
    with clock.frozen(NOON + timedelta(minutes=1)):
        hasty = await hand_over(listener, "postmaster", MAIL, sender=who)
    with clock.frozen(NOON + timedelta(minutes=6)):
        again = await hand_over(listener, "postmaster", MAIL, sender=who)
    with clock.frozen(NOON + timedelta(days=20)):
        later = await hand_over(listener, "postmaster", MAIL, sender=who)

    assert (first, hasty) == ([250, 451], [250, 451])
    assert (again, later) == ([250, 250, 250], [250, 250, 250])


async def test_who_does_not_come_again_stays_out(
    listener: InboundListener, greylisting: None
) -> None:
    """A program that sends once with each sender it makes up."""
    with clock.frozen(NOON):
        codes = [await hand_over(listener, "postmaster", MAIL, sender=sender()) for _ in range(5)]

    assert codes == [[250, 451]] * 5
    assert (
        await fetch(
            "SELECT FROM infrastructure_reports WHERE peer = '127.0.0.1'  AND created_at = {}",
            NOON,
        )
        == []
    )


async def test_a_client_that_keeps_its_queue_as_rfc_5321_says_gets_through(
    listener: InboundListener, greylisting: None
) -> None:
    """It tries again every half an hour (section 4.5.4.1) until it is told 250."""
    who, tried = sender(), []

    def attempt() -> int:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=20) as client:
            client.ehlo("mx.stranger.example")
            client.mail(who)
            code = client.rcpt("abuse")[0]
            return client.data(MAIL)[0] if code == 250 else code

    for half_hours in range(4):
        with clock.frozen(NOON + timedelta(minutes=30 * half_hours)):
            tried.append(await asyncio.to_thread(attempt))
        if tried[-1] == 250:
            break

    assert tried == [451, 250]


async def test_the_reply_is_the_one_that_is_told(
    listener: InboundListener, greylisting: None
) -> None:
    def have() -> tuple[int, bytes]:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=20) as client:
            client.ehlo("mx.example")
            client.mail(sender())
            return client.rcpt("postmaster")

    assert await asyncio.to_thread(have) == (451, b"4.7.1 Greylisted, please try again later")


@pytest.mark.parametrize(
    ("later", "decision"),
    [
        ({"minutes": 4, "seconds": 59}, Decision.DEFERRED),
        ({"minutes": 5}, Decision.PASSED),
        ({"hours": 48}, Decision.PASSED),
        ({"hours": 48, "seconds": 1}, Decision.DEFERRED),
    ],
)
async def test_a_triplet_passes_after_the_delay_and_within_the_window(
    greylisting: None, database: None, later: dict[str, float], decision: Decision
) -> None:
    arrival = await of(await make_actor())

    assert await at(arrival) is Decision.DEFERRED
    assert await at(arrival, **later) is decision


async def test_a_triplet_is_forgotten_when_it_was_not_seen_for_long(
    greylisting: None, database: None
) -> None:
    arrival = await of(await make_actor())
    await at(arrival)
    await at(arrival, minutes=6)

    assert await at(arrival, days=35) is Decision.KNOWN
    assert await at(arrival, days=71) is Decision.DEFERRED


async def test_a_network_that_has_passed_five_times_passes_with_everything(
    greylisting: None, database: None
) -> None:
    actor = await make_actor()
    peer = "198.51.100.7"
    for _ in range(5):
        arrival = Arrival(actor.organization_id, peer, sender(), "a@example.com")
        await at(arrival)
        assert await at(arrival, minutes=10) is Decision.PASSED

    neighbour = Arrival(actor.organization_id, "198.51.100.200", sender(), "b@example.com")
    stranger = Arrival(actor.organization_id, "198.51.101.7", sender(), "b@example.com")
    other = Arrival((await make_actor()).organization_id, peer, sender(), "b@example.com")

    assert await at(neighbour, minutes=11) is Decision.KNOWN
    assert await at(stranger, minutes=11) is Decision.DEFERRED
    assert await at(other, minutes=11) is Decision.DEFERRED
    assert await at(neighbour, days=36) is Decision.DEFERRED


async def test_neighbours_are_one_client(greylisting: None, database: None) -> None:
    actor, who = await make_actor(), sender()
    first = Arrival(actor.organization_id, "2001:db8:1:2::5", who, "a@example.com")
    again = Arrival(actor.organization_id, "2001:db8:1:2:ffff::9", who, "a@example.com")
    elsewhere = Arrival(actor.organization_id, "2001:db8:1:3::5", who, "a@example.com")

    assert await at(first) is Decision.DEFERRED
    assert await at(elsewhere, minutes=6) is Decision.DEFERRED
    assert await at(again, minutes=6) is Decision.PASSED


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.99", "192.0.2.0/24"),
        ("::ffff:192.0.2.99", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::/64"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_client_is_told_by_its_network(peer: str, network: str) -> None:
    assert network_of(peer) == network


async def test_a_sender_that_changes_its_tag_for_each_try_is_one_sender(
    greylisting: None, database: None
) -> None:
    actor = await make_actor()
    one, two = (
        Arrival(actor.organization_id, "198.51.100.7", f"list-{n}+{n}@lists.example", "a@b.c")
        for n in (1471, 1472)
    )

    await at(one)

    assert await at(two, minutes=6) is Decision.PASSED


async def test_a_known_sender_is_told_by_a_name_that_leads_back(
    greylisting: None, database: None, dns: DnsServer
) -> None:
    actor = await make_actor()
    dns.set("9.8.51.198.in-addr.arpa", "PTR", "mail-1.google.com")
    dns.set("mail-1.google.com", "A", "198.51.8.9")
    dns.set("10.9.51.198.in-addr.arpa", "PTR", "mail-2.google.com")
    dns.set("mail-2.google.com", "A", "203.0.113.1")
    real = Arrival(actor.organization_id, "198.51.8.9", sender(), "a@example.com")
    liar = Arrival(actor.organization_id, "198.51.9.10", sender(), "a@example.com")

    assert await at(real) is Decision.EXEMPTED
    assert await at(liar) is Decision.DEFERRED


async def test_a_known_sender_is_told_by_spf(
    greylisting: None, database: None, dns: DnsServer
) -> None:
    actor = await make_actor()
    dns.set("partner.example", "TXT", "v=spf1 ip4:198.51.14.0/24 -all")
    with settings_with(greylisting="on", greylisting_exempt="partner.example"):
        allowed = Arrival(actor.organization_id, "198.51.14.9", "a@partner.example", "a@b.c")
        forged = Arrival(actor.organization_id, "198.51.15.9", "a@partner.example", "a@b.c")

        assert await at(allowed) is Decision.EXEMPTED
        assert await at(forged) is Decision.DEFERRED


async def test_networks_of_the_operator_are_exempt(greylisting: None, database: None) -> None:
    arrival = await of(await make_actor())
    with settings_with(greylisting="on", greylisting_exempt="198.51.0.0/16"):
        assert await at(arrival) is Decision.EXEMPTED


async def test_a_bounce_to_a_signed_address_is_not_put_off(
    listener: InboundListener, deliver: Any
) -> None:
    spooled, path = await deliver()

    with settings_with(greylisting="on"):
        bounce = await hand_over(listener, path, HARD)
        written = await hand_over(listener, path, MAIL, sender=sender())

    assert bounce == [250, 250, 250]
    assert written == [250, 451]
    assert await spooled.state() == "bounced"


async def test_an_organization_may_put_reports_off(
    client: Client, listener: InboundListener, deliver: Any
) -> None:
    spooled, path = await deliver()
    owner = await make_actor(spooled.organization)

    await client.data(SET, {"input": {"enabled": True, "reports": True}}, actor=owner)
    codes = await hand_over(listener, path, HARD)

    assert codes == [250, 451]
    assert await spooled.state() == "delivered"


async def test_where_it_is_off_nobody_is_put_off(database: None) -> None:
    arrival = await of(await make_actor())

    assert await at(arrival) is None
    assert await fetch("SELECT FROM greylist_triplets WHERE id = {}", arrival.triplet_id) == []


async def test_statistics_say_what_happened(
    client: Client, greylisting: None, database: None
) -> None:
    actor, stranger = await make_actor(), await make_actor()
    passing, waiting, gone = [await of(actor) for _ in range(3)]
    await at(gone, hours=-60)
    await at(passing)
    await at(passing, minutes=10)
    await at(waiting, minutes=1)
    await at(waiting, minutes=2)
    with clock.frozen(NOON + timedelta(minutes=3)):
        await judge(waiting, is_report=True)
        await remove_what_is_over()

    with clock.frozen(NOON + timedelta(minutes=30)):
        found = await client.data(STATS, actor=actor)
        theirs = await client.data(STATS, actor=stranger)

    inbound = found["organization"]["greylistingStats"]["inbound"]
    assert inbound == {
        "enabled": True,
        "triplets": 2,
        "deferred": 3,
        "passed": 1,
        "expired": 1,
        "pending": 1,
        "exempted": 1,
        "autoAllowedClients": 0,
        "passRate": 50.0,
        "medianDelaySeconds": 600,
        "topDeferredNetworks": [{"network": waiting.network, "deferred": 2}],
    }
    empty = theirs["organization"]["greylistingStats"]["inbound"]
    assert (empty["triplets"], empty["pending"], empty["passRate"]) == (0, 0, None)


async def test_an_organization_decides_for_its_addresses(client: Client) -> None:
    actor = await make_actor()

    data = await client.data(
        SET,
        {"input": {"enabled": True, "delaySeconds": 60, "exempt": ["192.0.2.0/24", "A.example"]}},
        actor=actor,
    )

    assert data["setGreylisting"]["config"] == {
        "enabled": True,
        "delaySeconds": 60,
        "retryWindowSeconds": 172800,
        "exempt": {"networks": ["192.0.2.0/24"], "domains": ["a.example"], "reports": True},
    }
    arrival = await of(actor)
    assert await at(arrival) is Decision.DEFERRED
    assert await at(arrival, seconds=61) is Decision.PASSED


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"delaySeconds": 0}, ("delaySeconds", "TOO_SMALL")),
        ({"delaySeconds": 3601}, ("delaySeconds", "TOO_LARGE")),
        ({"retryWindowSeconds": 60}, ("retryWindowSeconds", "TOO_SMALL")),
        ({"maxAgeSeconds": 86400}, ("maxAgeSeconds", "TOO_SMALL")),
        ({"autoAllowAfter": 0}, ("autoAllowAfter", "TOO_SMALL")),
        ({"exempt": ["192.0.2.0/33"]}, ("exempt[0]", "INVALID_FORMAT")),
        ({"exempt": ["a.example", "nothing"]}, ("exempt[1]", "INVALID_FORMAT")),
        ({"exempt": ["a.example"] * 201}, ("exempt", "TOO_MANY")),
    ],
)
async def test_a_policy_that_breaks_a_rule_is_refused(
    client: Client, values: dict[str, Any], detail: tuple[str, str]
) -> None:
    actor = await make_actor()

    body = await client.graphql(SET, {"input": values}, actor=actor)

    (found,) = body["errors"][0]["extensions"]["details"]
    assert (found["field"].removeprefix("input."), found["code"]) == detail
    rows = await fetch(
        "SELECT FROM greylist_policies WHERE organization_id = {}", actor.organization_id
    )
    assert rows == []


async def test_a_developer_changes_no_policy(client: Client) -> None:
    developer = await make_actor(role=Role.DEVELOPER)

    assert await client.refusal(SET, {"input": {}}, actor=developer) == "INSUFFICIENT_ROLE"


@pytest.mark.parametrize("value", ["nothing", "192.0.2.1/33", "a b.example", "1.2.3"])
def test_what_is_neither_network_nor_domain_is_no_exemption(value: str) -> None:
    with pytest.raises(ValueError, match="no network and no domain"):
        read_exemptions(value)
