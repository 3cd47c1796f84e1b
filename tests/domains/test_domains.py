"""Listing, showing, changing and deleting domains."""

import uuid
from typing import Any

import pytest

from postlane.core.actor import Actor, Role
from postlane.core.database import fetch
from postlane.domains.tables import DomainBimi, DomainCheck
from postlane.vmtas.tables import Pool
from tests.client import Client
from tests.dns_server import DnsServer
from tests.domains.setup import create, publish, records_of, verify
from tests.factories import make_actor, make_domain, make_organization

LIST = """
    query ($filter: DomainFilter, $order: DomainOrder! = NAME, $first: Int, $after: String) {
      organization { domains(filter: $filter, orderBy: $order, first: $first, after: $after) {
        nodes { name status records { name } dkim { keys { selector } } }
        pageInfo { hasNextPage endCursor } } } }
"""
ONE = "query ($ref: DomainRef!) { organization { domain(ref: $ref) { id uuid name } } }"
UPDATE = """
    mutation ($input: UpdateDomainInput!) { updateDomain(input: $input) { domain {
      trackOpens trackClicks defaultPool inboundEnabled trackingDomain dmarcRua
      dkim { rotationDays nextRotationAt } } } }
"""
DELETE = """
    mutation ($input: DeleteDomainInput!) { deleteDomain(input: $input) {
      deletedUuid cancelledMessages } }
"""
SEND = """
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }
"""


async def names(client: Client, actor: Actor, **variables: Any) -> list[str]:
    data = await client.data(LIST, variables, actor=actor)
    return [node["name"] for node in data["organization"]["domains"]["nodes"]]


async def test_domains_are_listed_by_name_or_age(client: Client) -> None:
    actor = await make_actor()
    for name in ("b.example", "c.example", "a.example"):
        await make_domain(actor.organization_id, name=f"list-{name}", status="pending")
    await make_domain((await make_organization()).id)

    assert await names(client, actor) == ["list-a.example", "list-b.example", "list-c.example"]
    assert await names(client, actor, order="CREATED_AT") == [
        "list-a.example",
        "list-c.example",
        "list-b.example",
    ]


async def test_pages_follow_each_other(client: Client) -> None:
    actor = await make_actor()
    for number in range(5):
        await make_domain(actor.organization_id, name=f"page-{number}.example", status="pending")
    found, after = [], None

    while True:
        variables = {"first": 2, "after": after}
        page = (await client.data(LIST, variables, actor=actor))["organization"]["domains"]
        found += [node["name"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert found == [f"page-{number}.example" for number in range(5)]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"status": "VERIFIED"}, ["one-x.example"]),
        ({"search": "ONE"}, ["one-x.example"]),
        ({"search": " two"}, ["two_x.example"]),
        ({"search": "%"}, []),
        ({"search": "_"}, ["two_x.example"]),
        ({"search": "\\"}, []),
        ({"search": "\n"}, ["one-x.example", "two_x.example"]),
        ({"search": "a\nb"}, []),
        ({"search": "ü"}, []),
        ({"search": "x" * 300}, []),
    ],
)
async def test_a_filter_leaves_the_rest_out(
    client: Client, filter: dict[str, str], found: list[str]
) -> None:
    actor = await make_actor()
    await fetch("DELETE FROM domains WHERE name IN ('one-x.example', 'two_x.example')")
    await make_domain(actor.organization_id, name="one-x.example")
    await make_domain(actor.organization_id, name="two_x.example", status="pending")

    assert await names(client, actor, filter=filter) == found


async def test_one_domain_is_found_by_id_uuid_or_name(client: Client) -> None:
    actor, stranger = await make_actor(), await make_actor()
    domain = await make_domain(actor.organization_id)
    by_name = {"name": domain.name.upper()}
    shown = (await client.data(ONE, {"ref": by_name}, actor=actor))["organization"]["domain"]

    assert (shown["uuid"], shown["name"]) == (str(domain.id), domain.name)
    for ref in (by_name, {"id": shown["id"]}, {"id": shown["uuid"]}):
        again = await client.data(ONE, {"ref": ref}, actor=actor)
        assert again["organization"]["domain"] == shown
        assert await client.refusal(ONE, {"ref": ref}, actor=stranger) == "NOT_FOUND"
    for ref in ({"id": "garbage"}, {"name": ""}, {"name": "no name"}, {"id": str(uuid.uuid4())}):
        assert await client.refusal(ONE, {"ref": ref}, actor=actor) == "NOT_FOUND"


async def test_each_domain_of_a_list_shows_its_own_records_and_keys(client: Client) -> None:
    actor = await make_actor()
    for number in range(3):
        await create(client, actor, f"many{number}.example")

    data = await client.data(LIST, {}, actor=actor)

    nodes = data["organization"]["domains"]["nodes"]
    assert [len(node["records"]) for node in nodes] == [4, 4, 4]
    assert [[key["selector"] for key in node["dkim"]["keys"]] for node in nodes] == [["pmta"]] * 3


