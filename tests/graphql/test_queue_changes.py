"""Queues as they change, over a socket."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from postlane.delivery.work import roll_up
from postlane.server.app import build_app
from tests.client import Client
from tests.delivery.spool import make_spooled
from tests.factories import make_actor, make_api_key, make_organization
from tests.graphql.test_websocket import connected, hear, say
from tests.serving import served

CHANGES = "subscription { queueChanges { name state depth ready hold { reason } } }"
ONE = "subscription ($id: ID!) { queueChanges(queueId: $id) { depth } }"
HOLD = """mutation ($id: ID!) {
  holdQueue(input: {queue: $id, reason: "Too many complaints"}) { affected } }"""


@pytest.fixture(scope="module")
async def url(database: None) -> AsyncIterator[str]:
    """A web application on a socket."""
    async with served(build_app(opens_pool=False)) as address:
        yield address.replace("http:", "ws:") + "/graphql"


async def test_a_queue_is_told_when_it_grows_and_when_it_is_held(url: str, client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    key = await make_api_key(organization)
    first = await make_spooled("a@one.example", organization=organization)
    await roll_up()

    async with connected(url, {"x-api-key": key.secret}) as socket:
        await say(socket, id="1", type="subscribe", payload={"query": CHANGES})
        await asyncio.sleep(0.5)
        await make_spooled("b@one.example", organization=organization)
        await roll_up()
        grown = await hear(socket)
        await client.data(HOLD, {"id": str(first.queue_id)}, actor=actor)
        held = await hear(socket)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hear(socket), 2.5)

    queue = grown["payload"]["data"]["queueChanges"]
    assert queue == {
        "name": "one.example/default",
        "state": "ACTIVE",
        "depth": 2,
        "ready": 2,
        "hold": None,
    }
    assert held["payload"]["data"]["queueChanges"] == queue | {
        "state": "HELD",
        "hold": {"reason": "Too many complaints"},
    }


async def test_only_ones_own_queues_are_told(url: str) -> None:
    ours, theirs = await make_organization(), await make_organization()
    key = await make_api_key(ours)
    own = await make_spooled("a@one.example", organization=ours)
    other = await make_spooled("a@one.example", organization=theirs)
    await roll_up()

    async with connected(url, {"x-api-key": key.secret}) as socket:
        for name, id in (("own", own.queue_id), ("other", other.queue_id)):
            payload: Any = {"query": ONE, "variables": {"id": str(id)}}
            await say(socket, id=name, type="subscribe", payload=payload)
        refused = await hear(socket)
        await make_spooled("b@one.example", organization=theirs)
        await make_spooled("b@one.example", organization=ours)
        await make_spooled("b@two.example", organization=ours)
        await roll_up()
        told = await hear(socket)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hear(socket), 2.5)

    assert (refused["id"], refused["payload"][0]["extensions"]["code"]) == ("other", "NOT_FOUND")
    assert (told["id"], told["payload"]["data"]) == ("own", {"queueChanges": {"depth": 2}})


async def test_it_needs_the_right_to_read_queues(url: str) -> None:
    organization = await make_organization()
    key = await make_api_key(organization, scopes=["messages:read"])

    async with connected(url, {"x-api-key": key.secret}) as socket:
        await say(socket, id="1", type="subscribe", payload={"query": CHANGES})
        refused = await hear(socket)

    assert refused["payload"][0]["extensions"]["code"] == "INSUFFICIENT_SCOPE"
