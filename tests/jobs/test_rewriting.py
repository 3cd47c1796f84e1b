"""Tracked mail on the wire: whose links are in it, what is left of the rest, and the signature."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage

import dkim

from postlane.core.database import fetch
from postlane.delivery.work import claim_batch
from postlane.domains.tables import DomainRecord
from postlane.jobs.outbound import Outbound
from postlane.jobs.preparing import prepare
from postlane.mail.smtp import Envelope
from postlane.tracking.rules import Tracks
from postlane.tracking.tables import TrackingChoice
from postlane.tracking.tokens import Mark, read_click, read_open
from tests.delivery.spool import make_organization, make_signing_domain, make_spooled
from tests.jobs.sending import claimed, drain_queue
from tests.sink import Received, Sink
from tests.statements import count_statements

HTML = (
    '<html><body><p>Hello <a class=b href="https://shop.example/a?x=1&amp;y=2">there</a>, '
    '<a href="https://shop.example/unsubscribe">leave</a> or <a href="#top">go up</a>.</p>'
    "</body></html>\n"
)
TEXT = "Hello https://shop.example/a.\n"
EVERYTHING = Tracks.OPENS | Tracks.CLICKS | Tracks.TEXT_LINKS
CLICK = re.compile(r"(http://[^/]+)/track/click/([A-Za-z0-9_-]+)")
OPEN = re.compile(r'<img src="(http://[^/]+)/track/open/([A-Za-z0-9_-]+)\.gif"[^>]*>')


def bodies(received: Received) -> tuple[str, str]:
    """Return plain text and HTML."""
    message = message_from_bytes(received.data, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    plain, html = message.iter_parts()
    # Quoted-printable leaves line ends as they were on the wire.
    found = [part.get_content().replace("\r\n", "\n") for part in (plain, html)]
    return found[0], found[1]


def mark(found: Mark | None) -> Mark:
    assert found is not None
    return found


async def test_each_recipient_has_links_of_their_own_under_a_good_signature(
    outbound: Outbound, sink: Sink
) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    spooled = await make_spooled(
        "ada@dest.example",
        "bob@dest.example",
        organization=organization,
        domain_id=domain.id,
        tracks=EVERYTHING,
        html=HTML,
        text=TEXT,
    )

    await drain_queue(outbound, spooled.queue_id)

    rows = await fetch("SELECT public_value FROM dkim_keys WHERE domain_id = {}", domain.id)
    record = f"v=DKIM1; k=rsa; p={rows[0]['public_value']}".encode()
    assert {r.recipient for r in sink.messages} == {"ada@dest.example", "bob@dest.example"}
    for received in sink.messages:
        assert dkim.verify(received.data, dnsfunc=lambda name, timeout=5: record)
        plain, html = bodies(received)
        (link,), (pixel,) = CLICK.findall(html), OPEN.findall(html)
        (in_text,) = CLICK.findall(plain)
        clicked, opened = mark(read_click(link[1])), mark(read_open(pixel[1]))
        in_text_clicked = mark(read_click(in_text[1]))
        assert clicked.url == "https://shop.example/a?x=1&y=2"
        assert clicked.link_index == 0
        assert (in_text_clicked.url, in_text_clicked.link_index) == ("https://shop.example/a", 1)
        for each in (clicked, opened, in_text_clicked):
            assert each.ids[32:48] == spooled.id.bytes
            assert each.ids[48:] == spooled.deliveries[received.recipient].bytes
            assert not each.aggregate
        assert CLICK.sub("[L]", OPEN.sub("[P]", html)) == HTML.replace(
            "https://shop.example/a?x=1&amp;y=2", "[L]"
        ).replace("</body>", "[P]</body>")
        assert CLICK.sub("[L]", plain) == "Hello [L].\n"


async def test_only_what_is_asked_for_is_tracked(outbound: Outbound, sink: Sink) -> None:
    opens = await make_spooled("ada@dest.example", tracks=Tracks.OPENS, html=HTML, text=TEXT)
    clicks = await make_spooled("bob@dest.example", tracks=Tracks.CLICKS, html=HTML, text=TEXT)
    nothing = await make_spooled("eve@dest.example", html=HTML, text=TEXT)

    for spooled in (opens, clicks, nothing):
        await drain_queue(outbound, spooled.queue_id)

    found = {r.recipient: bodies(r) for r in sink.messages}
    assert found["eve@dest.example"] == (TEXT, HTML)
    assert [found["ada@dest.example"][1].count(x) for x in ("/open/", "/click/")] == [1, 0]
    assert [found["bob@dest.example"][1].count(x) for x in ("/open/", "/click/")] == [0, 1]
    assert found["ada@dest.example"][0] == found["bob@dest.example"][0] == TEXT


async def test_a_recipient_who_said_no_meanwhile_gets_the_mail_as_it_was_written(
    outbound: Outbound, sink: Sink
) -> None:
    organization = await make_organization()
    spooled = await make_spooled(
        "Ada@dest.example",
        "bob@dest.example",
        organization=organization,
        tracks=EVERYTHING,
        html=HTML,
        text=TEXT,
    )
    await TrackingChoice(
        organization_id=organization.id,
        address="ada@dest.example",
        address_key="ada@dest.example",
        track_opens=False,
        track_clicks=False,
    ).save()

    await drain_queue(outbound, spooled.queue_id)

    found = {r.recipient: bodies(r) for r in sink.messages}
    assert found["Ada@dest.example"] == (TEXT, HTML)
    assert "/track/click/" in found["bob@dest.example"][1]


async def test_a_tracking_domain_is_used_as_soon_as_its_record_is_in_place(
    outbound: Outbound, sink: Sink
) -> None:
    organization = await make_organization()
    hosts = []
    for status in ("pending", "verified"):
        domain = await make_signing_domain(organization)
        name = f"t.{domain.name}"
        await DomainRecord(
            domain_id=domain.id,
            purpose="tracking",
            type="CNAME",
            name=name,
            value="track.mail.postlane.test",
            required=True,
            status=status,
        ).save()
        spooled = await make_spooled(
            "ada@dest.example",
            organization=organization,
            domain_id=domain.id,
            tracks=Tracks.CLICKS,
            html=HTML,
            text=TEXT,
        )
        await drain_queue(outbound, spooled.queue_id)
        hosts.append(CLICK.findall(bodies(sink.messages[-1])[1])[0][0])

    assert hosts == ["http://postlane.test", f"http://{name}"]


async def test_mail_handed_in_whole_keeps_its_shape(outbound: Outbound, sink: Sink) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    raw = (
        b"From: noreply@acme.example\r\nTo: ada@dest.example\r\nSubject: Raw\r\n"
        b"List-Unsubscribe: <https://shop.example/leave>,\r\n <mailto:x@y.example>\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/html\r\nX-Own: 1\r\n\r\n"
        b'<a href="https://shop.example/a">a</a><a href="https://shop.example/leave">b</a>\r\n'
        b"--x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"AAAA\r\n--x--\r\n"
    )
    spooled = await make_spooled(
        "ada@dest.example",
        organization=organization,
        domain_id=domain.id,
        tracks=EVERYTHING,
        raw=raw,
    )

    await drain_queue(outbound, spooled.queue_id)

    rows = await fetch("SELECT public_value FROM dkim_keys WHERE domain_id = {}", domain.id)
    record = f"v=DKIM1; k=rsa; p={rows[0]['public_value']}".encode()
    (received,) = sink.messages
    assert dkim.verify(received.data, dnsfunc=lambda name, timeout=5: record)
    message = message_from_bytes(received.data, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    html, file = message.iter_parts()
    said = html.get_content()
    assert html["X-Own"] == "1"
    assert CLICK.sub("[L]", OPEN.sub("[P]", said)).rstrip("\n") == (
        '<a href="[L]">a</a><a href="https://shop.example/leave">b</a>[P]'
    )
    head, tail = raw.partition(b"--x\r\n")[0], raw[raw.rindex(b"--x\r\nContent-Type: appl") :]
    assert received.data.endswith(tail)
    assert head in received.data
    assert file.get_content_type() == "application/pdf"


async def test_a_character_set_with_a_nul_in_its_name_keeps_no_mail_from_being_tracked(
    outbound: Outbound, sink: Sink
) -> None:
    raw = (
        b"From: noreply@acme.example\r\nTo: ada@dest.example\r\nSubject: Raw\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/html; charset*=\0utf-8''utf-8\r\n\r\n"
        b'<a href="https://shop.example/a">a</a>\r\n'
        b"--x\r\nContent-Type: application/pdf; name*=\0utf-8''a.pdf\r\n"
        b"Content-Disposition: attachment; filename*=\0utf-8''a.pdf\r\n\r\n"
        b"AAAA\r\n--x--\r\n"
    )
    spooled = await make_spooled("ada@dest.example", tracks=EVERYTHING, raw=raw)

    await drain_queue(outbound, spooled.queue_id)

    (received,) = sink.messages
    told = received.data.decode()
    assert "https://shop.example/a" not in told
    assert len(CLICK.findall(told.replace("=\r\n", ""))) == 1
    assert received.data.endswith(raw[raw.rindex(b"--x\r\nContent-Type: appl") :])


async def test_what_the_customer_signed_stays_signed(outbound: Outbound, sink: Sink) -> None:
    raw = (
        b"From: noreply@acme.example\r\nTo: ada@dest.example\r\nSubject: Signed\r\n"
        b"Content-Type: multipart/signed; boundary=s\r\n\r\n"
        b'--s\r\nContent-Type: text/html\r\n\r\n<a href="https://a.example">x</a>\r\n'
        b"--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n"
    )
    spooled = await make_spooled("ada@dest.example", tracks=EVERYTHING, raw=raw)

    await drain_queue(outbound, spooled.queue_id)

    assert sink.messages[0].data == raw


async def test_a_project_that_counts_only_says_so_in_its_links(
    outbound: Outbound, sink: Sink
) -> None:
    organization = await make_organization()
    await fetch("UPDATE organizations SET tracking_aggregate = true WHERE id = {}", organization.id)
    spooled = await make_spooled(
        "ada@dest.example", organization=organization, tracks=EVERYTHING, html=HTML, text=TEXT
    )

    await drain_queue(outbound, spooled.queue_id)

    _, html = bodies(sink.messages[0])
    assert mark(read_open(OPEN.findall(html)[0][1])).aggregate
    assert mark(read_click(CLICK.findall(html)[0][1])).aggregate


async def test_where_nothing_is_tracked_nothing_more_is_asked_or_built(database: None) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    found = {}
    for tracks in (Tracks.NOTHING, EVERYTHING):
        spooled = await make_spooled(
            "ada@dest.example",
            "bob@dest.example",
            organization=organization,
            domain_id=domain.id,
            tracks=tracks,
        )
        claims = await claim_batch(spooled.queue_id)
        with count_statements() as sent:
            envelopes = [
                each.envelope
                for group in [g async for g in prepare(claimed(claims))]
                for each in group
            ]
        assert all(isinstance(each, Envelope) for each in envelopes)
        bodies = {each.data for each in envelopes if isinstance(each, Envelope)}
        found[tracks] = len(sent), len(bodies)

    # What the message says, the keys, blocked domains, and who scans; and one body for both.
    assert found[Tracks.NOTHING] == (4, 1)
    # Who minds, and whether only sums are kept; the keys are known by now.
    assert found[EVERYTHING] == (3, 2)
