"""Our own mail that receivers greylist: told by their replies, and paired with what followed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.delivery.work import Settlement, claim_batch, settle_batch
from postlane.mail.outcome import outcome_of_reply
from tests.client import Client
from tests.delivery.spool import Spooled, make_spooled
from tests.factories import make_actor

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
STATS = """query ($since: DateTime!, $until: DateTime!) { organization {
    greylistingStats(since: $since, until: $until) { outbound {
      greylisted deliveredLater stillWaiting failed medianDelaySeconds } } } }"""


async def attempt(spooled: Spooled, code: int, reply: str, *, minutes: int) -> None:
    """Let the receiver answer what is due so many minutes after noon."""
    with clock.frozen(NOON + timedelta(minutes=minutes)):
        (claim,) = await claim_batch(spooled.queue_id)
        outcome = outcome_of_reply(code, reply, started_at=clock.now())
        await settle_batch([Settlement(claim, "default", outcome)])


async def outbound(client: Client, spooled: Spooled) -> Any:
    actor = await make_actor(spooled.organization)
    until = (NOON + timedelta(hours=3)).isoformat()
    window = {"since": (NOON - timedelta(hours=1)).isoformat(), "until": until}
    data = await client.data(STATS, window, actor=actor)
    return data["organization"]["greylistingStats"]["outbound"]


@pytest.mark.parametrize(
    "reply",
    [
        "4.2.0 <ada@dest.example>: Recipient address rejected: Greylisted, see postgrey",
        "4.7.1 Greylisting in action, please come back later",
        "4.7.0 you have been grey-listed",
    ],
)
async def test_mail_that_was_greylisted_and_delivered_later_is_counted(
    client: Client, reply: str
) -> None:
    with clock.frozen(NOON):
        spooled = await make_spooled("ada@dest.example")

    await attempt(spooled, 450, reply, minutes=0)
    waiting = await outbound(client, spooled)
    await attempt(spooled, 450, reply, minutes=20)
    await attempt(spooled, 250, "2.0.0 OK", minutes=90)

    assert waiting == {
        "greylisted": 1,
        "deliveredLater": 0,
        "stillWaiting": 1,
        "failed": 0,
        "medianDelaySeconds": None,
    }
    assert await outbound(client, spooled) == {
        "greylisted": 1,
        "deliveredLater": 1,
        "stillWaiting": 0,
        "failed": 0,
        "medianDelaySeconds": 5400,
    }


async def test_what_is_refused_in_the_end_has_failed(client: Client) -> None:
    with clock.frozen(NOON):
        spooled = await make_spooled("ada@dest.example")

    await attempt(spooled, 451, "4.7.1 Greylisted", minutes=0)
    await attempt(spooled, 550, "5.1.1 No such user", minutes=20)

    found = await outbound(client, spooled)
    assert (found["greylisted"], found["failed"]) == (1, 1)


@pytest.mark.parametrize(("code", "reply"), [(450, "4.2.2 Mailbox full"), (550, "Greylisted")])
async def test_other_failures_are_not_greylisting(client: Client, code: int, reply: str) -> None:
    with clock.frozen(NOON):
        spooled = await make_spooled("ada@dest.example")

    await attempt(spooled, code, reply, minutes=0)

    assert (await outbound(client, spooled))["greylisted"] == 0
