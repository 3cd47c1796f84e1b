"""Real clients from outside: Postfix keeps its queue and gets in; swaks does not and stays out."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from postlane.core.database import fetch
from postlane.core.settings import Address
from postlane.greylisting import work
from postlane.smtp.listener import InboundListener
from tests.billing.setup import settings_with
from tests.dns_server import DnsServer
from tests.parts import SWAKS, needs
from tests.postfix import Postfix, needs_postfix, postfix
from tests.smtp.test_real_clients import REFUSED_RECIPIENTS, Said, envelope, swaks

from .test_greylisting import sender

DELAY_SECONDS = 3
SENT = re.compile(r"to=<postmaster@mail\.postlane\.test>.* status=(\w+) \((.*)\)$", re.MULTILINE)


@pytest.fixture
async def listener(database: None) -> AsyncIterator[InboundListener]:
    started = InboundListener(hostname="mail.postlane.test")
    await started.start(Address("127.0.0.1", 0))
    yield started
    await started.stop()


@pytest.fixture
def greylisting(dns: DnsServer) -> Iterator[None]:
    """A deployment that greylists for a few seconds; nobody is known to it."""
    work._known.clear()
    with settings_with(greylisting="on", greylisting_delay_seconds=str(DELAY_SECONDS)):
        yield


@pytest.fixture(autouse=True)
async def nobody_has_passed(database: None) -> None:
    """This machine's network is that of all tests here."""
    await fetch("DELETE FROM greylist_clients WHERE network = '127.0.0.0/24'")
    await fetch("DELETE FROM greylist_triplets WHERE network = '127.0.0.0/24'")


async def triplets() -> list[tuple[int, bool]]:
    """Return how often each triplet of this machine was tried in this test, and if it passed."""
    rows = await fetch(
        "SELECT tries, passed_at FROM greylist_triplets WHERE network = '127.0.0.0/24'"
    )
    return [(row["tries"], row["passed_at"] is not None) for row in rows]


async def tried(server: Postfix, *, within: float, after: int = 0) -> list[tuple[str, str]]:
    """Return what Postfix logged of its tries, after so many, once one got in."""
    deadline = time.monotonic() + within
    while True:
        found: list[tuple[str, str]] = SENT.findall(server.log)[after:]
        if found and found[-1][0] == "sent":
            return found
        assert time.monotonic() < deadline, server.log[-3000:]
        await asyncio.sleep(0.1)


async def hand(port: int, who: str) -> Said:
    return await swaks(port, *envelope(who, "postmaster@mail.postlane.test"))


@needs_postfix()
@needs(SWAKS)
@pytest.mark.slow
async def test_postfix_is_put_off_comes_again_and_is_let_in(
    listener: InboundListener, greylisting: None
) -> None:
    async with postfix(bounces_to=listener.port) as server:
        given = await hand(server.out_port, who := sender())
        tries = await tried(server, within=60)
        first = await triplets()
        # Whom it knows it does not keep waiting.
        await hand(server.out_port, who)
        second = await tried(server, within=20, after=len(tries))

    assert given.code == 0, given.dialogue
    assert [status for status, _ in tries] == ["deferred"] * (len(tries) - 1) + ["sent"]
    assert len(tries) >= 2
    assert all("451 4.7.1 Greylisted" in said for _, said in tries[:-1])
    assert first == [(len(tries), True)]
    assert [status for status, _ in second] == ["sent"]


@needs(SWAKS)
async def test_a_program_that_sends_once_and_forgets_stays_out(
    listener: InboundListener, greylisting: None
) -> None:
    """It takes another sender each time, and no time at all between two."""
    said = [await hand(listener.port, sender()) for _ in range(3)]
    hasty = [await hand(listener.port, who) for who in [sender()] * 2]

    for each in (*said, *hasty):
        assert each.code == REFUSED_RECIPIENTS, each.dialogue
        assert "451 4.7.1 Greylisted" in each.dialogue
    assert sorted(await triplets()) == [(1, False)] * 3 + [(2, False)]
