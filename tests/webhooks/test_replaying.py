"""Calls made once more, and webhooks that are tried or deleted."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from postlane.core import clock
from postlane.core.database import fetch, transaction
from postlane.core.retention import Term
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.jobs.webhooks import go_on_replaying
from postlane.webhooks.telling import CHANNEL
from postlane.webhooks.work import find_forgotten, remove_old_calls
from tests.factories import make_domain, make_organization

from .conftest import CALL, Hooks
from .receiver import Receiver

REPLAY = (
    "mutation ($input: ReplayWebhookCallInput!) { replayWebhookCall(input: $input) "
    f"{{ call {{ {CALL} }} }} }}"
)
REPLAY_ALL = """mutation ($input: ReplayWebhookCallsInput!) { replayWebhookCalls(input: $input) {
    replay { id uuid since until states replayed completedAt } } }"""
REPLAYED = """query ($id: ID!) { node(id: $id) { ... on WebhookReplay {
    replayed completedAt } } }"""
TEST = (
    "mutation ($input: TestWebhookInput!) { testWebhook(input: $input) "
    f"{{ succeeded call {{ {CALL} }} }} }}"
)
SIMULATE = """mutation ($input: SimulateDeliveryInput!) { simulateDelivery(input: $input) {
    webhookCalls } }"""
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { uuid } } }"
DELETE = """mutation ($input: DeleteWebhookInput!) { deleteWebhook(input: $input) {
    deletedUuid droppedCalls } }"""


async def until_dead(hooks: Hooks, webhook: dict[str, Any]) -> None:
    """Let every call fail until it is given up."""
    now = clock.now()
    for hours in range(9):
        with clock.frozen(now + timedelta(hours=hours * 12)):
            await hooks.round()


@pytest.fixture
async def told(database: None, database_url: str) -> AsyncIterator[asyncio.Queue[str]]:
    """What workers are told: a notification for each thing that they are not to wait for."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(database_url)
    await connection.add_listener(CHANNEL, lambda *_: heard.put_nowait("told"))
    yield heard
    await connection.close()


async def test_workers_are_told_of_a_new_webhook_and_of_what_is_to_be_called_again(
    hooks: Hooks, receiver: Receiver, told: asyncio.Queue[str]
) -> None:
    webhook = await hooks.create(receiver.url)
    await asyncio.wait_for(told.get(), 20)
    await hooks.emit("tx-1")
    await hooks.round()
    (first,) = await hooks.calls(webhook)
    assert told.empty()

    await hooks.client.data(REPLAY, {"input": {"callId": first["id"]}}, actor=hooks.actor)
    await asyncio.wait_for(told.get(), 20)
    since = (clock.now() - timedelta(hours=1)).isoformat()
    given = {"webhookId": webhook["id"], "since": since}
    await hooks.client.data(REPLAY_ALL, {"input": given}, actor=hooks.actor)
    await asyncio.wait_for(told.get(), 20)
    await hooks.update(webhook, enabled=False)
    await hooks.update(webhook, enabled=True)
    await asyncio.wait_for(told.get(), 20)

    assert told.empty()


