"""Mailboxes with an address: mail by SMTP, posting, refusals."""

import asyncio
import base64
import hashlib
import hmac
import json
import smtplib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import VISITING, Actor, ProjectId, Role
from postlane.core.database import fetch
from postlane.core.settings import Address
from postlane.ingress.posting import post_of
from postlane.ingress.rules import (
    DEAD_KEPT,
    KEPT,
    LARGEST_MAIL,
    MOST_MAILBOXES,
    MOST_WAITING,
    MailSource,
    PostFormat,
)
from postlane.ingress.work import Arrival, remove_old_mail, take_mail
from postlane.jobs.erasing import erase_recipient
from postlane.smtp.conversation import OWN_BYTES
from postlane.smtp.listener import INBOUND, InboundListener
from tests.billing.setup import settings_with
from tests.client import Client
from tests.factories import make_actor, make_organization, make_project
from tests.mail.report_shapes import STANDARD
from tests.webhooks.receiver import Receiver

from .mailboxes import CREATE, DELETE, SHOW, UPDATE, Mailboxes

MAIL = b"From: Ada <ada@dest.example>\r\nSubject: Hello\r\n\r\nGood day.\r\n"
ERASE = """mutation ($input: EraseRecipientInput!) {
    eraseRecipient(input: $input) { erasure { uuid } } }"""
URL = "https://program.example/mail"


@pytest.fixture
async def listener(database: None) -> AsyncIterator[InboundListener]:
    started = InboundListener(hostname="mail.postlane.test")
    await started.start(Address("127.0.0.1", 0))
    yield started
    await started.stop()


async def hand_over(listener: InboundListener, to: str, data: bytes = MAIL) -> list[int]:
    def have() -> list[int]:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=60) as client:
            client.ehlo("mx.dest.example")
            codes = [client.mail("ada@dest.example")[0], client.rcpt(to)[0]]
            if codes[-1] == 250:
                codes.append(client.data(data)[0])
            return codes

    return await asyncio.to_thread(have)


async def test_mail_to_its_address_is_posted_and_signed(
    client: Client, listener: InboundListener, receiver: Receiver
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, secret = await boxes.create(url=receiver.url, uid="support", label="Support")
    large = MAIL + b"x" * 70 + b"\r\n" + (b"y" * 98 + b"\r\n") * 10_000

    assert await hand_over(listener, made["address"].upper()) == [250, 250, 250]
    assert await hand_over(listener, made["address"], large) == [250, 250, 250]
    await boxes.post(made["uuid"])

    bodies = {each.body: nth for nth, each in enumerate(receiver.asked)}
    assert set(bodies) == {MAIL, large}
    asked = receiver.asked[bodies[MAIL]]
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + MAIL
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert asked.headers["webhook-signature"] == f"v1,{expected}"
    newest = (await boxes.mails(made["uuid"]))[-1]
    assert (newest["source"], newest["sender"], newest["sizeBytes"]) == (
        "SMTP",
        "ada@dest.example",
        len(MAIL),
    )


async def test_in_postageapps_format_its_receiver_finds_the_signature_good(
    client: Client, listener: InboundListener, receiver: Receiver
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, secret = await boxes.create(url=receiver.url, format="POSTAGEAPP")

    await hand_over(listener, made["address"])
    await boxes.post(made["uuid"])

    [asked] = receiver.asked
    message = json.loads(asked.body)["inbound_email"]["message"]
    assert message.encode() == MAIL
    # As the gem computes it: the mail is the key.
    expected = base64.b64encode(hmac.digest(MAIL, secret.encode(), hashlib.sha1)).decode()
    assert asked.headers["x-postageapp-signature"] == expected


def test_octets_that_are_no_text_are_replaced_in_json() -> None:
    post = post_of(
        b"Subject: caf\xe9\0\r\n\r\n",
        id=uuid.uuid4(),
        secret=b"s",
        format=PostFormat.POSTAGEAPP,
        at=clock.now(),
    )

    message = json.loads(post.body)["inbound_email"]["message"]
    assert message == "Subject: caf\ufffd\ufffd\r\n\r\n"


async def test_what_is_not_taken_is_posted_again_until_its_time_is_over(
    client: Client, listener: InboundListener, receiver: Receiver
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=receiver.url)
    receiver.then(*[503] * 8)
    await hand_over(listener, made["address"])

    seen = []
    for _ in range(9):
        await boxes.post(made["uuid"])
        [mail] = await boxes.mails(made["uuid"])
        seen.append((mail["state"], mail["attempts"], mail["status"]))

    assert seen[0] == ("PENDING", 1, 503)
    assert seen[6] == ("PENDING", 7, 503)
    assert seen[7] == seen[8] == ("DEAD", 8, 503)
    assert len(receiver.asked) == 8


async def test_old_mail_is_forgotten(
    client: Client, listener: InboundListener, receiver: Receiver
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=receiver.url)
    await hand_over(listener, made["address"])
    rows = await fetch(
        "UPDATE ingress_mails SET state = 'dead', due_at = NULL, completed_at = now(), "
        "created_at = {} WHERE mailbox_id = {} RETURNING id",
        clock.now() - KEPT - timedelta(hours=1),
        made["uuid"],
    )
    kept = "SELECT FROM ingress_contents WHERE id = {}"

    await fetch(
        "UPDATE ingress_mails SET completed_at = {} WHERE mailbox_id = {}",
        clock.now() - DEAD_KEPT - timedelta(hours=1),
        made["uuid"],
    )
    await remove_old_mail()

    assert await fetch(kept, rows[0]["id"]) == []
    assert await boxes.mails(made["uuid"]) == []


async def test_nobody_else_has_a_mailbox(client: Client, listener: InboundListener) -> None:
    assert (await hand_over(listener, f"in-{'0' * 24}@mail.postlane.test"))[1] == 550
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=URL)
    elsewhere = made["address"].replace("@mail.postlane.test", "@dest.example")

    assert (await hand_over(listener, elsewhere))[1] == 550
    await fetch("UPDATE organizations SET status = 'suspended' WHERE id = {}", organization(boxes))
    # It may end, and what is refused for good is lost.
    assert (await hand_over(listener, made["address"]))[1] == 450


def organization(boxes: Mailboxes) -> Any:
    return boxes.actor.organization_id


async def test_a_full_mailbox_asks_to_come_again(client: Client, listener: InboundListener) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=URL)
    await fetch(
        "INSERT INTO ingress_mails (id, organization_id, mailbox_id, source, sender, subject, "
        "size_bytes, state, attempts, created_at) SELECT gen_random_uuid(), {}, {}, 'smtp', '', "
        "'', 1, 'pending', 0, now() FROM generate_series(1, {})",
        organization(boxes),
        made["uuid"],
        MOST_WAITING,
    )

    assert (await hand_over(listener, made["address"]))[1] == 452


