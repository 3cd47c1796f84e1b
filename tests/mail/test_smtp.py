"""Conversations with a sink that misbehaves on request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from postlane.mail.address import InvalidAddress
from postlane.mail.outcome import BounceClass, Outcome, Verdict
from postlane.mail.smtp import Envelope, Host, Session, Timeouts, Tls
from postlane.mail.tls import TlsPolicy
from tests.sink import Sink

DATA = b"From: ann@example.com\r\nSubject: x\r\n\r\nHello\r\n"
SHORT = Timeouts(
    connect=timedelta(seconds=2),
    greeting=timedelta(seconds=1),
    command=timedelta(seconds=1),
    content=timedelta(seconds=1),
)


def envelope(recipient: str = "ok@sink.example", **changes) -> Envelope:
    return replace(Envelope("b+x.y@bounce.example.com", recipient, DATA), **changes)


async def try_open(sink: Sink, **options) -> Session | Outcome:
    host = Host("sink.example", "127.0.0.1", sink.port)
    return await Session.open(host, ehlo="mail.example.com", **{"timeouts": SHORT} | options)


@asynccontextmanager
async def opened(sink: Sink, **options) -> AsyncIterator[Session]:
    session = await try_open(sink, **options)
    assert isinstance(session, Session), session
    yield session
    await session.close()


async def deliver(sink: Sink, *envelopes: Envelope, **options) -> list[Outcome]:
    async with opened(sink, **options) as session:
        return [await session.deliver(each) for each in envelopes]


async def test_a_message_arrives_and_the_outcome_tells_how(sink):
    [outcome] = await deliver(sink, envelope())

    [message] = sink.messages
    assert (message.envelope_from, message.recipient) == (
        "b+x.y@bounce.example.com",
        "ok@sink.example",
    )
    assert (message.data, message.ehlo, message.tls) == (DATA, "mail.example.com", False)
    assert replace(outcome, started_at=None, duration=None) == Outcome(
        verdict=Verdict.DELIVERED,
        code=250,
        enhanced_code="2.0.0",
        text="2.0.0 Taken",
        bounce_class=None,
        mx_host="sink.example",
        mx_address="127.0.0.1",
        tls_version=None,
        tls_cipher=None,
        tls_verified=None,
        started_at=None,
        duration=None,
        transcript=(
            "S: 220 sink.example ESMTP",
            "C: EHLO mail.example.com",
            "S: 250 sink.example",
            "S: 250 PIPELINING",
            "S: 250 SIZE 30000000",
            "S: 250 8BITMIME",
            "S: 250 SMTPUTF8",
            f"C: MAIL FROM:<b+x.y@bounce.example.com> SIZE={len(DATA)}",
            "C: RCPT TO:<ok@sink.example>",
            "C: DATA",
            "S: 250 2.1.0 OK",
            "S: 250 2.1.5 OK",
            "S: 354 Go ahead",
            f"C: ({len(DATA)} octets)",
            "S: 250 2.0.0 Taken",
        ),
        tls_policy=TlsPolicy.OPPORTUNISTIC,
    )
    assert timedelta() < outcome.duration < timedelta(seconds=1)


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    ("recipient", "verdict", "code", "bounce_class"),
    [
        ("550-at-rcpt@sink.example", Verdict.BOUNCED, 550, BounceClass.INVALID_RECIPIENT),
        ("451-at-rcpt@sink.example", Verdict.DEFERRED, 451, BounceClass.TEMPORARY_FAILURE),
        ("554-at-data@sink.example", Verdict.BOUNCED, 554, BounceClass.CONTENT_REJECTED),
        ("571-at-data@sink.example", Verdict.BOUNCED, 571, BounceClass.REPUTATION_BLOCK),
        ("452-at-data@sink.example", Verdict.DEFERRED, 452, BounceClass.MAILBOX_FULL),
        ("greylist@sink.example", Verdict.DEFERRED, 450, BounceClass.TEMPORARY_FAILURE),
    ],
)
async def test_one_refusal_says_nothing_of_the_next_message(
    sink, extensions, recipient, verdict, code, bounce_class
):
    sink.manner.extensions = extensions

    first, second = await deliver(sink, envelope(recipient), envelope())

    assert (first.verdict, first.code, first.bounce_class) == (verdict, code, bounce_class)
    assert second.verdict is Verdict.DELIVERED
    assert sink.count_by_recipient == {"ok@sink.example": 1}
    assert sink.book.connections == 1


async def test_a_refused_sender_is_told_apart(sink):
    [outcome] = await deliver(sink, envelope(sender="550-at-mail@example.com"))

    assert (outcome.verdict, outcome.code) == (Verdict.BOUNCED, 550)


async def test_greylisting_ends(sink):
    outcomes = await deliver(sink, *[envelope("greylist@sink.example")] * 2)

    assert [each.verdict for each in outcomes] == [Verdict.DEFERRED, Verdict.DELIVERED]


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_one_connection_carries_many_messages(sink, extensions):
    sink.manner.extensions = extensions

    many = (envelope(f"ok+{n}@sink.example") for n in range(200))
    outcomes = await deliver(sink, *many, timeouts=Timeouts())

    assert {each.verdict for each in outcomes} == {Verdict.DELIVERED}
    assert set(sink.count_by_recipient.values()) == {1}
    assert len(sink.messages) == 200
    assert sink.book.connections == 1


@pytest.mark.parametrize("recipient", ["drop-at-rcpt", "drop-at-data", "drop-after-data"])
@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_a_dropped_connection_defers_and_closes(sink, recipient, extensions):
    sink.manner.extensions = extensions
    async with opened(sink) as session:
        outcome = await session.deliver(envelope(f"{recipient}@sink.example"))
        later = await session.deliver(envelope())

        assert session.closed
    for each in (outcome, later):
        assert (each.verdict, each.code) == (Verdict.DEFERRED, None)
        assert each.bounce_class is BounceClass.CONNECTION_FAILURE


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize("step", ["rcpt", "data"])
async def test_a_421_defers_and_closes(sink, step, extensions):
    sink.manner.extensions = extensions
    async with opened(sink) as session:
        outcome = await session.deliver(envelope(f"421-at-{step}@sink.example"))

        assert session.closed
    assert (outcome.verdict, outcome.code) == (Verdict.DEFERRED, 421)
    assert outcome.bounce_class is BounceClass.RATE_LIMITED


async def test_a_421_between_messages_is_heard(sink):
    sink.manner.messages_per_connection = 2

    outcomes = await deliver(sink, envelope(), envelope(), envelope())

    assert [each.code for each in outcomes] == [250, 250, 421]


async def test_what_is_said_unasked_is_not_taken_for_an_answer():
    async with serving(
        [
            b"220 x\r\n",
            b"250-x\r\n250 PIPELINING\r\n",
            b"250 a\r\n250 b\r\n354 c\r\n",
            b"250 taken\r\n421 4.3.2 Going down\r\n",
        ]
    ) as host:
        session = await Session.open(host, ehlo="a.example", timeouts=SHORT)
        first = await session.deliver(envelope())
        await asyncio.sleep(0.05)
        second = await session.deliver(envelope())

    assert (first.verdict, first.text) == (Verdict.DELIVERED, "taken")
    assert (second.verdict, second.code) == (Verdict.DEFERRED, 421)
    assert second.text == "4.3.2 Going down"
    assert session.closed


@asynccontextmanager
async def serving(replies: list[bytes]) -> AsyncIterator[Host]:
    """A host that says the next of *replies* at the start and whenever something comes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            writer.write(reply)
            await reader.read(100_000)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield Host("sink.example", "127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()


@pytest.mark.parametrize(
    "replies",
    [
        [b"220 x\r\n", b"250 x\r\n", b"250 a\r\n", b"250 b\r\n", b"250 not a 354\r\n"],
        [b"220 x\r\n", b"250 x\r\n", b"354 too early\r\n"],
        [b"220 x\r\n", b"250 x\r\n", b"250 a\r\n250 a again\r\n", b"250 b\r\n", b"354 c\r\n"],
        [b"220 x\r\n", b"250 x\r\n", b"\xff\xfe\r\n"],
        [b"220 x\r\n", b"250 x\r\n", b"250\r\n250\r\n" * 100],
        [b"220 x\r\n", b"250 x\r\n", b"x" * 100_000],
        [b"220 x\r\n", b"250 x\r\n", b"250-more\r\n" * 10_000],
        [b"220 x\r\n", b"250 x\r\n", b"250 a\r\n", b"250 b\r\n", b"354 c\r\n", b"354 d\r\n"],
    ],
)
async def test_nonsense_is_never_a_delivery(replies):
    async with serving(replies) as host:
        session = await Session.open(host, ehlo="a.example", timeouts=SHORT)
        assert isinstance(session, Session)
        outcome = await session.deliver(envelope())

    assert (outcome.verdict, outcome.code) == (Verdict.DEFERRED, None)
    assert session.closed


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([b""], None),
        ([b"\r\n"], None),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], None),
        ([b"220 x\r\n", b"421 4.3.2 Not now\r\n"], 421),
        ([b"220 x\r\n", b"502 What?\r\n", b"502 What?\r\n"], 502),
        ([b"554 5.7.1 Blocked using a block list\r\n"], 554),
        ([b"421 Too many connections\r\n"], 421),
    ],
)
async def test_no_conversation_is_an_outcome(replies, code):
    async with serving(replies) as host:
        outcome = await Session.open(host, ehlo="a.example", timeouts=SHORT)

    assert isinstance(outcome, Outcome)
    assert (outcome.verdict, outcome.code) == (Verdict.DEFERRED, code)
    assert (outcome.mx_host, outcome.mx_address) == ("sink.example", "127.0.0.1")


