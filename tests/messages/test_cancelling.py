"""Cancelling what a worker has in its hands: paid back if nothing was attempted, and only then."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.delivery.work import Claim, Settlement, claim_batch, settle_batch
from postlane.mail.outcome import Outcome, outcome_of_reply
from tests.client import Client
from tests.credits.books import give, ledger, left, sums
from tests.factories import make_actor, make_domain, make_organization

SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { uuid } } }"
CANCEL = """
    mutation ($input: CancelMessageInput!) { cancelMessage(input: $input) {
      cancelled inProgress creditsRefunded } }
"""


@pytest.fixture
async def sender(database: None) -> Actor:
    """Somebody with ten credits."""
    actor = await make_actor(await make_organization(plan="trial"))
    await give(actor.organization_id, 10)
    return actor


async def send(client: Client, actor: Actor, *to: str) -> tuple[str, list[Claim]]:
    """Send a message, and claim it as a worker does."""
    domain = await make_domain(actor.organization_id)
    body = {"from": f"shop@{domain.name}", "to": list(to), "subject": "Hello", "text": "Hello."}
    sent = await client.data(SEND, {"input": body}, actor=actor)
    message = sent["sendMessage"]["message"]["uuid"]
    queues = await fetch(
        "SELECT DISTINCT queue_id FROM deliveries WHERE message_id = {}", uuid.UUID(message)
    )
    return message, [claim for row in queues for claim in await claim_batch(row["queue_id"])]


async def settle(claims: list[Claim], outcome: Outcome | None) -> None:
    await settle_batch([Settlement(claim, "default", outcome) for claim in claims])


async def cancel(client: Client, actor: Actor, message: str) -> Any:
    answer = await client.data(CANCEL, {"input": {"id": message}}, actor=actor)
    return answer["cancelMessage"]


async def cancelled_by(message: str) -> list[str | None]:
    rows = await fetch(
        "SELECT data->>'cancelled_by' AS by FROM events "
        "WHERE message_id = {} AND type = 'message.cancelled'",
        uuid.UUID(message),
    )
    return [row["by"] for row in rows]


async def test_what_a_worker_puts_back_unattempted_is_paid_back_once(
    client: Client, sender: Actor
) -> None:
    message, claims = await send(client, sender, "ada@dest.example", "bob@dest.example")

    answer = await cancel(client, sender, message)
    again = await cancel(client, sender, message)
    await settle(claims, None)
    await settle(claims, None)

    assert answer == {"cancelled": 0, "inProgress": 2, "creditsRefunded": 0}
    assert again == answer
    assert await ledger(sender.organization_id) == [
        ("granted", "balance", "purchase", 10),
        ("balance", "used", "send", 2),
        ("used", "balance", "refund", 2),
    ]
    assert list((await left(sender.organization_id)).values()) == [10]
    assert await sums(sender.organization_id) == {
        "purchase": (1, 10, 10, 0),
        "send": (1, 2, 2, 2),
        "refund": (1, 2, 2, -2),
    }
    assert await cancelled_by(message) == [str(sender.user_id)] * 2


async def test_what_was_attempted_is_not_paid_back(client: Client, sender: Actor) -> None:
    message, claims = await send(client, sender, "ada@dest.example")
    later = outcome_of_reply(
        451, "4.3.0 Later", started_at=clock.now(), duration=timedelta(milliseconds=5)
    )

    await cancel(client, sender, message)
    await settle(claims, later)

    assert list((await left(sender.organization_id)).values()) == [9]
    assert await cancelled_by(message) == [str(sender.user_id)]


async def test_what_nobody_cancelled_is_put_back_and_costs_what_it_did(
    client: Client, sender: Actor
) -> None:
    _, claims = await send(client, sender, "ada@dest.example")

    await settle(claims, None)

    assert list((await left(sender.organization_id)).values()) == [9]


async def test_the_first_who_cancels_is_the_one_that_is_named(
    client: Client, sender: Actor
) -> None:
    message, claims = await send(client, sender, "ada@dest.example")
    organization = await fetch("SELECT * FROM organizations WHERE id = {}", sender.organization_id)
    other = await make_actor(Organization(_exists_in_db=True, **organization[0]))

    await cancel(client, sender, message)
    await cancel(client, other, message)
    await settle(claims, None)

    assert await cancelled_by(message) == [str(sender.user_id)]
