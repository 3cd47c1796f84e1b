"""Events that become signed requests, each once, for who wants them."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.events.consuming import READ
from postlane.events.rules import EventType
from postlane.graphql.payloads import shaped_for
from postlane.jobs.webhooks import Caller
from postlane.server.auth import actor_for_webhook
from postlane.webhooks.payloads import Happened, data_of
from postlane.webhooks.work import fan_out
from tests.client import Client
from tests.factories import make_actor, make_domain, make_project
from tests.node import json_of_node
from tests.parts import TOOLS, needs_npm_package
from tests.statements import watch_statements

from .conftest import Hooks
from .receiver import Receiver

SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    message { uuid deliveries { uuid } } } }"""


async def test_events_are_read_of_organizations_with_webhooks_alone(
    client: Client, hooks: Hooks, receiver: Receiver
) -> None:
    """Whoever has none is nothing to fan-out but a place to have been at."""
    without = Hooks(client, await make_actor())
    await hooks.create(receiver.url, "vmta.paused")
    await hooks.round()
    read = []

    for some in (without, hooks):
        await some.emit("tx-1", "tx-2")
        with watch_statements() as sent:
            await fan_out()
        read.append([arguments[0] for query, arguments in sent if query.startswith(READ[:60])])

    assert read[0] == []
    ((positions,),) = [read[1]]
    assert len(positions) == 2


async def test_an_event_is_called_with_a_good_signature(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url, "vmta.paused")
    await hooks.emit("tx-1")

    await hooks.round()

    (call,) = await hooks.calls(webhook)
    (asked,) = receiver.asked
    assert receiver.verified(hooks.secret) == {
        "id": call["eventUuid"],
        "type": "vmta.paused",
        "timestamp": json.loads(asked.body)["timestamp"],
        "organization_id": str(hooks.actor.organization_id),
        "data": {"vmta": "tx-1", "reason": None, "by": None},
    }
    assert asked.method == "POST"
    assert asked.headers["webhook-id"] == call["eventUuid"]
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["user-agent"] == "Postlane"
    assert asked.headers["postlane-payload-version"] == "2026-06-01"
    assert "cookie" not in asked.headers
    assert call["state"] == "DELIVERED"
    assert call["request"] == asked.body.decode()
    assert [(a["number"], a["status"], a["reply"], a["error"]) for a in call["attempts"]] == [
        (1, 200, "ok", None)
    ]


async def test_whatever_is_forged_fails(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url)
    await hooks.emit("tx-1")
    await hooks.round()
    (asked,) = receiver.asked
    other = "whsec_" + "A" * 43 + "="

    for body, headers, secret in (
        (asked.body.replace(b"tx-1", b"tx-2"), asked.headers, hooks.secret),
        (asked.body, asked.headers, other),
        (asked.body, asked.headers | {"webhook-id": "another"}, hooks.secret),
        (asked.body, asked.headers | {"webhook-timestamp": "1000000000"}, hooks.secret),
    ):
        with pytest.raises(WebhookVerificationError):
            Verifier(secret).verify(body, headers)


@needs_npm_package("standardwebhooks")
async def test_npms_standardwebhooks_verifies_it_too(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url)
    await hooks.emit("zürich → tx-1")
    await hooks.round()
    (asked,) = receiver.asked
    given = {"secret": hooks.secret, "headers": asked.headers, "body": asked.body.decode()}

    found = await json_of_node(TOOLS / "verify_webhook.mjs", GIVEN=json.dumps(given))

    assert found == {"verified": json.loads(asked.body), "forged": "No matching signature found"}


async def test_an_event_of_a_message_tells_of_it(hooks: Hooks, receiver: Receiver) -> None:
    domain = await make_domain(hooks.actor.organization_id)
    await hooks.create(receiver.url, "message.*")
    sent = {
        "from": f"Shop <shop@{domain.name}>",
        "to": ["Ada@example.net"],
        "subject": "Your order",
        "text": "Hello.",
        "tags": ["order"],
        "metadata": {"order_id": "12345"},
    }

    data = await hooks.client.data(SEND, {"input": sent}, actor=hooks.actor)
    await hooks.round()

    message = data["sendMessage"]["message"]
    told = receiver.verified(hooks.secret)
    assert told["type"] == "message.queued"
    assert told["data"] == {
        "message_id": message["uuid"],
        "recipient_id": message["deliveries"][0]["uuid"],
        "email": "Ada@example.net",
        "from": f"shop@{domain.name}",
        "subject": "Your order",
        "batch_id": None,
        "tags": ["order"],
        "metadata": {"order_id": "12345"},
        "stream": "transactional",
        "simulated": False,
        "scheduled_at": None,
    }