async def test_nobody_there_is_an_outcome():
    for address in ("127.0.0.1", "::1", "not an address"):
        host = Host("sink.example", address, 9)
        outcome = await Session.open(host, ehlo="a.example", timeouts=SHORT)

        assert isinstance(outcome, Outcome)
        assert outcome.bounce_class is BounceClass.CONNECTION_FAILURE
        assert outcome.code is None


async def test_a_source_address_is_used(sink):
    await deliver(sink, envelope(), source_address="127.0.0.77")
    outcome = await try_open(sink, source_address="192.0.2.1")

    assert [message.peer for message in sink.messages] == ["127.0.0.77"]
    assert isinstance(outcome, Outcome)


async def test_silence_has_an_end(sink):
    sink.manner.delay = 5

    [outcome] = await deliver(sink, envelope())

    assert (outcome.verdict, outcome.code) == (Verdict.DEFERRED, None)
    assert outcome.text == "no answer in time at the content"
    assert sink.messages == []


async def test_a_slow_answer_is_waited_for(sink):
    [outcome] = await deliver(sink, envelope("slow-0.3s@sink.example"))

    assert outcome.verdict is Verdict.DELIVERED
    assert outcome.duration > timedelta(seconds=0.3)


async def test_an_old_server_is_greeted_as_one(sink):
    sink.manner.knows_ehlo = False

    [outcome] = await deliver(sink, envelope())

    assert outcome.verdict is Verdict.DELIVERED
    assert "C: HELO mail.example.com" in outcome.transcript


