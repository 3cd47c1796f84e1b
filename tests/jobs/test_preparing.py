"""Preparing: what a recipient gets beyond what the customer wrote."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from email import message_from_bytes, policy
from email.message import EmailMessage

import dkim
import pytest

from postlane.core.crypto import seal
from postlane.core.database import fetch
from postlane.core.turns import Turns
from postlane.delivery.contents import Mailing, decode_parts, encode_mailing
from postlane.delivery.rules import Priority
from postlane.delivery.work import Claim, claim_batch
from postlane.domains.rules import KEY_PURPOSE
from postlane.domains.tables import DomainBimi
from postlane.jobs.memory import ByteWindow
from postlane.jobs.outbound import BUILDERS, Outbound
from postlane.jobs.preparing import MESSAGES_AT_ONCE, prepare
from postlane.mail.templating import Layer, Syntax
from postlane.tracking.tokens import read_token
from tests.delivery.spool import (
    Spooled,
    make_many,
    make_organization,
    make_signing_domain,
    make_spooled,
)
from tests.jobs.sending import claimed, drain_queue
from tests.sink import Received, Sink

RAW = (
    b"From: noreply@acme.example\r\nTo: ada@dest.example\r\nSubject: Raw\r\n"
    b"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\nMessage-ID: <1@acme.example>\r\n\r\nHello.\r\n"
)


def parsed(received: Received) -> EmailMessage:
    message = message_from_bytes(received.data, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def token_of(received: Received) -> str:
    """Return the token in the link to unsubscribe with."""
    link: str = parsed(received)["List-Unsubscribe"]
    assert link.startswith("<http://postlane.test/track/unsubscribe/")
    return link.partition(">")[0].rpartition("/")[2]


async def test_html_alone_gets_a_text_beside_it(outbound: Outbound, sink: Sink) -> None:
    spooled = await make_spooled(
        "ada@dest.example", text=None, html='<p>Hello &amp; <a href="https://a.example">bye</a></p>'
    )

    await drain_queue(outbound, spooled.queue_id)

    message = parsed(sink.messages[0])
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.iter_parts()
    assert plain.get_content().strip() == "Hello & bye (https://a.example)"
    assert html.get_content().startswith("<p>Hello &amp; ")


async def test_html_without_a_word_gets_no_empty_text(outbound: Outbound, sink: Sink) -> None:
    spooled = await make_spooled("ada@dest.example", text=None, html="<style>p {}</style>")

    await drain_queue(outbound, spooled.queue_id)

    assert parsed(sink.messages[0]).get_content_type() == "text/html"


async def test_each_recipient_of_marketing_mail_gets_a_signed_link_of_their_own(
    outbound: Outbound, sink: Sink
) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    spooled = await make_spooled(
        "ada@dest.example",
        "bob@dest.example",
        organization=organization,
        domain_id=domain.id,
        priority=Priority.MARKETING,
    )

    await drain_queue(outbound, spooled.queue_id)

    rows = await fetch("SELECT public_value FROM dkim_keys WHERE domain_id = {}", domain.id)
    record = f"v=DKIM1; k=rsa; p={rows[0]['public_value']}".encode()
    assert len(sink.messages) == 2
    for received in sink.messages:
        named = read_token(token_of(received), purpose="unsubscribe")
        assert named is not None
        assert named.address == received.recipient
        assert named.delivery_id == spooled.deliveries[received.recipient]
        message = parsed(received)
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "list-unsubscribe:list-unsubscribe-post" in "".join(
            message["DKIM-Signature"].split()
        )
        assert dkim.verify(received.data, dnsfunc=lambda name, timeout=5: record)


async def test_a_link_that_the_customer_set_stays_the_only_one(
    outbound: Outbound, sink: Sink
) -> None:
    spooled = await make_spooled(
        "ada@dest.example",
        priority=Priority.MARKETING,
        headers=(("list-unsubscribe", "<mailto:leave@acme.example>"),),
    )

    await drain_queue(outbound, spooled.queue_id)

    message = parsed(sink.messages[0])
    assert message.get_all("List-Unsubscribe") == ["<mailto:leave@acme.example>"]
    assert message["List-Unsubscribe-Post"] is None


async def test_transactional_mail_has_no_link(outbound: Outbound, sink: Sink) -> None:
    spooled = await make_spooled("ada@dest.example")

    await drain_queue(outbound, spooled.queue_id)

    assert parsed(sink.messages[0])["List-Unsubscribe"] is None


@pytest.mark.parametrize("own", [b"", b"List-Unsubscribe: <mailto:leave@acme.example>\r\n"])
async def test_marketing_mail_handed_in_whole_is_treated_alike(
    outbound: Outbound, sink: Sink, own: bytes
) -> None:
    spooled = await make_spooled("ada@dest.example", priority=Priority.MARKETING, raw=own + RAW)

    await drain_queue(outbound, spooled.queue_id)

    (received,) = sink.messages
    if own:
        assert received.data == own + RAW
    else:
        assert received.data.endswith(RAW)
        assert read_token(token_of(received), purpose="unsubscribe") is not None


async def test_a_message_that_cannot_be_built_is_kept_and_tried_again(
    outbound: Outbound, sink: Sink
) -> None:
    spooled = await make_spooled("ada@dest.example")
    await fetch(
        "UPDATE contents SET body = 'garbage'::bytea WHERE organization_id = {}",
        spooled.organization.id,
    )

    await drain_queue(outbound, spooled.queue_id)

    rows = await fetch(
        "SELECT state, enhanced_code, reply FROM deliveries WHERE queue_id = {}", spooled.queue_id
    )
    assert rows == [
        {"state": "deferred", "enhanced_code": "4.3.0", "reply": "the message could not be built"}
    ]
    assert sink.messages == []


@pytest.mark.parametrize(
    ("inside", "purpose"),
    [(None, ""), (b"no key at all", KEY_PURPOSE), (b"whatever", "other")],
    ids=["not sealed", "no key", "sealed for something else"],
)
async def test_a_key_that_cannot_be_read_delays_its_domains_mail_and_nobody_elses(
    outbound: Outbound, sink: Sink, inside: bytes | None, purpose: str
) -> None:
    private_key = b"" if inside is None else seal(inside, purpose=purpose)
    organization = await make_organization()
    broken = await make_signing_domain(organization)
    whole = await make_signing_domain(organization)
    await fetch(
        "UPDATE dkim_keys SET private_key = {} WHERE domain_id = {}", private_key, broken.id
    )
    waits = await make_spooled("a@dest.example", organization=organization, domain_id=broken.id)
    goes = await make_spooled("b@dest.example", organization=organization, domain_id=whole.id)

    await drain_queue(outbound, waits.queue_id)

    delivery = await waits.delivery()
    assert (delivery.state, delivery.attempts, delivery.bounce_class) == (
        "deferred",
        1,
        "temporary_failure",
    )
    assert (delivery.enhanced_code, delivery.reply) == (
        "4.7.0",
        f"the DKIM key pl1 of {broken.name} cannot be read",
    )
    assert await goes.state() == "delivered"
    assert [received.recipient for received in sink.messages] == ["b@dest.example"]


async def test_mail_waits_for_a_key_that_can_be_read_and_is_signed_with_it(
    outbound: Outbound, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    [row] = await fetch("SELECT private_key FROM dkim_keys WHERE domain_id = {}", domain.id)
    await fetch("UPDATE dkim_keys SET private_key = 'x' WHERE domain_id = {}", domain.id)
    spooled = await make_spooled("a@dest.example", organization=organization, domain_id=domain.id)
    await drain_queue(outbound, spooled.queue_id)
    before = await spooled.state()

    await fetch(
        "UPDATE dkim_keys SET private_key = {} WHERE domain_id = {}", row["private_key"], domain.id
    )
    await fetch("UPDATE deliveries SET due_at = now() WHERE message_id = {}", spooled.id)
    monkeypatch.setattr("postlane.domains.work.KEYS_FRESH_SECONDS", 0.0)
    await drain_queue(outbound, spooled.queue_id)

    assert (before, await spooled.state()) == ("deferred", "delivered")
    assert parsed(sink.messages[0])["DKIM-Signature"] is not None


async def test_mail_names_the_logo_of_its_domain_in_a_signed_field(
    outbound: Outbound, sink: Sink
) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    await DomainBimi(
        domain_id=domain.id, selector="summer", logo_url="https://brand.example/logo.svg"
    ).save()
    spooled = await make_spooled("ada@dest.example", organization=organization, domain_id=domain.id)

    await drain_queue(outbound, spooled.queue_id)

    (received,) = sink.messages
    assert parsed(received)["BIMI-Selector"] == "v=BIMI1; s=summer;"
    signature = parsed(received)["DKIM-Signature"].replace("\r\n", "").replace(" ", "")
    assert ":bimi-selector;" in signature


async def test_the_usual_selector_is_not_named(outbound: Outbound, sink: Sink) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    await DomainBimi(domain_id=domain.id, logo_url="https://brand.example/logo.svg").save()
    spooled = await make_spooled("ada@dest.example", organization=organization, domain_id=domain.id)

    await drain_queue(outbound, spooled.queue_id)

    assert parsed(sink.messages[0])["BIMI-Selector"] is None


class Measured(ByteWindow):
    """A window that remembers what was held of it, each time that somebody asked."""

    def __init__(self) -> None:
        super().__init__(96 * 1024 * 1024)
        self.held: list[int] = []

    async def acquire(self, size: int) -> None:
        self.held.append(size)
        await super().acquire(size)


async def make_personal(*addresses: str, source: str) -> Spooled:
    """Put mail into the spool that each recipient gets filled with their own number."""
    spooled = await make_spooled(*addresses)
    (row,) = await fetch(
        "SELECT id, body FROM contents WHERE id = "
        "(SELECT content_id FROM spooled_messages WHERE id = {})",
        spooled.id,
    )
    mailing = Mailing(decode_parts(row["body"]), (Layer(Syntax.JINJA, html=source),), {"n": 0})
    await fetch(
        "UPDATE contents SET format = 'mailing', body = {} WHERE id = {}",
        encode_mailing(mailing),
        row["id"],
    )
    return spooled


async def test_what_mail_becomes_when_it_is_filled_is_held_in_memory_and_not_too_much(
    database: None,
) -> None:
    source = "{% for _ in range(10000) %}" + "x" * 100 + "{% endfor %}"
    spooled = await make_personal(*(f"u{n}@dest.example" for n in range(12)), source=source)
    claims = await claim_batch(spooled.queue_id)
    window, filled = Measured(), Measured()

    groups = [group async for group in prepare(claimed(claims), window, filled=filled)]

    sizes = [[len(each.envelope.data) for each in group] for group in groups]  # type: ignore[union-attr]
    assert [len(group) for group in groups] == [5, 5, 2]
    assert sum(map(sum, sizes)) > 12_000_000
    # Four times what was filled, for as long as it is built; and never more than a little.
    assert filled.held == [4 * 5_000_000, 4 * 5_000_000, 4 * 2_000_000]
    assert len(window.held) == 1


async def test_mail_that_is_filled_waits_for_no_memory_that_waits_for_it(database: None) -> None:
    """Two drains, each of two groups that take all there is for one part of one of them."""
    source = "{% for _ in range(10000) %}" + "x" * 100 + "{% endfor %}"
    count = MESSAGES_AT_ONCE + 4
    made = [
        await make_personal(*(f"u{n}@dest.example" for n in range(count)), source=source)
        for _ in range(2)
    ]
    claims = [await claim_batch(each.queue_id) for each in made]
    filled, turns = ByteWindow(21_000_000), Turns(BUILDERS)

    async def go_through(claims: list[Claim]) -> int:
        # Each organization waits for the other at times, as the lanes have others do.
        groups = prepare(claimed(claims), ByteWindow(10**9), filled=filled, turns=turns)
        return sum([len(group) async for group in groups])

    async with asyncio.timeout(60):
        assert await asyncio.gather(*map(go_through, claims)) == [count, count]


async def test_the_next_are_claimed_while_the_last_before_them_are_prepared(database: None) -> None:
    spooled = (await make_many([[f"u{n}@dest.example"] for n in range(3 * MESSAGES_AT_ONCE)]))[0]
    sizes: list[int] = []
    has_asked = asyncio.Event()

    async def claimed() -> AsyncGenerator[list[Claim], None]:
        yield await claim_batch(spooled.queue_id, 2 * MESSAGES_AT_ONCE)
        has_asked.set()
        yield await claim_batch(spooled.queue_id, MESSAGES_AT_ONCE)

    async with asyncio.timeout(30), aclosing(prepare(claimed())) as groups:
        async for group in groups:
            sizes.append(len(group))
            if len(sizes) == 2:
                # Before the last group of the first claim is done with.
                await has_asked.wait()

    assert sizes == [MESSAGES_AT_ONCE] * 3
