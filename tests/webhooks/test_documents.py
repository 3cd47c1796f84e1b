"""Payloads made by a GraphQL document of the customer's."""

from typing import Any

import pytest

from postlane.core.actor import Permission
from postlane.core.database import fetch
from tests.factories import make_actor, make_domain

from .conftest import CREATE, Hooks
from .receiver import Receiver
from .test_calls import SEND

DOCUMENT = """subscription {
  organizationEvents { type simulated message { subject to metadata } delivery { address } }
}"""
TEST = """mutation ($input: TestWebhookInput!) { testWebhook(input: $input) {
    succeeded call { attempts { error reply } } } }"""


async def test_a_document_makes_the_data_of_a_call(hooks: Hooks, receiver: Receiver) -> None:
    domain = await make_domain(hooks.actor.organization_id)
    webhook = await hooks.create(receiver.url, document=DOCUMENT)
    sent = {
        "from": f"shop@{domain.name}",
        "to": ["ada@example.net"],
        "subject": "Your order",
        "text": "Hello.",
        "metadata": {"order_id": "7"},
    }

    await hooks.client.data(SEND, {"input": sent}, actor=hooks.actor)
    await hooks.emit("tx-1")
    await hooks.round()

    told = {each["type"]: each["data"] for each in _told(hooks, receiver)}
    assert webhook["document"] == DOCUMENT
    assert told == {
        "message.queued": {
            "type": "MESSAGE_QUEUED",
            "simulated": False,
            "message": {
                "subject": "Your order",
                "to": ["ada@example.net"],
                "metadata": {"order_id": "7"},
            },
            "delivery": {"address": "ada@example.net"},
        },
        "vmta.paused": {
            "type": "VMTA_PAUSED",
            "simulated": False,
            "message": None,
            "delivery": None,
        },
    }


def _told(hooks: Hooks, receiver: Receiver) -> list[Any]:
    return [receiver.verified(hooks.secret, nth) for nth in range(len(receiver.asked))]


async def test_a_document_runs_with_the_rights_of_who_wrote_it(
    hooks: Hooks, receiver: Receiver
) -> None:
    """Who may not read messages learns nothing of them from a webhook's document."""
    domain = await make_domain(hooks.actor.organization_id)
    writer = await make_actor(
        permissions=[Permission.WRITE_WEBHOOKS, Permission.READ_WEBHOOKS],
        organization_id=hooks.actor.organization_id,
    )
    given = {"url": receiver.url, "events": ["*"], "document": DOCUMENT}
    data = await hooks.client.data(CREATE, {"input": given}, actor=writer)
    webhook = data["createWebhook"]["webhook"]
    sent = {"from": f"s@{domain.name}", "to": ["a@example.net"], "subject": "X", "text": "X"}

    await hooks.client.data(SEND, {"input": sent}, actor=hooks.actor)
    await hooks.round()

    (call,) = await hooks.calls(webhook)
    assert '"message":null' in call["request"]
    assert "example.net" not in call["request"]


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{ viewer { email } }",
        "mutation { deleteWebhook(input: {webhookId: 1}) { deletedUuid } }",
        "subscription { messageEvents { type } }",
        "subscription { organizationEvents(types: [VMTA_PAUSED]) { type } }",
        "subscription ($t: [EventType!]) { organizationEvents(types: $t) { type } }",
        "subscription { organizationEvents { nothing } }",
        "subscription { organizationEvents { type } } query { viewer { email } }",
        "subscription { organizationEvents { " + "type " * 5_000 + "} }",
        "subscription { organizationEvents { message { deliveries { "
        "message { deliveries { message { deliveries { message { subject } } } } } } } } }",
    ],
)
async def test_a_document_that_does_not_fit_is_refused(hooks: Hooks, document: str) -> None:
    given = {"url": "https://hooks.example.org/", "events": ["*"], "document": document}

    body = await hooks.client.graphql(CREATE, {"input": given}, actor=hooks.actor)

    extensions = body["errors"][0]["extensions"]
    assert extensions["code"] == "INVALID_INPUT"
    assert {detail["field"] for detail in extensions["details"]} == {"document"}


async def test_a_document_is_tried_with_a_made_up_event(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url, document=DOCUMENT)

    data = await hooks.client.data(TEST, {"input": {"webhookId": webhook["id"]}}, actor=hooks.actor)

    assert data["testWebhook"]["succeeded"]
    assert receiver.verified(hooks.secret)["data"] == {
        "type": "WEBHOOK_TEST",
        "simulated": True,
        "message": None,
        "delivery": None,
    }


async def test_a_document_that_fits_no_longer_fails_the_attempt(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await hooks.create(receiver.url, document=DOCUMENT)
    await fetch(
        "UPDATE webhooks SET document = 'subscription { organizationEvents { gone } }' "
        "WHERE organization_id = {}",
        hooks.actor.organization_id,
    )
    await hooks.emit("tx-1")

    await hooks.round()

    (call,) = await hooks.calls(webhook)
    assert receiver.asked == []
    assert (call["state"], call["attempts"][0]["error"]) == ("PENDING", "document_failed")
    assert "gone" in call["attempts"][0]["reply"]
