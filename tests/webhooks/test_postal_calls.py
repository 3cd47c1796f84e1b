"""Calls in Postal's format as a receiver gets them: what they say, who signs, how often."""

import base64
import json
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.database import transaction
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from tests.factories import make_domain, make_project
from tests.node import json_of_node
from tests.parts import NODE, TOOLS, needs
from tests.web_server import Asked

from .conftest import CREATE, UPDATE, Hooks
from .receiver import Receiver

SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    message { uuid messageId createdAt deliveries { uuid number token } } } }"""
SIMULATE = "mutation ($input: SimulateDeliveryInput!) { simulateDelivery(input: $input) { uuid } }"
TRY = """mutation ($input: TestWebhookInput!) { testWebhook(input: $input) {
    succeeded call { event state } } }"""
SANDBOXED = {
    "from": "shop@anything.example",
    "to": ["ada@dest.example"],
    "subject": "Hello",
    "html": '<p><a href="https://shop.example/a?b=1&amp;c=2">buy</a></p>',
}
DELIVERY = ["message", "status", "details", "output", "sent_with_ssl", "timestamp", "time"]
BROWSER = ["ip_address", "user_agent"]
CLICK = ["message", "url", "token", *BROWSER]
MESSAGE = "id token direction message_id to from subject timestamp spam_status tag".split()
CHECKED = ("spf", "dkim", "mx", "return_path")
DNS = [
    *("server", "domain", "uuid", "dns_checked_at"),
    *(f"{kind}_{what}" for kind in CHECKED for what in ("status", "error")),
]
MINUTES = (2, 3, 6, 10, 15)


async def published(hooks: Hooks) -> dict[str, Any]:
    answer = await hooks.client.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    found: dict[str, Any] = answer.json()
    return found


def verify(asked: Asked, jwks: Mapping[str, Any]) -> Any:
    """Return what a request says, if both its signatures are good by the published key."""
    (entry,) = jwks["keys"]
    assert asked.headers["x-postal-signature-kid"] == entry["kid"]
    key = jwt.PyJWK(entry).key
    assert isinstance(key, rsa.RSAPublicKey)
    for name, algorithm in (
        ("x-postal-signature", hashes.SHA1()),
        ("x-postal-signature-256", hashes.SHA256()),
    ):
        signature = base64.b64decode(asked.headers[name], validate=True)
        key.verify(signature, asked.body, padding.PKCS1v15(), algorithm)
    return json.loads(asked.body)


async def told(hooks: Hooks, receiver: Receiver) -> list[Any]:
    """Send what is due; return what came, oldest first, each verified."""
    await hooks.round()
    jwks = await published(hooks)
    return sorted((verify(each, jwks) for each in receiver.asked), key=lambda body: body["event"])


async def emit(hooks: Hooks, type: EventType, data: Mapping[str, Any], **of: Any) -> None:
    ids = [of.get(name) for name in ("project_id", "message_id", "delivery_id")]
    async with transaction() as tx:
        owner = hooks.actor.organization_id
        await append(tx, [NewEvent(owner, *ids, type, data, clock.now())])


@pytest.mark.parametrize(
    ("outcome", "events"),
    [
        ("DELIVERED", {"MessageSent": ("Sent", DELIVERY)}),
        ("DEFERRED", {"MessageDelayed": ("SoftFail", DELIVERY)}),
        ("HARD_BOUNCE", {"MessageDeliveryFailed": ("HardFail", DELIVERY)}),
        (
            "EXPIRED",
            {
                "MessageDelayed": ("SoftFail", DELIVERY),
                "MessageDeliveryFailed": ("HardFail", DELIVERY),
            },
        ),
        (
            "OPENED",
            {"MessageLoaded": (None, ["message", *BROWSER]), "MessageSent": ("Sent", DELIVERY)},
        ),
        (
            "CLICKED",
            {
                "MessageLinkClicked": (None, CLICK),
                "MessageLoaded": (None, ["message", *BROWSER]),
                "MessageSent": ("Sent", DELIVERY),
            },
        ),
    ],
)
async def test_every_event_of_a_message_comes_in_postals_words(
    hooks: Hooks, receiver: Receiver, outcome: str, events: dict[str, Any]
) -> None:
    webhook = await hooks.create(receiver.url, format="POSTAL")
    given = {"message": SANDBOXED, "outcome": outcome}

    await hooks.client.data(SIMULATE, {"input": given}, actor=hooks.actor)
    bodies = await told(hooks, receiver)

    # What is put into the sandbox is held before anything else becomes of it.
    expected = events | {"MessageHeld": ("Held", DELIVERY)}
    found = {body["event"]: body["payload"] for body in bodies}
    assert {
        name: (payload.get("status"), list(payload)) for name, payload in found.items()
    } == expected
    assert len(bodies) == len(expected)
    for body in bodies:
        assert list(body) == ["event", "timestamp", "payload", "uuid"]
        assert list(body["payload"]["message"]) == MESSAGE
        assert body["payload"]["message"]["to"] == "ada@dest.example"
    calls = await hooks.calls(webhook)
    assert {body["uuid"] for body in bodies} == {call["uuid"] for call in calls}
    assert webhook["format"] == "POSTAL"


async def test_suppressed_mail_is_held(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url, format="POSTAL")
    given = {"message": SANDBOXED, "outcome": "SUPPRESSED"}

    await hooks.client.data(SIMULATE, {"input": given}, actor=hooks.actor)
    (body,) = await told(hooks, receiver)

    payload = body["payload"]
    assert (body["event"], payload["status"], list(payload)) == ("MessageHeld", "Held", DELIVERY)
    assert (payload["output"], payload["sent_with_ssl"], payload["time"]) == ("", None, None)


async def test_a_bounce_that_comes_back_tells_of_the_message_as_the_api_does(
    hooks: Hooks, receiver: Receiver
) -> None:
    domain = await make_domain(hooks.actor.organization_id)
    webhook = await hooks.create(receiver.url, format="POSTAL")
    sent = {
        "from": f"Shop <shop@{domain.name}>",
        "to": ["Ada@example.net"],
        "subject": "Yours & <more>",
        "text": "Hello.",
        "tags": ["order", "b"],
    }
    data = await hooks.client.data(SEND, {"input": sent}, actor=hooks.actor)
    message = data["sendMessage"]["message"]
    (delivery,) = message["deliveries"]
    of = {"message_id": message["uuid"], "delivery_id": delivery["uuid"]}

    await emit(hooks, EventType.MESSAGE_BOUNCED, {"source": "dsn", "smtp_code": None}, **of)
    (body,) = await told(hooks, receiver)

    (call,) = await hooks.calls(webhook)
    assert call["event"] == "message.bounced"  # that it was queued, Postal does not tell
    assert body["event"] == "MessageBounced"
    assert body["timestamp"] == pytest.approx(at(call["createdAt"]).timestamp(), abs=0.001)
    assert list(body["payload"]) == ["original_message", "bounce"]
    original, bounce = body["payload"].values()
    assert list(original) == list(bounce) == MESSAGE
    created_at = original.pop("timestamp")
    assert created_at == pytest.approx(at(message["createdAt"]).timestamp(), abs=0.001)
    assert original == {
        "id": delivery["number"],
        "token": delivery["token"],
        "direction": "outgoing",
        "message_id": message["messageId"],
        "to": "Ada@example.net",
        "from": f"shop@{domain.name}",
        "subject": "Yours & <more>",
        "spam_status": "NotChecked",
        "tag": "order",
    }
    assert (bounce["direction"], bounce["from"]) == ("incoming", None)


@pytest.mark.parametrize("in_project", [False, True])
async def test_a_broken_domain_is_told_of_its_server(
    hooks: Hooks, receiver: Receiver, in_project: bool
) -> None:
    organization = await organization_of(hooks)
    server = await make_project(organization) if in_project else organization
    await hooks.create(receiver.url, format="POSTAL")
    data = {"domain_id": "d-1", "domain": "shop.example", "records": []}

    project = {"project_id": server.id} if in_project else {}
    await emit(hooks, EventType.DOMAIN_FAILED, data, **project)
    (body,) = await told(hooks, receiver)

    assert (body["event"], list(body["payload"])) == ("DomainDNSError", DNS)
    assert body["payload"]["server"] == {
        "uuid": str(server.id),
        "name": server.name,
        "permalink": server.slug,
        "organization": organization.slug,
    }


async def organization_of(hooks: Hooks) -> Any:
    return await Organization.objects().get(Organization.id == hooks.actor.organization_id)


async def test_only_postals_headers_sign_and_those_of_the_customer_come_along(
    hooks: Hooks, receiver: Receiver
) -> None:
    headers = [{"name": "Authorization", "value": "Bearer x"}]
    webhook = await hooks.create(receiver.url, format="POSTAL", headers=headers)
    await emit(hooks, EventType.DOMAIN_FAILED, {"domain": "shop.example"})

    await told(hooks, receiver)
    await hooks.update(webhook, format="STANDARD")
    await emit(hooks, EventType.DOMAIN_FAILED, {"domain": "shop.example"})
    await hooks.round()

    postal, standard = receiver.asked
    assert postal.method == "POST"
    assert postal.headers["content-type"] == "application/json"
    assert postal.headers["authorization"] == "Bearer x"
    assert [name for name in postal.headers if name.startswith(("webhook-", "postlane-"))] == []
    assert [name for name in standard.headers if name.startswith("x-postal-")] == []
    assert receiver.verified(hooks.secret)["type"] == "domain.failed"


@needs(NODE)
async def test_nodes_crypto_verifies_both_signatures(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url, format="POSTAL")
    await emit(hooks, EventType.DOMAIN_FAILED, {"domain": "zürich.example"})
    await hooks.round()
    (asked,) = receiver.asked
    given = {
        "jwks": await published(hooks),
        "headers": asked.headers,
        "body": asked.body.decode(),
    }

    found = await json_of_node(TOOLS / "verify_postal.mjs", GIVEN=json.dumps(given))

    assert found == {"sha1": [True, False], "sha256": [True, False]}


async def test_a_call_is_tried_six_times_at_postals_intervals(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await hooks.create(receiver.url, format="POSTAL")
    receiver.then(500, 410, 302, Location="http://elsewhere.example/")
    receiver.then(503, 429, 404, body=b"oops", Retry_After="3000")
    await emit(hooks, EventType.DOMAIN_FAILED, {"domain": "shop.example"})
    waits, now = [], clock.now()

    for _ in range(6):
        with clock.frozen(now):
            await hooks.round()
            (call,) = await hooks.calls(webhook)
        if call["nextAttemptAt"]:
            waits.append((at(call["nextAttemptAt"]) - now).total_seconds())
            # What is shown is cut to milliseconds.
            now = at(call["nextAttemptAt"]) + timedelta(milliseconds=1)

    assert waits == pytest.approx([minutes * 60 for minutes in MINUTES], abs=0.002)
    assert (call["state"], call["nextAttemptAt"]) == ("DEAD", None)
    statuses = [attempt["status"] for attempt in call["attempts"]]
    assert statuses == [500, 410, 302, 503, 429, 404]
    assert len({asked.body for asked in receiver.asked}) == 1
    assert len({asked.headers["x-postal-signature"] for asked in receiver.asked}) == 1
    assert (await hooks.show(webhook))["enabled"]


@pytest.mark.slow
async def test_a_receiver_has_five_seconds(hooks: Hooks, receiver: Receiver) -> None:
    receiver.hold = threading.Event()
    webhook = await hooks.create(receiver.url, format="POSTAL")
    await emit(hooks, EventType.DOMAIN_FAILED, {"domain": "shop.example"})

    await hooks.round()
    receiver.hold.set()

    (call,) = await hooks.calls(webhook)
    (attempt,) = call["attempts"]
    assert attempt["error"] == "timeout"
    assert 4_900 <= attempt["durationMs"] < 9_500


async def test_what_postal_has_no_word_for_makes_no_call(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url, format="POSTAL")
    of = {"message_id": webhook["uuid"], "delivery_id": webhook["uuid"]}

    await hooks.emit("tx-1")
    await emit(hooks, EventType.MESSAGE_QUEUED, {"scheduled_at": None}, **of)
    await emit(hooks, EventType.MESSAGE_OPENED, {"implied": True}, **of)
    await emit(hooks, EventType.MESSAGE_COMPLAINED, {"provider": None}, **of)
    await hooks.round()

    assert await hooks.calls(webhook) == receiver.asked == []


async def test_a_call_that_waits_is_dead_where_the_new_format_has_no_word(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await hooks.create(receiver.url)
    receiver.then(500)
    await hooks.emit("tx-1")
    await hooks.round()

    await hooks.update(webhook, format="POSTAL")
    with clock.frozen(clock.now() + timedelta(minutes=1)):
        await hooks.round()
        (call,) = await hooks.calls(webhook)

    assert call["state"] == "DEAD"
    assert [(a["status"], a["error"]) for a in call["attempts"]] == [
        (500, None),
        (None, "not_in_format"),
    ]
    assert len(receiver.asked) == 1


async def test_it_can_be_tried_with_events_that_postal_has(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await hooks.create(receiver.url, format="POSTAL")

    async def attempt(**event: str) -> Any:
        given = {"input": {"webhookId": webhook["id"], **event}}
        return await hooks.client.graphql(TRY, given, actor=hooks.actor)

    usual = await attempt()
    named = await attempt(event="message.queued")
    broken = await attempt(event="domain.failed")
    refused = await attempt(event="message.unsubscribed")

    jwks = await published(hooks)
    assert [verify(asked, jwks)["event"] for asked in receiver.asked] == [
        "MessageSent",
        "MessageHeld",
        "DomainDNSError",
    ]
    assert usual["data"]["testWebhook"]["call"]["event"] == "message.delivered"
    assert all(body["data"]["testWebhook"]["succeeded"] for body in (usual, named, broken))
    (error,) = refused["errors"]
    assert error["extensions"]["details"][0]["field"] == "event"


async def test_a_document_has_no_place_in_it(hooks: Hooks, receiver: Receiver) -> None:
    document = "subscription { organizationEvents { type } }"
    webhook = await hooks.create(receiver.url, document=document)

    async def change(**values: Any) -> Any:
        query = """mutation ($input: UpdateWebhookInput!) {
            updateWebhook(input: $input) { webhook { format document } } }"""
        given = {"input": {"webhookId": webhook["id"], "format": "POSTAL", **values}}
        return await hooks.client.graphql(query, given, actor=hooks.actor)

    refused, changed = await change(), await change(document=None)

    assert refused["errors"][0]["extensions"]["details"][0]["field"] == "document"
    found = changed["data"]["updateWebhook"]["webhook"]
    assert found == {"format": "POSTAL", "document": None}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("chosen", "source", "comes"),
    [
        ("MessageBounced", "dsn", True),
        ("MessageBounced", "session", False),
        ("MessageDeliveryFailed", "session", True),
        ("MessageDeliveryFailed", "dsn", False),
        ("message.bounced", "dsn", True),
        ("message.bounced", "session", True),
    ],
)
async def test_a_webhook_is_called_for_what_postal_calls_an_event(
    hooks: Hooks, receiver: Receiver, chosen: str, source: str, comes: bool
) -> None:
    webhook = await hooks.create(receiver.url, chosen, format="POSTAL")

    await emit(hooks, EventType.MESSAGE_BOUNCED, {"source": source})
    await hooks.round()

    assert len(await hooks.calls(webhook)) == int(comes)


async def test_postals_names_are_for_its_format_only(hooks: Hooks, receiver: Receiver) -> None:
    given = {"url": receiver.url, "events": ["MessageSent"]}

    refused = await hooks.client.graphql(
        CREATE, {"input": given | {"format": "STANDARD"}}, actor=hooks.actor
    )
    webhook = await hooks.create(receiver.url, "MessageSent", format="POSTAL")
    changed = await hooks.client.graphql(
        UPDATE, {"input": {"webhookId": webhook["id"], "format": "STANDARD"}}, actor=hooks.actor
    )

    for answer in (refused, changed):
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "INVALID_INPUT"
        assert error["extensions"]["details"][0]["field"] == "events[0]"
    assert (await hooks.show(webhook))["format"] == "POSTAL"
