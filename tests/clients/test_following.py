"""Subscriptions work with the clients that applications follow events with."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from tests.node import json_of_node
from tests.parts import needs_npm_package

from .conftest import Account

SEEN = {"type": "MESSAGE_QUEUED", "message": {"subject": "Followed"}}
EVENTS = """
subscription ($id: ID) {
  messageEvents(messageId: $id, types: [MESSAGE_QUEUED]) { type message { subject } }
}
"""
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }"


@needs_npm_package("graphql-ws")
async def test_graphql_ws_follows_asks_and_understands_refusals(account: Account) -> None:
    seen = await json_of_node("graphql_ws/client.mjs", **account.variables)

    assert seen == {
        "event": SEEN,
        "iterated": "MESSAGE_QUEUED",
        "query": {"viewer": {"credential": {"kind": "API_KEY"}}},
        "refused": {"codes": ["NOT_FOUND"]},
        "turnedAway": {"code": 4403, "isForbidden": True},
    }


@needs_npm_package("graphql-sse")
async def test_graphql_sse_follows_asks_and_understands_refusals(account: Account) -> None:
    seen = await json_of_node("graphql_sse/client.mjs", **account.variables)

    assert seen == {
        "event": SEEN,
        "query": {"viewer": {"credential": {"kind": "API_KEY"}}},
        "refused": ["NOT_FOUND"],
        "turnedAway": {"status": 401},
    }


@needs_npm_package("@apollo/client")
async def test_apollo_follows_over_a_websocket(account: Account) -> None:
    seen = await json_of_node("apollo/follow.mjs", **account.variables)

    assert seen == {"type": "MESSAGE_QUEUED", "subject": "Followed"}


@needs_npm_package("@urql/core")
async def test_urql_follows_over_server_sent_events(account: Account) -> None:
    seen = await json_of_node("urql/follow.mjs", **account.variables)

    assert seen == {"type": "MESSAGE_QUEUED", "subject": "Followed"}


def transport(account: Account) -> WebsocketsTransport:
    return WebsocketsTransport(
        url=account.url.replace("http", "ws"),
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        init_payload={"Authorization": f"Bearer {account.key}"},
    )


async def test_gql_follows_and_sends_over_one_websocket(account: Account) -> None:
    send, events = gql(SEND), gql(EVENTS)
    message = {"from": account.sender, "to": ["ada@example.net"], "subject": "Followed"}
    send.variable_values = {"input": message | {"text": "Hello."}}

    async with Client(transport=transport(account)) as session:
        following: AsyncGenerator[dict[str, Any], None] = session.subscribe(events)
        first = asyncio.ensure_future(anext(following))
        while not first.done():
            await session.execute(send)
            await asyncio.wait([first], timeout=0.2)
        await following.aclose()

    assert first.result() == {"messageEvents": SEEN}


async def test_gql_shows_why_a_subscription_was_refused(account: Account) -> None:
    events = gql(EVENTS)
    events.variable_values = {"id": "x"}

    async with Client(transport=transport(account)) as session:
        with pytest.raises(TransportQueryError) as refused:
            await anext(session.subscribe(events))

    assert refused.value.errors is not None
    assert refused.value.errors[0]["extensions"]["code"] == "NOT_FOUND"
