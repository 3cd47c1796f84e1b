"""Times to send at: read with their offset, kept, cancelled before, at and after they come."""

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.delivery.work import Settlement, claim_batch, roll_up, settle_batch
from tests.client import Client
from tests.credits.books import give, left
from tests.factories import make_actor, make_domain, make_organization

SEND = """
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
      receipt { uuid status sendAt } } }
"""
CANCEL = """
    mutation ($input: CancelMessageInput!) { cancelMessage(input: $input) {
      status cancelled inProgress creditsRefunded } }
"""
HOLD = "mutation ($input: HoldQueueInput!) { holdQueue(input: $input) { __typename } }"
RELEASE = "mutation ($input: ReleaseQueueInput!) { releaseQueue(input: $input) { __typename } }"

AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)
"""The day before clocks in Paris show the hour from two to three twice."""


@pytest.fixture
def autumn() -> Iterator[None]:
    """Time stands still at noon of that day."""
    with clock.frozen(AUTUMN):
        yield


@pytest.fixture
async def sender(database: None) -> Actor:
    """Somebody with ten credits."""
    actor = await make_actor(await make_organization(plan="trial"))
    await give(actor.organization_id, 10)
    return actor


async def send(client: Client, actor: Actor, **more: Any) -> dict[str, Any]:
    domain = await make_domain(actor.organization_id)
    body = {
        "from": f"shop@{domain.name}",
        "to": ["ada@dest.example"],
        "subject": "Hello",
        "text": "Hello.",
        **more,
    }
    return await client.graphql(SEND, {"input": body}, actor=actor)


async def schedule(client: Client, actor: Actor, at: datetime, **more: Any) -> tuple[str, Any]:
    """Send something at *at*, and return the message and its queue."""
    sent = await send(client, actor, sendAt=at.isoformat(), **more)
    message = sent["data"]["sendMessage"]["receipt"]["uuid"]
    rows = await fetch("SELECT queue_id FROM deliveries WHERE message_id = {}", uuid.UUID(message))
    return message, rows[0]["queue_id"]


async def happened(message: str) -> list[str]:
    rows = await fetch(
        "SELECT type FROM events WHERE message_id = {} ORDER BY position", uuid.UUID(message)
    )
    return [row["type"].removeprefix("message.") for row in rows]


@pytest.mark.parametrize(
    ("given", "status", "kept"),
    [
        ("2026-10-25T02:30:00+02:00", "SCHEDULED", "2026-10-25T00:30:00.000Z"),
        ("2026-10-25T02:30:00+01:00", "SCHEDULED", "2026-10-25T01:30:00.000Z"),
        ("2026-10-25T07:15:00+05:45", "SCHEDULED", "2026-10-25T01:30:00.000Z"),
        ("2026-10-24T23:30:00-14:00", "SCHEDULED", "2026-10-25T13:30:00.000Z"),
        ("2026-11-23T12:00:00Z", "SCHEDULED", "2026-11-23T12:00:00.000Z"),
        ("2026-10-24T12:00:00Z", "QUEUED", None),
        ("2026-10-24T11:55:00Z", "QUEUED", None),
        ("2026-10-24T13:56:00+02:00", "QUEUED", None),
    ],
)
async def test_a_time_means_the_moment_that_its_offset_says(
    client: Client, autumn: None, sender: Actor, given: str, status: str, kept: str | None
) -> None:
    sent = await send(client, sender, sendAt=given)

    receipt = sent["data"]["sendMessage"]["receipt"]
    assert (receipt["status"], receipt["sendAt"]) == (status, kept)


@pytest.mark.parametrize(
    "given",
    [
        "2026-10-24T11:54:59Z",
        "2026-11-23T12:00:01Z",
        "2026-10-25T02:30:00",
        "2026-10-25",
        "2026-10-25T25:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "tomorrow",
    ],
)
async def test_a_time_that_is_past_too_far_or_none_is_refused(
    client: Client, autumn: None, sender: Actor, given: str
) -> None:
    sent = await send(client, sender, sendAt=given)

    assert [each["extensions"]["code"] for each in sent["errors"]] in (
        ["INVALID_INPUT"],
        ["DOCUMENT_INVALID"],
    )
    kept = await fetch("SELECT FROM messages WHERE organization_id = {}", sender.organization_id)
    assert kept == []


async def test_what_is_cancelled_before_its_time_is_paid_back_and_never_due(
    client: Client, sender: Actor
) -> None:
    later = clock.now() + timedelta(hours=1)
    message, queue = await schedule(client, sender, later)

    done = await client.data(CANCEL, {"input": {"id": message}}, actor=sender)

    assert done["cancelMessage"] == {
        "status": "CANCELLED",
        "cancelled": 1,
        "inProgress": 0,
        "creditsRefunded": 1,
    }
    with clock.frozen(later + timedelta(hours=1)):
        assert await claim_batch(queue) == []
    assert await happened(message) == ["queued", "cancelled"]


async def test_when_the_time_comes_either_the_worker_or_the_cancellation_has_it(
    client: Client, sender: Actor
) -> None:
    seen = set()
    for _ in range(12):
        due = clock.now() + timedelta(minutes=1)
        message, queue = await schedule(client, sender, due)
        with clock.frozen(due):
            claims, answer = await asyncio.gather(
                claim_batch(queue),
                client.data(CANCEL, {"input": {"id": message}}, actor=sender),
            )
            done = answer["cancelMessage"]
            # What the worker has is put back unsent, as it is before a conversation begins.
            await settle_batch([Settlement(claim, "default", None) for claim in claims])

        assert done["cancelled"] + done["inProgress"] == 1
        assert len(claims) == done["inProgress"]
        assert await happened(message) == ["queued", "cancelled"]
        assert list((await left(sender.organization_id)).values()) == [10]
        seen.add(done["inProgress"])
    assert seen <= {0, 1}


async def test_what_is_held_beyond_its_lifetime_expires_without_an_attempt(
    client: Client, sender: Actor
) -> None:
    due = clock.now() + timedelta(minutes=1)
    message, queue = await schedule(client, sender, due, maxLifetimeSeconds=300)
    await roll_up()
    await client.data(HOLD, {"input": {"queue": str(queue)}}, actor=sender)

    with clock.frozen(due + timedelta(minutes=6)):
        while_held = await claim_batch(queue)
        await client.data(RELEASE, {"input": {"queue": str(queue)}}, actor=sender)
        claims = await claim_batch(queue)
        await settle_batch([Settlement(claim, "default", None) for claim in claims])

    assert while_held == []
    assert len(claims) == 1
    assert await happened(message) == ["queued", "expired"]


async def test_a_lifetime_begins_when_mail_is_to_be_sent(client: Client, sender: Actor) -> None:
    due = clock.now() + timedelta(days=20)
    message, queue = await schedule(client, sender, due, maxLifetimeSeconds=300)

    with clock.frozen(due + timedelta(minutes=4)):
        claims = await claim_batch(queue)
        assert [claim.expires_at > clock.now() for claim in claims] == [True]
    assert await happened(message) == ["queued"]


async def test_transactional_mail_goes_before_marketing_that_has_waited_longer(
    client: Client, sender: Actor
) -> None:
    due = clock.now() + timedelta(minutes=1)
    _, queue = await schedule(client, sender, due, stream="MARKETING")
    transactional, same = await schedule(client, sender, due + timedelta(minutes=5))

    with clock.frozen(due + timedelta(minutes=10)):
        (first,) = await claim_batch(queue, 1)

    assert queue == same
    assert str(first.message_id) == transactional
