"""A page deep in a log of a hundred thousand messages is read like the first one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import DB, fetch
from tests.client import Client
from tests.factories import default_project, make_actor, make_organization
from tests.long_log import make_long_log
from tests.statements import watch_statements

PAGE = """
query ($first: Int!, $after: String) {
  organization { messages(first: $first, after: $after) {
    nodes { id subject status completedAt deliveries { id state attempts { number } } }
    pageInfo { hasNextPage endCursor }
  } }
}
"""
WALK = """
query ($first: Int!, $after: String) {
  organization { messages(first: $first, after: $after) { pageInfo { endCursor } } }
}
"""
BY_STATUS = """
query ($statuses: [MessageStatus!]!, $after: String) {
  organization { messages(first: 5, after: $after, filter: {statuses: $statuses}) {
    nodes { subject status } pageInfo { hasNextPage endCursor } } }
}
"""
SIZE = 100


@dataclass(frozen=True, slots=True)
class Log:
    """A long log: who reads it, and the cursor that each page begins behind."""

    actor: Actor
    cursors: dict[int, str | None]


@pytest.fixture(scope="module")
def made() -> list[Log]:
    """The log; made once, and only read."""
    return []


@pytest.fixture
async def log(client: Client, made: list[Log]) -> Log:
    if not made:
        organization, others = await make_organization(), await make_organization()
        project, theirs = await default_project(organization), await default_project(others)
        month_ago = clock.now() - timedelta(days=30)
        await make_long_log(organization.id, project.id, count=100_000, before=month_ago)
        # What others sent since then must not be read, either.
        await make_long_log(others.id, theirs.id, count=5_000)
        actor = await make_actor(organization)
        made.append(Log(actor, {1: None, 500: await cursor_behind(client, actor, 499 * SIZE)}))
    return made[0]


async def cursor_behind(client: Client, actor: Actor, count: int) -> str | None:
    """Return the cursor of the message at which *count* messages have been read."""
    after = None
    while count:
        size = min(count, 500)
        data = await client.data(WALK, {"first": size, "after": after}, actor=actor)
        after = data["organization"]["messages"]["pageInfo"]["endCursor"]
        count -= size
    return after


async def explained(query: str, arguments: Any) -> dict[str, Any]:
    """Return the plan of a statement that was run, with what it really read."""
    assert DB.pool is not None
    async with DB.pool.acquire() as connection:
        sql = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}"
        (row,) = await connection.fetch(sql, *arguments)
    plan: dict[str, Any] = json.loads(row[0])[0]["Plan"]
    return plan


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes_of(inner)


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows the scans of *plan* looked at, those they dropped included."""
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes_of(plan)
        if node["Node Type"].endswith("Scan") and "Bitmap Index" not in node["Node Type"]
    )


