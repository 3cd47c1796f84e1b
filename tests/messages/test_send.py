"""Accepting messages: durable together, or refused and nothing left behind."""

import asyncio
import base64
import json
from typing import Any

import pytest

from postlane.core.actor import Actor, Mode, OrganizationId
from postlane.core.database import fetch, transaction
from postlane.credits.lots import grant
from postlane.credits.rules import LotSource
from postlane.graphql.context import Context
from postlane.graphql.execute import Document, Result, execute
from tests.factories import make_actor, make_domain, make_organization, make_suppression

SEND = Document("""
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
      receipt { uuid number status messageId accepted suppressed creditsConsumed
                creditsRemaining recipients { address kind state token number } warnings }
      message { status sender to subject deliveries { address state kind } }
    } }
""")
BATCH = Document("""
    mutation ($input: SendMessagesInput!) { sendMessages(input: $input) {
      batchId accepted rejected creditsConsumed
      results { index receipt { uuid status } refusal { code details { field code } } }
    } }
""")
TABLES = ("messages", "contents", "spooled_messages", "deliveries", "events", "credit_entries")


def message(domain: str = "example.com", **values: Any) -> dict[str, Any]:
    """Return a small message from *domain*, with overrides."""
    return {
        "from": f"Shop <shop@{domain}>",
        "to": ["ada@example.net"],
        "subject": "Hello",
        "text": "Hello there.",
    } | values


async def sender(**values: Any) -> tuple[Actor, str]:
    """Return an actor whose organization has a verified domain, and the domain's name."""
    actor = await make_actor(**values)
    domain = await make_domain(actor.organization_id)
    return actor, domain.name


async def run(
    document: Document, actor: Actor | None, variables: dict[str, Any], **more: Any
) -> Result:
    return await execute(document, variables, Context(actor=actor, request_id="test", **more))


async def counts(organization_id: OrganizationId) -> dict[str, int]:
    """Return how many rows of each table the organization has."""
    found = {}
    for table in TABLES:
        rows = await fetch(
            f"SELECT count(*) AS n FROM {table} WHERE organization_id = {{}}",  # type: ignore[arg-type]
            organization_id,
        )
        found[table] = rows[0]["n"]
    return found


NOTHING = dict.fromkeys(TABLES, 0)


