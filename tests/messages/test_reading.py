"""Reading what messages say: for many at once, on record, and never more than fits."""

from postlane.core.database import fetch
from tests.client import Client
from tests.factories import make_actor, make_domain

SEND = """mutation ($input: SendMessagesInput!) {
  sendMessages(input: $input) { results { receipt { uuid } } }
}"""
PAGE = """{ organization { messages(first: 10, oldestFirst: true) { nodes {
  uuid content { text source } outline { replyTo }
} } } }"""
READ = "SELECT target_id FROM audit_entries WHERE action = {} AND organization_id = {} ORDER BY id"


async def test_each_message_of_a_page_that_is_read_is_on_record(client: Client) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    messages = [
        {
            "from": f"shop@{domain.name}",
            "to": ["ada@example.net"],
            "replyTo": [f"help{n}@{domain.name}"],
            "subject": "Hello",
            "text": f"This is {n}.",
        }
        for n in range(3)
    ]
    await client.data(SEND, {"input": {"messages": messages}}, actor=actor)

    data = await client.data(PAGE, actor=actor)
    nodes = data["organization"]["messages"]["nodes"]
    on_record = await fetch(READ, "message.content_read", actor.organization_id)

    assert [node["content"]["text"].strip() for node in nodes] == [
        "This is 0.",
        "This is 1.",
        "This is 2.",
    ]
    assert [node["outline"]["replyTo"] for node in nodes] == [
        [f"help{n}@{domain.name}"] for n in range(3)
    ]
    assert {row["target_id"] for row in on_record} == {node["uuid"] for node in nodes}
    assert len(on_record) == 3


async def test_more_than_fits_into_memory_is_refused_and_not_read(client: Client) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    message = {
        "from": f"shop@{domain.name}",
        "to": ["ada@example.net"],
        "subject": "Hello",
        "text": "Hi.",
    }
    await client.data(SEND, {"input": {"messages": [message] * 3}}, actor=actor)
    await fetch(
        "UPDATE contents SET format = 'raw', body = convert_to(repeat('x', 25 * 1048576), 'UTF8') "
        "WHERE organization_id = {}",
        actor.organization_id,
    )

    body = await client.graphql(PAGE, actor=actor)
    nodes = body["data"]["organization"]["messages"]["nodes"]
    on_record = await fetch(READ, "message.content_read", actor.organization_id)

    assert [error["extensions"]["code"] for error in body["errors"]] == ["DOCUMENT_TOO_COMPLEX"] * 3
    assert [(node["content"], node["outline"]) for node in nodes] == [(None, {"replyTo": []})] * 3
    assert on_record == []
