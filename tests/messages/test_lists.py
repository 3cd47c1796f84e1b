"""Finding messages: filters, pages in both directions, cursors that belong to one list."""

from typing import Any

import pytest

from postlane.core.actor import Actor
from postlane.graphql.context import Context
from postlane.graphql.execute import Document, Result, execute
from tests.factories import make_actor, make_domain

SEND = Document("""
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }
""")
LIST = Document("""
    query ($filter: MessageFilter, $first: Int, $after: String, $last: Int, $before: String,
           $old: Boolean! = false) {
      organization { messages(filter: $filter, first: $first, after: $after, last: $last,
                              before: $before, oldestFirst: $old) {
        nodes { subject } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }
""")


async def run(document: Document, actor: Actor, **variables: Any) -> Result:
    return await execute(document, variables, Context(actor=actor, request_id="test"))


def subjects(result: Result) -> list[str]:
    assert not result.errors
    assert result.data is not None
    return [node["subject"] for node in result.data["organization"]["messages"]["nodes"]]


def page_info(result: Result) -> dict[str, Any]:
    assert result.data is not None
    found: dict[str, Any] = result.data["organization"]["messages"]["pageInfo"]
    return found


@pytest.fixture
async def actor(database: None) -> Actor:
    """An actor with five messages, each another."""
    actor = await make_actor()
    domain = (await make_domain(actor.organization_id)).name
    for number in range(1, 6):
        await run(
            SEND,
            actor,
            input={
                "from": f"from{number}@{domain}",
                "to": [f"to{number}@dest.example"],
                "subject": f"Number {number}",
                "text": "x",
                "tags": ["odd" if number % 2 else "even"],
                "metadata": {"n": str(number)},
                "stream": "MARKETING" if number > 3 else "TRANSACTIONAL",
                "batchId": "first" if number < 3 else None,
            },
        )
    return actor


async def test_pages_forward_and_back_meet_each_message_once(actor: Actor) -> None:
    first = await run(LIST, actor, first=2)
    second = await run(LIST, actor, first=2, after=page_info(first)["endCursor"])
    back = await run(LIST, actor, last=2, before=page_info(second)["startCursor"])

    assert subjects(first) == ["Number 5", "Number 4"]
    assert subjects(second) == ["Number 3", "Number 2"]
    assert subjects(back) == ["Number 5", "Number 4"]
    assert page_info(second)["hasNextPage"] is True
    assert page_info(second)["hasPreviousPage"] is True
    assert page_info(back)["hasPreviousPage"] is False


async def test_the_order_can_be_turned_round(actor: Actor) -> None:
    assert subjects(await run(LIST, actor, first=2, old=True)) == ["Number 1", "Number 2"]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"recipient": "TO3@dest.example"}, [3]),
        ({"recipientDomain": "dest.example"}, [5, 4, 3, 2, 1]),
        ({"tag": "even"}, [4, 2]),
        ({"metadata": {"n": "5"}}, [5]),
        ({"stream": "MARKETING"}, [5, 4]),
        ({"batchId": "first"}, [2, 1]),
        ({"subject": "number 2"}, [2]),
        ({"subject": "%"}, []),
        ({"statuses": ["QUEUED"]}, [5, 4, 3, 2, 1]),
        ({"statuses": ["DELIVERED"]}, []),
        ({"createdBefore": "2020-01-01T00:00:00Z"}, []),
        ({"messageId": "<nobody@nowhere.example>"}, []),
        ({"mode": "SANDBOX"}, []),
        ({"bounceClass": "MAILBOX_FULL"}, []),
    ],
)
async def test_a_filter_finds_exactly_its_messages(
    actor: Actor, wanted: dict[str, Any], numbers: list[int]
) -> None:
    assert subjects(await run(LIST, actor, filter=wanted)) == [f"Number {n}" for n in numbers]


@pytest.mark.parametrize("cursor", ["", "garbage", "bm90IGpzb24", "W10", "€", "a" * 5000])
async def test_a_broken_cursor_is_refused(actor: Actor, cursor: str) -> None:
    result = await run(LIST, actor, after=cursor)

    assert [error.code for error in result.errors] == ["INVALID_CURSOR"]


async def test_a_cursor_of_another_filter_is_refused(actor: Actor) -> None:
    cursor = page_info(await run(LIST, actor, first=1))["endCursor"]

    result = await run(LIST, actor, after=cursor, filter={"tag": "even"})

    assert [error.code for error in result.errors] == ["INVALID_CURSOR"]


@pytest.mark.parametrize(
    "page", [{"first": 0}, {"first": 501}, {"last": -1}, {"first": 1, "last": 1}]
)
async def test_a_page_out_of_bounds_is_refused(actor: Actor, page: dict[str, int]) -> None:
    result = await run(LIST, actor, **page)

    assert [error.code for error in result.errors] == ["INVALID_INPUT"]


async def test_a_stranger_finds_nothing(actor: Actor) -> None:
    assert subjects(await run(LIST, await make_actor())) == []