async def test_an_accepted_message_is_in_every_table(database: None) -> None:
    actor, domain = await sender()

    result = await run(
        SEND, actor, {"input": message(domain, cc=["bob@example.org"], bcc=["eve@example.com"])}
    )

    assert not result.errors
    assert result.data is not None
    receipt = result.data["sendMessage"]["receipt"]
    assert receipt["status"] == "QUEUED"
    assert receipt["accepted"] == 3
    assert receipt["creditsConsumed"] == 3
    assert receipt["creditsRemaining"] is None
    assert receipt["messageId"] == f"{receipt['uuid']}@{domain}"
    assert [(r["address"], r["kind"]) for r in receipt["recipients"]] == [
        ("ada@example.net", "TO"),
        ("bob@example.org", "CC"),
        ("eve@example.com", "BCC"),
    ]
    assert all(len(r["token"]) == 16 for r in receipt["recipients"])
    assert result.data["sendMessage"]["message"]["deliveries"] == [
        {"address": "ada@example.net", "state": "QUEUED", "kind": "TO"},
        {"address": "bob@example.org", "state": "QUEUED", "kind": "CC"},
        {"address": "eve@example.com", "state": "QUEUED", "kind": "BCC"},
    ]
    assert await counts(actor.organization_id) == {
        "messages": 1,
        "contents": 1,
        "spooled_messages": 1,
        "deliveries": 3,
        "events": 3,
        "credit_entries": 1,
    }


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"from": "nobody"}, "from", "INVALID_EMAIL"),
        ({"from": "a@b.example\r\nBcc: x@y.example"}, "from", "INVALID_EMAIL"),
        ({"to": []}, "to", "REQUIRED"),
        ({"to": ["not an address"]}, "to[0]", "INVALID_EMAIL"),
        ({"to": ["a@b.example\nBcc: c@d.example"]}, "to[0]", "INVALID_EMAIL"),
        ({"to": ["a@b.example", "A@B.example"]}, "to[1]", "DUPLICATE"),
        ({"to": [f"u{n}@b.example" for n in range(51)]}, "to", "TOO_MANY"),
        ({"subject": ""}, "subject", "REQUIRED"),
        ({"subject": "a\r\nBcc: x@y.example"}, "subject", "INVALID_FORMAT"),
        ({"subject": "a" * 999}, "subject", "TOO_LONG"),
        ({"text": None}, "html", "REQUIRED"),
        ({"text": "a" * (5 * 2**20 + 1)}, "text", "TOO_LARGE"),
        ({"headers": [{"name": "X-A", "value": "a\r\nBcc: x"}]}, "headers.X-A", "NOT_ALLOWED"),
        ({"headers": [{"name": "Bcc", "value": "x@y.example"}]}, "headers.Bcc", "NOT_ALLOWED"),
        ({"replyTo": ["x\ny@z.example"]}, "replyTo[0]", "INVALID_EMAIL"),
        (
            {"attachments": [{"filename": "a.txt", "content": "not base64!"}]},
            "attachments[0].content",
            "INVALID_FORMAT",
        ),
        (
            {"attachments": [{"filename": "../a", "content": "YQ=="}]},
            "attachments[0].filename",
            "INVALID_FORMAT",
        ),
        ({"tags": ["no spaces"]}, "tags[0]", "INVALID_FORMAT"),
        ({"metadata": {"a": 1}}, "metadata.a", "INVALID_TYPE"),
        ({"sendAt": "2020-01-01T00:00:00Z"}, "sendAt", "IN_PAST"),
        ({"sendAt": "2120-01-01T00:00:00Z"}, "sendAt", "TOO_FAR_AHEAD"),
        ({"vmta": "a", "pool": "b"}, "pool", "MUTUALLY_EXCLUSIVE"),
        ({"vmta": "no-such-vmta"}, "vmta", "NOT_FOUND"),
        ({"pool": "no-such-pool"}, "pool", "NOT_FOUND"),
        ({"batchId": "no spaces"}, "batchId", "INVALID_FORMAT"),
        ({"maxLifetimeSeconds": 1}, "maxLifetimeSeconds", "TOO_SMALL"),
    ],
)
async def test_a_message_that_breaks_a_rule_leaves_nothing_behind(
    database: None, values: dict[str, Any], field: str, code: str
) -> None:
    actor, domain = await sender()

    result = await run(SEND, actor, {"input": message(domain, **values)})

    (error,) = result.errors
    assert error.code == "INVALID_INPUT"
    assert [(d.field, d.code) for d in error.details] == [(field, code)]
    assert await counts(actor.organization_id) == NOTHING


async def test_a_domain_that_is_not_verified_sends_nothing(database: None) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id, status="pending")

    result = await run(SEND, actor, {"input": message(domain.name)})

    assert [error.code for error in result.errors] == ["DOMAIN_NOT_VERIFIED"]
    assert await counts(actor.organization_id) == NOTHING


async def test_the_domain_of_another_organization_sends_nothing(database: None) -> None:
    _, domain = await sender()
    stranger = await make_actor()

    result = await run(SEND, stranger, {"input": message(domain)})

    assert [error.code for error in result.errors] == ["DOMAIN_NOT_VERIFIED"]
    assert await counts(stranger.organization_id) == NOTHING


async def test_a_subdomain_of_a_verified_domain_may_send(database: None) -> None:
    actor, domain = await sender()

    result = await run(SEND, actor, {"input": message(f"news.{domain}")})

    assert not result.errors


async def test_sandbox_mail_costs_nothing_and_is_never_due(database: None) -> None:
    actor = await make_actor(mode=Mode.SANDBOX)

    result = await run(SEND, actor, {"input": message("unverified.example")})

    assert not result.errors
    rows = await fetch(
        "SELECT state, due_at FROM deliveries WHERE organization_id = {}", actor.organization_id
    )
    assert rows == [{"state": "queued", "due_at": None}]
    assert (await counts(actor.organization_id))["credit_entries"] == 0


async def test_suppressed_recipients_are_not_attempted_and_cost_nothing(database: None) -> None:
    actor, domain = await sender()
    await make_suppression(actor.organization_id, "gone@example.net")

    result = await run(
        SEND, actor, {"input": message(domain, to=["Gone@example.net", "ada@example.net"])}
    )

    assert result.data is not None
    receipt = result.data["sendMessage"]["receipt"]
    assert (receipt["accepted"], receipt["suppressed"], receipt["creditsConsumed"]) == (1, 1, 1)
    assert [r["state"] for r in receipt["recipients"]] == ["SUPPRESSED", "QUEUED"]


