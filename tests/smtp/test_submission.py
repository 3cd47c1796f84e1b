"""Mail handed over by SMTP: signed in with an API key, accepted like over HTTP, or refused."""

import asyncio
import base64
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core.database import fetch
from postlane.core.settings import Address
from postlane.server.smtp import admit
from postlane.smtp.conversation import Bounds
from postlane.smtp.listener import SUBMISSION, SubmissionListener
from postlane.smtp.replies import LONGEST_TEXT, reply
from postlane.smtp.submission import MOST_FAILURES_A_MINUTE
from tests.certificates import make_certificate
from tests.factories import make_api_key, make_domain, make_organization

ANYWHERE = Address("127.0.0.1", 0)


@pytest.fixture
async def listener(database: None) -> AsyncIterator[SubmissionListener]:
    started = SubmissionListener(admit, hostname="mail.postlane.test")
    await started.start(ANYWHERE)
    yield started
    await started.stop()


@pytest.fixture
async def organization(database: None) -> Organization:
    return await make_organization()


@pytest.fixture
async def sender(organization: Organization) -> str:
    """An address at a domain that the organization may send from."""
    return f"hello@{(await make_domain(organization.id)).name}"


@pytest.fixture
async def key(organization: Organization) -> str:
    return (await make_api_key(organization)).secret


def mail(sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "you@there.example", "Hello"
    message.set_content("Hello.")
    return message


async def talk(listener: SubmissionListener, conversation: Callable[[smtplib.SMTP], Any]) -> Any:
    """Have a conversation with the listener, in a thread of its own."""

    def have() -> Any:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=20) as client:
            return conversation(client)

    return await asyncio.to_thread(have)


