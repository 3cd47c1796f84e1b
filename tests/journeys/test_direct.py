"""Straight to the recipients' exchangers: what the world does, and what becomes of the mail."""

import asyncio
import random
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from tests.sink import Received

from .stack import Account, World

pytestmark = pytest.mark.slow

ATTEMPTS = """
query ($id: ID!) {
  organization {
    message(id: $id) {
      deliveries {
        attempts { verdict code mxHost tlsVersion tlsCipher transcript }
      }
    }
  }
}
"""
FIVE_MINUTES = timedelta(minutes=5)
SETTLING = timedelta(seconds=10)
"""At most between an attempt and what was written down about it."""


async def fate(account: Account, address: str, **fields: Any) -> Any:
    """Send a message to *address* and return its recipient once something became of it."""
    sent = await account.send(address, **fields)
    message = await account.settled(sent["id"])
    (recipient,) = message["recipients"]
    return recipient | {"message": message["id"]}


async def attempts(account: Account, recipient: Any) -> list[Any]:
    """Return what was tried for a recipient, as GraphQL tells it."""
    data = await account.graphql(ATTEMPTS, {"id": recipient["message"]})
    (delivery,) = data["organization"]["message"]["deliveries"]
    found: list[Any] = delivery["attempts"]
    return found


def parsed(received: Received) -> EmailMessage:
    message = message_from_bytes(received.data, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def waits(recipient: Any) -> timedelta:
    """Return how long after its attempt a deferred recipient is tried again."""
    next_at, last_at = (
        datetime.fromisoformat(text)
        for text in (recipient["next_attempt_at"], recipient["last_response"]["at"])
    )
    return next_at - last_at


async def test_the_exchanger_with_the_lowest_number_gets_the_mail(
    world: World, account: Account
) -> None:
    name = world.name()
    world.dns.set(f"near.{name}", "A", "127.0.0.3")
    world.dns.set(name, "MX", "20 mx.sink.example", f"5 near.{name}")

    recipient = await fate(account, f"ada@{name}")

    assert recipient["status"] == "delivered"
    assert recipient["last_response"]["mx_host"] == f"near.{name}"
    assert [each.recipient for each in world.spare.messages].count(f"ada@{name}") == 1


async def test_a_dead_exchanger_is_passed_over(world: World, account: Account) -> None:
    name = world.name()
    world.dns.set(f"dead.{name}", "A", "127.0.0.2")
    world.dns.set(name, "MX", f"5 dead.{name}", "10 mx.sink.example")

    recipient = await fate(account, f"ada@{name}")

    assert (recipient["status"], recipient["attempts"]) == ("delivered", 1)
    assert recipient["last_response"]["mx_host"] == "mx.sink.example"


async def test_without_an_mx_the_domain_itself_gets_the_mail(
    world: World, account: Account
) -> None:
    name = world.name()
    world.dns.set(name, "MX")
    world.dns.set(name, "A", "127.0.0.1")

    recipient = await fate(account, f"ada@{name}")

    assert recipient["status"] == "delivered"
    assert recipient["last_response"]["mx_host"] == name


async def test_a_domain_that_takes_no_mail_bounces(world: World, account: Account) -> None:
    null_mx = world.name()
    world.dns.set(null_mx, "MX", "0 .")
    absent = "nobody-has-this.invalid"

    refused, unknown = await asyncio.gather(
        fate(account, f"ada@{null_mx}"), fate(account, f"ada@{absent}")
    )

    for recipient, code in ((refused, "5.1.10"), (unknown, "5.1.2")):
        assert recipient["status"] == "bounced"
        assert recipient["bounce_class"] == "bad_domain"
        assert recipient["last_response"]["enhanced_code"] == code
        assert recipient["last_response"]["code"] is None


async def test_broken_dns_is_waited_for(world: World, account: Account) -> None:
    name = world.name()
    world.dns.fail(name, "SERVFAIL")

    recipient = await fate(account, f"ada@{name}")

    assert (recipient["status"], recipient["bounce_class"]) == ("deferred", "connection_failure")
    assert recipient["last_response"]["enhanced_code"] == "4.4.3"


async def test_an_unknown_recipient_is_suppressed_and_costs_nothing_afterwards(
    world: World, account: Account
) -> None:
    address = f"550-at-rcpt@{world.name()}"

    first = await fate(account, address)
    second = await account.send(address.upper())

    assert (first["status"], first["bounce_class"]) == ("bounced", "invalid_recipient")
    assert first["last_response"]["code"] == 550
    assert (second["status"], second["suppressed"], second["accepted"]) == ("suppressed", 1, 0)
    assert second["credits_consumed"] == 0
    assert second["recipients"][0]["status"] == "suppressed"
    found = await account.graphql(
        "query ($a: EmailAddress!) { organization { suppressions(filter: {address: $a}) "
        "{ nodes { address reason expiresAt } } } }",
        {"a": address},
    )
    assert found["organization"]["suppressions"]["nodes"] == [
        {"address": address, "reason": "HARD_BOUNCE", "expiresAt": None}
    ]


@pytest.mark.parametrize(
    ("local_part", "code", "bounce_class"),
    [
        ("451-at-rcpt", 451, "temporary_failure"),
        ("greylist", 450, "temporary_failure"),
        ("452-at-data", 452, "mailbox_full"),
        ("421-at-rcpt", 421, "rate_limited"),
        ("drop-at-data", None, "connection_failure"),
    ],
)
async def test_what_may_pass_is_tried_again_in_five_minutes(
    world: World, account: Account, local_part: str, code: int | None, bounce_class: str
) -> None:
    recipient = await fate(account, f"{local_part}@{world.name()}")

    assert (recipient["status"], recipient["bounce_class"]) == ("deferred", bounce_class)
    assert recipient["last_response"]["code"] == code
    assert FIVE_MINUTES <= waits(recipient) < FIVE_MINUTES * 1.1 + SETTLING


async def test_encryption_is_used_where_offered_and_written_down(
    world: World, account: Account
) -> None:
    # Another exchanger than the others' tests use, so that no open conversation is in the way.
    name = world.name()
    world.dns.set(f"tls.{name}", "A", "127.0.0.3")
    world.dns.set(name, "MX", f"10 tls.{name}")
    world.spare.manner.starttls = "on"
    try:
        recipient = await fate(account, f"ada@{name}")
    finally:
        world.spare.manner.starttls = "off"

    (received,) = await world.mail_for(f"ada@{name}")
    (attempt,) = await attempts(account, recipient)
    assert received.tls
    assert attempt["tlsVersion"] == "TLSv1.3"
    assert attempt["tlsCipher"].startswith("TLS_")
    assert any("STARTTLS" in line for line in attempt["transcript"])


async def test_a_domain_in_any_script_is_looked_up_by_its_ascii_name(
    world: World, account: Account
) -> None:
    world.dns.set("xn--bcher-kva.example", "MX", "10 mx.sink.example")

    recipient = await fate(account, "Ada <ada@Bücher.example>")

    assert recipient["status"] == "delivered"
    (received,) = await world.mail_for("ada@xn--bcher-kva.example")
    assert b"ada@xn--bcher-kva.example" in received.data


async def test_files_arrive_as_they_were_sent(world: World, account: Account) -> None:
    picture, notes = random.Random(1).randbytes(50_000), "Zwölf Boxkämpfer\n".encode()
    address = f"ada@{world.name()}"

    await account.send(
        address,
        html='<p>Look: <img src="cid:logo@shop"></p>',
        attachments=[
            {
                "filename": "logo.png",
                "content": b64encode(picture).decode(),
                "content_type": "image/png",
                "disposition": "inline",
                "content_id": "logo@shop",
            },
            {"filename": "Notizen für Åsa.txt", "content": b64encode(notes).decode()},
        ],
    )

    (received,) = await world.mail_for(address)
    message = parsed(received)
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/related",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "image/png",
        "text/plain",
    ]
    parts = list(message.walk())
    assert 'src="cid:logo@shop"' in parts[4].get_content()
    assert parts[5]["Content-ID"] == "<logo@shop>"
    assert parts[5].get_content_disposition() == "inline"
    assert parts[5].get_payload(decode=True) == picture
    assert parts[6].get_filename() == "Notizen für Åsa.txt"
    assert parts[6].get_payload(decode=True) == notes


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(".\n..\n.QUIT\n\n. x\n...", id="dots"),
        pytest.param("x" * 2000 + "\n.\nÅ" + "é" * 1000 + "\n.", id="long lines"),
    ],
)
async def test_text_arrives_as_it_was_sent(world: World, account: Account, text: str) -> None:
    address = f"ada@{world.name()}"

    await account.send(address, text=text, subject="Grüße " * 30)

    (received,) = await world.mail_for(address)
    message = parsed(received)
    assert message.get_content().replace("\r\n", "\n").removesuffix("\n") == text
    assert message["Subject"] == ("Grüße " * 30).strip()
    assert max(map(len, received.data.split(b"\r\n"))) <= 998
    assert received.data.isascii()


