"""Sending leniently, over GraphQL: what is taken, what is refused in turn, and what is shown."""

import base64
from typing import Any

import pytest

from postlane.core.actor import Actor, Permission
from postlane.core.database import fetch
from tests.client import Client
from tests.factories import make_actor, make_domain

SEND = """
mutation ($input: SendLenientMessageInput!) {
  sendLenientMessage(input: $input) {
    receipt { uuid accepted creditsConsumed messageId recipients { address number state } }
  }
}
"""
SEND_RAW = """
mutation ($input: SendLenientRawMessageInput!) {
  sendLenientRawMessage(input: $input) { receipt { uuid messageId } }
}
"""
DELIVERY = """
query ($number: BigInt!) {
  organization {
    deliveryByNumber(number: $number) {
      address domain
      events { type }
      queued: events(types: [MESSAGE_QUEUED]) { type }
      opened: events(types: [MESSAGE_OPENED]) { type }
      message {
        sender envelopeSender nullSender mailSizeBytes tags
        content {
          source
          view { text html headers { name value } files { filename contentType sizeBytes sha1 } }
        }
      }
    }
  }
}
"""


@pytest.fixture
async def actor(database: None) -> Actor:
    """Somebody who may send from a domain."""
    return await make_actor()


async def message(actor: Actor, **values: Any) -> dict[str, Any]:
    domain = await make_domain(actor.organization_id)
    body = {"from": f"shop@{domain.name}", "to": ["ann@example.net"], "text": "Hello."}
    return body | values


async def test_everybody_who_is_named_gets_a_delivery(client: Client, actor: Actor) -> None:
    to = ["Ann <Ann@Example.NET>", "ann@example.net", "nobody"]

    data = await client.data(SEND, {"input": await message(actor, to=to)}, actor=actor)

    receipt = data["sendLenientMessage"]["receipt"]
    addresses = [each["address"] for each in receipt["recipients"]]
    assert addresses == ["Ann@Example.NET", "ann@example.net", "nobody"]
    assert (receipt["accepted"], receipt["creditsConsumed"]) == (3, 3)


async def test_a_delivery_is_found_by_its_number_with_all_about_it(
    client: Client, actor: Actor
) -> None:
    given = await message(
        actor,
        tag="a tag",
        nullSender=True,
        html="<p>Hello.</p>",
        attachments=[{"filename": "a.txt", "content": "YWJj"}],
    )
    sent = await client.data(SEND, {"input": given}, actor=actor)
    (recipient,) = sent["sendLenientMessage"]["receipt"]["recipients"]

    data = await client.data(DELIVERY, {"number": recipient["number"]}, actor=actor)

    found = data["organization"]["deliveryByNumber"]
    assert (found["address"], found["domain"]) == ("ann@example.net", "example.net")
    assert found["events"] == found["queued"] == [{"type": "MESSAGE_QUEUED"}]
    assert found["opened"] == []
    shown = found["message"]
    assert (shown["sender"], shown["envelopeSender"]) == (given["from"], None)
    assert (shown["nullSender"], shown["tags"]) == (True, ["a tag"])
    source = base64.b64decode(shown["content"]["source"])
    assert shown["mailSizeBytes"] == len(source)
    view = shown["content"]["view"]
    assert (view["text"], view["html"]) == ("Hello.", "<p>Hello.</p>")
    assert {"name": "From", "value": given["from"]} in view["headers"]
    assert view["files"] == [
        {
            "filename": "a.txt",
            "contentType": "application/octet-stream",
            "sizeBytes": 3,
            "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
        }
    ]


async def test_a_strangers_delivery_is_not_there(client: Client, actor: Actor) -> None:
    sent = await client.data(SEND, {"input": await message(actor)}, actor=actor)
    (recipient,) = sent["sendLenientMessage"]["receipt"]["recipients"]

    for number in (recipient["number"], 0, -1, 2**62):
        code = await client.refusal(DELIVERY, {"number": number}, actor=await make_actor())
        assert code == "NOT_FOUND"


async def test_the_first_fault_is_told_alone(client: Client, actor: Actor) -> None:
    given = {"to": [], "text": " ", "from": ""}

    body = await client.graphql(SEND, {"input": given}, actor=actor)

    (error,) = body["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert [each["field"] for each in error["extensions"]["details"]] == ["to"]


async def test_a_fault_of_a_file_comes_after_the_domain(client: Client, actor: Actor) -> None:
    given = await message(actor, attachments=[{"filename": ""}])

    foreign = await client.refusal(SEND, {"input": given | {"from": "a@b.example"}}, actor=actor)
    own = await client.refusal(SEND, {"input": given}, actor=actor)

    assert (foreign, own) == ("DOMAIN_NOT_VERIFIED", "INVALID_INPUT")
    rows = await fetch(
        "SELECT count(*) AS n FROM messages WHERE organization_id = {}", actor.organization_id
    )
    assert rows[0]["n"] == 0


async def test_a_whole_message_keeps_having_no_id(client: Client, actor: Actor) -> None:
    domain = await make_domain(actor.organization_id)
    mail = f"From: a@{domain.name}\r\nX-Kind: a b\r\n\r\nHello.\r\n".encode()
    given = {
        "data": base64.b64encode(mail).decode(),
        "recipients": ["ann@example.net"],
        "envelopeSender": "somebody@example.org",
        "tagHeader": "x-kind",
    }

    sent = await client.data(SEND_RAW, {"input": given}, actor=actor)
    nobody = await client.data(SEND_RAW, {"input": given | {"recipients": []}}, actor=actor)

    assert sent["sendLenientRawMessage"]["receipt"]["messageId"] == ""
    assert nobody["sendLenientRawMessage"]["receipt"] is None
    (row,) = await fetch(
        "SELECT d.number FROM deliveries d WHERE organization_id = {}", actor.organization_id
    )
    data = await client.data(DELIVERY, {"number": row["number"]}, actor=actor)
    shown = data["organization"]["deliveryByNumber"]["message"]
    assert (shown["envelopeSender"], shown["tags"]) == ("somebody@example.org", ["a b"])
    assert base64.b64decode(shown["content"]["source"]) == mail


@pytest.mark.parametrize("document", [SEND, SEND_RAW], ids=["message", "raw"])
async def test_sending_needs_the_permission(client: Client, document: str) -> None:
    reader = await make_actor(permissions=[Permission.READ_MESSAGES])
    given: dict[str, Any] = {"to": ["a@example.net"], "text": "x", "from": "a@b.example"}
    if document == SEND_RAW:
        given = {"data": "", "recipients": []}

    code = await client.refusal(document, {"input": given}, actor=reader)

    assert code in ("INSUFFICIENT_ROLE", "INSUFFICIENT_SCOPE")