async def recipients_of(organization: Organization) -> list[str]:
    rows = await fetch(
        "SELECT address FROM deliveries WHERE organization_id = {} ORDER BY address",
        organization.id,
    )
    return [row["address"] for row in rows]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_a_message_is_accepted_for_each_recipient_of_the_envelope(
    listener: SubmissionListener, organization: Organization, key: str, sender: str, mechanism: str
) -> None:
    def send(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.ehlo()
        client.user, client.password = "anything", key
        client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
        client.mail("bounces@elsewhere.example")
        client.rcpt("one@there.example")
        client.rcpt("two@there.example")
        return client.data(mail(sender).as_bytes(policy=SMTP))

    code, text = await talk(listener, send)

    assert code == 250
    assert text.startswith(b"2.0.0 Accepted as ")
    assert await recipients_of(organization) == ["one@there.example", "two@there.example"]


async def test_without_signing_in_nothing_is_taken(
    listener: SubmissionListener, organization: Organization
) -> None:
    def send(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.ehlo()
        return client.mail("bounces@elsewhere.example")

    assert await talk(listener, send) == (
        530,
        b"5.7.0 Sign in first, with an API key as the password.",
    )


@pytest.mark.parametrize("secret", ["pmta_00000000_wrong", "", "ü" * 10, "x" * 300])
async def test_a_key_that_is_none_is_refused(listener: SubmissionListener, secret: str) -> None:
    def sign_in(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.ehlo()
        login = base64.b64encode(f"\0user\0{secret}".encode()).decode()
        return client.docmd("AUTH", f"PLAIN {login}")

    code, _ = await talk(listener, sign_in)

    assert code == 535


async def test_the_third_failure_ends_the_conversation(listener: SubmissionListener) -> None:
    def try_often(client: smtplib.SMTP) -> list[int]:
        client.ehlo()
        login = base64.b64encode(b"\0user\0pmta_00000000_wrong").decode()
        return [client.docmd("AUTH", f"PLAIN {login}")[0] for _ in range(3)]

    assert await talk(listener, try_often) == [535, 535, 421]


async def test_guessing_over_many_conversations_ends_for_that_address_alone(
    listener: SubmissionListener, key: str
) -> None:
    wrong = base64.b64encode(b"\0user\0pmta_00000000_wrong").decode()

    def guess(client: smtplib.SMTP) -> int:
        client.ehlo()
        return [client.docmd("AUTH", f"PLAIN {wrong}")[0] for _ in range(2)][-1]

    def sign_in(client: smtplib.SMTP) -> int:
        client.ehlo()
        login = base64.b64encode(f"\0user\0{key}".encode()).decode()
        return client.docmd("AUTH", f"PLAIN {login}")[0]

    def sign_in_from_elsewhere() -> int:
        elsewhere = ("127.0.0.9", 0)
        with smtplib.SMTP("127.0.0.1", listener.port, source_address=elsewhere) as client:
            return sign_in(client)

    guesses = [await talk(listener, guess) for _ in range(MOST_FAILURES_A_MINUTE // 2)]

    assert guesses == [535] * (MOST_FAILURES_A_MINUTE // 2)
    # Not even the right one is looked at any more, or guessing would go on.
    assert await talk(listener, sign_in) == 421
    assert await asyncio.to_thread(sign_in_from_elsewhere) == 235


async def test_a_key_with_a_limit_is_told_to_come_later(
    listener: SubmissionListener, organization: Organization, sender: str
) -> None:
    limited = (await make_api_key(organization, rate_limit_per_minute=18)).secret

    def send(client: smtplib.SMTP) -> list[tuple[int, bytes]]:
        client.login("user", limited)
        said = []
        for number in range(3):
            client.mail("bounces@elsewhere.example")
            client.rcpt(f"you{number}@there.example")
            code, text = client.data(mail(sender).as_bytes(policy=SMTP))
            said.append((code, text[:5]))
        return said

    said = await talk(listener, send)

    # Ten seconds of requests at once are three, and signing in counts as one.
    assert said == [(250, b"2.0.0"), (250, b"2.0.0"), (451, b"4.7.1")]
    assert await recipients_of(organization) == ["you0@there.example", "you1@there.example"]


async def test_a_domain_of_somebody_else_is_refused_with_a_reason(
    listener: SubmissionListener, organization: Organization, key: str
) -> None:
    def send(client: smtplib.SMTP) -> str:
        client.login("user", key)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(mail("hello@not-mine.example"))
        return f"{refused.value.smtp_code} {refused.value.smtp_error.decode()}"

    said = await talk(listener, send)

    assert said.startswith("550 5.7.1 ")
    assert "not-mine.example" in said
    assert await recipients_of(organization) == []


async def test_a_key_that_is_withdrawn_during_a_conversation_sends_no_more(
    listener: SubmissionListener, organization: Organization, key: str, sender: str
) -> None:
    loop = asyncio.get_running_loop()

    def send(client: smtplib.SMTP) -> int:
        client.login("user", key)
        client.send_message(mail(sender))
        withdrawn = fetch("DELETE FROM api_keys WHERE organization_id = {}", organization.id)
        asyncio.run_coroutine_threadsafe(withdrawn, loop).result(10)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(mail(sender))
        return refused.value.smtp_code

    assert await talk(listener, send) == 535
    assert await recipients_of(organization) == ["you@there.example"]


async def test_a_key_that_may_not_send_is_refused(
    listener: SubmissionListener, organization: Organization, sender: str
) -> None:
    reader = (await make_api_key(organization, scopes=["messages:read"])).secret

    def send(client: smtplib.SMTP) -> int:
        client.login("user", reader)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(mail(sender))
        return refused.value.smtp_code

    assert await talk(listener, send) == 550


async def test_more_recipients_than_a_message_has_come_in_another_one(
    listener: SubmissionListener, organization: Organization, key: str, sender: str
) -> None:
    def send(client: smtplib.SMTP) -> list[int]:
        client.login("user", key)
        client.mail("bounces@elsewhere.example")
        codes = [client.rcpt(f"r{n}@there.example")[0] for n in range(52)]
        client.data(mail(sender).as_bytes(policy=SMTP))
        return codes

    assert await talk(listener, send) == [250] * 50 + [452] * 2
    assert len(await recipients_of(organization)) == 50


async def test_a_message_that_is_too_large_is_refused(
    listener: SubmissionListener, key: str
) -> None:
    def send(client: smtplib.SMTP) -> tuple[int, int]:
        client.login("user", key)
        announced = client.mail("bounces@elsewhere.example", ["size=30000000"])[0]
        client.mail("bounces@elsewhere.example")
        client.rcpt("you@there.example")
        sent = client.data(b"Subject: x\r\n\r\n" + (b"y" * 998 + b"\r\n") * 27_000)[0]
        return announced, sent

    assert await talk(listener, send) == (552, 552)


async def test_a_message_that_is_none_is_refused(
    listener: SubmissionListener, organization: Organization, key: str
) -> None:
    def send(client: smtplib.SMTP) -> int:
        client.login("user", key)
        client.mail("bounces@elsewhere.example")
        client.rcpt("you@there.example")
        return client.data(b"\x00\xff no header, no mail")[0]

    assert await talk(listener, send) == 554
    assert await recipients_of(organization) == []


async def test_a_certificate_makes_starttls_needed_before_a_key(
    database: None, key: str, organization: Organization, sender: str
) -> None:
    made = make_certificate("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.chain_file, made.key_file)
    listener = SubmissionListener(admit, hostname="localhost", tls=context)
    await listener.start(ANYWHERE)
    trusting = ssl.create_default_context(cafile=made.ca_file)

    def send(client: smtplib.SMTP) -> tuple[bool, int, bool]:
        client._host = "localhost"  # what the certificate is for
        client.ehlo()
        offered = client.has_extn("auth")
        login = base64.b64encode(f"\0user\0{key}".encode()).decode()
        refused = client.docmd("AUTH", f"PLAIN {login}")[0]
        client.starttls(context=trusting)
        client.login("user", key)
        client.send_message(mail(sender))
        return offered, refused, client.has_extn("auth")

    try:
        assert await talk(listener, send) == (False, 538, True)
        assert await recipients_of(organization) == ["you@there.example"]
    finally:
        await listener.stop()
    assert not listener.open


async def test_what_is_no_smtp_is_survived(listener: SubmissionListener) -> None:
    for garbage in (b"", b"\0" * 70_000, b"GET / HTTP/1.1\r\n\r\n" * 50, b"\xff\xfe\r\n" * 100):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(garbage)
        if not garbage:
            writer.close()
        else:
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 10)
            writer.close()

    assert (await talk(listener, lambda client: client.ehlo()))[0] == 250


TURNED_AWAY = b"421 4.3.2 Too many connections.\r\n"


async def first_line(listener: SubmissionListener) -> bytes:
    """Connect, and return what is said first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    line = await reader.readline()
    writer.close()
    return line


async def test_too_many_connections_are_turned_away(database: None) -> None:
    bounds = Bounds(size_bytes=1000, connections=5)
    listener = SubmissionListener(admit, hostname="mail.postlane.test", bounds=bounds)
    await listener.start(ANYWHERE)
    opened = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(5)]
    for reader, _ in opened:
        assert (await reader.readline()).startswith(b"220 ")

    assert await first_line(listener) == TURNED_AWAY
    for _, writer in opened:
        writer.close()
    await listener.stop()


async def test_who_does_not_sign_in_takes_no_place_of_those_who_do(
    listener: SubmissionListener, key: str
) -> None:
    most = SUBMISSION.strangers_per_address
    assert most is not None
    opened = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(most)]
    for reader, _ in opened:
        assert (await reader.readline()).startswith(b"220 ")

    before = await first_line(listener)
    reader, writer = opened[0]
    login = base64.b64encode(f"\0me\0{key}".encode()).decode()
    writer.write(f"EHLO me\r\nAUTH PLAIN {login}\r\n".encode())
    while not (line := await reader.readline()).startswith((b"235", b"5")):
        pass
    after = await first_line(listener)

    assert (before, line[:3], after[:4]) == (TURNED_AWAY, b"235", b"220 ")
    for _, writer in opened:
        writer.close()


async def test_every_common_extension_is_offered(listener: SubmissionListener) -> None:
    def ask(client: smtplib.SMTP) -> dict[str, str]:
        client.ehlo()
        return client.esmtp_features

    offered = await talk(listener, ask)

    assert offered["size"] == str(25 * 1024 * 1024)
    assert {"pipelining", "8bitmime", "smtputf8", "auth"} <= set(offered)


async def test_what_is_no_address_is_refused_at_rcpt(
    listener: SubmissionListener, key: str
) -> None:
    def send(client: smtplib.SMTP) -> list[int]:
        client.login("user", key)
        client.mail("bounces@elsewhere.example")
        wrong = [
            "nobody",
            "a@localhost",
            "a@b@c.example",
            "ada@-x.example",
            "x" * 70 + "@y.example",
        ]
        return [client.rcpt(each)[0] for each in [*wrong, "you@there.example"]]

    assert await talk(listener, send) == [553] * 5 + [250]


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"x\ny"])
async def test_a_message_with_another_line_end_is_refused(
    listener: SubmissionListener, organization: Organization, key: str, sender: str, end: bytes
) -> None:
    def send(client: smtplib.SMTP) -> bytes:
        client.login("user", key)
        client.mail("bounces@elsewhere.example")
        client.rcpt("you@there.example")
        client.docmd("DATA")
        head = f"From: {sender}\r\nTo: you@there.example\r\nSubject: x\r\n\r\nHello".encode()
        hidden = b"MAIL FROM:<x@y.example>\r\nRCPT TO:<eve@there.example>\r\nDATA\r\n" + head
        assert client.sock is not None
        client.sock.sendall(head + end + hidden + b"\r\n.\r\nNOOP\r\n")
        answer = b""
        while octets := client.sock.recv(1000):
            answer += octets
        return answer

    answer = await talk(listener, send)

    assert answer.startswith(b"554 5.6.0 ")
    assert b"250" not in answer
    assert await recipients_of(organization) == []


async def test_encryption_from_the_start_needs_no_starttls(
    database: None, key: str, organization: Organization, sender: str
) -> None:
    made = make_certificate("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.chain_file, made.key_file)
    listener = SubmissionListener(admit, hostname="localhost", tls=context)
    await listener.start(ANYWHERE, encrypted=True)
    trusting = ssl.create_default_context(cafile=made.ca_file)

    def send() -> tuple[bool, bool]:
        with smtplib.SMTP_SSL("localhost", listener.port, context=trusting, timeout=20) as client:
            client.login("user", key)
            client.send_message(mail(sender))
            return client.has_extn("starttls"), client.has_extn("auth")

    try:
        assert await asyncio.to_thread(send) == (False, True)
        assert await recipients_of(organization) == ["you@there.example"]
    finally:
        await listener.stop()


async def test_a_message_that_comes_again_is_taken_once_where_that_is_wished(
    database: None, key: str, organization: Organization, sender: str
) -> None:
    listener = SubmissionListener(admit, hostname="localhost", once_by_message_id=True)
    await listener.start(ANYWHERE)

    def send(client: smtplib.SMTP) -> list[str]:
        client.login("user", key)
        named, other, unnamed = mail(sender), mail(sender), mail(sender)
        named["Message-ID"] = other["Message-ID"] = "<once@acme.example>"
        other.replace_header("Subject", "Changed")
        said = []
        for message, to in (
            (named, "one@there.example"),
            (named, "one@there.example"),
            (named, "two@there.example"),
            (other, "one@there.example"),
            (unnamed, "three@there.example"),
            (unnamed, "three@there.example"),
        ):
            client.mail("bounces@elsewhere.example")
            client.rcpt(to)
            code, text = client.data(message.as_bytes(policy=SMTP))
            said.append(f"{code} {text.decode().rpartition(' ')[2]}")
        return said

    try:
        said = await talk(listener, send)
    finally:
        await listener.stop()
    assert said[0] == said[1] != said[2]
    assert [each[:3] for each in said] == ["250", "250", "250", "550", "250", "250"]
    assert await recipients_of(organization) == [
        "one@there.example",
        "three@there.example",
        "three@there.example",
        "two@there.example",
    ]


async def test_stopping_turns_away_those_who_wait(listener: SubmissionListener) -> None:
    port = listener.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()

    await asyncio.wait_for(listener.stop(), 5)

    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


def test_no_text_can_end_a_reply() -> None:
    line = reply(554, "5.6.0", "bad\r\n250 2.0.0 fine\x00\u2028" + "x" * 1000)

    assert "\r" not in line
    assert "\n" not in line
    assert line.startswith("554 5.6.0 bad 250 2.0.0 fine xxx")
    assert len(line) <= LONGEST_TEXT + len("554 5.6.0 ")
