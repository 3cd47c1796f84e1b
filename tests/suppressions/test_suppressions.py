"""Suppressions: added by hand, taken away, and asked for by the batch."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core.actor import OrganizationId, ProjectId, Role
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.core.tenants import acting_for
from postlane.suppressions.rules import SuppressionReason
from postlane.suppressions.work import (
    FIND,
    NewSuppression,
    Recipients,
    add,
    stop_erased,
    suppressed,
)
from tests.client import Client
from tests.factories import (
    default_project,
    make_actor,
    make_organization,
    make_project,
    make_suppression,
)

ADD = """
    mutation ($input: AddSuppressionInput!) { addSuppression(input: $input) { suppression {
      id uuid address reason description projectUuid expiresAt } } }
"""
REMOVE = """
    mutation ($input: RemoveSuppressionInput!) { removeSuppression(input: $input) { removed } }
"""
LIST = """
    query ($filter: SuppressionFilter) { organization { suppressions(filter: $filter) {
      nodes { address reason } } } }
"""
R = SuppressionReason


async def listed(client: Client, actor: Any, **filter: str) -> list[tuple[str, str]]:
    data = await client.data(LIST, {"filter": filter}, actor=actor)
    nodes = data["organization"]["suppressions"]["nodes"]
    return [(node["address"], node["reason"]) for node in nodes]


async def test_an_address_is_added_once_and_changed_by_adding_it_again(client: Client) -> None:
    actor = await make_actor()
    first = {"address": "Ada@Bücher.example", "description": "asked by phone"}
    again = {"address": "ada@xn--bcher-kva.example", "expiresAt": "2030-01-01T00:00:00Z"}

    one = (await client.data(ADD, {"input": first}, actor=actor))["addSuppression"]["suppression"]
    two = (await client.data(ADD, {"input": again}, actor=actor))["addSuppression"]["suppression"]

    assert one["id"] != two["id"]
    assert one["address"] == "Ada@xn--bcher-kva.example"
    assert (two["description"], two["expiresAt"]) == (None, "2030-01-01T00:00:00.000Z")
    assert await listed(client, actor) == [("Ada@xn--bcher-kva.example", "MANUAL")]


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"address": "nobody"}, ("address", "INVALID_EMAIL")),
        ({"address": "a@b.example, c@d.example"}, ("address", "INVALID_EMAIL")),
        ({"address": "a@b.example", "description": "x" * 201}, ("description", "TOO_LONG")),
        ({"address": "a@b.example", "expiresAt": "2020-01-01T00:00:00Z"}, ("expiresAt", "IN_PAST")),
    ],
)
async def test_a_wrong_suppression_names_the_field(
    client: Client, values: dict[str, str], detail: tuple[str, str]
) -> None:
    body = await client.graphql(ADD, {"input": values}, actor=await make_actor())

    found = body["errors"][0]["extensions"]["details"]
    assert [(each["field"], each["code"]) for each in found] == [detail]


async def test_lists_show_what_holds_now_and_is_ones_own(client: Client) -> None:
    actor = await make_actor()
    organization = actor.organization_id
    await make_suppression(organization, "one@x.example", reason="hard_bounce")
    await make_suppression(organization, "two@x.example", reason="complaint")
    over = datetime.fromisoformat("2020-01-01T00:00:00Z")
    await make_suppression(organization, "over@x.example", expires_at=over)
    await make_suppression((await make_organization()).id, "theirs@x.example")

    assert await listed(client, actor) == [
        ("two@x.example", "COMPLAINT"),
        ("one@x.example", "HARD_BOUNCE"),
    ]
    assert await listed(client, actor, reason="COMPLAINT") == [("two@x.example", "COMPLAINT")]
    assert await listed(client, actor, address="ONE@X.example") == [
        ("one@x.example", "HARD_BOUNCE")
    ]
    assert await listed(client, actor, address="no address") == []


async def test_removing_by_address_takes_every_reason(client: Client) -> None:
    actor, stranger = await make_actor(), await make_actor()
    for reason in ("manual", "hard_bounce"):
        await make_suppression(actor.organization_id, "gone@x.example", reason=reason)
    by_address = {"input": {"suppression": {"address": "Gone@x.example"}}}

    assert await client.refusal(REMOVE, by_address, actor=stranger) == "NOT_FOUND"
    data = await client.data(REMOVE, by_address, actor=actor)

    assert data["removeSuppression"]["removed"] == 2
    assert await client.refusal(REMOVE, by_address, actor=actor) == "NOT_FOUND"
    entries = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {}", actor.organization_id
    )
    assert [entry["action"] for entry in entries] == ["suppression.removed"] * 2


async def test_removing_by_id_takes_one(client: Client) -> None:
    actor = await make_actor()
    row = await make_suppression(actor.organization_id, "one@x.example")
    await make_suppression(actor.organization_id, "one@x.example", reason="complaint")

    sent = {"input": {"suppression": {"id": str(row.id)}}}
    data = await client.data(REMOVE, sent, actor=actor)

    assert data["removeSuppression"]["removed"] == 1
    assert await listed(client, actor) == [("one@x.example", "COMPLAINT")]


async def test_a_key_of_one_project_stays_within_it(client: Client) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    bound = await make_actor(organization, project_id=ProjectId(project.id))
    everywhere = await make_suppression(organization.id, "all@x.example")
    await make_suppression(organization.id, "other@x.example", project_id=new_id())

    added = await client.data(ADD, {"input": {"address": "own@x.example"}}, actor=bound)

    assert added["addSuppression"]["suppression"]["projectUuid"] == str(project.id)
    shown = [address for address, _ in await listed(client, bound)]
    assert shown == ["own@x.example", "all@x.example"]
    sent = {"input": {"suppression": {"id": str(everywhere.id)}}}
    assert await client.refusal(REMOVE, sent, actor=bound) == "NOT_FOUND"


async def test_a_viewer_cannot_change_the_list(client: Client) -> None:
    viewer = await make_actor(role=Role.VIEWER)

    code = await client.refusal(ADD, {"input": {"address": "a@b.example"}}, actor=viewer)

    assert code == "INSUFFICIENT_ROLE"


async def ask(
    organization: Organization, *addresses: str, stream: str = "transactional"
) -> list[Any]:
    project = await default_project(organization)
    return await suppressed(
        [
            Recipients(OrganizationId(organization.id), ProjectId(project.id), stream, [address])
            for address in addresses
        ]
    )


async def test_many_recipients_are_asked_for_in_their_order(database: None) -> None:
    organization = await make_organization()
    await make_suppression(organization.id, "b@x.example", reason="hard_bounce")
    await make_suppression(organization.id, "b@x.example", reason="complaint")
    await make_suppression(organization.id, "c@x.example", reason="unsubscribe")
    await make_suppression(organization.id, "d@x.example", project_id=new_id())
    await make_suppression((await make_organization()).id, "a@x.example")
    keys = ["a@x.example", "b@x.example", "c@x.example", "d@x.example", "b@x.example"]

    transactional = await ask(organization, *keys)
    marketing = await ask(organization, *keys, stream="marketing")

    assert transactional == [None, R.COMPLAINT, None, None, R.COMPLAINT]
    assert marketing == [None, R.COMPLAINT, R.UNSUBSCRIBE, None, R.COMPLAINT]
    assert await suppressed([]) == []


async def test_whoever_was_erased_is_found_from_the_first_on(database: None) -> None:
    """Also by a process that has asked before anybody was erased."""
    one, other = await make_organization(), await make_organization()
    await make_suppression(one.id, "b@x.example", reason="hard_bounce")
    keys = ["a@x.example", "b@x.example", "c@x.example"]
    before = await ask(one, *keys)

    async with transaction() as tx:
        for address in ("b@x.example", "c@x.example"):
            await stop_erased(tx, OrganizationId(one.id), address)
    first, again = [await ask(one, *keys) for _ in range(2)]
    project = await default_project(one)
    both = await suppressed(
        [
            Recipients(OrganizationId(id), ProjectId(project.id), "marketing", list(keys))
            for id in (other.id, one.id, other.id)
        ]
    )

    assert before == [None, R.HARD_BOUNCE, None]
    assert first == again == [None, R.HARD_BOUNCE, R.ERASED]
    assert both == [*[None] * 3, *first, *[None] * 3]


async def test_whether_anybody_was_erased_is_looked_up_among_many(wall: None) -> None:
    organization = await make_organization()
    project = await default_project(organization)
    await fetch(
        "INSERT INTO suppressions (id, organization_id, address, address_key, reason, created_at) "
        "SELECT gen_random_uuid(), {}, key, key, 'manual', now() "
        "FROM (SELECT 'u' || n || '@x.example' AS key FROM generate_series(1, 20000) AS n) AS new",
        organization.id,
    )
    await fetch("ANALYZE suppressions")
    asked = [[organization.id], [project.id], ["transactional"], None, "u1@x.example\nnone", "1\n1"]

    with acting_for([organization.id]):
        rows = await fetch(
            "EXPLAIN (ANALYZE) " + FIND, *asked, datetime.now(UTC), "marketing", "unsubscribe"
        )

    lines = [line for row in rows for line in row.values()]
    scans = [line for line in lines if "Scan" in line and " on suppressions" in line]
    assert len(scans) == 2
    assert "suppressions_of_stream" in scans[0]
    assert "suppressions_erased" in scans[1]


async def test_one_statement_adds_many_and_the_later_end_stays(
    database: None, frozen: datetime
) -> None:
    organization = OrganizationId((await make_organization()).id)

    async def put(address: str, expires_at: datetime | None) -> None:
        new = NewSuppression(organization, None, address, R.SOFT_BOUNCE_COOLING, "x" * 500)
        async with transaction() as tx:
            ending = [
                NewSuppression(organization, None, address, new.reason, new.description, end)
                for end in (expires_at, frozen + timedelta(hours=1))
            ]
            await add(tx, ending)

    await put("Cool@x.example", frozen + timedelta(hours=72))
    await put("cool@x.example", frozen + timedelta(hours=2))
    await put("ever@x.example", None)
    await put("ever@x.example", frozen + timedelta(hours=2))

    rows = await fetch(
        "SELECT address_key, expires_at, length(description) AS length FROM suppressions "
        "WHERE organization_id = {} ORDER BY address_key",
        organization,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("cool@x.example", frozen + timedelta(hours=72), 200),
        ("ever@x.example", None, 200),
    ]


async def test_workers_that_add_the_same_addresses_do_not_block_each_other(
    database: None,
) -> None:
    organization = OrganizationId((await make_organization()).id)
    addresses = [f"u{number}@x.example" for number in range(50)]

    async def settle(order: list[str]) -> None:
        async with transaction() as tx:
            await add(tx, [NewSuppression(organization, None, a, R.HARD_BOUNCE) for a in order])

    await asyncio.gather(*(settle(addresses[:: 1 if n % 2 else -1]) for n in range(6)))

    rows = await fetch(
        "SELECT count(*) AS n FROM suppressions WHERE organization_id = {}", organization
    )
    assert rows[0]["n"] == 50
