"""Server-sent events: each operation on a connection of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from postlane.events.feed import FEED
from postlane.server.app import build_app
from tests.client import Client
from tests.factories import make_api_key, make_domain, make_organization
from tests.serving import served

EVENTS = "subscription { messageEvents(types: [MESSAGE_QUEUED]) { type messageUuid } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }"
URQL = "application/graphql-response+json, application/json, text/event-stream, multipart/mixed"


@pytest.fixture(scope="module")
async def url(database: None) -> AsyncIterator[str]:
    """A web application on a socket."""
    async with served(build_app(opens_pool=False)) as address:
        yield f"{address}/graphql"


async def events_of(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """Give the events of a stream as they come, without comments."""
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            text = line.removeprefix("data:").strip()
            yield name, json.loads(text) if text else None


async def make_sender() -> tuple[Any, dict[str, Any]]:
    organization = await make_organization()
    domain = await make_domain(organization.id)
    key = await make_api_key(organization)
    message = {"from": f"shop@{domain.name}", "to": ["ada@example.net"], "subject": "Hello"}
    return key, message | {"text": "Hi."}


@pytest.mark.parametrize("accept", ["text/event-stream", URQL])
async def test_a_subscription_is_a_stream_of_events(url: str, client: Client, accept: str) -> None:
    key, message = await make_sender()
    headers = {"x-api-key": key.secret, "accept": accept}

    async with (
        httpx.AsyncClient(timeout=10) as http,
        http.stream("POST", url, json={"query": EVENTS}, headers=headers) as answer,
    ):
        await asyncio.sleep(0.3)
        sent = await client.data(SEND, {"input": message}, key=key.secret)
        name, seen = await anext(events_of(answer))

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-request-id"] == seen["extensions"]["requestId"]
    assert name == "next"
    assert seen["data"]["messageEvents"] == {
        "type": "MESSAGE_QUEUED",
        "messageUuid": sent["sendMessage"]["receipt"]["uuid"],
    }


async def test_a_client_that_goes_away_is_forgotten(url: str) -> None:
    key, _ = await make_sender()
    headers = {"x-api-key": key.secret, "accept": "text/event-stream"}

    async with (
        httpx.AsyncClient(timeout=10) as http,
        http.stream("GET", url, params={"query": EVENTS}, headers=headers),
    ):
        await asyncio.sleep(0.5)
        followed = len(FEED._subscribers)
    for _ in range(50):
        await asyncio.sleep(0.1)
        if not FEED._subscribers:
            break

    assert followed == 1
    assert not FEED._subscribers


async def stream_of(url: str, key: Any, body: dict[str, Any]) -> list[tuple[str, Any]]:
    headers = {"x-api-key": key.secret, "accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(timeout=10) as http,
        http.stream("POST", url, json=body, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        return [event async for event in events_of(answer)]


async def test_a_query_is_one_event_and_the_end(url: str) -> None:
    key, _ = await make_sender()

    events = await stream_of(url, key, {"query": "{ __typename }"})

    assert [name for name, _ in events] == ["next", "complete"]
    assert events[0][1]["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("subscription { nope }", "DOCUMENT_INVALID"),
        ('subscription { messageEvents(messageId: "x") { type } }', "NOT_FOUND"),
        ("subscription ($t: [EventType!]!) { messageEvents(types: $t) { type } }", "INVALID_INPUT"),
        ("{ nope }", "DOCUMENT_INVALID"),
    ],
)
async def test_what_cannot_run_is_told_as_an_event(url: str, document: str, code: str) -> None:
    key, _ = await make_sender()

    events = await stream_of(url, key, {"query": document})

    assert [name for name, _ in events] == ["next", "complete"]
    assert events[0][1]["errors"][0]["extensions"]["code"] == code


async def test_a_subscription_needs_events_and_a_credential(client: Client) -> None:
    key, _ = await make_sender()
    events = {"accept": "text/event-stream"}

    plain = await client.post("/graphql", json={"query": EVENTS}, headers={"x-api-key": key.secret})
    stranger = await client.post("/graphql", json={"query": EVENTS}, headers=events)
    wrong = await client.post(
        "/graphql", json={"query": EVENTS}, headers=events | {"x-api-key": "pmta_x"}
    )

    assert plain.status_code == 406
    assert stranger.status_code == 401
    assert wrong.status_code == 401


async def test_a_deleted_key_ends_the_stream(url: str, client: Client) -> None:
    key, _ = await make_sender()
    headers = {"x-api-key": key.secret, "accept": "text/event-stream"}
    delete = "mutation ($id: ID!) { deleteApiKey(input: {apiKeyId: $id}) { deletedId } }"

    async with (
        httpx.AsyncClient(timeout=10) as http,
        http.stream("POST", url, json={"query": EVENTS}, headers=headers) as answer,
    ):
        await asyncio.sleep(0.3)
        await client.data(delete, {"id": str(key.row.id)}, key=key.secret)
        events = [event async for event in events_of(answer)]

    assert [name for name, _ in events] == ["next", "complete"]
    assert events[0][1]["errors"][0]["extensions"]["code"] == "INVALID_API_KEY"
