"""The addresses of vMTAs are looked up by themselves, and what changes is told."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from postlane.blocklists import work
from postlane.blocklists.work import check_vmta, due_vmtas
from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.vmtas.tables import Vmta
from tests.billing.setup import settings_with
from tests.client import Client
from tests.dns_server import DnsServer
from tests.factories import make_actor

from .test_checking import CHECK
from .zones import ZONES, list_subject, public_address

ZEN, SPAMCOP = ZONES


@pytest.fixture(autouse=True)
def lists(dns: DnsServer) -> Iterator[DnsServer]:
    with settings_with(blocklists=",".join(ZONES)):
        yield dns


async def make_vmta(actor: Actor, **values: Any) -> Vmta:
    await fetch("DELETE FROM blocklist_tests")
    row = Vmta(
        organization_id=actor.organization_id,
        **{"name": "tx-1", "ip_address": public_address()} | values,
    )
    await row.save()
    return row


async def look(vmta: Vmta, *, hours_later: int = 0) -> None:
    """Do what the worker does when the time has come."""
    with clock.frozen(clock.now() + timedelta(hours=hours_later)):
        assert vmta.id in await due_vmtas(limit=10_000)
        await check_vmta(vmta.id)


async def told(actor: Actor) -> list[tuple[str, str]]:
    rows = await fetch(
        "SELECT type, data->>'zone' AS zone FROM events WHERE organization_id = {} "
        "AND type LIKE 'security.%' ORDER BY position",
        actor.organization_id,
    )
    return [(row["type"], row["zone"]) for row in rows]


async def listed(client: Client, actor: Actor) -> list[tuple[str, str]]:
    data = await client.data(
        "{ organization { blocklistListings { nodes { ipAddress zone severity since } } } }",
        actor=actor,
    )
    nodes = data["organization"]["blocklistListings"]["nodes"]
    return [(node["ipAddress"], node["zone"]) for node in nodes]


async def is_listed(vmta: Vmta) -> Any:
    return (await fetch("SELECT is_listed FROM vmtas WHERE id = {}", vmta.id))[0]["is_listed"]


async def test_a_listing_is_told_once_and_its_end_once(client: Client, lists: DnsServer) -> None:
    actor = await make_actor()
    vmta = await make_vmta(actor)
    list_subject(lists, str(vmta.ip_address), ZEN, "127.0.0.3")

    await look(vmta)
    assert (await is_listed(vmta), await listed(client, actor)) == (
        True,
        [(vmta.ip_address, ZEN)],
    )
    await look(vmta, hours_later=25)
    list_subject(lists, str(vmta.ip_address), ZEN)
    await look(vmta, hours_later=50)

    assert (await is_listed(vmta), await listed(client, actor)) == (False, [])
    assert await told(actor) == [
        ("security.dnsbl_listed", ZEN),
        ("security.dnsbl_delisted", ZEN),
    ]


async def test_a_list_without_an_answer_changes_nothing(client: Client, lists: DnsServer) -> None:
    actor = await make_actor()
    vmta = await make_vmta(actor)
    list_subject(lists, str(vmta.ip_address), ZEN, "127.0.0.3")
    await look(vmta)
    backwards = ".".join(reversed(str(vmta.ip_address).split(".")))
    lists.fail(f"{backwards}.{ZEN}", "SERVFAIL")

    await look(vmta, hours_later=25)

    assert await listed(client, actor) == [(vmta.ip_address, ZEN)]
    assert await is_listed(vmta) is True


async def test_where_no_list_answers_it_is_tried_again_soon(lists: DnsServer) -> None:
    vmta = await make_vmta(await make_actor())
    backwards = ".".join(reversed(str(vmta.ip_address).split(".")))
    for zone in ZONES:
        lists.fail(f"{backwards}.{zone}", "SERVFAIL")

    await look(vmta)

    assert await is_listed(vmta) is None
    with clock.frozen(clock.now() + timedelta(minutes=31)):
        assert vmta.id in await due_vmtas(limit=10_000)


async def test_an_address_is_looked_up_by_one_worker_at_a_time(lists: DnsServer) -> None:
    vmta = await make_vmta(await make_actor())

    await look(vmta)
    asked = sum(lists.queries.values())
    await check_vmta(vmta.id)

    assert sum(lists.queries.values()) == asked


async def test_another_address_ends_the_listings_of_the_one_before(
    client: Client, lists: DnsServer
) -> None:
    actor = await make_actor()
    vmta = await make_vmta(actor)
    list_subject(lists, str(vmta.ip_address), ZEN, "127.0.0.3")
    await look(vmta)

    await fetch("UPDATE vmtas SET ip_address = {} WHERE id = {}", public_address(), vmta.id)
    # At once, and not with the day that the look at the other one put off.
    await look(vmta)

    assert await listed(client, actor) == []
    assert await is_listed(vmta) is False
    assert vmta.id not in await due_vmtas(limit=10_000)


async def test_an_address_that_is_new_while_another_is_looked_up_is_looked_up_next(
    lists: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vmta = await make_vmta(await make_actor())
    ask_lists = work.ask_lists

    async def slowly(*asked: Any) -> Any:
        await fetch("UPDATE vmtas SET ip_address = {} WHERE id = {}", public_address(), vmta.id)
        assert vmta.id in await due_vmtas(limit=10_000)
        return await ask_lists(*asked)

    monkeypatch.setattr(work, "ask_lists", slowly)
    await look(vmta)

    assert vmta.id in await due_vmtas(limit=10_000)


async def test_an_address_that_is_not_public_is_not_asked_about(lists: DnsServer) -> None:
    vmta = await make_vmta(await make_actor(), ip_address=f"2001:db8::{uuid.uuid4().hex[:4]}")

    await look(vmta)

    assert sum(lists.queries.values()) == 0
    assert await is_listed(vmta) is None


async def test_a_look_on_demand_notes_what_it_found_of_a_vmta(
    client: Client, lists: DnsServer
) -> None:
    actor, stranger = await make_actor(), await make_actor()
    vmta = await make_vmta(actor)
    list_subject(lists, str(vmta.ip_address), SPAMCOP, "127.0.0.2")
    variables = {"input": {"ip": vmta.ip_address}}

    theirs = await client.data(CHECK, variables, actor=stranger)
    before = await is_listed(vmta)
    ours = await client.data(CHECK, variables, actor=actor)

    assert theirs["checkBlocklists"]["vmtaUuid"] is None
    assert before is None
    assert ours["checkBlocklists"]["vmtaUuid"] == str(vmta.id)
    assert await is_listed(vmta) is True
    assert await told(actor) == [("security.dnsbl_listed", SPAMCOP)]
