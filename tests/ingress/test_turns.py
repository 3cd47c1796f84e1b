"""Whoever's program or server never answers delays nobody else's mail."""

import asyncio
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.queue import JobName
from postlane.ingress.rules import MailSource
from postlane.ingress.work import Arrival, due_looks, due_posts, take_mail
from postlane.jobs import ingress
from postlane.jobs.hearing import Signs, keep_hearing
from postlane.jobs.ingress import LARGE_BYTES, LARGE_EACH, LOOKS_EACH, POSTS_EACH, Ingress
from postlane.mail.imap import LOOKS_AT_ONCE
from tests.client import Client
from tests.factories import make_actor
from tests.web_server import WebServer
from tests.webhooks.receiver import ADDRESS, Receiver

from .mailboxes import Mailboxes

SMALL = b"From: Ada <ada@dest.example>\r\nSubject: Hello\r\n\r\nGood day.\r\n"
LARGE = SMALL + b"y" * LARGE_BYTES
URL = "https://program.example/mail"


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    """Look and post, as a worker does, for as long as the body takes."""
    signs, stopping = Signs(), asyncio.Event()
    tasks = [
        asyncio.create_task(keep_hearing(signs)),
        asyncio.create_task(Ingress(sign=signs.ingress, stopping=stopping).keep()),
    ]
    try:
        yield
    finally:
        stopping.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def come(true: Callable[[], Awaitable[Any]], *, within: float = 20.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within):
        while not await true():  # noqa: ASYNC110 - it happens in a database, or in a thread
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("data", "each"), [(SMALL, POSTS_EACH), (LARGE, LARGE_EACH)])
async def test_a_program_that_never_answers_has_a_few_places(
    own_database: str, client: Client, server: WebServer, data: bytes, each: int
) -> None:
    held, good = Receiver(server, "/held", hold=threading.Event()), Receiver(server, "/good")
    held.serve()
    good.serve()
    hostile = Mailboxes(client, await make_actor())
    other = Mailboxes(client, await make_actor())
    ids = [(await hostile.create(url=held.url))[0]["uuid"] for _ in range(3)]
    for id in ids * each:
        await take_mail(uuid.UUID(id), Arrival(data, MailSource.SMTP))
    made, _ = await other.create(url=good.url)

    async def is_full() -> bool:
        return len(held.asked) >= each

    async def is_posted() -> bool:
        [mail] = await other.mails(made["uuid"])
        return bool(mail["state"] == "DELIVERED")

    async def is_all_posted() -> bool:
        return len(held.asked) == 3 * each

    async with working():
        await come(is_full)
        begun = time.monotonic()
        await take_mail(uuid.UUID(made["uuid"]), Arrival(data, MailSource.SMTP))
        await come(is_posted)
        took = time.monotonic() - begun
        at_once = len(held.asked)
        # What only waited for its turn has had no attempt.
        rows = await fetch("SELECT FROM ingress_mails WHERE attempts > 0 AND state = 'pending'")
        held.hold.set() if held.hold else None
        await come(is_all_posted)

    assert took < 10
    assert (at_once, len(rows)) == (each, each)


async def test_of_what_is_due_everybody_is_found(own_database: str, client: Client) -> None:
    many, few = Mailboxes(client, await make_actor()), Mailboxes(client, await make_actor())
    account = {"host": "imap.customer.example", "username": "ada", "password": "p"}
    ids = [(await many.create(url=URL, account=account))[0]["uuid"] for _ in range(5)]
    late, _ = await few.create(url=URL, account=account)
    for id in [*ids, *ids, late["uuid"]]:
        await take_mail(uuid.UUID(id), Arrival(SMALL, MailSource.SMTP))

    posts = await due_posts(each=4, limit=3)
    all_posts = await due_posts(each=4, limit=100)
    looks = await due_looks(each=2, limit=2)
    all_looks = await due_looks(each=2, limit=100)

    first, second = many.actor.organization_id, few.actor.organization_id
    assert [due.organization_id for due in posts] == [first, second, first]
    assert [due.organization_id for due in all_posts] == [first, second, first, first, first]
    assert [due.organization_id for due in looks] == [first, second]
    assert [due.organization_id for due in all_looks] == [first, second, first]
    assert {due.size_bytes for due in posts} == {len(SMALL)}


@contextmanager
def silent() -> Iterator[int]:
    """Yield the port of a server that takes every connection and never says a word."""
    with socket.create_server((ADDRESS, 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("is_own", [True, False])
async def test_silent_accounts_delay_their_own_organization_only(
    own_database: str,
    client: Client,
    server: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    is_own: bool,
) -> None:
    """And who waited is not told that a server did not answer in time."""
    monkeypatch.setattr(ingress, "LOOK_SECONDS", 3.0)
    boxes = [Mailboxes(client, await make_actor()) for _ in range(1 + LOOKS_AT_ONCE // LOOKS_EACH)]
    with silent() as port:
        account = {"host": ADDRESS, "username": "ada", "password": "p", "tls": False}
        for box in boxes[-1:] if is_own else boxes[:-1]:
            for _ in range(LOOKS_EACH):
                await box.create(url=URL, account=account | {"port": port})
        made, _ = await boxes[-1].create(url=URL, account=account | {"port": 1})

        async def is_looked_into() -> bool:
            return (await boxes[-1].show(made["uuid"]))["lookedAt"] is not None

        begun = clock.now()
        async with working():
            await come(is_looked_into)
        took = (clock.now() - begun).total_seconds()

    assert (took > 2.5) is is_own
    shown = await boxes[-1].show(made["uuid"])
    assert shown["failure"] == "The server could not be reached."


def test_it_is_no_job() -> None:
    """Which would take a place of those that send mail."""
    assert not any("mailbox" in name or "ingress" in name for name in JobName)
