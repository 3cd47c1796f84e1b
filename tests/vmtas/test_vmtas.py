"""vMTAs and pools as an organization sees them, and the choice among real rows."""

import asyncio
from typing import Any

from postlane.core.actor import Actor, OrganizationId
from postlane.core.database import fetch, transaction
from postlane.vmtas.operations import create_default_pool
from postlane.vmtas.queries import find_vmta_for, has_pool, list_addresses
from postlane.vmtas.tables import Pool, Vmta
from postlane.vmtas.work import ensure_default_vmta
from tests.client import Client
from tests.factories import make_actor, make_organization

LIST = """
    query ($filter: VmtaFilter) { organization {
      vmtas(filter: $filter) { nodes { name shared hostname pool status } }
      pools { nodes { name vmtas { name } } } } }
"""
ONE = "query ($ref: VmtaRef!) { organization { vmta(ref: $ref) { id uuid name shared } } }"


async def make_vmta(actor: Actor, name: str, **values: Any) -> Vmta:
    row = Vmta(organization_id=actor.organization_id, name=name, hostname=f"{name}.example")
    for field, value in values.items():
        setattr(row, field, value)
    await row.save()
    return row


async def test_own_and_shared_vmtas_are_listed(client: Client) -> None:
    actor, stranger = await make_actor(), await make_actor()
    await Pool(organization_id=actor.organization_id, name="bulk").save()
    await make_vmta(actor, "tx-1")
    await make_vmta(actor, "bulk-1", pool="bulk", status="paused")
    await make_vmta(stranger, "theirs")

    data = (await client.data(LIST, {}, actor=actor))["organization"]

    assert data["vmtas"]["nodes"] == [
        {
            "name": "bulk-1",
            "shared": False,
            "hostname": "bulk-1.example",
            "pool": "bulk",
            "status": "PAUSED",
        },
        {
            "name": "default",
            "shared": True,
            "hostname": "mail.postlane.test",
            "pool": "default",
            "status": "ACTIVE",
        },
        {
            "name": "tx-1",
            "shared": False,
            "hostname": "tx-1.example",
            "pool": "default",
            "status": "ACTIVE",
        },
    ]
    assert data["pools"]["nodes"] == [
        {"name": "bulk", "vmtas": [{"name": "bulk-1"}]},
        {"name": "default", "vmtas": [{"name": "tx-1"}]},
    ]
    for filter, names in (
        ({"pool": "bulk"}, ["bulk-1"]),
        ({"status": "PAUSED"}, ["bulk-1"]),
        ({"search": "X-"}, ["tx-1"]),
        ({"search": "%"}, []),
    ):
        found = (await client.data(LIST, {"filter": filter}, actor=actor))["organization"]
        assert [node["name"] for node in found["vmtas"]["nodes"]] == names


async def test_one_vmta_is_found_by_id_or_name(client: Client) -> None:
    actor, stranger = await make_actor(), await make_actor()
    row = await make_vmta(actor, "default")

    shown = (await client.data(ONE, {"ref": {"name": "default"}}, actor=actor))["organization"]

    assert shown["vmta"]["uuid"] == str(row.id)
    assert shown["vmta"]["shared"] is False
    theirs = await client.data(ONE, {"ref": {"name": "default"}}, actor=stranger)
    assert theirs["organization"]["vmta"]["shared"] is True
    for ref in ({"id": shown["vmta"]["id"]}, {"id": str(row.id)}, {"name": "absent"}):
        assert await client.refusal(ONE, {"ref": ref}, actor=stranger) == "NOT_FOUND"


async def test_the_shared_vmta_is_made_once(database: None) -> None:
    ids = await asyncio.gather(*(ensure_default_vmta() for _ in range(8)))

    rows = await fetch("SELECT id FROM vmtas WHERE organization_id IS NULL AND name = 'default'")
    assert [row["id"] for row in rows] == [ids[0]]
    assert set(ids) == {ids[0]}


async def test_a_default_pool_is_made_once(database: None) -> None:
    organization = OrganizationId((await make_organization()).id)

    for _ in range(2):
        async with transaction() as tx:
            await create_default_pool(tx, organization)

    rows = await fetch("SELECT name FROM pools WHERE organization_id = {}", organization)
    assert [row["name"] for row in rows] == ["default"]


async def test_a_new_vmta_is_used_as_soon_as_it_is_asked_for(database: None) -> None:
    actor = await make_actor()
    shared = await ensure_default_vmta()
    organization = actor.organization_id
    assert await find_vmta_for(organization) == shared
    assert await find_vmta_for(organization, vmta="tx-1") is None
    assert await find_vmta_for(organization, pool="bulk") is None

    row = await make_vmta(actor, "tx-1", pool="bulk", ip_address="192.0.2.7")
    await Pool(organization_id=organization, name="bulk").save()

    assert await find_vmta_for(organization, vmta="tx-1") == row.id
    assert await find_vmta_for(organization, pool="bulk") == row.id
    assert await find_vmta_for(organization) == shared
    assert await has_pool(organization, "bulk")
    assert await list_addresses(organization) == ["192.0.2.7"]