async def test_a_change_leaves_what_was_not_named(client: Client, dns: DnsServer) -> None:
    actor = await make_actor()
    await Pool(organization_id=actor.organization_id, name="bulk").save()
    await create(client, actor, "changing.example", dmarcRua="a@changing.example")
    await publish(client, actor, dns, "changing.example")
    await verify(client, actor, "changing.example")

    data = await client.data(
        UPDATE,
        {
            "input": {
                "domain": {"name": "changing.example"},
                "trackOpens": True,
                "defaultPool": "bulk",
                "trackingDomain": "t.changing.example",
                "inboundEnabled": True,
            }
        },
        actor=actor,
    )

    assert data["updateDomain"]["domain"] == {
        "trackOpens": True,
        "trackClicks": False,
        "defaultPool": "bulk",
        "inboundEnabled": True,
        "trackingDomain": "t.changing.example",
        "dmarcRua": "a@changing.example",
        "dkim": {"rotationDays": None, "nextRotationAt": None},
    }
    assert {"MX", "TRACKING"} <= (await records_of(client, actor, "changing.example")).keys()
    rows = await fetch("SELECT status FROM domains WHERE name = 'changing.example'")
    assert rows[0]["status"] == "verified"
    entries = await fetch(
        "SELECT changes::jsonb->'default_pool'->>'from' AS was FROM audit_entries "
        "WHERE organization_id = {} AND action = 'domain.updated'",
        actor.organization_id,
    )
    assert entries == [{"was": "default"}]


async def test_null_clears_and_a_changed_record_is_pending_again(
    client: Client, dns: DnsServer
) -> None:
    actor = await make_actor()
    name = "clearing.example"
    await create(client, actor, name, dmarcRua=f"a@{name}", trackingDomain=f"t.{name}")
    await publish(client, actor, dns, name)
    await verify(client, actor, name)

    changes = {"dmarcRua": None, "trackingDomain": None}
    await client.data(UPDATE, {"input": {"domain": {"name": name}} | changes}, actor=actor)

    rows = await fetch(
        "SELECT purpose, records.status FROM domain_records AS records "
        "JOIN domains ON domains.id = domain_id WHERE domains.name = {} ORDER BY purpose",
        name,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("dkim", "verified"),
        ("dmarc", "pending"),
        ("return_path", "verified"),
        ("spf", "verified"),
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"defaultPool": "absent"}, "defaultPool"),
        ({"trackingDomain": "t.elsewhere.example"}, "trackingDomain"),
        ({"trackingDomain": "bounce.changeless.example"}, "trackingDomain"),
        ({"dmarcRua": "nobody"}, "dmarcRua"),
        ({"dkimRotationDays": 1}, "dkimRotationDays"),
        ({"trackOpens": None}, "trackOpens"),
        ({"defaultPool": None}, "defaultPool"),
    ],
)
async def test_a_wrong_change_names_the_field(
    client: Client, changes: dict[str, Any], field: str
) -> None:
    actor = await make_actor()
    await create(client, actor, "changeless.example")

    sent = {"input": {"domain": {"name": "changeless.example"}} | changes}
    body = await client.graphql(UPDATE, sent, actor=actor)

    assert [d["field"] for d in body["errors"][0]["extensions"]["details"]] == [field]


async def send(client: Client, actor: Actor, domain: str) -> str:
    values = {"from": f"a@{domain}", "to": ["b@example.net"], "subject": "Hi", "text": "Hi."}
    data = await client.data(SEND, {"input": values}, actor=actor)
    found: str = data["sendMessage"]["receipt"]["uuid"]
    return found


async def delete(client: Client, actor: Actor, name: str, **values: Any) -> dict[str, Any]:
    return await client.graphql(DELETE, {"input": {"domain": {"name": name}} | values}, actor=actor)


async def test_a_deleted_domain_leaves_nothing(client: Client) -> None:
    actor = await make_actor()
    made = await create(client, actor, "leaving.example")
    await DomainCheck(domain_id=made["uuid"], status="pending").save()
    await DomainBimi(domain_id=made["uuid"], enabled=False).save()

    body = await delete(client, actor, "leaving.example")

    assert body["data"]["deleteDomain"] == {
        "deletedUuid": made["uuid"],
        "cancelledMessages": 0,
    }
    for table in (
        "domains WHERE id",
        "dkim_keys WHERE domain_id",
        "domain_records WHERE domain_id",
        "domain_checks WHERE domain_id",
        "domain_bimi WHERE domain_id",
    ):
        assert await fetch(f"SELECT FROM {table} = {{}}", uuid.UUID(made["uuid"])) == []  # type: ignore[arg-type]
    again = await delete(client, actor, "leaving.example")
    assert again["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_a_domain_with_open_mail_stays_unless_forced(client: Client) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    first, second = await send(client, actor, domain.name), await send(client, actor, domain.name)

    refused = await delete(client, actor, domain.name)
    assert refused["errors"][0]["extensions"]["code"] == "DOMAIN_IN_USE"
    forced = await delete(client, actor, domain.name, force=True)

    assert forced["data"]["deleteDomain"]["cancelledMessages"] == 2
    rows = await fetch(
        "SELECT status FROM spooled_messages WHERE id = ANY({}::uuid[])",
        [uuid.UUID(first), uuid.UUID(second)],
    )
    assert [row["status"] for row in rows] == ["cancelled", "cancelled"]
    code = await client.refusal(
        SEND,
        {
            "input": {
                "from": f"a@{domain.name}",
                "to": ["b@example.net"],
                "subject": "Hi",
                "text": "Hi.",
            }
        },
        actor=actor,
    )
    assert code == "DOMAIN_NOT_VERIFIED"


async def test_deleting_needs_an_admin(client: Client) -> None:
    actor = await make_actor(role=Role.DEVELOPER)
    domain = await make_domain(actor.organization_id)

    body = await delete(client, actor, domain.name)

    assert body["errors"][0]["extensions"]["code"] == "INSUFFICIENT_ROLE"
