"""Unsubscribing: one POST, by the token's recipient only, once or often."""

import asyncio
import re
import uuid
from datetime import datetime, timedelta

import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId, ProjectId
from postlane.core.database import fetch, transaction
from postlane.suppressions.rules import SuppressionReason
from postlane.suppressions.work import NewSuppression, add
from postlane.tracking.tokens import Recipient, make_token, read_token
from postlane.tracking.work import unsubscribe_headers
from tests.client import Client
from tests.factories import default_project, make_organization


async def make_recipient() -> Recipient:
    organization = await make_organization()
    project = await default_project(organization)
    return Recipient(
        OrganizationId(organization.id),
        ProjectId(project.id),
        uuid.uuid4(),
        uuid.uuid4(),
        "Ada@example.net",
    )


def path_of(recipient: Recipient) -> str:
    """Return the path of the link in the header."""
    (_, link), post = unsubscribe_headers(recipient)
    assert post == ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
    return link.removeprefix("<http://postlane.test").removesuffix(">")


async def suppressions(recipient: Recipient) -> list[tuple[str, str]]:
    rows = await fetch(
        "SELECT address_key, reason FROM suppressions WHERE organization_id = {}",
        recipient.organization_id,
    )
    return [(row["address_key"], row["reason"]) for row in rows]


async def test_one_post_unsubscribes_and_a_second_changes_nothing(client: Client) -> None:
    recipient = await make_recipient()
    body = {"List-Unsubscribe": "One-Click"}

    first = await client.post(path_of(recipient), data=body)
    second = await client.post(path_of(recipient), data=body)

    assert (first.status_code, second.status_code) == (200, 200)
    assert await suppressions(recipient) == [("ada@example.net", "unsubscribe")]
    rows = await fetch(
        "SELECT type, delivery_id FROM events WHERE organization_id = {} AND type LIKE 'message.%'",
        recipient.organization_id,
    )
    assert rows == [{"type": "message.unsubscribed", "delivery_id": recipient.delivery_id}]


async def test_an_event_says_how_they_left(client: Client) -> None:
    program, person = await make_recipient(), await make_recipient()

    await client.post(path_of(program), data={"List-Unsubscribe": "One-Click"})
    page = (await client.get(path_of(person))).text
    (name, value) = re.findall(r'name="(\w+)" value="(\w+)"', page)[0]
    await client.post(path_of(person), data={name: value})

    rows = await fetch(
        "SELECT data->>'method' AS method FROM events WHERE organization_id = ANY({}::uuid[]) "
        "AND type = 'message.unsubscribed' ORDER BY position",
        [program.organization_id, person.organization_id],
    )
    assert [row["method"] for row in rows] == ["one_click", "page"]


@pytest.mark.parametrize("body", [b"", b"x" * 100_000, b"\xff\x00", b"by=page&by=page"])
async def test_whatever_is_posted_unsubscribes(client: Client, body: bytes) -> None:
    recipient = await make_recipient()

    answer = await client.post(path_of(recipient), content=body)

    assert answer.status_code == 200
    assert await suppressions(recipient) == [("ada@example.net", "unsubscribe")]


async def test_fetching_ahead_does_nothing(client: Client) -> None:
    recipient = await make_recipient()

    for method in ("GET", "HEAD", "OPTIONS", "PUT"):
        answer = await client.request(method, path_of(recipient), headers={"purpose": "prefetch"})
        assert answer.status_code in (200, 405)

    assert await suppressions(recipient) == []


async def test_who_gets_no_mail_for_another_reason_unsubscribes_once(client: Client) -> None:
    recipient = await make_recipient()
    complaint = NewSuppression(
        recipient.organization_id, None, recipient.address, SuppressionReason.COMPLAINT
    )
    async with transaction() as tx:
        await add(tx, [complaint])

    await asyncio.gather(*(client.post(path_of(recipient)) for _ in range(3)))
    await client.post(path_of(recipient))

    rows = await fetch(
        "SELECT type FROM events WHERE organization_id = {} AND type LIKE 'message.%'",
        recipient.organization_id,
    )
    assert [row["type"] for row in rows] == ["message.unsubscribed"]


async def test_opening_the_link_asks_and_changes_nothing(client: Client) -> None:
    recipient = await make_recipient()

    answer = await client.get(path_of(recipient))

    assert answer.status_code == 200
    assert '<form method="post">' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert await suppressions(recipient) == []


@pytest.mark.parametrize("change", ["cut", "altered", "other purpose", "garbage", "huge"])
async def test_a_token_that_is_not_ours_unsubscribes_nobody(client: Client, change: str) -> None:
    recipient = await make_recipient()
    token = make_token(recipient, purpose="unsubscribe")
    bad = {
        "cut": token[:-4],
        "altered": token[:40] + ("A" if token[40] != "A" else "B") + token[41:],
        "other purpose": make_token(recipient, purpose="open"),
        "garbage": "%C3%28",
        "huge": "a" * 5000,
    }[change]

    answer = await client.post(f"/track/unsubscribe/{bad}")

    assert answer.status_code == 404
    assert await suppressions(recipient) == []


async def test_a_token_says_whom_it_is_for(database: None) -> None:
    recipient = await make_recipient()

    token = make_token(recipient, purpose="unsubscribe")

    assert read_token(token, purpose="unsubscribe") == recipient
    assert "ada" not in token.lower()


async def test_a_link_that_is_used_too_often_is_refused_for_a_minute(
    client: Client, frozen: datetime
) -> None:
    recipient, other = await make_recipient(), await make_recipient()

    answers = [await client.post(path_of(recipient)) for _ in range(11)]
    of_other = await client.post(path_of(other))
    with clock.frozen(frozen + timedelta(minutes=1)):
        later = await client.post(path_of(recipient))

    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[-1].headers["retry-after"] == "60"
    # Mail providers unsubscribe many people from a few addresses.
    assert (of_other.status_code, later.status_code) == (200, 200)
