"""Calls in PostageApp's formats as a receiver gets them: what they say, and who may trust them."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from postlane.core import clock
from tests.factories import make_domain
from tests.templates.setup import keep_as_before
from tests.web_server import Asked

from .conftest import Hooks
from .receiver import Receiver

SEND = """mutation ($input: SendPersonalMessageInput!) { sendPersonalMessage(input: $input) {
    uuid number } }"""
SIMULATE = "mutation ($input: SimulateDeliveryInput!) { simulateDelivery(input: $input) { uuid } }"
TRY = """mutation ($input: TestWebhookInput!) { testWebhook(input: $input) {
    succeeded call { event state } } }"""
KEYS = (
    "event account project message_id message_uid recipient domain template timestamp token "
    "signature smtp_code smtp_message"
).split()


def is_signed(told: Any, secret: str) -> bool:
    """Say whether a call is ours, as a receiver finds out."""
    signed = f"{told['timestamp']}{told['token']}".encode()
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(str(told["signature"]), expected)


async def send(hooks: Hooks, **values: Any) -> Any:
    """Send a sandbox message to one recipient."""
    domain = await make_domain(hooks.actor.organization_id)
    message = {
        "from": f"Shop <shop@{domain.name}>",
        "recipients": [{"address": "Ann <ann@dest.example>", "variables": {"name": "Ann"}}],
        "subject": "Hi {{name}}",
        "html": '<a href="https://shop.example/a">{{name}} of {{company}}</a>',
        "syntax": "BRACES",
        "variables": {"company": "Acme"},
        "headers": [{"name": "X-Order", "value": "4711"}],
        "uid": "order-4711",
        "sandbox": True,
    } | values
    data = await hooks.client.data(SEND, {"input": message}, actor=hooks.actor)
    return data["sendPersonalMessage"]


async def told(
    hooks: Hooks, receiver: Receiver, outcome: str, *, before: bool = False, **values: Any
) -> list[Asked]:
    """Let a message end so, and return what a receiver was told."""
    sent = await send(hooks, **values)
    if before:
        await keep_as_before(sent["uuid"])
    asked = {"messageId": sent["uuid"], "outcome": outcome}
    await hooks.client.data(SIMULATE, {"input": asked}, actor=hooks.actor)
    await hooks.round()
    return receiver.asked


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("DELIVERED", ["delivered"]),
        ("HARD_BOUNCE", ["failed"]),
        ("OPENED", ["delivered", "opened"]),
        ("CLICKED", ["clicked", "delivered", "opened"]),
        ("COMPLAINED", ["delivered", "spammed"]),
    ],
)
async def test_each_event_has_its_word(
    hooks: Hooks, receiver: Receiver, outcome: str, words: list[str]
) -> None:
    await hooks.create(receiver.url, format="POSTAGEAPP")

    asked = await told(hooks, receiver, outcome)

    found = [json.loads(each.body) for each in asked]
    assert sorted(each["event"] for each in found) == words
    for each in found:
        own = ["url"] if each["event"] == "clicked" else []
        assert list(each) == [*KEYS, *own, "message_headers", "message_variables"]
        assert is_signed(each, hooks.secret)


@pytest.mark.parametrize("before", [False, True], ids=["now", "kept as before"])
async def test_version_1_1_says_it_in_objects(
    hooks: Hooks, receiver: Receiver, before: bool
) -> None:
    await hooks.create(receiver.url, format="POSTAGEAPP")

    (asked,) = await told(hooks, receiver, "DELIVERED", before=before)

    found = json.loads(asked.body)
    assert asked.headers["content-type"] == "application/json"
    assert "webhook-signature" not in asked.headers
    assert (found["recipient"], found["domain"]) == ("ann@dest.example", "dest.example")
    assert (found["message_uid"], found["smtp_code"]) == ("order-4711", "SMTP_250")
    assert found["project"] == "Default"
    assert len(found["token"]) == 68
    assert len(found["signature"]) == 64
    assert found["message_headers"][0] == ["Subject", "Hi Ann"]
    assert found["message_headers"][1][0] == "From"
    assert ["X-Order", "4711"] in found["message_headers"]
    assert found["message_variables"] == {"company": "Acme", "name": "Ann"}


async def test_version_1_0_says_it_in_texts(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url, format="POSTAGEAPP_1_0")

    (asked,) = await told(
        hooks, receiver, "DELIVERED", variables={"company": "Acme", "event": "mine"}
    )

    found = json.loads(asked.body)
    assert (found["event"], found["company"], found["name"]) == ("delivered", "Acme", "Ann")
    assert "message_id" not in found
    assert "message_variables" not in found
    assert json.loads(found["message_headers"])[0] == ["Subject", "Hi Ann"]
    assert is_signed(found, hooks.secret)


async def test_a_form_has_the_keys_of_version_1_0(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url, format="POSTAGEAPP_FORM")

    (asked,) = await told(hooks, receiver, "DELIVERED")

    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    found = dict(parse_qsl(asked.body.decode(), strict_parsing=True))
    assert (found["event"], found["company"]) == ("delivered", "Acme")
    assert is_signed(found, hooks.secret)


async def test_every_attempt_is_the_same_and_a_failed_one_is_made_again(
    hooks: Hooks, receiver: Receiver
) -> None:
    await hooks.create(receiver.url, format="POSTAGEAPP")
    receiver.then(500)

    await told(hooks, receiver, "DELIVERED")
    with clock.frozen(clock.now() + timedelta(seconds=10)):
        await hooks.round()

    first, second = receiver.asked
    assert first.body == second.body


async def test_what_postageapp_does_not_know_makes_no_call(
    hooks: Hooks, receiver: Receiver
) -> None:
    await hooks.create(receiver.url, format="POSTAGEAPP")

    await told(hooks, receiver, "DEFERRED")

    assert receiver.asked == []


async def test_a_webhook_is_tried_with_a_delivery(hooks: Hooks, receiver: Receiver) -> None:
    made = await hooks.create(receiver.url, format="POSTAGEAPP")

    asked = {"input": {"webhookId": made["id"]}}
    data = await hooks.client.data(TRY, asked, actor=hooks.actor)
    unknown = {"input": {"webhookId": made["id"], "event": "message.deferred"}}
    code = await hooks.client.refusal(TRY, unknown, actor=hooks.actor)

    assert data["testWebhook"]["succeeded"] is True
    assert data["testWebhook"]["call"]["event"] == "message.delivered"
    assert json.loads(receiver.asked[0].body)["event"] == "delivered"
    assert code == "INVALID_INPUT"
