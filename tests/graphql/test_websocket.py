"""`graphql-transport-ws`, over a socket: what is followed, and every way to be closed."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from postlane.core import clock
from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.events.feed import FEED, FellBehind, Subscriber
from postlane.events.tables import Event
from postlane.graphql.scalars import write_time
from postlane.graphql.websocket import Patience
from postlane.server.app import build_app
from postlane.server.auth import authenticate
from tests.client import Client
from tests.factories import (
    make_actor,
    make_api_key,
    make_domain,
    make_membership,
    make_organization,
)
from tests.serving import served
from tests.statements import count_statements

PROTOCOL = ["graphql-transport-ws"]
EVENTS = "subscription { messageEvents { type messageUuid message { subject } } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }"


@pytest.fixture(scope="module")
async def url(database: None) -> AsyncIterator[str]:
    """A web application on a socket."""
    async with served(build_app(opens_pool=False)) as address:
        yield address.replace("http:", "ws:") + "/graphql"


@asynccontextmanager
async def connected(
    url: str, payload: Any = None, *, subprotocols: Any = PROTOCOL, **options: Any
) -> AsyncIterator[ClientConnection]:
    async with connect(url, subprotocols=subprotocols, **options) as socket:
        if payload is not None:
            await say(socket, type="connection_init", payload=payload)
            assert (await hear(socket))["type"] == "connection_ack"
        yield socket


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    """Return the next message that is not a ping."""
    while True:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if message["type"] != "ping":
            return message
        await say(socket, type="pong")


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """Return the code and the reason with which the server closes."""
    try:
        while True:
            await asyncio.wait_for(socket.recv(), 10)
    except ConnectionClosed as ended:
        return (ended.rcvd.code, ended.rcvd.reason) if ended.rcvd else (1006, "")


def soon() -> str:
    return write_time(clock.now() + timedelta(hours=1))


async def make_sender() -> tuple[Any, Any, dict[str, str], dict[str, Any]]:
    organization = await make_organization()
    domain = await make_domain(organization.id)
    key = await make_api_key(organization)
    message = {"from": f"shop@{domain.name}", "to": ["ada@example.net"], "subject": "Hello"}
    return organization, key, {"authorization": f"Bearer {key.secret}"}, message | {"text": "Hi."}


async def test_a_subscriber_sees_what_happens(url: str, client: Client) -> None:
    _, key, credential, message = await make_sender()

    async with connected(url, credential) as socket:
        await say(socket, id="1", type="subscribe", payload={"query": EVENTS})
        await asyncio.sleep(0.3)
        sent = await client.data(SEND, {"input": message}, key=key.secret)
        seen = await hear(socket)

    assert seen["id"] == "1"
    assert seen["type"] == "next"
    assert seen["payload"]["data"]["messageEvents"] == {
        "type": "MESSAGE_QUEUED",
        "messageUuid": sent["sendMessage"]["receipt"]["uuid"],
        "message": {"subject": "Hello"},
    }


async def test_filters_let_through_what_was_asked_for(url: str, client: Client) -> None:
    _, key, credential, message = await make_sender()
    document = """subscription ($id: ID!) {
      one: messageEvents(messageId: $id, types: [MESSAGE_CANCELLED]) { type }
    }"""
    cancel = "mutation ($id: ID!) { cancelMessage(input: {id: $id}) { message { id } } }"
    later = message | {"sendAt": soon()}
    ids = []
    for _ in range(2):
        sent = await client.data(SEND, {"input": later}, key=key.secret)
        ids.append(sent["sendMessage"]["receipt"]["uuid"])
    async with connected(url, credential) as socket:
        await say(
            socket,
            id="1",
            type="subscribe",
            payload={"query": document, "variables": {"id": ids[0]}},
        )
        await asyncio.sleep(0.3)
        await client.data(cancel, {"id": ids[1]}, key=key.secret)
        await client.data(cancel, {"id": ids[0]}, key=key.secret)
        seen = await hear(socket)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hear(socket), 1.5)

    assert seen["payload"]["data"] == {"one": {"type": "MESSAGE_CANCELLED"}}


async def test_nobody_sees_what_belongs_to_others(url: str, client: Client) -> None:
    _, key, _, message = await make_sender()
    _, _, stranger, _ = await make_sender()
    sent = await client.data(SEND, {"input": message}, key=key.secret)
    theirs = sent["sendMessage"]["receipt"]["uuid"]
    one = f'subscription {{ messageEvents(messageId: "{theirs}") {{ type }} }}'

    async with connected(url, stranger) as socket:
        await say(socket, id="all", type="subscribe", payload={"query": EVENTS})
        await say(socket, id="one", type="subscribe", payload={"query": one})
        refused = await hear(socket)
        await client.data(SEND, {"input": message}, key=key.secret)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hear(socket), 1.5)

    assert (refused["type"], refused["id"]) == ("error", "one")
    assert refused["payload"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_queries_and_mutations_are_answered_once(url: str) -> None:
    _, _, credential, message = await make_sender()

    async with connected(url, credential) as socket:
        await say(
            socket,
            id="m",
            type="subscribe",
            payload={"query": SEND, "variables": {"input": message}},
        )
        answers = [await hear(socket), await hear(socket)]
        await say(socket, id="m", type="subscribe", payload={"query": "{ nope }"})
        refused = await hear(socket)

    assert [answer["type"] for answer in answers] == ["next", "complete"]
    assert answers[0]["payload"]["data"]["sendMessage"]["receipt"]["uuid"]
    assert answers[0]["payload"]["extensions"]["requestId"]
    assert answers[0]["payload"]["extensions"]["cost"]["requested"] > 10
    assert refused["type"] == "error"
    assert refused["payload"][0]["extensions"]["code"] == "DOCUMENT_INVALID"


async def test_a_completed_subscription_sends_nothing_more(url: str, client: Client) -> None:
    _, key, credential, message = await make_sender()

    async with connected(url, credential) as socket:
        await say(socket, id="1", type="subscribe", payload={"query": EVENTS})
        await asyncio.sleep(0.3)
        await say(socket, id="1", type="complete")
        await client.data(SEND, {"input": message}, key=key.secret)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hear(socket), 1.5)
        await say(socket, type="ping", payload={"n": 1})
        pong = await hear(socket)

    assert pong == {"type": "pong", "payload": {"n": 1}}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["{}"], 4400),
        (["[]"], 4400),
        (["nonsense"], 4400),
        ([b"\x00"], 4400),
        (['{"type": "connection_init", "payload": []}'], 4400),
        (['{"type": "start", "id": "1"}'], 4400),
        (['{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}'], 4401),
        (['{"type": "connection_init"}'], 4403),
        (['{"type": "connection_init", "payload": {"authorization": "Bearer x"}}'], 4403),
        (["INIT", '{"type": "connection_init"}'], 4429),
        (["INIT", '{"type": "subscribe", "id": "1"}'], 4400),
        (["INIT", '{"type": "subscribe", "id": 1, "payload": {"query": "{ a }"}}'], 4400),
        (["INIT", '{"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}'], 4400),
        (["INIT", '{"type": "subscribe", "id": "1", "payload": {"query": 1}}'], 4400),
        (["INIT", '{"type": "connection_terminate"}'], 4400),
        (["INIT", "FOLLOW", "FOLLOW"], 4409),
        (["INIT", *['{"type": "pong"}'] * 600], 4429),
        (["INIT", '{"type": "ping", "payload": "' + "x" * 2**20 + '"}'], 1009),
        (["[" * 100_000], 1009),
        (["INIT", "[" * 100_000], 4400),
    ],
)
async def test_what_the_protocol_forbids_closes_with_its_code(
    url: str, messages: list[str | bytes], code: int
) -> None:
    _, _, credential, _ = await make_sender()
    said = {
        "INIT": json.dumps({"type": "connection_init", "payload": credential}),
        "FOLLOW": json.dumps({"type": "subscribe", "id": "1", "payload": {"query": EVENTS}}),
    }

    async with connected(url) as socket:
        for message in messages:
            await socket.send(said.get(message, message) if isinstance(message, str) else message)
        answer = await closed(socket)

    assert answer[0] == code


@pytest.mark.parametrize("offered", [["graphql-ws"], ["nonsense"], None])
async def test_only_the_new_protocol_is_spoken(url: str, offered: Any) -> None:
    async with connected(url, subprotocols=offered) as socket:
        code, _ = await closed(socket)

    assert code == 4406


async def test_a_client_that_does_not_sign_in_is_closed(database: None) -> None:
    app = build_app(opens_pool=False, patience=Patience(init_seconds=0.3))
    async with served(app) as address, connected(f"{address}/graphql".replace("http", "ws")) as one:
        code, reason = await closed(one)

    assert (code, reason) == (4408, "Connection initialisation timeout")


async def test_pages_of_other_origins_may_not_connect(url: str) -> None:
    _, _, credential, _ = await make_sender()

    with pytest.raises(InvalidStatus) as refused:
        async with connected(url, credential, origin="https://evil.example"):
            pass
    async with connected(url, credential, origin="http://postlane.test"):
        pass

    assert refused.value.response.status_code == 403


async def test_a_client_signs_in_by_header_too(url: str) -> None:
    _, _, credential, _ = await make_sender()

    async with connected(url, {}, additional_headers=credential) as socket:
        await say(socket, id="1", type="subscribe", payload={"query": "{ organization { id } }"})
        answer = await hear(socket)

    assert answer["payload"]["data"]["organization"]["id"]


async def test_a_deleted_key_ends_the_connection_within_two_seconds(
    url: str, client: Client
) -> None:
    organization, key, credential, _ = await make_sender()
    owner = await make_actor(organization)
    delete = "mutation ($id: ID!) { deleteApiKey(input: {apiKeyId: $id}) { deletedId } }"

    async with connected(url, credential) as socket, connected(url, credential) as idle:
        await say(socket, id="1", type="subscribe", payload={"query": EVENTS})
        await asyncio.sleep(0.3)
        await client.data(delete, {"id": str(key.row.id)}, actor=owner)
        ends = await asyncio.wait_for(asyncio.gather(closed(socket), closed(idle)), 2)

    assert [code for code, _ in ends] == [4403, 4403]


async def test_a_credential_that_cannot_be_judged_ends_the_connection(database: None) -> None:
    """A fault of ours must not leave a connection that nobody looks at any more."""
    _, _, credential, _ = await make_sender()
    is_broken = False

    async def judge(scope: Any) -> Any:
        if is_broken:
            raise RuntimeError("a fault of ours")
        return await authenticate(scope)

    async with served(build_app(authenticate=judge, opens_pool=False)) as address:
        url = f"{address}/graphql".replace("http", "ws")
        async with connected(url, credential) as socket:
            is_broken = True
            code, reason = await closed(socket)

    assert (code, reason) == (4500, "Internal server error")


async def test_idle_connections_are_looked_at_together(url: str) -> None:
    _, _, credential, _ = await make_sender()

    async with AsyncExitStack() as stack:
        for _ in range(20):
            socket = await stack.enter_async_context(connected(url, credential))
            await say(socket, id="1", type="subscribe", payload={"query": EVENTS})
        await asyncio.sleep(1)
        with count_statements() as sent:
            await asyncio.sleep(3)

    assert 1 <= len([statement for statement in sent if "api_key_secrets" in statement]) <= 6


async def test_a_lost_role_ends_the_subscription(url: str, client: Client) -> None:
    organization = await make_organization()
    domain = await make_domain(organization.id)
    sender = await make_api_key(organization)
    membership = await make_membership(organization, role=Role.ADMIN)
    key = await make_api_key(organization, membership=membership)
    message = {"from": f"shop@{domain.name}", "to": ["a@example.net"], "subject": "x", "text": "x"}

    async with connected(url, {"headers": {"X-API-Key": key.secret}}) as socket:
        await say(socket, id="1", type="subscribe", payload={"query": EVENTS})
        await asyncio.sleep(0.3)
        await fetch("UPDATE memberships SET role = 'billing' WHERE id = {}", membership.id)
        await client.data(SEND, {"input": message}, key=sender.secret)
        answer = await hear(socket)

    assert answer["type"] == "error"
    assert answer["payload"][0]["extensions"]["code"] == "INSUFFICIENT_SCOPE"


async def test_one_connection_has_an_end_of_subscriptions(url: str) -> None:
    _, _, credential, _ = await make_sender()

    async with connected(url, credential) as socket:
        for n in range(60):
            await say(socket, id=str(n), type="subscribe", payload={"query": EVENTS})
        refused = [await hear(socket) for _ in range(10)]

    assert {each["payload"][0]["extensions"]["code"] for each in refused} == {
        "SUBSCRIPTION_LIMIT_REACHED"
    }
    assert [each["id"] for each in refused] == [str(n) for n in range(50, 60)]


async def test_one_credential_has_an_end_of_connections(url: str) -> None:
    _, _, credential, _ = await make_sender()
    _, _, other, _ = await make_sender()

    async with AsyncExitStack() as stack:
        for _ in range(50):
            await stack.enter_async_context(connected(url, credential))
        one_more = await stack.enter_async_context(connected(url))
        await say(one_more, type="connection_init", payload=credential)
        code, _ = await closed(one_more)
        async with connected(url, other):
            pass
    await asyncio.sleep(0.5)
    async with connected(url, credential):
        pass

    assert code == 4429


async def test_a_full_process_asks_to_come_later(database: None) -> None:
    app = build_app(opens_pool=False, patience=Patience(connections=2))
    async with served(app) as address, AsyncExitStack() as stack:
        url = f"{address}/graphql".replace("http", "ws")
        for _ in range(2):
            await stack.enter_async_context(connected(url))
        await asyncio.sleep(0.2)
        third = await stack.enter_async_context(connected(url))
        code, _ = await closed(third)

    assert code == 1013


async def test_one_credential_has_an_end_of_subscriptions(url: str) -> None:
    _, _, credential, _ = await make_sender()

    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connected(url, credential)) for _ in range(3)]
        for socket in sockets[:2]:
            for n in range(50):
                await say(socket, id=str(n), type="subscribe", payload={"query": EVENTS})
            # What comes before it has been dealt with when it is answered.
            await say(socket, type="ping")
            assert (await hear(socket))["type"] == "pong"
        await say(sockets[2], id="1", type="subscribe", payload={"query": EVENTS})
        refused = await hear(sockets[2])

    assert refused["payload"][0]["extensions"]["code"] == "SUBSCRIPTION_LIMIT_REACHED"


@pytest.mark.parametrize(
    "document",
    [
        "subscription { messageEvents { message { deliveries { attempts { "
        "uuid code reply number verdict mxHost mxAddress startedAt durationMs transcript } } } } }",
        "subscription { a: messageEvents { type } b: messageEvents { type } }",
        "subscription { messageEvents { " + "message { deliveries { id } " * 1 + "} nope } }",
    ],
)
async def test_documents_are_limited_here_too(url: str, document: str) -> None:
    _, _, credential, _ = await make_sender()

    async with connected(url, credential) as socket:
        await say(socket, id="1", type="subscribe", payload={"query": document})
        refused = await hear(socket)

    assert refused["type"] == "error"


async def test_a_client_that_never_reads_is_let_go(database: None, client: Client) -> None:
    _, key, credential, message = await make_sender()
    app = build_app(opens_pool=False, patience=Patience(send_seconds=0.5))
    follow = "subscription { messageEvents { message { organization: subject content { text } } } }"
    long = message | {"text": "x" * 500_000}

    async with served(app) as address:
        url = f"{address}/graphql".replace("http", "ws")
        async with connected(url, credential, max_queue=1) as socket:
            await say(socket, id="1", type="subscribe", payload={"query": follow})
            await asyncio.sleep(0.3)
            socket.transport.pause_reading()
            for _ in range(30):
                await client.data(SEND, {"input": long}, key=key.secret)
            for _ in range(100):
                await asyncio.sleep(0.1)
                if not FEED._subscribers:
                    break

    assert not FEED._subscribers


async def test_a_buffer_that_overflows_ends_the_subscription() -> None:
    subscriber = Subscriber(uuid4(), lambda event: True, room=3)

    for _ in range(4):
        subscriber.offer(Event())

    with pytest.raises(FellBehind):
        await subscriber.take(10)


async def test_a_process_that_ends_sends_its_clients_away(database: None) -> None:
    _, _, credential, _ = await make_sender()
    app = build_app(opens_pool=False)

    async with served(app) as address:
        url = f"{address}/graphql".replace("http", "ws")
        async with connected(url, credential) as socket, connected(url, credential) as idle:
            await say(socket, id="1", type="subscribe", payload={"query": EVENTS})
            await asyncio.sleep(0.3)
            os.kill(os.getpid(), signal.SIGUSR1)
            ends = [await closed(socket), await closed(idle)]

    assert ends == [(1001, "Going away")] * 2
