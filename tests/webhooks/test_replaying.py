"""Calls made once more, and webhooks that are tried or deleted."""

import json
from datetime import timedelta
from typing import Any

from postlane.core import clock
from postlane.core.database import fetch
from postlane.jobs.webhooks import go_on_replaying
from postlane.webhooks.work import find_forgotten, remove_old_calls
from tests.factories import make_domain

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
DELETE = """mutation ($input: DeleteWebhookInput!) { deleteWebhook(input: $input) {
    deletedUuid droppedCalls } }"""


async def until_dead(hooks: Hooks, webhook: dict[str, Any]) -> None:
    """Let every call fail until it is given up."""
    now = clock.now()
    for hours in range(9):
        with clock.frozen(now + timedelta(hours=hours * 12)):
            await hooks.round()


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
        await remove_old_calls()
    before = len(await hooks.calls(webhook))
    with clock.frozen(clock.now() + timedelta(days=15)):
        await remove_old_calls()

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
