"""Mail that is fetched from a real IMAP server."""

import asyncio
import contextlib
import socket
import threading
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from postlane.core.database import fetch
from postlane.ingress.work import begin_look, end_failed_look, end_look
from postlane.mail.imap import LARGEST_BYTES, FoundMail, ImapAccount, ImapFailed, Place, look
from postlane.security.limits import LOOK_INTO_MAILBOX
from tests.client import Client
from tests.dns_server import DnsServer
from tests.dovecot import PASSWORD, Dovecot
from tests.factories import make_actor
from tests.webhooks.receiver import ADDRESS, Receiver

from .mailboxes import UPDATE, Mailboxes

LOOK = """mutation ($input: LookIntoIngressMailboxInput!) {
    lookIntoIngressMailbox(input: $input) { ingressMailbox { uid } } }"""
KEPT = "SELECT FROM ingress_contents JOIN ingress_mails USING (id) WHERE mailbox_id = {}"
MAIL = b"From: Ada <ada@dest.example>\r\nSubject: Hello %d\r\n\r\nGood day.\r\n"


def account(imap: Dovecot, name: str, **values: Any) -> dict[str, Any]:
    usual = {"host": "imap.customer.example", "port": imap.port, "username": name}
    return {**usual, "password": PASSWORD, **values}


async def test_what_comes_in_is_posted_once_and_left_alone_there(
    client: Client, imap: Dovecot, receiver: Receiver
) -> None:
    boxes = Mailboxes(client, await make_actor())
    imap.put("ada", MAIL % 1)
    made, _ = await boxes.create(url=receiver.url, account=account(imap, "ada"))

    await boxes.look(made["uuid"])
    assert await boxes.mails(made["uuid"]) == []
    imap.put("ada", MAIL % 2, MAIL % 3)
    await boxes.look(made["uuid"])
    await boxes.look(made["uuid"])
    await boxes.post(made["uuid"])

    assert sorted(each.body for each in receiver.asked) == [MAIL % 2, MAIL % 3]
    assert {each.headers["content-type"] for each in receiver.asked} == {"message/rfc822"}
    mails = await boxes.mails(made["uuid"])
    assert [(m["source"], m["sender"], m["subject"], m["state"]) for m in mails] == [
        ("IMAP", "Ada <ada@dest.example>", "Hello 3", "DELIVERED"),
        ("IMAP", "Ada <ada@dest.example>", "Hello 2", "DELIVERED"),
    ]
    assert await fetch(KEPT, made["uuid"]) == []
    assert not any(b"Seen" in line for line in imap.seen("ada"))
    assert (await boxes.show(made["uuid"]))["failure"] is None


async def test_a_wrong_password_is_told_and_tried_less_and_less_often(
    client: Client, imap: Dovecot, receiver: Receiver
) -> None:
    boxes = Mailboxes(client, await make_actor())
    wrong = account(imap, "bob", password="wrong")
    made, _ = await boxes.create(url=receiver.url, account=wrong)

    await boxes.look(made["uuid"])
    failure = (await boxes.show(made["uuid"]))["failure"]
    [row] = await fetch(
        "SELECT failures, next_look_at - looked_at AS wait FROM ingress_mailboxes WHERE id = {}",
        made["uuid"],
    )
    right = {"mailbox": {"id": made["uuid"]}, "account": {"password": PASSWORD}}
    await client.data(UPDATE, {"input": right}, actor=boxes.actor)
    await boxes.look(made["uuid"])

    assert failure.startswith("The server said: ")
    assert "wrong" not in failure
    assert (row["failures"], row["wait"].total_seconds()) == (1, 120)
    assert (await boxes.show(made["uuid"]))["failure"] is None


@pytest.mark.parametrize(
    ("values", "failure"),
    [
        ({"host": "private.customer.example"}, "The server's address is not public."),
        ({"host": "10.1.2.3"}, "The server's address is not public."),
        ({"host": "nobody.customer.example"}, "There is no address for the server's name."),
        ({"host": "other.customer.example"}, "The server's certificate is not trusted."),
        ({"port": 1}, "The server could not be reached."),
    ],
)
async def test_a_server_is_judged_before_it_is_told_a_password(
    client: Client,
    imap: Dovecot,
    dns: DnsServer,
    receiver: Receiver,
    values: dict[str, Any],
    failure: str,
) -> None:
    dns.set("private.customer.example", "A", "127.0.0.1")
    dns.set("other.customer.example", "A", ADDRESS)
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=receiver.url, account=account(imap, "ada", **values))

    await boxes.look(made["uuid"])

    assert (await boxes.show(made["uuid"]))["failure"] == failure


async def test_two_looks_at_once_take_each_mail_once(
    client: Client, imap: Dovecot, receiver: Receiver
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url=receiver.url, account=account(imap, "eve"))
    await boxes.look(made["uuid"])
    imap.put("eve", *(MAIL % n for n in range(5)))

    await asyncio.gather(*(boxes.look(made["uuid"]) for _ in range(4)))

    assert len(await boxes.mails(made["uuid"])) == 5


