"""What pages follow: names of topics, for whoever may see them, and nothing left behind."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from postlane.accounts.tables import Organization
from postlane.core.actor import Role
from postlane.core.ids import new_id
from postlane.events.feed import FEED
from postlane.graphql.live import PLACES
from postlane.server.app import build_app
from tests.client import Client
from tests.dashboard.browser import Browser, member, new_session
from tests.factories import make_api_key, make_domain, make_organization
from tests.serving import served

SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { uuid } } }"


@pytest.fixture(scope="module")
async def address(database: None) -> AsyncIterator[str]:
    """A web application on a socket, in this process."""
    async with served(build_app(opens_pool=False)) as found:
        yield found


@asynccontextmanager
async def followed(
    address: str, organization: Organization, topics: str, *, session: str | None = None
) -> AsyncIterator[AsyncIterator[set[str]]]:
    """Follow topics as a page does, and give each set of names as it comes."""
    session = session or await new_session(organization)
    url = f"{address}/o/{organization.slug}/live"
    async with (
        httpx.AsyncClient(timeout=10, cookies={"session": session}) as http,
        http.stream("GET", url, params={"topics": topics}) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert "content-encoding" not in answer.headers
        await asyncio.sleep(0.4)
        yield _names(answer)


async def _names(answer: httpx.Response) -> AsyncIterator[set[str]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            said = json.loads(line.removeprefix("data: "))
            # Nothing but names of topics is told.
            assert set(said) == {"topics"}, said
            yield set(said["topics"])


async def sender(organization: Organization) -> tuple[str, dict[str, Any]]:
    domain = await make_domain(organization.id)
    key = await make_api_key(organization)
    message = {"from": f"shop@{domain.name}", "to": ["ada@example.net"], "subject": "Hello"}
    return key.secret, message | {"text": "Hi."}


async def test_topics_are_named_when_something_happens(address: str, client: Client) -> None:
    organization = await make_organization()
    key, message = await sender(organization)

    async with followed(address, organization, "overview,messages,credits") as names:
        await client.data(SEND, {"input": message}, key=key)
        first = await asyncio.wait_for(anext(names), 3)

    assert first == {"overview", "messages", "credits"}


async def test_a_message_is_named_by_what_happens_to_it_alone(address: str, client: Client) -> None:
    organization = await make_organization()
    key, message = await sender(organization)
    ours, other = [
        (await client.data(SEND, {"input": message}, key=key))["sendMessage"]["message"]["uuid"]
        for _ in range(2)
    ]
    cancel = "mutation ($id: ID!) { cancelMessage(input: {id: $id}) { message { uuid } } }"

    async with followed(address, organization, f"message:{ours}") as names:
        await client.data(cancel, {"id": other}, key=key)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(names), 1)
    async with followed(address, organization, f"message:{ours}") as names:
        await client.data(cancel, {"id": ours}, key=key)
        named = await asyncio.wait_for(anext(names), 3)

    assert named == {f"message:{ours}"}


async def test_much_is_told_in_little(address: str, client: Client) -> None:
    organization = await make_organization()
    key, message = await sender(organization)
    told = 0

    async with followed(address, organization, "messages") as names:

        async def listen() -> None:
            nonlocal told
            async for _ in names:
                told += 1

        listening = asyncio.create_task(listen())
        for _ in range(40):
            await client.data(SEND, {"input": message}, key=key)
        await asyncio.sleep(0.5)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    assert 1 <= told <= 20


async def test_what_changes_without_an_event_is_named_every_few_seconds(address: str) -> None:
    organization = await make_organization()

    async with followed(address, organization, "queues,messages") as names:
        named = await asyncio.wait_for(anext(names), 5)

    assert named == {"queues"}


async def test_a_strangers_thing_is_not_there(client: Client) -> None:
    browser, organization = await member(client)
    _, theirs = await member(client)
    key, message = await sender(theirs)
    sent = await client.data(SEND, {"input": message}, key=key)
    uuid = sent["sendMessage"]["message"]["uuid"]
    home = f"/o/{organization.slug}/live?topics="

    hidden = await browser.get(f"{home}message:{uuid}")
    absent = await browser.get(f"{home}message:{new_id()}")
    inside = await browser.get(f"/o/{theirs.slug}/live?topics=messages")

    assert [a.status_code for a in (hidden, absent, inside)] == [404, 404, 404]
    request = re.compile(r"request [0-9a-f]+")
    assert request.sub("", hidden.text) == request.sub("", absent.text)


@pytest.mark.parametrize(
    "topics",
    ["", "nonsense", "message", "messages:1", "message:", "message:x", ",".join("ab" * 6)],
)
async def test_what_is_no_topic_is_not_there(client: Client, topics: str) -> None:
    browser, organization = await member(client)

    answer = await browser.get(f"/o/{organization.slug}/live?topics={topics}")

    assert answer.status_code == 404
    assert "<h1>" in answer.text


async def test_a_role_that_does_not_see_it_does_not_follow_it(client: Client) -> None:
    browser, organization = await member(client, role=Role.BILLING)

    answer = await browser.get(f"/o/{organization.slug}/live?topics=messages")
    nobody = await Browser(client).get(f"/o/{organization.slug}/live?topics=messages")

    assert (answer.status_code, nobody.status_code) == (403, 303)


async def test_a_closed_tab_is_forgotten(address: str) -> None:
    organization = await make_organization()

    async with followed(address, organization, "messages,queues"):
        during = len(FEED._subscribers.get(organization.id, ()))
    for _ in range(50):
        if organization.id not in FEED._subscribers and not PLACES._taken:
            break
        await asyncio.sleep(0.1)

    assert during == 1
    assert organization.id not in FEED._subscribers
    assert not PLACES._taken


async def test_who_is_signed_out_is_told_nothing_more(address: str, client: Client) -> None:
    organization = await make_organization()
    session = await new_session(organization)
    url = f"{address}/o/{organization.slug}/live"

    async with (
        httpx.AsyncClient(timeout=10, cookies={"session": session}) as http,
        http.stream("GET", url, params={"topics": "messages"}) as answer,
    ):
        await asyncio.sleep(0.4)
        await Browser(client, session).submit(f"/o/{organization.slug}", "/logout")
        lines = [line async for line in answer.aiter_lines() if line and not line.startswith(":")]

    assert lines[-2:] == ["event: complete", "data: "]
    assert "TOKEN" in lines[1]
