"""Preparing: what a recipient gets beyond what the customer wrote."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import dkim
import pytest

from postlane.core.database import fetch
from postlane.delivery.rules import Priority
from postlane.domains.tables import DomainBimi
from postlane.jobs.outbound import Outbound
from postlane.tracking.tokens import read_token
from tests.delivery.spool import make_organization, make_signing_domain, make_spooled
from tests.jobs.sending import drain_queue
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
