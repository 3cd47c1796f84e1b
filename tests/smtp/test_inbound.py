"""Mail from anybody, over a real socket: what is believed, what is refused, what is survived."""

import asyncio
import smtplib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core.database import fetch
from postlane.core.settings import Address
from postlane.delivery.work import claim_batch, return_path_of
from postlane.smtp.conversation import Bounds
from postlane.smtp.listener import INBOUND, InboundListener
from tests.delivery.spool import Spooled, make_spooled
from tests.dns_server import DnsServer
from tests.factories import make_organization
from tests.jobs.sending import direct, drain_queue, sending
from tests.mail.report_shapes import ABUSE, STANDARD, dsn, text
from tests.sink import Sink

HOSTNAME = "mail.postlane.test"
HARD = {shape.name: shape for shape in STANDARD}["postfix"].data
LISTED = {shape.name: shape for shape in STANDARD}["our address is listed"].data
DELAYED = {shape.name: shape for shape in STANDARD}["gmail delayed"].data
Send = Callable[..., Any]


@pytest.fixture
async def listener(database: None) -> AsyncIterator[InboundListener]:
    async with listening() as started:
        yield started


class listening:
    """An inbound listener with *bounds*, for a while."""

    def __init__(self, bounds: Bounds = INBOUND) -> None:
        self.started = InboundListener(hostname=HOSTNAME, bounds=bounds)

    async def __aenter__(self) -> InboundListener:
        await self.started.start(Address("127.0.0.1", 0))
        return self.started

    async def __aexit__(self, *_: object) -> None:
        await self.started.stop()


@pytest.fixture
def deliver(database: None, sink: Sink, dns: DnsServer) -> Send:
    """Deliver a message to the sink, and return it and its return path."""

    async def really(
        address: str = "ada@dest.example", *others: str, **values: Any
    ) -> tuple[Spooled, str]:
        dns.set("mx.sink.example", "A", "127.0.0.1")
        dns.set("dest.example", "MX", "10 mx.sink.example")
        spooled = await make_spooled(address, *others, **values)
        async with sending(direct(dns, sink.port)) as outbound:
            await drain_queue(outbound, spooled.queue_id)
        (found,) = (
            each.envelope_from
            for each in sink.messages
            if each.recipient == address and str(spooled.deliveries[address]) in each.envelope_from
        )
        assert await spooled.state(address) == "delivered"
        return spooled, found

    return really


async def hand_over(
    listener: InboundListener, to: str, data: bytes, *, sender: str = ""
) -> list[int]:
    """Hand a mail over and return the replies to MAIL, RCPT and, if it comes to that, DATA."""

    def have() -> list[int]:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=60) as client:
            client.ehlo("mx.example")
            codes = [client.mail(sender)[0], client.rcpt(to)[0]]
            if codes[-1] == 250:
                codes.append(client.data(data)[0])
            return codes

    return await asyncio.to_thread(have)