async def test_one_click_ends_marketing_mail_and_nothing_else(
    world: World, account: Account
) -> None:
    address = f"ada@{world.name()}"
    await account.send(address, stream="marketing")
    (received,) = await world.mail_for(address)
    message = parsed(received)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = message["List-Unsubscribe"].partition(">")[0].strip("<")
    assert link.startswith(f"{world.url}/track/unsubscribe/")

    async with httpx.AsyncClient(trust_env=False) as anybody:
        shown = await anybody.get(link)
        still_welcome = await account.send(address, stream="marketing")
        clicked = await anybody.post(link, data={"List-Unsubscribe": "One-Click"})
    unwelcome = await account.send(address, stream="marketing")
    order = await fate(account, address)

    assert (shown.status_code, clicked.status_code) == (200, 200)
    assert still_welcome["suppressed"] == 0
    assert (unwelcome["status"], unwelcome["credits_consumed"]) == ("suppressed", 0)
    assert order["status"] == "delivered"
    # Mail of two streams may overtake each other.
    arrived = [parsed(each) for each in await world.mail_for(address, count=3)]
    assert sorted(each["List-Unsubscribe"] is None for each in arrived) == [False, False, True]


async def test_a_message_in_time_is_sent_in_time(world: World, account: Account) -> None:
    address = f"ada@{world.name()}"
    soon = datetime.now(UTC) + timedelta(seconds=3)

    sent = await account.send(address, send_at=soon.isoformat())
    await world.mail_for(address, within=90)

    assert sent["status"] == "scheduled"
    assert datetime.now(UTC) >= soon
