"""Values that the version before has written, a row for each recipient; and one that cannot read.

What is kept is not rewritten when there is a new form: both are read until the old rows are gone.
"""

import uuid

import pytest

from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.delivery.queries import find_personal
from postlane.delivery.work import read_personal
from postlane.jobs.outbound import Outbound
from tests.client import Client
from tests.sink import Sink
from tests.tracking.test_erasing import erase

from .setup import keep_as_before
from .test_sending import actor, delivered, dns, outbound, send_personal, sender, text_of

__all__ = ["actor", "dns", "outbound", "sender"]

PEOPLE = {"ann": "Ann", "bob": "Bob", "cy": None}
MAILS = {
    "ann@dest.example": "Dear Ann",
    "bob@dest.example": "Dear Bob",
    "cy@dest.example": "Dear all",
}


@pytest.fixture
async def message(client: Client, actor: Actor, sender: str) -> str:
    """A message to some, of whom not all have values of their own."""
    people = [
        {"address": f"{key}@dest.example", "variables": {"name": name} if name else None}
        for key, name in PEOPLE.items()
    ]
    text = {"subject": "s", "text": "Dear {{ name }}", "variables": {"name": "all"}}
    sent = await send_personal(client, actor, **{"from": sender}, recipients=people, **text)
    return str(sent["uuid"])


async def test_they_are_read_sent_and_erased(
    client: Client, actor: Actor, outbound: Outbound, sink: Sink, message: str
) -> None:
    content = await keep_as_before(message)
    rows = await fetch(
        "SELECT id, address FROM deliveries WHERE message_id = {}::text::uuid", message
    )
    ids = {row["address"].partition("@")[0]: row["id"] for row in rows}

    mine, theirs = await find_personal(actor, ids.values()), await read_personal(ids.values())
    shown = await client.data(
        "query ($id: ID!) { organization { message(id: $id) { content { text } } } }",
        {"id": message},
        actor=actor,
    )
    mails = await delivered(actor, outbound, sink)

    assert {id: own.values["name"] for id, own in mine.items()} == {
        ids[key]: name for key, name in PEOPLE.items() if name
    }
    assert theirs == mine
    assert shown["organization"]["message"]["content"]["text"] == "Dear Ann"
    assert {address: text_of(mail) for address, mail in mails.items()} == MAILS

    await erase(client, actor, "ann@dest.example")

    assert await kept(content) == 0


async def kept(content: uuid.UUID) -> int:
    """Return how many rows of values there are of a content."""
    rows = await fetch("SELECT count(*) AS n FROM personal_values WHERE content_id = {}", content)
    return int(rows[0]["n"])


async def test_who_cannot_read_a_content_leaves_it_to_who_can(
    actor: Actor, outbound: Outbound, sink: Sink, message: str
) -> None:
    """So it is with a worker of before and what is written now; here it is one of now."""
    of_it = "(SELECT content_id FROM messages WHERE id = {}::text::uuid)"
    await fetch(f"UPDATE contents SET format = 'later' WHERE id = {of_it}", message)

    nothing = await delivered(actor, outbound, sink)
    again = await delivered(actor, outbound, sink)

    rows = await fetch(
        "SELECT state, attempts, due_at > now() + interval '30 seconds' AS waits FROM deliveries "
        "WHERE message_id = {}::text::uuid",
        message,
    )
    assert (nothing, again) == ({}, {})
    # Asked for once, and not again before the lease ends.
    assert rows == [{"state": "sending", "attempts": 1, "waits": True}] * len(PEOPLE)

    await fetch(f"UPDATE contents SET format = 'mailing' WHERE id = {of_it}", message)
    await fetch("UPDATE deliveries SET due_at = now() WHERE message_id = {}::text::uuid", message)
    mails = await delivered(actor, outbound, sink)

    assert {address: text_of(mail) for address, mail in mails.items()} == MAILS