async def raw(listener: InboundListener, sent: bytes, *, wait: float = 10) -> bytes:
    """Send octets as they are, and return all that is answered until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), wait)
    finally:
        writer.close()


async def suppressed(organization: Organization) -> list[tuple[str, str]]:
    rows = await fetch(
        "SELECT address, reason FROM suppressions WHERE organization_id = {} ORDER BY address",
        organization.id,
    )
    return [(row["address"], row["reason"]) for row in rows]


async def last_event(spooled: Spooled) -> dict[str, Any]:
    rows = await fetch(
        "SELECT type, data, delivery_id FROM events WHERE message_id = {} "
        "ORDER BY position DESC LIMIT 1",
        spooled.id,
    )
    return rows[0]


async def kept(address: str) -> list[str]:
    rows = await fetch("SELECT kind FROM infrastructure_reports WHERE recipient = {}", address)
    return [row["kind"] for row in rows]


async def test_a_bounce_of_what_was_delivered_is_believed_once(
    listener: InboundListener, deliver: Send
) -> None:
    spooled, path = await deliver()

    first = await hand_over(listener, path, HARD)
    again = await hand_over(listener, path.upper(), HARD)

    assert (first, again) == ([250, 250, 250], [250, 250, 250])
    assert await spooled.state() == "bounced"
    assert (await spooled.message()).status == "bounced"
    assert (await spooled.events()).count("message.bounced") == 1
    event = await last_event(spooled)
    assert '"source": "dsn"' in event["data"]
    assert '"bounce_class": "invalid_recipient"' in event["data"]
    assert await suppressed(spooled.organization) == [("ada@dest.example", "hard_bounce")]


@pytest.mark.parametrize("data", [LISTED], ids=["listed"])
async def test_what_is_about_us_suppresses_nobody_and_is_kept(
    listener: InboundListener, deliver: Send, data: bytes
) -> None:
    spooled, path = await deliver()

    await hand_over(listener, path, data)

    assert await spooled.state() == "bounced"
    assert await suppressed(spooled.organization) == []
    assert await kept(path) == ["block"]


@pytest.mark.parametrize(
    "data",
    [
        DELAYED,
        {shape.name: shape for shape in STANDARD}["relayed"].data,
        b"Subject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n",
        text("THIS IS A WARNING MESSAGE ONLY").encode().replace(b"\n", b"\r\n"),
    ],
    ids=["delayed", "relayed", "away", "warning"],
)
async def test_what_is_no_bounce_changes_nothing(
    listener: InboundListener, deliver: Send, data: bytes
) -> None:
    spooled, path = await deliver()
    before = await spooled.events()

    assert await hand_over(listener, path, data, sender="ada@dest.example") == [250, 250, 250]

    assert await spooled.state() == "delivered"
    assert await spooled.events() == before
    assert await suppressed(spooled.organization) == []


async def test_a_letter_is_refused(listener: InboundListener, deliver: Send) -> None:
    _, path = await deliver()

    letter = b"From: ada@dest.example\r\nSubject: Hi\r\n\r\nHow are you?\r\n"
    assert await hand_over(listener, path, letter, sender="ada@dest.example") == [250, 250, 550]


async def test_forged_addresses_are_refused_at_rcpt(
    listener: InboundListener, deliver: Send
) -> None:
    spooled, path = await deliver()
    local, _, domain = path.partition("@")
    other = uuid.uuid4()
    forged = [
        f"{local[:-1]}{'a' if local[-1] != 'a' else 'b'}@{domain}",
        f"{local.replace(str(spooled.deliveries['ada@dest.example']), str(other))}@{domain}",
        f"u{local[1:]}@{domain}",
        f"{local}@elsewhere.example",
        f"{local}x@{domain}",
        f"b+{other}.{'a' * 16}@{domain}",
        "b+@x.example",
        "somebody@mail.postlane.test",
        "postmaster@elsewhere.example",
        "abuse",
        '"b+ x"@x.example',
        "<>",
    ]

    answers = [await hand_over(listener, address, HARD) for address in forged]

    assert [answer[:2] for answer in answers[:9]] == [[250, 550]] * 9
    assert all(len(answer) == 2 for answer in answers[10:])
    assert await spooled.state() == "delivered"
    assert await suppressed(spooled.organization) == []


async def test_an_old_token_is_believed_no_more(listener: InboundListener, deliver: Send) -> None:
    spooled, path = await deliver()
    await fetch(
        "UPDATE deliveries SET delivered_at = delivered_at - {}::interval WHERE message_id = {}",
        timedelta(days=11),
        spooled.id,
    )

    await hand_over(listener, path, HARD)

    assert await spooled.state() == "delivered"
    assert await suppressed(spooled.organization) == []


async def test_a_bounce_that_comes_before_the_delivery_is_settled_comes_again(
    listener: InboundListener,
) -> None:
    waiting = await make_spooled("slow@dest.example")
    (claim,) = await claim_batch(waiting.queue_id)
    assert await hand_over(listener, return_path_of(claim), HARD) == [250, 250, 451]
    assert await waiting.state() == "sending"


async def test_a_report_that_speaks_of_another_tenants_mail_changes_that_not(
    listener: InboundListener, deliver: Send
) -> None:
    mine, my_path = await deliver("eve@dest.example")
    theirs, their_path = await deliver("ada@dest.example")
    report = dsn(
        f"""
