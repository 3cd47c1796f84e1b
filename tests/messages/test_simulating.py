"""Simulating: sandbox mail ends as it is told to, through the states of live mail."""

import asyncio
import uuid
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.delivery.work import claim_batch, remove_unused_sandbox_mail
from postlane.delivery.work.simulating import run_simulation
from postlane.suppressions.work import Recipients, suppressed
from tests.client import Client
from tests.credits.books import give, left
from tests.factories import make_actor, make_domain, make_organization

SIMULATE = """
    mutation ($input: SimulateDeliveryInput!) { simulateDelivery(input: $input) {
      uuid status outcome appliesAt recipients { uuid address state bounceClass }
      events { type simulated data } message { mode deliveries { attempts { code reply } } } } }
"""
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }"
CANCEL = "mutation ($input: CancelMessageInput!) { cancelMessage(input: $input) { cancelled } }"
MESSAGE = {
    "from": "shop@anything.example",
    "to": ["ada@dest.example"],
    "subject": "Hello",
    "html": '<p><a name="top">Hello</a> <a href="https://shop.example/a?b=1&amp;c=2">buy</a></p>',
}


@pytest.fixture
async def actor(database: None) -> Actor:
    """Somebody with live credentials, ten credits and no domain."""
    actor = await make_actor(await make_organization(plan="trial"))
    await give(actor.organization_id, 10)
    return actor


async def simulate(client: Client, actor: Actor, **input: Any) -> Any:
    data = await client.data(SIMULATE, {"input": input}, actor=actor)
    return data["simulateDelivery"]


async def make_sandboxed(client: Client, actor: Actor, *to: str, **more: Any) -> str:
    """Put a message into the sandbox that waits for what becomes of it."""
    message = {**MESSAGE, "to": list(to) or MESSAGE["to"], **more}
    done = await simulate(client, actor, message=message, outcome="DELIVERED", delaySeconds=3600)
    await fetch("DELETE FROM simulations WHERE message_id = {}", uuid.UUID(done["uuid"]))
    found: str = done["uuid"]
    return found


def later(**passed: float) -> AbstractContextManager[None]:
    """Let so much time have passed."""
    return clock.frozen(clock.now() + timedelta(**passed))


def types(done: Any) -> list[str]:
    return [event["type"].removeprefix("MESSAGE_").lower() for event in done["events"]]


async def codes(client: Client, actor: Actor, **input: Any) -> list[str]:
    body = await client.graphql(SIMULATE, {"input": input}, actor=actor)
    return [error["extensions"]["code"] for error in body["errors"]]


@pytest.mark.parametrize(
    ("outcome", "state", "bounce_class", "reply", "happened"),
    [
        ("DELIVERED", "DELIVERED", None, 250, "queued sent delivered"),
        ("DEFERRED", "DEFERRED", "TEMPORARY_FAILURE", 451, "queued sent deferred"),
        ("HARD_BOUNCE", "BOUNCED", "INVALID_RECIPIENT", 550, "queued sent bounced"),
        ("SOFT_BOUNCE", "EXPIRED", "MAILBOX_FULL", 452, "queued sent deferred expired"),
        ("BLOCKED", "BOUNCED", "REPUTATION_BLOCK", 554, "queued sent bounced"),
        ("EXPIRED", "EXPIRED", "CONNECTION_FAILURE", None, "queued sent deferred expired"),
        ("SUPPRESSED", "SUPPRESSED", None, 0, "suppressed"),
        ("COMPLAINED", "DELIVERED", None, 250, "queued sent delivered complained"),
        ("OPENED", "DELIVERED", None, 250, "queued sent delivered opened"),
        ("CLICKED", "DELIVERED", None, 250, "queued sent delivered opened clicked"),
    ],
)
async def test_every_outcome_goes_through_the_states_of_live_mail(
    client: Client,
    actor: Actor,
    outcome: str,
    state: str,
    bounce_class: str | None,
    reply: int | None,
    happened: str,
) -> None:
    done = await simulate(client, actor, message=MESSAGE, outcome=outcome)

    assert (done["status"], done["outcome"], done["appliesAt"]) == (state, outcome, None)
    assert types(done) == happened.split()
    assert [each["simulated"] for each in done["events"]] == [True] * len(done["events"])
    assert [(r["state"], r["bounceClass"]) for r in done["recipients"]] == [(state, bounce_class)]
    (delivery,) = done["message"]["deliveries"]
    expected = [] if outcome == "SUPPRESSED" else [reply]
    assert [attempt["code"] for attempt in delivery["attempts"]] == expected
    assert done["message"]["mode"] == "SANDBOX"


