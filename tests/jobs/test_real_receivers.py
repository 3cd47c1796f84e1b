"""Debian's Postfix as the next hop: what it takes, what it greylists, what it sends back."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.settings import Address
from postlane.jobs.outbound import Outbound
from postlane.smtp.listener import InboundListener
from tests.delivery.spool import Spooled, make_many, make_signing_domain, make_spooled
from tests.dns_server import DnsServer
from tests.factories import make_organization
from tests.jobs.sending import direct, drain_queue, sending
from tests.parts import POSTGREY, needs
from tests.postfix import GREY_SECONDS, Postfix, needs_postfix, postfix

pytestmark = [needs_postfix(), pytest.mark.slow]
RETRY = timedelta(minutes=6)


@pytest.fixture(scope="module")
async def receiver(database: None) -> AsyncIterator[Postfix]:
    """Postfix, whose reports come back to our own listener."""
    inbound = InboundListener(hostname="mail.postlane.test")
    await inbound.start(Address("127.0.0.1", 0))
    try:
        async with postfix(bounces_to=inbound.port) as running:
            yield running
    finally:
        await inbound.stop()


@pytest.fixture
async def outbound(receiver: Postfix, dns: DnsServer) -> AsyncIterator[Outbound]:
    """The sending side of a worker, to the receiver."""
    dns.set("mx.dest.example", "A", "127.0.0.1")
    dns.set("dest.example", "MX", "10 mx.dest.example")
    async with sending(direct(dns, receiver.port)) as opened:
        yield opened


async def test_signed_mail_is_taken_over_tls_and_few_connections(
    outbound: Outbound, receiver: Postfix
) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    made = await make_many(
        [[f"user{number}@dest.example"] for number in range(100)],
        organization=organization,
        domain_id=domain.id,
    )

    await drain_queue(outbound, made[0].queue_id)

    assert {await each.state() for each in made} == {"delivered"}, receiver.log[-4000:]
    mail = [message_from_bytes(each, policy=policy.SMTP) for each in await receiver.arrived(100)]
    assert len({each["X-Original-To"] or each["Delivered-To"] for each in mail}) == 100
    assert all(each["DKIM-Signature"] for each in mail)
    (attempt,) = await made[0].attempts()
    assert attempt["tls_version"] == "TLSv1.3"
    assert (attempt["mx_host"], attempt["mx_address"]) == ("mx.dest.example", "127.0.0.1")
    assert 1 <= receiver.log.count(": connect from ") <= 10 + 1


async def test_who_has_no_mailbox_and_whose_is_full_are_told_apart(outbound: Outbound) -> None:
    unknown = await make_spooled("nobody@dest.example")
    full = await make_spooled("full@dest.example")

    for spooled in (unknown, full):
        await drain_queue(outbound, spooled.queue_id)

    for spooled, expected in (
        (unknown, ("bounced", "invalid_recipient", 550, "5.1.1")),
        (full, ("deferred", "mailbox_full", 452, "4.2.2")),
    ):
        row = await spooled.delivery()
        assert (row.state, row.bounce_class, row.code, row.enhanced_code) == expected


@needs(POSTGREY)
async def test_what_postgrey_has_wait_is_delivered_at_the_second_attempt(
    receiver: Postfix, dns: DnsServer
) -> None:
    dns.set("mx.dest.example", "A", "127.0.0.1")
    dns.set("dest.example", "MX", "10 mx.dest.example")
    spooled = await make_spooled("bob@dest.example")

    async with sending(direct(dns, receiver.grey_port)) as outbound:
        await drain_queue(outbound, spooled.queue_id)
        first = await spooled.delivery()
        # Its clock is not ours: it counts real seconds.
        await asyncio.sleep(GREY_SECONDS + 1.1)
        with clock.frozen(clock.now() + RETRY):
            await drain_queue(outbound, spooled.queue_id)

    assert (first.state, first.code, first.bounce_class) == ("deferred", 450, "temporary_failure")
    assert first.reply is not None
    assert "reylist" in first.reply
    assert await spooled.state() == "delivered"
    assert [each["verdict"] for each in await spooled.attempts()] == ["deferred", "delivered"]
    # It is no throttling: the queue goes on at its full rate.
    queues = await fetch("SELECT backoff_until FROM queues WHERE id = {}", spooled.queue_id)
    assert [row["backoff_until"] for row in queues] == [None]


async def test_a_bounce_that_comes_afterwards_finds_its_delivery(
    outbound: Outbound, receiver: Postfix
) -> None:
    spooled = await make_spooled("late@dest.example")

    await drain_queue(outbound, spooled.queue_id)

    (attempt,) = await spooled.attempts()
    assert attempt["verdict"] == "delivered"
    await _bounced(spooled, receiver)
    row = await spooled.delivery()
    assert (row.bounce_class, row.enhanced_code) == ("invalid_recipient", "5.1.1")
    assert row.reply is not None
    assert "mailbox unavailable" in row.reply
    assert (await spooled.events())[-1] == "message.bounced"
    suppressed = await fetch(
        "SELECT address, reason FROM suppressions WHERE organization_id = {}",
        spooled.organization.id,
    )
    assert [(each["address"], each["reason"]) for each in suppressed] == [
        ("late@dest.example", "hard_bounce")
    ]


async def _bounced(spooled: Spooled, receiver: Postfix) -> None:
    deadline = time.monotonic() + 30
    while await spooled.state() != "bounced":
        assert time.monotonic() < deadline, receiver.log[-4000:]
        await asyncio.sleep(0.1)