Original-Envelope-Id: {theirs.id}
Final-Recipient: rfc822; ada@dest.example
Action: failed
Status: 5.1.1
""",
        after=f"Return-Path: <{their_path}>\nMessage-ID: <{theirs.id}@acme.example>",
    )

    await hand_over(listener, my_path, report.strip().replace("\n", "\r\n").encode())

    assert await theirs.state() == "delivered"
    assert await suppressed(theirs.organization) == []
    assert await suppressed(mine.organization) == [("eve@dest.example", "hard_bounce")]


async def test_nothing_is_ever_answered(listener: InboundListener, deliver: Send) -> None:
    spooled, path = await deliver()
    before = await fetch("SELECT count(*) AS n FROM deliveries")
    bounce_to_a_bounce = dsn(f"Final-Recipient: rfc822; {path}\nAction: failed\nStatus: 5.1.1")

    await hand_over(listener, path, bounce_to_a_bounce.strip().replace("\n", "\r\n").encode())
    await hand_over(listener, f"postmaster@{HOSTNAME}", HARD)
    await hand_over(listener, path, HARD, sender=path)

    assert await fetch("SELECT count(*) AS n FROM deliveries") == before
    assert (await spooled.events()).count("message.bounced") == 1


def complaint(path: str, *, type: str = "abuse", message_id: str = "x@y.example") -> bytes:
    mail = ABUSE.format(
        type=type,
        mail_from="redacted@isp.example",
        recipient="redacted",
        return_path=path,
        message_id=message_id,
    )
    return mail.strip().replace("\n", "\r\n").encode()


async def test_a_complaint_is_believed_by_the_return_path_in_it(
    listener: InboundListener, deliver: Send
) -> None:
    spooled, path = await deliver()

    for _ in range(2):
        answer = await hand_over(listener, f"fbl@{HOSTNAME}", complaint(path))
        assert answer == [250, 250, 250]

    assert await spooled.state() == "delivered"
    assert (await spooled.events()).count("message.complained") == 1
    event = await last_event(spooled)
    assert '"feedback_type": "abuse"' in event["data"]
    assert '"provider": "isp.example"' in event["data"]
    assert await suppressed(spooled.organization) == [("ada@dest.example", "complaint")]


async def test_a_message_id_speaks_for_one_recipient_only(
    listener: InboundListener, deliver: Send
) -> None:
    organization = await make_organization()
    alone, _ = await deliver("one@dest.example", organization=organization)
    many, _ = await deliver("two@dest.example", "three@dest.example", organization=organization)

    for spooled in (alone, many):
        mail = complaint("gone@isp.example", message_id=f"{spooled.id}@acme.example")
        await hand_over(listener, f"abuse@{HOSTNAME}", mail)

    assert await suppressed(organization) == [("one@dest.example", "complaint")]


@pytest.mark.parametrize("type", ["not-spam", "auth-failure", "dmarc"])
async def test_feedback_that_is_no_complaint_is_kept_apart(
    listener: InboundListener, deliver: Send, type: str
) -> None:
    spooled, path = await deliver()
    before = len(await kept(f"fbl@{HOSTNAME}"))

    await hand_over(listener, f"fbl@{HOSTNAME}", complaint(path, type=type))

    assert await suppressed(spooled.organization) == []
    assert (await kept(f"fbl@{HOSTNAME}"))[before:] == ["feedback"]


async def test_mail_to_the_postmaster_is_kept(listener: InboundListener) -> None:
    before = len(await kept(f"Postmaster@{HOSTNAME}"))

    letter = b"Subject: You are listed\r\n\r\nSee our list.\r\n"
    answer = await hand_over(
        listener, f"Postmaster@{HOSTNAME}", letter, sender="list@dnsbl.example"
    )

    assert answer == [250, 250, 250]
    assert (await kept(f"Postmaster@{HOSTNAME}"))[before:] == ["mail"]


async def test_mail_to_the_address_in_the_header_unsubscribes(
    listener: InboundListener, deliver: Send, sink: Sink
) -> None:
    spooled, _ = await deliver(priority=1)
    header = sink.messages[-1].data.partition(b"\r\n\r\n")[0].decode()
    address = header.partition("<mailto:")[2].partition("?")[0]

    null = await hand_over(listener, address, b"Subject: x\r\n\r\n")
    after_null = await suppressed(spooled.organization)
    answers = [
        await hand_over(listener, address, b"Subject: unsubscribe\r\n\r\n", sender="a@b.example")
        for _ in range(2)
    ]

    assert (null, after_null) == ([250, 250, 250], [])
    assert answers == [[250, 250, 250]] * 2
    assert await suppressed(spooled.organization) == [("ada@dest.example", "unsubscribe")]
    assert (await spooled.events()).count("message.unsubscribed") == 1
    assert '"method": "mailto"' in (await last_event(spooled))["data"]


SMUGGLED = (
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\n",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n.\n",
    b"\0.\r\n",
    b"\r\n\0.\r\n",
)


@pytest.mark.parametrize("end", SMUGGLED, ids=range(len(SMUGGLED)))
async def test_nothing_is_smuggled_behind_another_line_end(
    listener: InboundListener, deliver: Send, end: bytes
) -> None:
    spooled, path = await deliver()
    to = path.encode()
    hidden = b"MAIL FROM:<>\r\nRCPT TO:<" + to + b">\r\nDATA\r\n" + HARD
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<" + to + b">\r\nDATA\r\n")
    while b"354" not in await reader.readline():
        pass

    writer.write(b"Subject: x\r\n\r\nHello" + end + hidden + b"\r\n.\r\nQUIT\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert answer.startswith(b"554 5.6.0 ")
    assert answer.count(b"250 ") == 0
    assert await spooled.state() == "delivered"


@pytest.mark.parametrize(
    "command",
    [b"EHLO x\n", b"NOOP\rQUIT\r\n", b"MAIL FROM:<>\0\r\n", b"EHLO x\r\nMAIL FROM:<>\nNOOP\r\n"],
)
async def test_a_command_with_another_line_end_ends_the_conversation(
    listener: InboundListener, command: bytes
) -> None:
    answer = await raw(listener, command + b"NOOP\r\n" * 3)

    assert answer.rstrip().splitlines()[-1].startswith(b"521 5.5.2 ")


async def test_a_message_sent_before_354_is_refused(
    listener: InboundListener, deliver: Send
) -> None:
    spooled, path = await deliver()
    start = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<" + path.encode() + b">\r\n"

    answer = await raw(listener, start + b"DATA\r\n" + HARD + b"\r\n.\r\nQUIT\r\n")

    assert answer.rstrip().splitlines()[-1].startswith(b"554 5.5.0 ")
    assert await spooled.state() == "delivered"


async def test_commands_that_follow_the_message_at_once_are_answered_in_order(
    listener: InboundListener, deliver: Send
) -> None:
    spooled, path = await deliver()
    group = b"MAIL FROM:<>\r\nRCPT TO:<" + path.encode() + b">\r\nDATA\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"EHLO x\r\n" + group)
    while b"354" not in await reader.readline():
        pass

    writer.write(HARD + b"\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert [line[:3] for line in answer.splitlines()] == [b"250", b"250", b"250", b"221"]
    assert await spooled.state() == "bounced"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"Content-Type: message/rfc822\r\n\r\n" * 20_000, 550),
        (b"Content-Type: multipart/x; boundary=B\r\n\r\n" + b"--B\r\n\r\n" * 90_000, 550),
        (b"Content-Type: text/plain; charset=x-klingon\r\n\r\n\xff\xfe\xfd\r\n", 550),
        (b"Subject: " + b"x" * 40_000 + b"\r\n\r\n", 550),
        (b"Subject: " + b"x" * 100_000 + b"\r\n\r\n", 500),
        (b"\r\n" * 1_000_000, 550),
        (HARD + b"\r\n" + b"x\r\n" * 1_000_000, 250),
        (b"", 550),
    ],
    ids=["deep", "wide", "charset", "long", "too long", "empty lines", "returned", "empty"],
)
async def test_a_bomb_is_answered(
    listener: InboundListener, deliver: Send, data: bytes, code: int
) -> None:
    _, path = await deliver()

    assert await hand_over(listener, path, data) == [250, 250, code]
    assert (await hand_over(listener, "x@y.example", b""))[1] == 550


SMALL = Bounds(size_bytes=100_000, kept_bytes=10_000, connections=50)


async def test_a_message_that_is_too_large_is_refused(database: None, deliver: Send) -> None:
    _, path = await deliver()
    async with listening(SMALL) as listener:
        codes = await hand_over(listener, path, b"x\r\n" * 50_000)

        def announced() -> int:
            with smtplib.SMTP("127.0.0.1", listener.port, timeout=60) as client:
                client.ehlo()
                return client.mail("", ["size=100001"])[0]

        assert codes == [250, 250, 552]
        assert await asyncio.to_thread(announced) == 552


async def test_a_message_without_an_end_is_cut(database: None, deliver: Send) -> None:
    _, path = await deliver()
    async with listening(SMALL) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<" + path.encode() + b">\r\nDATA\r\n")
        while b"354" not in await reader.readline():
            pass
        writer.write(b"x\r\n" * 100_000)

        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"552 5.3.4 ")
        writer.close()


async def test_slow_clients_are_hung_up_on(database: None, deliver: Send) -> None:
    _, path = await deliver()
    bounds = Bounds(size_bytes=1000, connections=5, idle_seconds=2.0, longest_seconds=4.0)
    async with listening(bounds) as listener:
        silent, patient = await asyncio.gather(raw(listener, b""), _noops(listener))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<" + path.encode() + b">\r\nDATA\r\n")
        while b"354" not in await reader.readline():
            pass
        for _ in range(10):
            writer.write(b"x\r\n")
            await asyncio.sleep(0.1)
        dripped = b""
        with suppress(ConnectionError):
            dripped = await asyncio.wait_for(reader.read(), 5)
        writer.close()

        assert silent.startswith(b"220 ")
        assert patient.rstrip().endswith(b"421 4.4.2 This took too long.")
        assert b"250" not in dripped
        while listener.open:  # noqa: ASYNC110 - the test's own time limit ends this
            await asyncio.sleep(0.05)


async def _noops(listener: InboundListener) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    answer = asyncio.create_task(reader.read())
    while not answer.done():
        writer.write(b"NOOP\r\n")
        await asyncio.sleep(0.2)
    writer.close()
    return await answer


async def test_one_address_has_so_many_connections_and_no_more(database: None) -> None:
    bounds = Bounds(size_bytes=1000, connections=50, per_address=3)
    async with listening(bounds) as listener:
        opened = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(3)]
        for reader, _ in opened:
            assert (await reader.readline()).startswith(b"220 ")

        assert await raw(listener, b"") == b"421 4.3.2 Too many connections.\r\n"
        neighbour, writer = await asyncio.open_connection(
            "127.0.0.1", listener.port, local_addr=("127.0.0.5", 0)
        )
        assert (await neighbour.readline()).startswith(b"220 ")
        for _, each in [*opened, (neighbour, writer)]:
            each.close()


async def test_a_flood_of_connections_is_turned_away(database: None) -> None:
    bounds = Bounds(size_bytes=1000, connections=50, per_address_a_minute=10)
    async with listening(bounds) as listener:
        answers = [await raw(listener, b"QUIT\r\n") for _ in range(15)]

    assert [answer[:3] for answer in answers] == [b"220"] * 10 + [b"421"] * 5


async def test_guessing_ends_the_conversation(listener: InboundListener) -> None:
    guesses = b"".join(b"RCPT TO:<b+%d@x.example>\r\n" % number for number in range(100))

    answer = await raw(listener, b"EHLO x\r\nMAIL FROM:<>\r\n" + guesses)

    assert answer.count(b"550 5.1.1 ") == INBOUND.refusals
    assert answer.rstrip().endswith(b"421 4.7.0 Too many errors.")


ODD = [
    *(
        verb + argument
        for verb in (b"MAIL FROM:", b"RCPT TO:", b"VRFY ", b"EHLO ", b"HELP ")
        for argument in (
            *(b"", b"<", b"<<", b"<@", b"<@>", b'<"', b'<"@x>', b"<a@", b"<a@[", b"<a@[1", b"<(>"),
            *(b"(" * 200, b"<(" * 100, b"<\xff@x>", b"\xff\xfe", b"<\xc3\xa9@x>", b"<a@\xff>"),
            *(b"<a@b> SIZE=", b"<a@b> SIZE=x", b"<a@b> SIZE=\xd9\xa3", b"<a@b> BODY=", b"<a@b> =="),
            *(b"<a@b> SMTPUTF8=1", b"<a@b> SIZE=" + b"9" * 400, b"<@a,@b:c@d>", b"< >", b";", b":"),
            *(
                b"<a@b",
                b"a@b>",
                b"<a b@c>",
                b"<a..b@c>",
                b"<.@.>",
                b'<"a\\',
                b"=?utf-8?q?a?=",
                b",",
            ),
        )
    ),
    *(b"\xff\xfe", b"RCPT", b"MAIL", b"DATA x", b"STARTTLS", b"AUTH", b"BDAT 1 LAST", b"ETRN x"),
    *(b"GET / HTTP/1.1", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2", b"\x16\x03\x01", b"A" * 5000),
]


async def test_odd_commands_are_refused_without_a_failure_of_ours(database: None) -> None:
    bounds = Bounds(size_bytes=1000, connections=5)
    async with listening(bounds) as listener:
        for odd in ODD:
            start = b"EHLO x\r\nMAIL FROM:<>\r\n" if odd.startswith(b"RCPT") else b"EHLO x\r\n"
            answer = await raw(listener, start + odd + b"\r\nQUIT\r\n")

            assert b"\r\n451 " not in answer, (odd, answer)
            assert answer.rstrip().splitlines()[-1][:3] in (b"221", b"521"), (odd, answer)


async def test_a_sender_that_is_no_text_is_kept_as_far_as_it_can_be(
    listener: InboundListener,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    to = f"postmaster@{HOSTNAME}".encode()
    writer.write(b"EHLO x\r\nMAIL FROM:<\xc3\xa9@x.example> SMTPUTF8\r\nRCPT TO:<" + to + b">\r\n")
    writer.write(b"DATA\r\n")
    while b"354" not in await reader.readline():
        pass
    writer.write(b"Subject: x\r\n\r\n\xff\xfe\r\n.\r\nQUIT\r\n")

    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert answer.startswith(b"250 2.0.0 ")


async def test_nobody_signs_in_here(listener: InboundListener) -> None:
    answer = await raw(listener, b"EHLO x\r\nAUTH PLAIN AHgAeA==\r\nAUTH LOGIN\r\nQUIT\r\n")

    assert b"AUTH" not in answer.partition(b"250 HELP")[0]
    assert b"235" not in answer
    assert b"334" not in answer


async def test_a_second_recipient_comes_with_a_mail_of_its_own(
    listener: InboundListener, deliver: Send
) -> None:
    _, path = await deliver()
    to = b"RCPT TO:<" + path.encode() + b">\r\n"

    answer = await raw(listener, b"EHLO x\r\nMAIL FROM:<>\r\n" + to + to + b"QUIT\r\n")

    assert [line[:3] for line in answer.splitlines()[-3:]] == [b"250", b"452", b"221"]