async def test_nothing_follows_from_a_simulation(client: Client, actor: Actor) -> None:
    """No credit, no suppression, no count, no queue that shows or sends anything."""
    for outcome in ("HARD_BOUNCE", "SOFT_BOUNCE", "SOFT_BOUNCE", "SOFT_BOUNCE", "COMPLAINED"):
        await simulate(client, actor, message=MESSAGE, outcome=outcome)
    project = await fetch(
        "SELECT id FROM projects WHERE organization_id = {}", actor.organization_id
    )
    counted = await fetch(
        "SELECT FROM event_counts WHERE organization_id = {}", actor.organization_id
    )
    queues = await fetch("SELECT * FROM queues WHERE organization_id = {}", actor.organization_id)

    asked = Recipients(actor.organization_id, project[0]["id"], "marketing", ["ada@dest.example"])
    assert await suppressed([asked]) == [None]
    assert list((await left(actor.organization_id)).values()) == [10]
    assert counted == []
    assert [(row["depth"], row["backoff_until"]) for row in queues] == [(0, None)]
    assert [await claim_batch(row["id"]) for row in queues] == [[]]


async def test_a_link_that_is_clicked_is_the_first_of_the_text(
    client: Client, actor: Actor
) -> None:
    done = await simulate(client, actor, message=MESSAGE, outcome="CLICKED")
    again = await simulate(client, actor, messageId=done["uuid"], outcome="CLICKED")

    clicked = [event["data"] for event in again["events"] if event["type"] == "MESSAGE_CLICKED"]
    assert [(data["url"], data["link_index"]) for data in clicked] == [
        ("https://shop.example/a?b=1&c=2", 0)
    ] * 2
    assert [data["first"] for data in clicked] == [True, False]


async def test_a_reply_can_be_chosen(client: Client, actor: Actor) -> None:
    done = await simulate(
        client,
        actor,
        message=MESSAGE,
        outcome="HARD_BOUNCE",
        smtpCode=551,
        smtpResponse="551 5.1.6 Moved away",
        fireWebhooks=False,
    )

    bounced = done["events"][-1]["data"]
    assert (bounced["smtp_code"], bounced["enhanced_code"]) == (551, "5.1.6")
    assert bounced["smtp_response"] == "551 5.1.6 Moved away"
    assert [event["data"]["fire_webhooks"] for event in done["events"]] == [False] * 3


async def test_one_recipient_ends_and_the_others_wait(client: Client, actor: Actor) -> None:
    message = await make_sandboxed(client, actor, "ada@dest.example", "bob@dest.example")

    by_address = await simulate(
        client, actor, messageId=message, recipient="BOB@dest.example", outcome="BLOCKED"
    )
    bob = by_address["recipients"][0]["uuid"]
    rest = await simulate(client, actor, messageId=message)

    assert [each["address"] for each in by_address["recipients"]] == ["bob@dest.example"]
    assert by_address["status"] == "QUEUED"
    assert [each["address"] for each in rest["recipients"]] == ["ada@dest.example"]
    assert rest["status"] == "PARTIAL"
    assert await codes(client, actor, messageId=message, recipient=bob) == ["ALREADY_FINAL"]


async def test_what_was_deferred_can_be_delivered(client: Client, actor: Actor) -> None:
    first = await simulate(client, actor, message=MESSAGE, outcome="DEFERRED")
    second = await simulate(client, actor, messageId=first["uuid"], outcome="OPENED")

    assert first["events"][-1]["data"]["next_attempt_at"] is not None
    assert types(second) == ["queued", "sent", "deferred", "delivered", "opened"]
    assert len(second["message"]["deliveries"][0]["attempts"]) == 2


async def test_a_delayed_outcome_comes_in_the_background_once(client: Client, actor: Actor) -> None:
    done = await simulate(client, actor, message=MESSAGE, outcome="HARD_BOUNCE", delaySeconds=60)
    rows = await fetch("SELECT id FROM simulations WHERE message_id = {}", uuid.UUID(done["uuid"]))
    too_early = await run_simulation(rows[0]["id"])
    with later(seconds=61):
        ran = await asyncio.gather(*(run_simulation(rows[0]["id"]) for _ in range(4)))
    states = await fetch(
        "SELECT state FROM deliveries WHERE message_id = {}", uuid.UUID(done["uuid"])
    )

    assert (done["status"], types(done)) == ("QUEUED", ["queued"])
    assert done["appliesAt"] is not None
    assert too_early == 0
    assert sorted(ran) == [0, 0, 0, 1]
    assert [row["state"] for row in states] == ["bounced"]


async def test_what_is_cancelled_meanwhile_stays_cancelled(client: Client, actor: Actor) -> None:
    done = await simulate(client, actor, message=MESSAGE, delaySeconds=60)
    await client.data(CANCEL, {"input": {"id": done["uuid"]}}, actor=actor)
    rows = await fetch("SELECT id FROM simulations WHERE message_id = {}", uuid.UUID(done["uuid"]))

    with later(seconds=61):
        assert await run_simulation(rows[0]["id"]) == 0
    assert await codes(client, actor, messageId=done["uuid"]) == ["ALREADY_FINAL"]