async def page_and_plans(
    client: Client, log: Log, number: int
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return what a page of a hundred shows, and how each statement for it was carried out."""
    variables = {"first": SIZE, "after": log.cursors[number]}
    with watch_statements() as sent:
        data = await client.data(PAGE, variables, actor=log.actor)
    plans = [await explained(query, arguments) for query, arguments in list(sent)]
    return [node["subject"] for node in data["organization"]["messages"]["nodes"]], plans


@pytest.mark.slow
@pytest.mark.parametrize(("number", "first", "last"), [(1, 1, 100), (500, 49_901, 50_000)])
async def test_a_page_reads_its_rows_and_one_more(
    client: Client, log: Log, number: int, first: int, last: int
) -> None:
    subjects, plans = await page_and_plans(client, log, number)

    assert (subjects[0], subjects[-1]) == (f"Message {first}", f"Message {last}")
    assert [rows_read(plan) for plan in plans] == [SIZE + 1, SIZE, SIZE, SIZE]


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 500])
async def test_the_log_is_read_through_its_index_and_never_sorted(
    client: Client, log: Log, number: int
) -> None:
    _, (page, *edges) = await page_and_plans(client, log, number)

    kinds = [node["Node Type"] for node in nodes_of(page)]
    assert kinds == ["Limit", "Index Scan"]
    assert page["Plans"][0]["Index Name"] == "messages_organization"
    for node in (node for plan in edges for node in nodes_of(plan)):
        assert node["Node Type"] != "Seq Scan"
        assert node["Actual Rows"] <= SIZE


SINCE = """
query ($since: DateTime!) {
  organization { messages(first: 100, filter: {createdAfter: $since}) { nodes { createdAt } } }
}
"""


@pytest.mark.slow
async def test_what_is_older_than_asked_for_is_not_read(client: Client, log: Log) -> None:
    newest = await client.data(SINCE, {"since": "2000-01-01T00:00:00Z"}, actor=log.actor)
    tenth = newest["organization"]["messages"]["nodes"][9]["createdAt"]

    with watch_statements() as sent:
        data = await client.data(SINCE, {"since": tenth}, actor=log.actor)
    plan = await explained(*next(iter(sent)))

    assert len(data["organization"]["messages"]["nodes"]) == 10
    # A minute more than was asked for: two messages.
    assert rows_read(plan) == 12


async def by_status(
    client: Client, log: Log, *statuses: str, after: str | None = None
) -> tuple[Any, int]:
    """Return a page of messages in some states, and how many rows it took to find them."""
    variables = {"statuses": statuses, "after": after}
    with watch_statements() as sent:
        data = await client.data(BY_STATUS, variables, actor=log.actor)
    # A plan for any values, as a connection makes that has asked a few times.
    plans = [await explained(query, arguments) for query, arguments in list(sent)]
    return data["organization"]["messages"], sum(map(rows_read, plans))


@pytest.mark.slow
async def test_few_of_a_state_are_found_without_reading_the_log(client: Client, log: Log) -> None:
    await fetch(
        "UPDATE spooled_messages SET status = 'bounced' WHERE id IN (SELECT id FROM messages "
        "WHERE organization_id = {} AND subject = ANY({}::text[]))",
        log.actor.organization_id,
        [f"Message {n}" for n in (99_000, 99_001, 99_002, 99_003, 99_004, 99_005, 99_006)],
    )

    none, read_for_none = await by_status(client, log, "EXPIRED", "DEFERRED")
    first, read_for_first = await by_status(client, log, "BOUNCED", "PARTIAL", "EXPIRED")
    rest, read_for_rest = await by_status(
        client,
        log,
        *("BOUNCED", "PARTIAL", "EXPIRED"),
        after=first["pageInfo"]["endCursor"],
    )
    many, read_for_many = await by_status(client, log, "DELIVERED", "BOUNCED")

    assert none["nodes"] == []
    assert [node["subject"] for node in first["nodes"]] == [
        f"Message {n}" for n in (99_000, 99_001, 99_002, 99_003, 99_004)
    ]
    assert [node["subject"] for node in rest["nodes"]] == ["Message 99005", "Message 99006"]
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
    assert [node["subject"] for node in many["nodes"]] == [f"Message {n}" for n in range(1, 6)]
    assert max(read_for_none, read_for_first, read_for_rest, read_for_many) <= 60


COUNT = """
query ($filter: MessageFilter, $exact: Boolean!) {
  organization { messages(first: 2, filter: $filter) {
    totalCount(exact: $exact) totalCountIsEstimate
  } }
}
"""


async def count_of(
    client: Client, log: Log, wanted: dict[str, Any], *, exact: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Return what is said of how many there are, and the statements that it took."""
    with watch_statements() as sent:
        data = await client.data(COUNT, {"filter": wanted, "exact": exact}, actor=log.actor)
    return data["organization"]["messages"], [query for query, _ in sent]


@pytest.mark.slow
async def test_what_would_take_long_to_count_is_estimated(client: Client, log: Log) -> None:
    await fetch("ANALYZE messages, spooled_messages, deliveries")
    wanted = {"subject": "message", "statuses": ["DELIVERED", "QUEUED"]}

    found, statements = await count_of(client, log, wanted)
    counted, _ = await count_of(client, log, wanted, exact=True)
    few, _ = await count_of(client, log, {"sender": "nobody@example.net"})

    assert found["totalCountIsEstimate"]
    assert not any("count(*)" in each for each in statements)
    assert counted["totalCount"] >= 99_000
    assert few == {"totalCount": 0, "totalCountIsEstimate": False}