@pytest.mark.parametrize(
    "data",
    [
        b"X: y\r\n\r\n.\r\n..\r\n.x\r\n",
        b".\r\n",
        b"X: y\r\n\r\nbody\r\n.\r\nMAIL FROM:<evil@example.com>\r\n",
        b"x" * 3_000_000 + b"\r\n",
    ],
)
async def test_no_content_ends_the_content(sink, data):
    await deliver(sink, envelope(data=data), envelope())

    assert [message.data for message in sink.messages] == [data, DATA]


@pytest.mark.parametrize(
    "data", [b"a\n.\nMAIL FROM:<x@y>\n", b"a\r.\rb\r\n", b"a\r\n.\n", b"a\n.\r\nb", b"\n.\r\n"]
)
async def test_line_ends_are_made_one_kind(sink, data):
    await deliver(sink, envelope(data=data), envelope())

    expected = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n") + b"\n"
    assert sink.messages[0].data == expected.replace(b"\n", b"\r\n")
    assert len(sink.messages) == 2


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example> SIZE=1",
        "a@b.example\r\nRSET",
        "<a@b.example>",
        "a b@c.example",
        "a",
        "a\0@b.co",
    ],
)
def test_an_address_cannot_leave_its_command(address):
    with pytest.raises(InvalidAddress):
        Envelope("a@b.example", address, DATA)
    with pytest.raises(InvalidAddress):
        Envelope(address, "a@b.example", DATA)


async def test_what_the_host_cannot_take_is_not_sent(sink):
    sink.manner.extensions = ("SIZE 100",)

    outcomes = await deliver(
        sink,
        envelope("zoë@sink.example"),
        envelope(smtputf8=True),
        envelope(data=b"\xff\r\n"),
        envelope(data=b"x" * 101),
        envelope(sender="", data=b"short\r\n"),
    )

    assert [each.enhanced_code for each in outcomes] == [
        "5.6.7",
        "5.6.7",
        "5.6.3",
        "5.3.4",
        "2.0.0",
    ]
    assert {each.bounce_class for each in outcomes[:4]} == {BounceClass.POLICY_REJECTED}
    assert [message.envelope_from for message in sink.messages] == [""]


async def test_an_address_beyond_ascii_is_sent_where_it_is_taken(sink):
    [outcome] = await deliver(sink, envelope("zoë@sink.example", data="é\r\n".encode()))

    assert "C: MAIL FROM:<b+x.y@bounce.example.com> SIZE=4 BODY=8BITMIME SMTPUTF8" in (
        outcome.transcript
    )
    assert [message.recipient for message in sink.messages] == ["zoë@sink.example"]


