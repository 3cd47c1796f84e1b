"""Scanning by policy: what is sent, what is taken, and what a scanner that is down does to both."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.core.settings import Address
from postlane.scanning.policies import forget
from postlane.smtp.listener import InboundListener
from tests.billing.setup import settings_with
from tests.client import Client
from tests.delivery.spool import Spooled, make_spooled
from tests.dns_server import DnsServer
from tests.factories import make_actor
from tests.jobs.sending import direct, drain_queue, sending
from tests.mail.report_shapes import STANDARD
from tests.parts import CLAMD, RSPAMD, needs
from tests.scanners import EICAR, GTUBE
from tests.sink import Sink
from tests.smtp.test_inbound import hand_over

NOWHERE = "127.0.0.1:9"
HARD = {shape.name: shape for shape in STANDARD}["postfix"].data
SET = """
    mutation ($input: SetScanPolicyInput!) { setScanPolicy(input: $input) { policy {
      outgoingVirus outgoingSpam inboundVirus inboundSpam spamThreshold whenDown } } }
"""
Drain = Callable[..., Any]


@pytest.fixture
def drain(database: None, sink: Sink, dns: DnsServer) -> Drain:
    """Send what waits in the queues of a message."""
    dns.set("mx.sink.example", "A", "127.0.0.1")
    for domain in ("dest.example", "other.example"):
        dns.set(domain, "MX", "10 mx.sink.example")

    async def really(spooled: Spooled) -> None:
        async with sending(direct(dns, sink.port)) as outbound:
            for queue_id in spooled.queues.values():
                await drain_queue(outbound, queue_id)

    return really


@pytest.fixture
async def inbound(database: None) -> AsyncIterator[InboundListener]:
    listener = InboundListener(hostname="mail.postlane.test")
    await listener.start(Address("127.0.0.1", 0))
    yield listener
    await listener.stop()


async def scans(spooled: Spooled) -> list[tuple[str, list[str]]]:
    rows = await fetch("SELECT verdict, threats FROM scanned_messages WHERE id = {}", spooled.id)
    return [(row["verdict"], row["threats"]) for row in rows]


@needs(CLAMD)
async def test_a_message_with_a_virus_bounces_and_reaches_nobody(
    clamd: str, drain: Drain, sink: Sink
) -> None:
    with settings_with(scan_outgoing="virus"):
        spooled = await make_spooled(
            "ada@dest.example", "bob@other.example", text=EICAR.decode(), html=None
        )
        await drain(spooled)

    assert sink.messages == []
    assert await spooled.state("ada@dest.example") == "bounced"
    assert await spooled.state("bob@other.example") == "bounced"
    (attempt,) = await spooled.attempts("ada@dest.example")
    assert attempt["bounce_class"] == "content_rejected"
    assert "Eicar-Test-Signature" in attempt["reply"]
    assert await scans(spooled) == [("infected", ["Eicar-Test-Signature.UNOFFICIAL"])]


@needs(CLAMD)
async def test_a_clean_message_is_scanned_once_for_all_its_recipients(
    clamd: str, drain: Drain, sink: Sink
) -> None:
    with settings_with(scan_outgoing="virus"):
        spooled = await make_spooled("ada@dest.example", "bob@other.example")
        await drain(spooled)

    assert len(sink.messages) == 2
    assert await scans(spooled) == [("clean", [])]


@pytest.mark.slow
@needs(RSPAMD)
async def test_a_message_that_is_spam_bounces(rspamd: str, drain: Drain, sink: Sink) -> None:
    with settings_with(scan_outgoing="spam"):
        spooled = await make_spooled("ada@dest.example", text=GTUBE, html=None)
        await drain(spooled)

    assert sink.messages == []
    assert await spooled.state() == "bounced"
    assert [verdict for verdict, _ in await scans(spooled)] == ["spam"]


@needs(CLAMD)
async def test_while_the_scanner_is_down_mail_waits_and_then_goes(
    clamd: str, drain: Drain, sink: Sink
) -> None:
    with settings_with(scan_outgoing="virus", clamd=NOWHERE):
        spooled = await make_spooled("ada@dest.example")
        await drain(spooled)
    waiting = await spooled.state()

    with settings_with(scan_outgoing="virus"), clock.frozen(clock.now() + timedelta(hours=1)):
        await drain(spooled)

    assert waiting == "deferred"
    assert await spooled.state() == "delivered"
    assert len(sink.messages) == 1


async def test_where_mail_may_pass_a_scanner_that_is_down_stops_none(
    drain: Drain, sink: Sink
) -> None:
    with settings_with(scan_outgoing="virus", clamd=NOWHERE, scan_down="pass"):
        spooled = await make_spooled("ada@dest.example")
        await drain(spooled)

    assert await spooled.state() == "delivered"
    assert await scans(spooled) == []


@needs(CLAMD)
async def test_an_organization_decides_for_itself(
    client: Client, clamd: str, drain: Drain, sink: Sink
) -> None:
    actor = await make_actor()

    data = await client.data(
        SET, {"input": {"outgoingVirus": True, "whenDown": "PASS"}}, actor=actor
    )
    shown = await client.data(
        "{ organization { scanPolicy { outgoingVirus inboundSpam whenDown } } }", actor=actor
    )
    audit = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {}", actor.organization_id
    )

    assert data["setScanPolicy"]["policy"] == {
        "outgoingVirus": True,
        "outgoingSpam": False,
        "inboundVirus": False,
        "inboundSpam": False,
        "spamThreshold": 15.0,
        "whenDown": "PASS",
    }
    assert shown["organization"]["scanPolicy"] == {
        "outgoingVirus": True,
        "inboundSpam": False,
        "whenDown": "PASS",
    }
    assert [row["action"] for row in audit] == ["scan_policy.set"]


async def test_a_policy_that_cannot_be_kept_is_refused(client: Client) -> None:
    actor = await make_actor()

    for values, code in (
        ({"outgoingVirus": True}, "SCANNER_UNAVAILABLE"),
        ({"inboundSpam": True}, "SCANNER_UNAVAILABLE"),
        ({"spamThreshold": 0.1}, "INVALID_INPUT"),
        ({"spamThreshold": 21.0}, "INVALID_INPUT"),
    ):
        assert await client.refusal(SET, {"input": values}, actor=actor) == code
    developer = await make_actor(role=Role.DEVELOPER)
    assert await client.refusal(SET, {"input": {}}, actor=developer) == "INSUFFICIENT_ROLE"
    rows = await fetch(
        "SELECT FROM scan_policies WHERE organization_id = {}", actor.organization_id
    )
    assert rows == []


MAIL = b"From: a@example.com\r\nSubject: Hi\r\n\r\n%s\r\n"


@needs(CLAMD)
async def test_mail_from_outside_with_a_virus_is_refused(
    clamd: str, inbound: InboundListener
) -> None:
    with settings_with(scan_inbound="virus"):
        infected = await hand_over(inbound, "postmaster", MAIL % EICAR, sender="a@example.com")
        clean = await hand_over(inbound, "postmaster", MAIL % b"Hello", sender="a@example.com")

    assert (infected[-1], clean[-1]) == (550, 250)


@needs(RSPAMD)
async def test_mail_from_outside_that_is_spam_is_refused(
    rspamd: str, inbound: InboundListener
) -> None:
    with settings_with(scan_inbound="spam"):
        spam = await hand_over(inbound, "postmaster", MAIL % GTUBE.encode(), sender="a@example.com")

    assert spam[-1] == 550


@pytest.mark.parametrize(("policy", "code"), [("hold", 451), ("pass", 250)])
async def test_while_the_scanner_is_down_strangers_are_asked_to_come_again_or_let_in(
    inbound: InboundListener, policy: str, code: int
) -> None:
    with settings_with(scan_inbound="virus", clamd=NOWHERE, scan_down=policy):
        codes = await hand_over(inbound, "postmaster", MAIL % b"Hello", sender="a@example.com")

    assert codes[-1] == code


@needs(CLAMD)
async def test_a_bounce_is_believed_whatever_it_returns(
    clamd: str, inbound: InboundListener, drain: Drain, sink: Sink
) -> None:
    """It carries back the virus that a recipient's server refused."""
    spooled = await make_spooled("ada@dest.example")
    await drain(spooled)
    (sent,) = sink.messages
    report = HARD.replace(b"\r\n--", b"\r\n" + EICAR + b"\r\n--", 1)

    with settings_with(scan_inbound="virus"):
        forget(spooled.organization.id)
        codes = await hand_over(inbound, sent.envelope_from, report)

    assert codes == [250, 250, 250]
    assert await spooled.state() == "bounced"