async def test_of_cancelling_and_simulating_at_once_one_wins_for_each_recipient(
    client: Client, actor: Actor
) -> None:
    for _ in range(5):
        addresses = [f"r{n}@dest.example" for n in range(20)]
        message = await make_sandboxed(client, actor, *addresses)

        answers = await asyncio.gather(
            client.graphql(CANCEL, {"input": {"id": message}}, actor=actor),
            *(
                client.graphql(
                    SIMULATE, {"input": {"messageId": message, "outcome": outcome}}, actor=actor
                )
                for outcome in ("DELIVERED", "HARD_BOUNCE", "SUPPRESSED")
            ),
        )
        ends = await fetch(
            "SELECT delivery_id, count(*) AS n FROM events WHERE message_id = {} AND type IN "
            "('message.cancelled', 'message.delivered', 'message.bounced', 'message.suppressed') "
            "GROUP BY delivery_id",
            uuid.UUID(message),
        )

        assert sum("errors" not in answer for answer in answers) == 1
        assert [row["n"] for row in ends] == [1] * 20


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({}, ("messageId", "REQUIRED")),
        ({"messageId": str(uuid.uuid4()), "message": MESSAGE}, ("message", "MUTUALLY_EXCLUSIVE")),
        ({"message": MESSAGE, "smtpCode": 199}, ("smtpCode", "TOO_SMALL")),
        ({"message": MESSAGE, "smtpCode": 600}, ("smtpCode", "TOO_LARGE")),
        ({"message": MESSAGE, "smtpCode": 550}, ("smtpCode", "NOT_ALLOWED")),
        ({"message": MESSAGE, "smtpResponse": "x" * 513}, ("smtpResponse", "TOO_LONG")),
        ({"message": MESSAGE, "smtpResponse": "a\r\nb"}, ("smtpResponse", "INVALID_FORMAT")),
        ({"message": MESSAGE, "delaySeconds": -1}, ("delaySeconds", "TOO_SMALL")),
        ({"message": MESSAGE, "delaySeconds": 3601}, ("delaySeconds", "TOO_LARGE")),
        ({"message": MESSAGE, "recipient": "bob@dest.example"}, ("recipient", "NOT_FOUND")),
        ({"message": {**MESSAGE, "to": ["nobody"]}}, ("message.to[0]", "INVALID_EMAIL")),
    ],
)
async def test_what_cannot_be_simulated_is_refused_and_leaves_nothing(
    client: Client, actor: Actor, values: dict[str, Any], detail: tuple[str, str]
) -> None:
    body = await client.graphql(SIMULATE, {"input": values}, actor=actor)

    (error,) = body["errors"]
    found = [(each["field"], each["code"]) for each in error["extensions"]["details"]]
    assert (error["extensions"]["code"], found) == ("INVALID_INPUT", [detail])
    kept = await fetch("SELECT FROM messages WHERE organization_id = {}", actor.organization_id)
    assert kept == []


async def test_live_mail_and_strangers_mail_cannot_be_simulated(
    client: Client, actor: Actor
) -> None:
    domain = await make_domain(actor.organization_id)
    body = {**MESSAGE, "from": f"shop@{domain.name}"}
    sent = await client.data(SEND, {"input": body}, actor=actor)
    live = sent["sendMessage"]["receipt"]["uuid"]
    sandboxed = await make_sandboxed(client, actor)
    stranger = await make_actor()

    assert await codes(client, actor, messageId=live) == ["MESSAGE_NOT_SANDBOX"]
    assert await codes(client, stranger, messageId=sandboxed) == ["NOT_FOUND"]
    assert await codes(client, actor, messageId=sandboxed, recipient="a\0b") == ["INVALID_INPUT"]


async def test_sandbox_mail_that_nobody_uses_is_removed_after_three_days(
    client: Client, actor: Actor
) -> None:
    unused = await make_sandboxed(client, actor)
    used = await simulate(client, actor, message=MESSAGE, outcome="DEFERRED")

    with later(days=2, hours=23):
        await remove_unused_sandbox_mail()
    before = await fetch("SELECT FROM messages WHERE id = {}", uuid.UUID(unused))
    with later(days=3, minutes=1):
        await remove_unused_sandbox_mail()

    rows = await fetch(
        "SELECT id FROM messages WHERE organization_id = {} ORDER BY id", actor.organization_id
    )
    assert len(before) == 1
    assert [str(row["id"]) for row in rows] == [used["uuid"]]
    for table in ("deliveries", "events", "simulations"):
        left_over = await fetch(f"SELECT FROM {table} WHERE message_id = {{}}", uuid.UUID(unused))
        assert left_over == []