async def test_what_happened_to_each_recipient_is_written_in_their_order(database: None) -> None:
    actor, domain = await sender()
    await make_suppression(actor.organization_id, "gone@example.net", reason="hard_bounce")
    await make_suppression(actor.organization_id, "left@example.net", reason="complaint")
    await make_suppression(actor.organization_id, "lost@example.net", reason="hard_bounce")
    names = ["ada", "gone", "bob", "left", "lost", "Eve"]

    to = [f"{name}@example.net" for name in names]
    await run(SEND, actor, {"input": message(domain, to=to)})
    await run(SEND, actor, {"input": message(domain, to=to[1:2])})

    rows = await fetch(
        "SELECT address, address_key, type, data FROM events "
        "JOIN deliveries ON deliveries.id = delivery_id AND deliveries.message_id = "
        "events.message_id WHERE events.organization_id = {} ORDER BY position",
        actor.organization_id,
    )
    queued = "message.queued", {"scheduled_at": None}
    hard, complaint = (
        ("message.suppressed", {"reason": reason}) for reason in ("hard_bounce", "complaint")
    )
    said = [queued, hard, queued, complaint, hard, queued, hard]
    assert [(row["type"], json.loads(row["data"])) for row in rows] == said
    assert [row["address"] for row in rows] == [*to, to[1]]
    assert [row["address_key"] for row in rows] == [each.lower() for each in (*to, to[1])]
    counts = await fetch(
        "SELECT type, sum(events)::int AS events, sum(messages)::int AS messages "
        "FROM event_counts WHERE organization_id = {} GROUP BY 1 ORDER BY 1",
        actor.organization_id,
    )
    assert [tuple(row.values()) for row in counts] == [
        ("message.queued", 3, 1),
        ("message.suppressed", 4, 1),
    ]


async def test_last_credit_is_spent_once(database: None) -> None:
    organization = await make_organization(plan="trial")
    actor, domain = await sender(organization=organization)
    async with transaction() as tx:
        await grant(tx, actor.organization_id, amount=10, source=LotSource.INCLUDED)

    results = await asyncio.gather(
        *(run(SEND, actor, {"input": message(domain)}) for _ in range(30))
    )

    refusals = [error.code for result in results for error in result.errors]
    assert refusals == ["INSUFFICIENT_CREDITS"] * 20
    rows = await fetch(
        "SELECT sum(remaining)::int AS left FROM credit_shares WHERE organization_id = {}",
        actor.organization_id,
    )
    assert rows == [{"left": 0}]
    assert (await counts(actor.organization_id))["messages"] == 10


async def test_a_batch_answers_each_message_in_order(database: None) -> None:
    actor, domain = await sender()
    messages = [message(domain), message(domain, to=["broken"]), message("other.example")]

    result = await run(BATCH, actor, {"input": {"messages": messages, "batchId": "spring"}})

    assert result.data is not None
    payload = result.data["sendMessages"]
    assert (payload["batchId"], payload["accepted"], payload["rejected"]) == ("spring", 1, 2)
    assert [item["refusal"] and item["refusal"]["code"] for item in payload["results"]] == [
        None,
        "INVALID_INPUT",
        "DOMAIN_NOT_VERIFIED",
    ]
    assert (await counts(actor.organization_id))["messages"] == 1


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_batch_without_an_acceptable_message_is_rejected(
    database: None, atomic: bool
) -> None:
    actor, domain = await sender()
    messages = [message(domain, to=["broken"])] + ([message(domain)] if atomic else [])

    result = await run(BATCH, actor, {"input": {"messages": messages, "atomic": atomic}})

    (error,) = result.errors
    assert error.code == "BATCH_REJECTED"
    assert [d.field for d in error.details] == ["messages[0].to[0]"]
    assert await counts(actor.organization_id) == NOTHING


async def test_a_repeated_key_answers_the_same_and_sends_once(database: None) -> None:
    actor, domain = await sender()
    variables = {"input": message(domain, idempotencyKey="order-1")}

    results = await asyncio.gather(*(run(SEND, actor, variables) for _ in range(5)))
    again = await run(SEND, actor, variables)

    good = [result for result in results if not result.errors]
    others = {error.code for result in results for error in result.errors}
    assert others <= {"IDEMPOTENCY_IN_PROGRESS"}
    assert good
    assert again.data is not None
    for result in good:
        assert result.data is not None
        assert result.data["sendMessage"]["receipt"] == again.data["sendMessage"]["receipt"]
    assert (await counts(actor.organization_id))["messages"] == 1


