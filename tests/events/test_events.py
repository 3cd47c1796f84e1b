"""What happened to a message, beside the message."""

from postlane.core.ids import new_id
from postlane.core.paging import PageRequest
from postlane.events.queries import list_events
from tests.client import Client
from tests.factories import make_actor, make_domain

SEND = """
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message {
      uuid events { type deliveryUuid simulated data } deliveries { uuid address } } } }
"""


async def test_a_message_shows_its_events_in_order(client: Client) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    sent = {
        "from": f"a@{domain.name}",
        "to": ["b@example.net", "c@example.net"],
        "subject": "Hi",
        "text": "Hi.",
    }

    data = await client.data(SEND, {"input": sent}, actor=actor)

    message = data["sendMessage"]["message"]
    assert [(e["type"], e["simulated"]) for e in message["events"]] == [
        ("MESSAGE_QUEUED", False),
        ("MESSAGE_QUEUED", False),
    ]
    assert {e["deliveryUuid"] for e in message["events"]} == {
        d["uuid"] for d in message["deliveries"]
    }


async def test_strangers_and_absent_messages_have_no_events(client: Client) -> None:
    actor = await make_actor()

    page = await list_events(actor, message_id=new_id(), page=PageRequest())

    assert (page.items, page.has_next) == ([], False)
