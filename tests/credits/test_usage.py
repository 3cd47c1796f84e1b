"""The history of usage: from sums that are kept, the same ones as the ledger's, page by page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import transaction
from postlane.credits.lots import refund
from postlane.credits.rules import CreditType, EntrySource
from tests.client import Client
from tests.factories import make_actor, make_organization
from tests.statements import count_statements

from .books import give, take

USAGE = """
    query ($by: CreditUsageGroup!, $filter: CreditEntryFilter, $n: Int, $after: String,
           $oldest: Boolean! = false) {
      organization { credits { usage(groupBy: $by, filter: $filter, first: $n, after: $after,
        oldestFirst: $oldest) {
        nodes { key debits credits entries } pageInfo { endCursor hasNextPage } } } } }
"""
ENTRIES = """
    query ($filter: CreditEntryFilter, $oldest: Boolean! = false) {
      organization { credits { entries(filter: $filter, oldestFirst: $oldest) {
        totalCount nodes { source amount direction reference } } } } }
"""
YESTERDAY = timedelta(days=1)


@pytest.fixture
async def owner(database: None) -> Actor:
    """Somebody who was given, spent and got back credits, yesterday and today."""
    actor = await make_actor(await make_organization(plan="trial"))
    who = actor.organization_id
    with clock.frozen(clock.now() - YESTERDAY):
        await give(who, 100)
        await take(who, 30, source=EntrySource.BATCH, reference="spring")
    taken = await take(who, 20)
    await take(who, 2)
    await give(who, 7, credit_type=CreditType.AV_SCAN)
    assert taken.entry_id is not None
    async with transaction() as tx:
        await refund(tx, taken.entry_id, amount=5)
    return actor


async def usage(client: Client, actor: Actor, by: str, **values: Any) -> Any:
    data = await client.data(USAGE, {"by": by} | values, actor=actor)
    return data["organization"]["credits"]["usage"]


def rows(page: Any) -> list[tuple[str, int, int, int]]:
    return [(n["key"], n["debits"], n["credits"], n["entries"]) for n in page["nodes"]]


async def test_usage_is_summed_up_by_day_type_and_source(client: Client, owner: Actor) -> None:
    today = datetime.now(UTC).date()
    yesterday = today - YESTERDAY

    assert rows(await usage(client, owner, "DAY")) == [
        (today.isoformat(), 22, 12, 4),
        (yesterday.isoformat(), 30, 100, 2),
    ]
    assert rows(await usage(client, owner, "TYPE", oldest=True)) == [
        ("av_scan", 0, 7, 1),
        ("email", 52, 105, 5),
    ]
    assert rows(await usage(client, owner, "SOURCE")) == [
        ("send", 22, 0, 2),
        ("refund", 0, 5, 1),
        ("purchase", 0, 107, 2),
        ("batch", 30, 0, 1),
    ]


async def test_usage_can_be_narrowed(client: Client, owner: Actor) -> None:
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    assert rows(
        await usage(client, owner, "SOURCE", filter={"type": "EMAIL", "direction": "CREDIT"})
    ) == [
        ("refund", 0, 5, 1),
        ("purchase", 0, 100, 1),
    ]
    since = {"createdAfter": start.isoformat()}
    until = {"createdBefore": start.isoformat()}
    assert [row[3] for row in rows(await usage(client, owner, "DAY", filter=since))] == [4]
    assert [row[3] for row in rows(await usage(client, owner, "DAY", filter=until))] == [2]


async def test_pages_of_usage_follow_one_another(client: Client, owner: Actor) -> None:
    first = await usage(client, owner, "SOURCE", n=3)
    cursor = first["pageInfo"]["endCursor"]
    second = await usage(client, owner, "SOURCE", n=3, after=cursor)
    wrong = await client.graphql(USAGE, {"by": "DAY", "after": cursor}, actor=owner)
    garbage = await client.graphql(USAGE, {"by": "DAY", "after": "é=="}, actor=owner)

    assert [row[0] for row in rows(first) + rows(second)] == ["send", "refund", "purchase", "batch"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    assert wrong["errors"][0]["extensions"]["code"] == "INVALID_CURSOR"
    assert garbage["errors"][0]["extensions"]["code"] == "INVALID_CURSOR"


async def test_usage_costs_the_same_however_long_the_ledger_is(
    client: Client, owner: Actor
) -> None:
    with count_statements() as sent:
        await usage(client, owner, "DAY")

    assert len(sent) == 1
    assert "credit_entries" not in str(sent)


async def test_the_ledger_can_be_narrowed(client: Client, owner: Actor) -> None:
    async def found(**filter: Any) -> list[tuple[str, int]]:
        data = await client.data(ENTRIES, {"filter": filter, "oldest": True}, actor=owner)
        page = data["organization"]["credits"]["entries"]
        assert page["totalCount"] == len(page["nodes"])
        return [(node["source"], node["amount"]) for node in page["nodes"]]

    now = datetime.now(UTC)
    assert await found(reference="spring") == [("BATCH", 30)]
    assert await found(source="SEND") == [("SEND", 20), ("SEND", 2)]
    assert await found(direction="CREDIT") == [("PURCHASE", 100), ("PURCHASE", 7), ("REFUND", 5)]
    assert await found(type="AV_SCAN") == [("PURCHASE", 7)]
    assert len(await found(createdAfter=(now - timedelta(hours=1)).isoformat())) == 4
    assert await found(createdBefore=(now - timedelta(days=9)).isoformat()) == []
    assert await found(createdAfter="9999-12-31T23:59:59Z") == []
    assert await found(createdBefore="0001-01-01T00:00:00Z") == []


async def test_a_stranger_reads_no_usage(client: Client, owner: Actor) -> None:
    stranger = await make_actor()

    assert rows(await usage(client, stranger, "DAY")) == []
