"""Calls checked for who writes a receiver: genuine ones pass, and of others it is said why not."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Role
from postlane.events.rules import EventType
from postlane.webhooks.rules import LARGEST_BODY
from tests.factories import make_actor
from tests.people import new_person

from .conftest import Hooks
from .receiver import Receiver

CHECK = """
query ($id: ID!, $headers: [ReceivedHeaderInput!]!, $body: String!) {
  organization { webhook(id: $id) {
    signatureCheck(headers: $headers, body: $body) { genuine steps { part passed told } }
  } }
}
"""
TEST = """
mutation ($input: TestWebhookInput!) {
  testWebhook(input: $input) { succeeded headers { name value } call { request } }
}
"""


async def check(hooks: Hooks, webhook: Any, headers: dict[str, str], body: str) -> Any:
    """Return what is found of a call."""
    given = [{"name": name, "value": value} for name, value in headers.items()]
    values = {"id": webhook["id"], "headers": given, "body": body}
    data = await hooks.client.data(CHECK, values, actor=hooks.actor)
    return data["organization"]["webhook"]["signatureCheck"]


async def called(hooks: Hooks, receiver: Receiver, **values: Any) -> Any:
    """Make a webhook and have it called once, and return it."""
    webhook = await hooks.create(receiver.url, "vmta.*", **values)
    await hooks.emit("tx-1")
    await hooks.round()
    return webhook


def parts(found: Any) -> list[tuple[str, bool]]:
    return [(step["part"], step["passed"]) for step in found["steps"]]


async def test_what_a_receiver_got_is_genuine(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await called(hooks, receiver)
    (asked,) = receiver.asked

    found = await check(hooks, webhook, asked.headers, asked.body.decode())

    assert found["genuine"] is True
    assert parts(found) == [("HEADERS", True), ("TIME", True), ("SIGNATURE", True)]
    assert "made with the secret" in found["steps"][-1]["told"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body.replace("tx-1", "tx-2"), "another secret made it"),
        (lambda body: body + "\n", "without space at its ends"),
        (lambda body: json.dumps(json.loads(body), indent=2), "before it was read and written"),
        (lambda body: "", "the body was changed"),
        (lambda body: "[" * 100_000, "the body was changed"),
    ],
    ids=["changed", "line-end", "indented", "empty", "deep"],
)
async def test_a_body_that_was_changed_is_refused_and_says_how(
    hooks: Hooks, receiver: Receiver, change: Any, words: str
) -> None:
    webhook = await called(hooks, receiver)
    (asked,) = receiver.asked

    found = await check(hooks, webhook, asked.headers, change(asked.body.decode()))

    assert found["genuine"] is False
    assert parts(found)[-1] == ("SIGNATURE", False)
    assert words in found["steps"][-1]["told"]


async def test_another_webhooks_call_is_refused(hooks: Hooks, receiver: Receiver) -> None:
    await called(hooks, receiver)
    (asked,) = receiver.asked
    other = await hooks.create(receiver.url, "domain.*")

    found = await check(hooks, other, asked.headers, asked.body.decode())

    assert parts(found)[-1] == ("SIGNATURE", False)


async def test_the_secret_before_signs_for_a_while(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await called(hooks, receiver)
    (asked,) = receiver.asked

    await hooks.update(webhook, rotateSecret=True)
    during = await check(hooks, webhook, asked.headers, asked.body.decode())
    await hooks.update(webhook, rotateSecret=True, gracePeriodSeconds=0)
    after = await check(hooks, webhook, asked.headers, asked.body.decode())

    assert during["genuine"] is True
    assert "the secret before" in during["steps"][-1]["told"]
    assert parts(after)[-1] == ("SIGNATURE", False)


async def test_an_old_call_is_refused_though_its_signature_is_right(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await called(hooks, receiver)
    (asked,) = receiver.asked

    with clock.frozen(clock.now() + timedelta(minutes=6)):
        found = await check(hooks, webhook, asked.headers, asked.body.decode())

    assert found["genuine"] is False
    assert parts(found) == [("HEADERS", True), ("TIME", False), ("SIGNATURE", True)]


@pytest.mark.parametrize(
    ("headers", "last"),
    [
        ({}, "HEADERS"),
        ({"webhook-id": "1", "webhook-timestamp": "1"}, "HEADERS"),
        ({"webhook-timestamp": "soon"}, "TIME"),
        ({"webhook-timestamp": "9" * 400}, "TIME"),
        ({"webhook-timestamp": "999999999999"}, "TIME"),
        ({"webhook-timestamp": "\u0661"}, "TIME"),
        ({"webhook-signature": "v2,AAAA"}, "SIGNATURE"),
        ({"webhook-signature": "v1,\u0661"}, "SIGNATURE"),
    ],
)
async def test_headers_that_are_missing_or_wrong_are_named(
    hooks: Hooks, receiver: Receiver, headers: dict[str, str], last: str
) -> None:
    webhook = await called(hooks, receiver)
    (asked,) = receiver.asked
    given = headers if last == "HEADERS" else {**asked.headers, **headers}

    found = await check(hooks, webhook, given, asked.body.decode())

    assert found["genuine"] is False
    assert parts(found)[-1] == (last, False)


@pytest.mark.parametrize("format", ["POSTAL", "POSTAGEAPP", "POSTAGEAPP_1_0", "POSTAGEAPP_FORM"])
async def test_foreign_formats_are_checked_as_their_receivers_do(
    hooks: Hooks, receiver: Receiver, format: str
) -> None:
    webhook = await hooks.create(receiver.url, "message.*", format=format)
    tried = await hooks.client.data(
        TEST, {"input": {"webhookId": webhook["id"]}}, actor=hooks.actor
    )
    (asked,) = receiver.asked
    body = asked.body.decode()
    # Of PostageApp's calls timestamp and token are signed, of Postal's the whole body.
    token = re.sub(r'(token"?[=:] ?"?)(.)', lambda m: m[1] + ("A" if m[2] != "A" else "B"), body)
    forged = body.replace("A test", "A lie") + " " if format == "POSTAL" else token

    right = await check(hooks, webhook, asked.headers, body)
    wrong = await check(hooks, webhook, asked.headers, forged)
    empty = await check(hooks, webhook, {}, "")

    assert tried["testWebhook"]["succeeded"] is True
    assert right["genuine"] is True, right
    assert wrong["genuine"] is False
    assert parts(empty) == [("HEADERS", False)]


@pytest.mark.parametrize(
    ("body", "last"),
    [
        ("&".join(f"a{n}=1" for n in range(2_000)), "HEADERS"),
        ('{"timestamp": "1", "token": "\\ud800", "signature": "x"}', "SIGNATURE"),
        ('{"timestamp": "1", "token": "x", "signature": "\\ud800"}', "SIGNATURE"),
        ('{"timestamp": "\\ud800", "token": "x", "signature": "x"}', "TIME"),
    ],
    ids=["fields", "token", "signature", "timestamp"],
)
async def test_what_no_receiver_could_read_is_a_step_that_failed(
    hooks: Hooks, receiver: Receiver, body: str, last: str
) -> None:
    webhook = await hooks.create(receiver.url, "message.*", format="POSTAGEAPP")

    found = await check(hooks, webhook, {}, body)

    assert found["genuine"] is False
    assert parts(found)[-1] == (last, False)


async def test_the_headers_of_a_test_are_shown_without_those_of_the_customer(
    hooks: Hooks, receiver: Receiver
) -> None:
    secret = new_person()["name"]
    webhook = await hooks.create(receiver.url, "*", headers=[{"name": "x-token", "value": secret}])

    tried = await hooks.client.data(
        TEST, {"input": {"webhookId": webhook["id"]}}, actor=hooks.actor
    )

    (asked,) = receiver.asked
    shown = {each["name"]: each["value"] for each in tried["testWebhook"]["headers"]}
    assert asked.headers["x-token"] == secret
    assert "x-token" not in shown
    assert shown == {name: asked.headers[name] for name in shown}
    assert {"webhook-id", "webhook-timestamp", "webhook-signature"} < set(shown)
    found = await check(hooks, webhook, shown, tried["testWebhook"]["call"]["request"])
    assert found["genuine"] is True


async def test_who_may_not_change_webhooks_checks_nothing(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url, "*")
    viewer = await make_actor(organization_id=hooks.actor.organization_id, role=Role.VIEWER)

    answer = await hooks.client.graphql(
        CHECK, {"id": webhook["id"], "headers": [], "body": ""}, actor=viewer
    )

    assert [e["extensions"]["code"] for e in answer["errors"]] == ["INSUFFICIENT_ROLE"]


@pytest.mark.parametrize(
    ("headers", "body", "field"), [(101, 1, "headers"), (1, LARGEST_BODY + 1, "body")]
)
async def test_more_than_a_call_can_be_is_refused(
    hooks: Hooks, receiver: Receiver, headers: int, body: int, field: str
) -> None:
    webhook = await hooks.create(receiver.url, "*")
    given = [{"name": "a", "value": "b"}] * headers

    answer = await hooks.client.graphql(
        CHECK, {"id": webhook["id"], "headers": given, "body": "a" * body}, actor=hooks.actor
    )

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["extensions"]["field"] == field


async def test_what_can_be_tried_is_what_the_format_tells(hooks: Hooks, receiver: Receiver) -> None:
    ask = "query ($id: ID!) { organization { webhook(id: $id) { triableEvents } } }"
    for format, count in (("STANDARD", len(EventType)), ("POSTAGEAPP", 8)):
        webhook = await hooks.create(receiver.url, "*", format=format)

        data = await hooks.client.data(ask, {"id": webhook["id"]}, actor=hooks.actor)

        events = data["organization"]["webhook"]["triableEvents"]
        assert len(events) == count
        for event in (events[0], events[-1]):
            values = {"input": {"webhookId": webhook["id"], "event": event}}
            tried = await hooks.client.data(TEST, values, actor=hooks.actor)
            assert tried["testWebhook"]["succeeded"] is True, event