@pytest.mark.parametrize("failed", [False, True], ids=["well", "badly"])
async def test_a_look_that_is_asked_for_while_one_runs_follows_it(
    client: Client, receiver: Receiver, failed: bool
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(
        url=receiver.url,
        account={"host": "imap.customer.example", "username": "ada", "password": PASSWORD},
    )
    id = uuid.UUID(made["uuid"])

    async def look_until_it_ends(*, asked: bool) -> bool:
        """Say whether the next look is due at the end of this one."""
        await fetch("UPDATE ingress_mailboxes SET next_look_at = now() WHERE id = {}", id)
        found = await begin_look(id)
        assert found is not None
        if asked:
            await client.data(LOOK, {"input": {"mailbox": {"id": str(id)}}}, actor=boxes.actor)
        if failed:
            await end_failed_look(found, "The server could not be reached.")
        else:
            await end_look(found, Place(1, 1), has_more=False)
        return await begin_look(id) is not None

    first = await look_until_it_ends(asked=False)
    assert (first, await look_until_it_ends(asked=True)) == (False, True)


async def test_looks_are_asked_for_so_often_only(client: Client, receiver: Receiver) -> None:
    boxes = Mailboxes(client, await make_actor())
    reached = {"host": "imap.customer.example", "username": "ada", "password": PASSWORD}
    made, _ = await boxes.create(url=receiver.url, account=reached)
    mailbox = {"mailbox": {"id": made["uuid"]}}

    for _ in range(LOOK_INTO_MAILBOX.limit - 1):
        await client.data(LOOK, {"input": mailbox}, actor=boxes.actor)
    change = {"input": mailbox | {"account": {"password": PASSWORD}}}
    await client.data(UPDATE, change, actor=boxes.actor)
    stranger = await make_actor()

    assert await client.refusal(LOOK, {"input": mailbox}, actor=boxes.actor) == "RATE_LIMITED"
    assert await client.refusal(UPDATE, change, actor=boxes.actor) == "RATE_LIMITED"
    assert await client.refusal(LOOK, {"input": mailbox}, actor=stranger) == "NOT_FOUND"
    await client.data(UPDATE, {"input": mailbox | {"label": "Orders"}}, actor=boxes.actor)


@contextmanager
def hostile(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Yield the port of a server that answers whoever connects as *answer* says."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def flood(connection: socket.socket) -> None:
    connection.sendall(b"* OK ready\r\n")
    connection.recv(1000)
    connection.sendall(b"* OK {999999999999}\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def drip(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"*")
        time.sleep(0.01)


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.example ESMTP\r\n")


def says(size: int, mail: bytes) -> Callable[[socket.socket], None]:
    """Return a server with one mail, of which it says *size* and then sends *mail*."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"* OK ready\r\n")
        for line in connection.makefile("rb"):
            tag, word = line.split()[:2]
            if word == b"CAPABILITY":
                connection.sendall(b"* CAPABILITY IMAP4rev1\r\n")
            elif word == b"EXAMINE":
                connection.sendall(b"* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 3]\r\n")
            elif b"RFC822.SIZE" in line:
                connection.sendall(b"* 1 FETCH (UID 2 RFC822.SIZE %d)\r\n" % size)
            elif word == b"UID":
                for piece in (b"* 1 FETCH (UID 2 BODY[] ", mail, b")\r\n"):
                    connection.sendall(piece)
            connection.sendall(tag + b" OK done\r\n")

    return answer


async def found_at(port: int) -> list[FoundMail]:
    """Return what is found behind the first mail of a server in clear."""
    found = []

    async def take(place: Place, mail: FoundMail) -> bool:
        found.append(mail)
        return True

    account = ImapAccount("evil.example", "127.0.0.1", port, "a", "b", tls=False)
    async with asyncio.timeout(30):
        await look(account, Place(7, 1), take)
    return found


async def test_a_mail_that_is_larger_than_was_said_is_passed_by() -> None:
    large = b"{%d}\r\n" % (LARGEST_BYTES + 1) + b"x" * (LARGEST_BYTES + 1)

    tracemalloc.start()
    with hostile(says(3, large)) as port:
        passed = await found_at(port)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with hostile(says(3, b"{3}\r\nabc")) as port:
        taken = await found_at(port)

    assert passed == [FoundMail(2, None)]
    assert most < LARGEST_BYTES / 2
    assert taken == [FoundMail(2, b"abc")]


@pytest.mark.parametrize("mail", [b"NIL", b'"abc"'])
async def test_a_mail_that_is_told_of_and_not_sent_is_no_empty_one(mail: bytes) -> None:
    with hostile(says(3, mail)) as port, pytest.raises(ImapFailed, match="is not there"):
        await found_at(port)


async def look_at(port: int, *, seconds: float = 30) -> None:
    """Look into an account of a server in clear, for so long at the most."""

    async def take(place: Place, mail: Any) -> bool:
        return True

    found = ImapAccount("evil.example", "127.0.0.1", port, "a", "b", tls=False)
    async with asyncio.timeout(seconds):
        await look(found, None, take)


@pytest.mark.parametrize("answer", [flood, nonsense])
async def test_a_server_that_means_ill_is_given_up(answer: Any) -> None:
    with hostile(answer) as port, pytest.raises(ImapFailed):
        await look_at(port)


async def test_a_server_that_drips_ends_with_the_look() -> None:
    begun = time.monotonic()

    with hostile(drip) as port, pytest.raises(TimeoutError):
        await look_at(port, seconds=0.5)

    assert time.monotonic() - begun < 30