async def test_a_key_with_another_body_is_refused(database: None) -> None:
    actor, domain = await sender()
    await run(SEND, actor, {"input": message(domain, idempotencyKey="k")})

    result = await run(SEND, actor, {"input": message(domain, subject="x", idempotencyKey="k")})

    assert [error.code for error in result.errors] == ["IDEMPOTENCY_KEY_REUSE"]
    assert (await counts(actor.organization_id))["messages"] == 1


async def test_a_refusal_is_repeated_for_its_key(database: None) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id, status="pending")
    variables = {"input": message(domain.name, idempotencyKey="k")}
    first = await run(SEND, actor, variables)
    await fetch("UPDATE domains SET status = 'verified' WHERE id = {}", domain.id)

    second = await run(SEND, actor, variables)

    assert [e.code for e in first.errors] == [e.code for e in second.errors]
    assert [e.code for e in second.errors] == ["DOMAIN_NOT_VERIFIED"]


RAW = Document("""
    mutation ($input: SendRawMessageInput!) { sendRawMessage(input: $input) {
      receipt { messageId recipients { address } }
      message { subject content { source } }
    } }
""")


async def test_a_raw_message_goes_to_its_blind_copies_without_naming_them(database: None) -> None:
    actor, domain = await sender()
    raw = (
        f"From: a@{domain}\r\nTo: b@example.net\r\nBcc: c@example.net\r\n"
        f"Message-ID: <one@{domain}>\r\nSubject: Hello\r\n\r\nHello\r\n"
    ).encode()

    result = await run(RAW, actor, {"input": {"data": base64.b64encode(raw).decode()}})

    assert result.data is not None
    payload = result.data["sendRawMessage"]
    assert payload["receipt"]["messageId"] == f"one@{domain}"
    assert [r["address"] for r in payload["receipt"]["recipients"]] == [
        "b@example.net",
        "c@example.net",
    ]
    assert b"c@example.net" not in base64.b64decode(payload["message"]["content"]["source"])


CANCEL = Document("""
    mutation ($input: CancelMessageInput!) { cancelMessage(input: $input) {
      status cancelled inProgress alreadyFinal creditsRefunded } }
""")


async def test_cancelling_pays_back_what_was_not_attempted_once(database: None) -> None:
    organization = await make_organization(plan="trial")
    actor, domain = await sender(organization=organization)
    async with transaction() as tx:
        await grant(tx, actor.organization_id, amount=5, source=LotSource.INCLUDED)
    sent = await run(SEND, actor, {"input": message(domain, cc=["b@example.net"])})
    assert sent.data is not None
    variables = {"input": {"id": sent.data["sendMessage"]["receipt"]["uuid"]}}

    first = await run(CANCEL, actor, variables)
    again = await run(CANCEL, actor, variables)

    assert first.data == {
        "cancelMessage": {
            "status": "CANCELLED",
            "cancelled": 2,
            "inProgress": 0,
            "alreadyFinal": 0,
            "creditsRefunded": 2,
        }
    }
    assert again.data is not None
    assert again.data["cancelMessage"]["creditsRefunded"] == 0
    rows = await fetch(
        "SELECT sum(remaining)::int AS left FROM credit_shares WHERE organization_id = {}",
        actor.organization_id,
    )
    assert rows == [{"left": 5}]


async def test_what_was_delivered_cannot_be_cancelled(database: None) -> None:
    actor, domain = await sender()
    sent = await run(SEND, actor, {"input": message(domain)})
    assert sent.data is not None
    uuid = sent.data["sendMessage"]["receipt"]["uuid"]
    await fetch("UPDATE deliveries SET state = 'delivered' WHERE message_id = {}::uuid", uuid)

    result = await run(CANCEL, actor, {"input": {"id": uuid}})

    assert [error.code for error in result.errors] == ["NOT_CANCELLABLE"]


async def test_a_strangers_message_cannot_be_cancelled_or_read(database: None) -> None:
    actor, domain = await sender()
    stranger = await make_actor()
    sent = await run(SEND, actor, {"input": message(domain)})
    assert sent.data is not None
    uuid = sent.data["sendMessage"]["receipt"]["uuid"]

    cancelled = await run(CANCEL, stranger, {"input": {"id": uuid}})
    read = await run(
        Document("query ($id: ID!) { organization { message(id: $id) { subject } } }"),
        stranger,
        {"id": uuid},
    )

    assert [error.code for error in cancelled.errors] == ["NOT_FOUND"]
    assert [error.code for error in read.errors] == ["NOT_FOUND"]