@pytest.mark.parametrize("tls", [Tls.OPPORTUNISTIC, Tls.REQUIRED, Tls.VERIFIED])
async def test_a_good_certificate_is_told(sink, tls):
    sink.manner.starttls = "on"

    outcomes = await deliver(sink, envelope(), envelope(), tls=tls, ca_file=sink.ca_file)

    assert [each.tls_version for each in outcomes] == ["TLSv1.3", "TLSv1.3"]
    assert [each.tls_verified for each in outcomes] == [True, True]
    assert outcomes[0].tls_cipher.startswith("TLS_")
    assert [message.tls for message in sink.messages] == [True, True]


async def test_a_certificate_for_another_name_is_told(sink):
    sink.manner.starttls = "on"
    sink.manner.certificate_names = ("other.example",)

    [outcome] = await deliver(sink, envelope(), ca_file=sink.ca_file)
    refused = await try_open(sink, tls=Tls.VERIFIED, ca_file=sink.ca_file)

    assert (outcome.verdict, outcome.tls_verified) == (Verdict.DELIVERED, False)
    assert isinstance(refused, Outcome)
    assert refused.bounce_class is BounceClass.CONNECTION_FAILURE
    assert "certificate" in refused.text


async def test_an_unknown_authority_is_told(sink):
    sink.manner.starttls = "on"

    [outcome] = await deliver(sink, envelope())
    refused = await try_open(sink, tls=Tls.VERIFIED)

    assert outcome.tls_verified is not True
    assert isinstance(refused, Outcome)


@pytest.mark.parametrize("how", ["broken", "refused"])
async def test_broken_encryption_falls_back_only_where_it_may(sink, how):
    sink.manner.starttls = how

    [outcome] = await deliver(sink, envelope())
    refused = await try_open(sink, tls=Tls.REQUIRED)

    assert (outcome.verdict, outcome.tls_version) == (Verdict.DELIVERED, None)
    assert any(line.endswith("once more in clear") for line in outcome.transcript)
    assert isinstance(refused, Outcome)
    assert refused.verdict is Verdict.DEFERRED
    assert len(sink.messages) == 1


async def test_encryption_that_is_not_offered_is_missed_only_where_required(sink):
    refused = await try_open(sink, tls=Tls.REQUIRED)

    assert isinstance(refused, Outcome)
    assert "encryption is required" in refused.text
    assert (await deliver(sink, envelope()))[0].verdict is Verdict.DELIVERED


async def test_text_slipped_in_before_encryption_is_refused():
    async with serving(
        [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"]
    ) as host:
        outcome = await Session.open(host, ehlo="a.example", tls=Tls.REQUIRED, timeouts=SHORT)

    assert isinstance(outcome, Outcome)
    assert "in clear" in outcome.text


async def test_a_password_is_neither_shown_nor_sent_in_clear(sink):
    sink.manner.login = ("ann", "s3cret")
    sink.manner.starttls = "on"

    [outcome] = await deliver(sink, envelope(), username="ann", password="s3cret")
    wrong = await try_open(sink, username="ann", password="wrong")
    sink.manner.starttls = "broken"
    unsafe = await try_open(sink, username="ann", password="s3cret")

    assert (outcome.verdict, outcome.tls_version) == (Verdict.DELIVERED, "TLSv1.3")
    assert "C: AUTH (credentials)" in outcome.transcript
    assert "AGFubgBzM2NyZXQ" not in " ".join(outcome.transcript)
    assert isinstance(wrong, Outcome)
    assert (wrong.verdict, wrong.code) == (Verdict.DEFERRED, 535)
    assert isinstance(unsafe, Outcome)
    assert not any("AUTH (" in line for line in unsafe.transcript)


async def test_a_cancelled_delivery_closes_the_connection(sink):
    sink.manner.delay = 5
    async with opened(sink) as session:
        task = asyncio.create_task(session.deliver(envelope()))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])

        assert session.closed
    assert sink.messages == []


async def test_what_a_host_says_can_be_shown():
    said = b"550 5.1.1 <b>\x1b[31m\x00" + b"\xf0\x9f\x98\x80" * 3_000 + b"\r\n"
    async with serving([b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", said[:4_000] + b"\r\n"]) as host:
        session = await Session.open(host, ehlo="a.example", timeouts=SHORT)
        outcome = await session.deliver(envelope())

    assert outcome.code == 550
    assert outcome.text.startswith("5.1.1 <b>?[31m?")
    assert len(outcome.text) <= 2_000
    assert all(line.isprintable() for line in outcome.transcript)
