"""Edges are loaded for a whole page at once, and nothing is kept between tenants or batches."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from postlane.core import clock
from postlane.core.actor import ROLE_PERMISSIONS, Actor, ActorKind, OrganizationId, Role
from postlane.core.database import fetch
from postlane.core.errors import NotAuthenticated, NotFound
from postlane.delivery.work import Settlement, claim_batch, settle_batch
from postlane.graphql.loaders import Loaders
from postlane.mail.outcome import outcome_of_reply
from tests.client import Client
from tests.factories import make_actor, make_api_key, make_domain, make_organization
from tests.statements import count_statements

PAGE = """
query ($n: Int!) { organization { messages(first: $n) { nodes {
  id status completedAt
  deliveries { id state attempts { number } }
} } } }
"""
SEND = """
mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { accepted } }
"""


async def send(client: Client, actor: Actor, *, number: int) -> None:
    domain = await make_domain(actor.organization_id)
    message = {
        "from": f"shop@{domain.name}",
        "to": ["ada@example.net", "bob@example.org"],
        "subject": "Hello",
        "text": "Hello there.",
    }
    await client.data(SEND, {"input": {"messages": [message] * number}}, actor=actor)
    await defer_everything(actor)


async def defer_everything(actor: Actor) -> None:
    """Make one attempt for each delivery, which fails for the moment."""
    outcome = outcome_of_reply(
        450, "4.2.1 Later", started_at=clock.now(), duration=timedelta(milliseconds=5)
    )
    rows = await fetch(
        "SELECT DISTINCT queue_id FROM deliveries WHERE organization_id = {}",
        actor.organization_id,
    )
    for row in rows:
        claims = await claim_batch(row["queue_id"])
        await settle_batch([Settlement(claim, "default", outcome) for claim in claims])


async def test_statements_do_not_grow_with_the_page(client: Client) -> None:
    actor = await make_actor()
    await send(client, actor, number=100)

    counts = {}
    for size in (1, 100):
        with count_statements() as sent:
            data = await client.data(PAGE, {"n": size}, actor=actor)
        nodes = data["organization"]["messages"]["nodes"]
        assert [len(d["attempts"]) for n in nodes for d in n["deliveries"]] == [1, 1] * size
        counts[size] = len(sent)

    assert counts[1] == counts[100] == 4


async def test_statements_do_not_grow_over_rest_either(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    headers = {"X-API-Key": (await make_api_key(organization)).secret}
    await send(client, actor, number=100)

    counts = {}
    for size in (1, 100):
        url = f"/api/v1/messages?limit={size}"
        with count_statements() as sent:
            page = (await client.get(url, headers=headers)).json()
        assert [message["recipient_count"] for message in page["data"]] == [2] * size
        counts[size] = len(sent)
    url = f"/api/v1/messages/{page['data'][0]['id']}"
    with count_statements() as sent:
        one = (await client.get(url, headers=headers)).json()

    assert [recipient["attempts"] for recipient in one["recipients"]] == [1, 1]
    # What is written in the background may come between.
    assert counts[100] <= counts[1] + 1 <= 7
    # The credential, the message, its progress, content, events, deliveries, queues, opens.
    assert len(sent) == 8


async def test_keys_asked_for_side_by_side_are_loaded_together() -> None:
    calls: list[list[int]] = []

    async def load(actor: Actor, keys: Sequence[int]) -> Mapping[int, str]:
        calls.append(list(keys))
        return {key: str(key) for key in keys if key != 3}

    loaders = Loaders(actor())
    found = await asyncio.gather(*(loaders.load(load, key) for key in (1, 2, 3, 2)))
    again = await loaders.load(load, 1)

    assert found == ["1", "2", None, "2"]
    assert again == "1"
    assert calls == [[1, 2, 3], [1]]


async def test_a_loader_that_fails_fails_for_each_that_asked() -> None:
    async def load(actor: Actor, keys: Sequence[int]) -> Mapping[int, str]:
        raise NotFound

    loaders = Loaders(actor())
    found = await asyncio.gather(
        *(loaders.load(load, key) for key in (1, 2)), return_exceptions=True
    )

    assert [type(error) for error in found] == [NotFound, NotFound]


async def test_a_stranger_loads_nothing() -> None:
    async def load(actor: Actor, keys: Sequence[int]) -> Mapping[int, str]:
        raise AssertionError("it was asked")

    with pytest.raises(NotAuthenticated):
        await Loaders(None).load(load, 1)


def actor() -> Actor:
    return Actor(
        ActorKind.USER, OrganizationId(uuid.uuid4()), Role.OWNER, ROLE_PERMISSIONS[Role.OWNER]
    )