async def test_the_form_of_a_report_passes_no_scanner(
    client: Client, listener: InboundListener
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=URL)
    report = {shape.name: shape for shape in STANDARD}["postfix"].data

    with settings_with(scan_inbound="virus", clamd="127.0.0.1:9", scan_down="hold"):
        codes = await hand_over(listener, made["address"], report)

    assert codes == [250, 250, 451]
    assert await boxes.mails(made["uuid"]) == []


async def test_an_archived_project_takes_none_for_good(
    client: Client, listener: InboundListener
) -> None:
    organization = await make_organization()
    project = await make_project(organization, archived_at=clock.now())
    boxes = Mailboxes(client, await make_actor(organization))
    made, _ = await boxes.create(url=URL)
    await fetch(
        "UPDATE ingress_mailboxes SET project_id = {} WHERE id = {}", project.id, made["uuid"]
    )

    assert (await hand_over(listener, made["address"]))[1] == 550


@asynccontextmanager
async def unended(listener: InboundListener, to: str, data: bytes) -> AsyncIterator[None]:
    """Hand over a mail that does not end while the body runs."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(f"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode())
    while b"354" not in await reader.readline():
        pass
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(1)
    yield
    writer.close()
    await writer.wait_closed()
    while listener.open:  # noqa: ASYNC110 - the test's own time limit ends this
        await asyncio.sleep(0.05)


@asynccontextmanager
async def narrow(room: int) -> AsyncIterator[InboundListener]:
    """A listener with little room for all mail together."""
    started = InboundListener(hostname="mail.postlane.test", bounds=replace(INBOUND, room=room))
    await started.start(Address("127.0.0.1", 0))
    yield started
    await started.stop()


LINE = b"y" * 998 + b"\r\n"


async def test_while_there_is_no_room_large_mail_comes_again_and_small_mail_is_taken(
    client: Client,
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=URL)
    large = MAIL + LINE * (OWN_BYTES // 500)
    async with narrow(OWN_BYTES) as listener:
        async with unended(listener, made["address"], large):
            while_full = [
                await hand_over(listener, made["address"], each) for each in (large, MAIL)
            ]
        after = await hand_over(listener, made["address"], large)

    assert [codes[-1] for codes in while_full] == [452, 250]
    assert after == [250, 250, 250]
    assert len(await boxes.mails(made["uuid"])) == 2


async def test_nothing_is_kept_of_a_mail_that_is_too_large(client: Client) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=URL)
    large = MAIL + LINE * (LARGEST_MAIL // 1000 + 1)
    async with narrow(LARGEST_MAIL) as listener:
        async with unended(listener, made["address"], large):
            # All the room is free again, before the other has ended.
            codes = await hand_over(listener, made["address"], large[: LARGEST_MAIL - 1000])
        too_large = await hand_over(listener, made["address"], large)

    assert codes == [250, 250, 250]
    assert too_large == [250, 250, 552]
    [mail] = await boxes.mails(made["uuid"])
    assert mail["sizeBytes"] < LARGEST_MAIL


async def test_a_mail_that_says_it_is_too_large_is_refused_before_it_is_sent(
    client: Client, listener: InboundListener
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=URL)

    def offer(size: int, to: str) -> list[int]:
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=60) as server:
            server.ehlo()
            return [server.mail("ada@example.net", [f"size={size}"])[0], server.rcpt(to)[0]]

    found = [
        await asyncio.to_thread(offer, size, made["address"])
        for size in (0, LARGEST_MAIL, LARGEST_MAIL + 1, INBOUND.size_bytes)
    ]
    # The deployment's own mailboxes take what the listener does.
    ours = await asyncio.to_thread(offer, LARGEST_MAIL + 1, "postmaster")

    assert found == [[250, 250], [250, 250], [250, 552], [250, 552]]
    assert ours == [250, 250]


async def test_what_came_from_somebody_who_is_erased_is_gone(client: Client) -> None:
    boxes, others = Mailboxes(client, await make_actor()), Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=URL)
    elsewhere, _ = await others.create(url=URL)
    ada, bob = "ADA@dest.example", "bob@dest.example"
    for id, sender in (
        (made["uuid"], None),
        (made["uuid"], ada),
        (made["uuid"], bob),
        (elsewhere["uuid"], ada),
    ):
        await take_mail(uuid.UUID(id), Arrival(MAIL, MailSource.SMTP, sender))

    asked = await client.data(ERASE, {"input": {"address": ada}}, actor=boxes.actor)
    # The job is given no chance to say that it is alive: it takes no time.
    await erase_recipient({"job": None}, erasure_id=asked["eraseRecipient"]["erasure"]["uuid"])

    kept = "SELECT FROM ingress_contents JOIN ingress_mails USING (id) WHERE mailbox_id = {}"
    assert [each["sender"] for each in await boxes.mails(made["uuid"])] == [bob]
    assert [each["sender"] for each in await others.mails(elsewhere["uuid"])] == [ada]
    assert len(await fetch(kept, made["uuid"])) == 1


async def test_it_is_changed_and_deleted(client: Client) -> None:
    boxes = Mailboxes(client, await make_actor())
    account = {"host": "IMAP.example.com.", "username": "ada", "password": "p"}
    made, secret = await boxes.create(url=URL, uid="a", account=account)

    changed = await client.data(
        UPDATE,
        {
            "input": {
                "mailbox": {"uid": "a"},
                "uid": "b",
                "label": "B",
                "account": {"port": 143, "tls": False, "password": "p"},
                "rotateSecret": True,
            }
        },
        actor=boxes.actor,
    )
    without = await client.data(
        UPDATE,
        {"input": {"mailbox": {"number": made["number"]}, "account": None}},
        actor=boxes.actor,
    )
    await client.data(DELETE, {"input": {"mailbox": {"uid": "b"}}}, actor=boxes.actor)

    assert made["account"] == {
        "host": "imap.example.com",
        "port": 993,
        "username": "ada",
        "tls": True,
    }
    found = changed["updateIngressMailbox"]
    assert found["secret"] not in (None, secret)
    assert (found["ingressMailbox"]["uid"], found["ingressMailbox"]["label"]) == ("b", "B")
    assert found["ingressMailbox"]["account"] == made["account"] | {"port": 143, "tls": False}
    assert without["updateIngressMailbox"]["ingressMailbox"]["account"] is None
    assert await fetch("SELECT FROM ingress_mailboxes WHERE id = {}", made["uuid"]) == []


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"uid": "x" * 256}, "uid"),
        ({"label": "a\nb"}, "label"),
        ({"account": {"host": "a b", "username": "u", "password": "p"}}, "account.host"),
        ({"account": {"host": "", "username": "u", "password": "p"}}, "account.host"),
        (
            {"account": {"host": "h.example", "username": "u\r\nA1 LOGOUT", "password": "p"}},
            "account.username",
        ),
        ({"account": {"host": "h.example", "username": "u", "password": ""}}, "account.password"),
        (
            {"account": {"host": "h.example", "username": "u", "password": "p", "port": 0}},
            "account.port",
        ),
    ],
)
async def test_what_it_cannot_be_is_refused(
    client: Client, values: dict[str, Any], field: str
) -> None:
    actor = await make_actor()

    answer = await client.graphql(CREATE, {"input": {"url": URL, **values}}, actor=actor)

    [error] = answer["errors"]
    assert [each["field"] for each in error["extensions"]["details"]] == [field]
    rows = await fetch(
        "SELECT FROM ingress_mailboxes WHERE organization_id = {}", actor.organization_id
    )
    assert rows == []


@pytest.mark.parametrize(
    "change",
    [{"host": "imap.evil.example"}, {"port": 994}, {"username": "eve"}, {"tls": False}],
    ids=lambda change: next(iter(change)),
)
async def test_a_password_goes_nowhere_else_unless_it_is_said_again(
    client: Client, change: dict[str, Any]
) -> None:
    boxes = Mailboxes(client, await make_actor())
    account = {"host": "imap.example.com", "username": "ada", "password": "p"}
    made, _ = await boxes.create(url=URL, account=account)

    def changed(**values: Any) -> dict[str, Any]:
        return {"input": {"mailbox": {"id": made["uuid"]}, "account": values}}

    answer = await client.graphql(UPDATE, changed(**change), actor=boxes.actor)
    kept = (await boxes.show(made["uuid"]))["account"]
    same = {name: made["account"][name] for name in ("host", "port", "username", "tls")}
    await client.data(UPDATE, changed(**same), actor=boxes.actor)
    await client.data(UPDATE, changed(**change, password="q"), actor=boxes.actor)

    [error] = answer["errors"]
    [detail] = error["extensions"]["details"]
    assert (detail["field"], detail["code"]) == ("account.password", "REQUIRED")
    assert kept == made["account"]
    assert (await boxes.show(made["uuid"]))["account"] == made["account"] | change


async def test_a_uid_is_taken_once_and_an_organization_has_so_many(client: Client) -> None:
    actor = await make_actor()
    given = {"input": {"url": URL, "uid": "a"}}

    answers = await asyncio.gather(*(client.graphql(CREATE, given, actor=actor) for _ in range(5)))
    await fetch(
        "INSERT INTO ingress_mailboxes (id, organization_id, uid, token, url, sealed_secret, "
        "format, port, tls, last_uid, failures, created_at, updated_at) SELECT gen_random_uuid(), "
        "{}, n::text, substr(md5(random()::text), 1, 24), '', '', 'raw', 993, true, 0, 0, now(), "
        "now() FROM generate_series(1, {}) AS n",
        actor.organization_id,
        MOST_MAILBOXES - 1,
    )
    beyond = await client.refusal(CREATE, {"input": {"url": URL}}, actor=actor)

    assert sum("errors" not in answer for answer in answers) == 1
    assert beyond == "RATE_LIMITED"


async def test_a_key_of_one_project_sees_its_mailboxes_only(client: Client) -> None:
    organization = await make_organization()
    owner = await make_actor(organization)
    project = await make_project(organization)
    bound = await make_actor(organization, project_id=ProjectId(project.id))
    other, _ = await Mailboxes(client, owner).create(url=URL)
    own, _ = await Mailboxes(client, owner).create(url=URL, projectId=str(project.id))

    assert own["projectUuid"] == str(project.id)
    assert (await Mailboxes(client, bound).show(own["uuid"]))["uid"] == own["uid"]
    error = await client.refusal(SHOW, {"ref": {"id": other["uuid"]}}, actor=bound)
    assert error == "NOT_FOUND"


async def test_a_viewer_changes_nothing(client: Client) -> None:
    organization = await make_organization()
    boxes = Mailboxes(client, await make_actor(organization))
    made, _ = await boxes.create(url=URL)
    viewer: Actor = await make_actor(organization, role=Role.VIEWER)

    error = await client.refusal(DELETE, {"input": {"mailbox": {"id": made["uuid"]}}}, actor=viewer)

    assert error == "INSUFFICIENT_ROLE"


async def test_a_visitor_gets_no_secret_and_leads_no_mail_away(client: Client) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=URL)
    visitor = replace(boxes.actor, role=Role.ADMIN, permissions=VISITING)
    mailbox = {"mailbox": {"id": made["uuid"]}}

    refused = [
        await client.refusal(document, {"input": values}, actor=visitor)
        for document, values in (
            (CREATE, {"url": URL}),
            (UPDATE, mailbox | {"rotateSecret": True}),
            (UPDATE, mailbox | {"url": "https://evil.example/mail"}),
            (DELETE, mailbox),
        )
    ]

    assert refused == ["INSUFFICIENT_ROLE"] * 4
    assert (await boxes.show(made["uuid"]))["url"] == URL