async def test_one_call_is_replayed_with_the_same_event(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    await hooks.emit("tx-1")
    await hooks.round()
    (first,) = await hooks.calls(webhook)

    data = await hooks.client.data(REPLAY, {"input": {"callId": first["id"]}}, actor=hooks.actor)
    await hooks.round()

    again = data["replayWebhookCall"]["call"]
    calls = await hooks.calls(webhook)
    assert (again["state"], again["replay"], again["attemptCount"]) == ("PENDING", 1, 0)
    assert [(each["replay"], each["state"]) for each in calls] == [
        (0, "DELIVERED"),
        (1, "DELIVERED"),
    ]
    assert len({asked.headers["webhook-id"] for asked in receiver.asked}) == 1
    assert receiver.asked[0].body == receiver.asked[1].body


async def test_a_call_that_waits_is_made_at_once(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    receiver.then(500, 500)
    await hooks.emit("tx-1")
    await hooks.round()
    with clock.frozen(clock.now() + timedelta(seconds=10)):
        await hooks.round()
    (waiting,) = await hooks.calls(webhook)

    await hooks.client.data(REPLAY, {"input": {"callId": waiting["id"]}}, actor=hooks.actor)
    await hooks.round()

    (call,) = await hooks.calls(webhook)
    assert (waiting["state"], waiting["attemptCount"]) == ("PENDING", 2)
    assert (call["id"], call["state"], call["attemptCount"]) == (waiting["id"], "DELIVERED", 3)


async def test_a_stretch_replays_what_is_dead_once(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    since = clock.now() - timedelta(minutes=1)
    await hooks.emit("good")
    await hooks.round()
    receiver.then(*[500] * 16)
    await hooks.emit("bad", "worse")
    await until_dead(hooks, webhook)
    states = [each["state"] for each in await hooks.calls(webhook)]

    async def replay() -> dict[str, Any]:
        given = {"webhookId": webhook["id"], "since": since.isoformat()}
        data = await hooks.client.data(REPLAY_ALL, {"input": given}, actor=hooks.actor)
        while await go_on_replaying():
            pass
        await hooks.round()
        found = await hooks.client.data(
            REPLAYED, {"id": data["replayWebhookCalls"]["replay"]["id"]}, actor=hooks.actor
        )
        node: dict[str, Any] = found["node"]
        return node

    first, second = await replay(), await replay()

    told = [json.loads(asked.body)["data"]["vmta"] for asked in receiver.asked]
    assert states == ["DELIVERED", "DEAD", "DEAD"]
    assert (first["replayed"], second["replayed"]) == (2, 0)
    assert first["completedAt"] is not None
    assert told[-2:] == ["bad", "worse"] or told[-2:] == ["worse", "bad"]
    assert len(told) == 1 + 16 + 2


async def test_replays_are_refused_where_they_make_no_sense(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await hooks.create(receiver.url)
    now = clock.now()

    async def refusal(**values: Any) -> str:
        given = {"webhookId": webhook["id"], "since": now.isoformat()} | values
        return await hooks.client.refusal(REPLAY_ALL, {"input": given}, actor=hooks.actor)

    empty = await refusal(until=(now - timedelta(hours=1)).isoformat())
    long_ago = await refusal(since=(now - timedelta(days=15)).isoformat())
    pending = await refusal(since=(now - timedelta(hours=1)).isoformat(), states=["PENDING"])
    await hooks.update(webhook, enabled=False)
    off = await refusal(since=(now - timedelta(hours=1)).isoformat())

    assert (empty, long_ago, pending, off) == (
        "INVALID_INPUT",
        "INVALID_INPUT",
        "INVALID_INPUT",
        "CONFLICT",
    )
    assert (
        await fetch(
            "SELECT FROM webhook_replays WHERE organization_id = {}", hooks.actor.organization_id
        )
        == []
    )


async def replay_missed(hooks: Hooks, webhook: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Have what was missed in the last hour told, and return the replay once that is done."""
    given = {"webhookId": webhook["id"], "missed": True, "states": []}
    given |= {"since": (clock.now() - timedelta(hours=1)).isoformat()} | values
    data = await hooks.client.data(REPLAY_ALL, {"input": given}, actor=hooks.actor)
    while await go_on_replaying():
        pass
    await hooks.round()
    id = data["replayWebhookCalls"]["replay"]["id"]
    found: dict[str, Any] = await hooks.client.data(REPLAYED, {"id": id}, actor=hooks.actor)
    assert found["node"]["completedAt"] is not None
    return found


async def test_what_happened_while_it_was_off_is_told_when_that_is_asked_for(
    hooks: Hooks, receiver: Receiver
) -> None:
    await hooks.emit("before it was made")
    webhook = await hooks.create(receiver.url, "vmta.*", "message.*")
    await hooks.emit("told")
    await hooks.round()
    await hooks.update(webhook, enabled=False)
    await hooks.emit("missed", *(f"missed {number}" for number in range(1_000)))
    await hooks.emit("unwanted", type=EventType.DOMAIN_VERIFIED)
    mail = [await send(hooks) for _ in range(3)]
    await hooks.round()
    await hooks.update(webhook, enabled=True)
    await hooks.emit("later")
    await hooks.round()
    before = len(receiver.asked)

    first = await replay_missed(hooks, webhook)
    asked = receiver.asked[before:]
    second = await replay_missed(hooks, webhook, states=["DELIVERED"])

    told = [json.loads(each.body) for each in asked]
    assert first["node"]["replayed"] == len(told) == 1_001 + 3
    of_mail = [each["data"]["message_id"] for each in told if each["type"] == "message.queued"]
    assert sorted(of_mail) == sorted(mail)
    others = {each["data"]["vmta"] for each in told if each["type"] != "message.queued"}
    assert others == {"missed", *(f"missed {number}" for number in range(1_000))}
    # All are known now: two that were told at their time, and those.
    assert second["node"]["replayed"] == 2 + 1_004
    states = await fetch(
        "SELECT event_id, count(*) AS n FROM webhook_calls WHERE webhook_id = {} "
        "AND replay = 0 GROUP BY 1 HAVING count(*) > 1",
        uuid.UUID(webhook["uuid"]),
    )
    assert states == []


async def test_only_a_stretch_of_what_was_missed_is_told(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url, "*", filters={"vmtas": ["early", "late"]})
    await hooks.update(webhook, enabled=False)
    await hooks.emit("early", "other")
    await asyncio.sleep(0.01)
    middle = clock.now()
    await asyncio.sleep(0.01)
    await hooks.emit("late")
    await hooks.round()
    await hooks.update(webhook, enabled=True)

    await replay_missed(hooks, webhook, until=middle.isoformat())
    first = [json.loads(each.body)["data"]["vmta"] for each in receiver.asked]
    await replay_missed(hooks, webhook, since=middle.isoformat())
    second = [json.loads(each.body)["data"]["vmta"] for each in receiver.asked]

    assert (first, second) == (["early"], ["early", "late"])


async def send(hooks: Hooks) -> str:
    """Have a message accepted, and return its UUID."""
    domain = await make_domain(hooks.actor.organization_id)
    given = {
        "from": f"shop@{domain.name}",
        "to": ["ada@dest.example"],
        "subject": "Hello",
        "text": "Hello.",
    }
    data = await hooks.client.data(SEND, {"input": given}, actor=hooks.actor)
    return str(data["sendMessage"]["message"]["uuid"])


async def test_trying_a_webhook_counts_for_nothing(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url, enabled=False)
    receiver.then(200, 500)

    async def attempt(**values: Any) -> dict[str, Any]:
        given = {"webhookId": webhook["id"], **values}
        data = await hooks.client.data(TEST, {"input": given}, actor=hooks.actor)
        found: dict[str, Any] = data["testWebhook"]
        return found

    good, bad = await attempt(), await attempt(event="message.bounced")

    first, second = (json.loads(asked.body) for asked in receiver.asked)
    shown = await hooks.show(webhook)
    assert (good["succeeded"], good["call"]["test"], good["call"]["state"]) == (
        True,
        True,
        "DELIVERED",
    )
    assert (bad["succeeded"], bad["call"]["state"], bad["call"]["nextAttemptAt"]) == (
        False,
        "DEAD",
        None,
    )
    assert receiver.verified(hooks.secret, 0)["type"] == first["type"] == "webhook.test"
    assert (second["type"], second["data"]["simulated"], second["data"]["bounce_type"]) == (
        "message.bounced",
        True,
        "hard",
    )
    assert (shown["stats"]["delivered"], shown["lastDeliveryAt"]) == (0, None)
    assert [call["test"] for call in await hooks.calls(webhook, test=True)] == [True, True]
    assert await hooks.calls(webhook, test=False) == []


async def test_a_webhook_is_tried_ten_times_a_minute(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    given = {"input": {"webhookId": webhook["id"]}}

    unknown = await hooks.client.refusal(
        TEST, {"input": {"webhookId": webhook["id"], "event": "x.y"}}, actor=hooks.actor
    )
    for _ in range(10):
        await hooks.client.data(TEST, given, actor=hooks.actor)
    code = await hooks.client.refusal(TEST, given, actor=hooks.actor)

    assert (unknown, code, len(receiver.asked)) == ("INVALID_INPUT", "RATE_LIMITED", 10)


async def test_a_deleted_webhook_is_called_no_more(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    receiver.then(500, 500)
    await hooks.emit("tx-1", "tx-2")
    await hooks.round()

    data = await hooks.client.data(
        DELETE, {"input": {"webhookId": webhook["id"]}}, actor=hooks.actor
    )
    await hooks.emit("tx-3")
    with clock.frozen(clock.now() + timedelta(days=1)):
        await hooks.round()
        await find_forgotten()
        await hooks.round()

    assert data["deleteWebhook"] == {"deletedUuid": webhook["uuid"], "droppedCalls": 2}
    assert len(receiver.asked) == 2
    body = await hooks.client.data(
        "query ($id: ID!) { node(id: $id) { id } }", {"id": webhook["id"]}, actor=hooks.actor
    )
    assert body == {"node": None}
    kept = await fetch(
        "SELECT sealed_secret FROM webhooks WHERE organization_id = {}",
        hooks.actor.organization_id,
    )
    assert [row["sealed_secret"] for row in kept] == [b""]


async def test_calls_are_kept_for_two_weeks(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    await hooks.emit("tx-1")
    await hooks.round()

    with clock.frozen(clock.now() + timedelta(days=13)):
        await remove_old_calls(Term(14))
    before = len(await hooks.calls(webhook))
    with clock.frozen(clock.now() + timedelta(days=15)):
        await remove_old_calls(Term(14))

    assert (before, len(await hooks.calls(webhook))) == (1, 0)


async def test_calls_of_some_go_sooner(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    await hooks.emit("tx-1")
    await hooks.round()
    ours, somebody = hooks.actor.organization_id, (await make_organization()).id

    with clock.frozen(clock.now() + timedelta(days=8)):
        await remove_old_calls(Term(7, [somebody]))
        before = len(await hooks.calls(webhook))
        await remove_old_calls(Term(7, [somebody, ours]))

    assert (before, len(await hooks.calls(webhook))) == (1, 0)


async def test_a_hint_that_was_lost_is_found_again(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url)
    await hooks.emit("tx-1")
    receiver.then(500)
    await hooks.round()
    await fetch(
        "UPDATE webhook_progress SET next_due_at = NULL WHERE organization_id = {}",
        hooks.actor.organization_id,
    )

    with clock.frozen(clock.now() + timedelta(minutes=1)):
        await hooks.round()
        lost = len(receiver.asked)
        await find_forgotten()
        await hooks.round()

    assert (lost, len(receiver.asked)) == (1, 2)


async def test_a_simulation_says_how_many_calls_it_makes(hooks: Hooks, receiver: Receiver) -> None:
    domain = await make_domain(hooks.actor.organization_id)
    webhook = await hooks.create(receiver.url, "message.queued", "message.bounced")
    message = {"from": f"s@{domain.name}", "to": ["a@example.net"], "subject": "X", "text": "X"}

    async def simulate(**values: Any) -> int:
        given = {"message": message, "outcome": "HARD_BOUNCE", **values}
        data = await hooks.client.data(SIMULATE, {"input": given}, actor=hooks.actor)
        count: int = data["simulateDelivery"]["webhookCalls"]
        return count

    counts = [await simulate(), await simulate(fireWebhooks=False)]
    await hooks.round()

    assert counts == [2, 0]
    assert [call["event"] for call in await hooks.calls(webhook)] == [
        "message.queued",
        "message.bounced",
    ]
    assert receiver.verified(hooks.secret)["data"]["simulated"] is True
    assert "fire_webhooks" not in receiver.verified(hooks.secret)["data"]


async def test_a_message_that_much_happened_to_is_told_a_batch_at_a_time(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await hooks.create(receiver.url, "message.*")
    await hooks.update(webhook, enabled=False)
    small, large = await send(hooks), await send(hooks)
    last = await send(hooks)
    # More than is read at once.
    events = [
        NewEvent(
            hooks.actor.organization_id,
            None,
            uuid.UUID(large),
            None,
            EventType.MESSAGE_OPENED,
            {},
            clock.now(),
        )
        for _ in range(5_200)
    ]
    async with transaction() as tx:
        await append(tx, events)
    await hooks.round()
    await hooks.update(webhook, enabled=True)
    given = {"webhookId": webhook["id"], "missed": True, "states": []}
    given |= {"since": (clock.now() - timedelta(hours=1)).isoformat()}
    await hooks.client.data(REPLAY_ALL, {"input": given}, actor=hooks.actor)

    while await go_on_replaying():
        pass

    rows = await fetch(
        "SELECT message_id, count(*) AS n, count(DISTINCT event_id) AS events "
        "FROM webhook_calls WHERE webhook_id = {} GROUP BY 1",
        uuid.UUID(webhook["uuid"]),
    )
    found = {str(row["message_id"]): (row["n"], row["events"]) for row in rows}
    assert found == {small: (1, 1), large: (5_201, 5_201), last: (1, 1)}