async def test_only_what_is_wanted_comes(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.emit("before")
    webhook = await hooks.create(receiver.url, "vmta.resumed", "domain.*")
    off = await hooks.create(receiver.url, "*", enabled=False)
    organization = await Organization.objects().get(Organization.id == hooks.actor.organization_id)
    assert organization is not None
    project = await make_project(organization)
    elsewhere = await hooks.create(receiver.url, "*", projectId=str(project.id))

    await hooks.emit("paused")
    await hooks.emit("resumed", type=EventType.VMTA_RESUMED)
    await hooks.emit("failed", type=EventType.DOMAIN_FAILED)
    await hooks.round()

    assert [call["event"] for call in await hooks.calls(webhook)] == [
        "vmta.resumed",
        "domain.failed",
    ]
    assert await hooks.calls(off) == await hooks.calls(elsewhere) == []
    assert len(receiver.asked) == 2


async def test_filters_look_at_what_an_event_is_about(hooks: Hooks, receiver: Receiver) -> None:
    domain = await make_domain(hooks.actor.organization_id)
    wanted = [
        {"vmtas": ["tx-1"]},
        {"domains": [domain.name]},
        {"domains": ["other.example"]},
        {"tags": ["order", "bill"], "streams": ["TRANSACTIONAL"]},
        {"tags": ["order"], "streams": ["MARKETING"]},
    ]
    made = [await hooks.create(receiver.url, filters=each) for each in wanted]
    sent = {
        "from": f"shop@{domain.name}",
        "to": ["ada@example.net"],
        "subject": "Hi",
        "text": "Hi.",
        "tags": ["order"],
    }

    await hooks.client.data(SEND, {"input": sent}, actor=hooks.actor)
    await hooks.emit("tx-1", "tx-2")
    await hooks.round()

    assert made[3]["filters"] == {
        "domains": [],
        "vmtas": [],
        "tags": ["bill", "order"],
        "streams": ["TRANSACTIONAL"],
    }
    assert [[call["event"] for call in await hooks.calls(each)] for each in made] == [
        ["vmta.paused"],
        ["message.queued"],
        [],
        ["message.queued"],
        [],
    ]


async def test_workers_side_by_side_call_once(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    await hooks.emit(*(f"tx-{n}" for n in range(60)))

    await asyncio.gather(*(Caller(shaped_for(actor_for_webhook)).round() for _ in range(3)))
    await hooks.round()

    told = [json.loads(asked.body)["data"]["vmta"] for asked in receiver.asked]
    assert sorted(told) == sorted(f"tx-{n}" for n in range(60))
    assert {call["state"] for call in await hooks.calls(webhook)} == {"DELIVERED"}
    stats = (await hooks.show(webhook))["stats"]
    assert (stats["delivered"], stats["pending"], stats["successRate"]) == (60, 0, 100)


async def test_in_order_nothing_goes_before_what_failed(hooks: Hooks, receiver: Receiver) -> None:
    names = [f"tx-{n}" for n in range(5)]
    await hooks.create(receiver.url, inOrder=True)
    receiver.then(200, 500)
    await hooks.emit(*names)

    await hooks.round()
    first = [json.loads(asked.body)["data"]["vmta"] for asked in receiver.asked]
    await hooks.emit("tx-5")
    await hooks.round()
    waiting = len(receiver.asked)
    with clock.frozen(clock.now() + timedelta(seconds=6)):
        await hooks.round()

    told = [json.loads(asked.body)["data"]["vmta"] for asked in receiver.asked]
    assert first == ["tx-0", "tx-1"]
    assert waiting == 2
    assert told == ["tx-0", "tx-1", "tx-1", "tx-2", "tx-3", "tx-4", "tx-5"]


async def test_a_secret_that_was_replaced_signs_for_a_while(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await hooks.create(receiver.url)
    old = hooks.secret

    rotated = await hooks.update(webhook, rotateSecret=True, gracePeriodSeconds=600)
    await hooks.emit("tx-1")
    await hooks.round()
    both = [receiver.verified(old), receiver.verified(rotated["secret"])]
    await hooks.emit("tx-2")
    with clock.frozen(clock.now() + timedelta(seconds=601)):
        await hooks.round()
        later = receiver.asked[-1].headers["webhook-signature"].split()
    at_once = await hooks.update(webhook, rotateSecret=True, gracePeriodSeconds=0)

    assert both[0] == both[1]
    assert rotated["webhook"]["previousSecretExpiresAt"] is not None
    assert len(later) == 1
    assert at_once["webhook"]["previousSecretExpiresAt"] is None
    assert len({old, rotated["secret"], at_once["secret"]}) == 3


async def test_secrets_are_nowhere_but_in_the_answer(
    hooks: Hooks, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    webhook = await hooks.create(
        receiver.url, headers=[{"name": "Authorization", "value": "Bearer s3cret-of-theirs"}]
    )
    rotated = await hooks.update(webhook, rotateSecret=True)
    receiver.then(500)
    await hooks.emit("tx-1")
    await hooks.round()

    assert receiver.asked[0].headers["authorization"] == "Bearer s3cret-of-theirs"
    assert (await hooks.show(webhook))["headerNames"] == ["authorization"]
    rows = await fetch(
        "SELECT w::text AS text FROM webhooks w WHERE id = {} UNION ALL "
        "SELECT a::text FROM audit_entries a WHERE target_id = {} UNION ALL "
        "SELECT c::text FROM webhook_calls c WHERE webhook_id = {}",
        UUID(webhook["uuid"]),
        webhook["uuid"],
        UUID(webhook["uuid"]),
    )
    kept = caplog.text + str(await hooks.show(webhook)) + "".join(row["text"] for row in rows)
    assert len(rows) == 4
    for secret in (hooks.secret, rotated["secret"], "s3cret-of-theirs"):
        assert secret not in kept
        assert secret.removeprefix("whsec_") not in kept


def test_what_is_noted_for_ourselves_is_in_no_call() -> None:
    event = Happened(
        id=new_id(),
        type="message.deferred",
        organization_id=OrganizationId(new_id()),
        occurred_at=clock.now(),
        data={"attempt": 1, "local": True, "fire_webhooks": False},
    )

    assert data_of(event) == {"attempt": 1}
