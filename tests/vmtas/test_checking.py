"""What the DNS says of a vMTA's address: its name, that name's address, and the EHLO name."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dns.reversename
import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.jobs.vmtas import check_vmta
from postlane.mail.dns import Resolver
from postlane.vmtas import checking
from postlane.vmtas.work import due_for_check
from tests.billing.setup import settings_with
from tests.client import Client
from tests.dns_server import DnsServer
from tests.factories import make_actor

from .setup import INVENTORY, unused_address

CREATE = "mutation ($input: CreateVmtaInput!) { createVmta(input: $input) { vmta { uuid } } }"
UPDATE = "mutation ($input: UpdateVmtaInput!) { updateVmta(input: $input) { vmta { uuid } } }"
CHECK = """mutation ($input: CheckVmtaInput!) { checkVmta(input: $input) { vmta {
    dns { ptr forwardConfirmed ehloMatchesPtr checkedAt } } } }"""
EHLO = "mta1.acme.example"


@pytest.fixture(autouse=True)
def inventory() -> Iterator[None]:
    """The deployment has addresses that nobody uses."""
    with settings_with(source_addresses=INVENTORY):
        yield


def point(server: DnsServer, address: str, *names: str) -> None:
    """Let the address be called so."""
    server.set(dns.reversename.from_address(address).to_text(), "PTR", *names)


async def checked(client: Client, actor: Actor, address: str) -> dict[str, Any]:
    """Make a vMTA with the address, look it up and return what was found."""
    values = {"name": "tx-1", "ipAddress": address, "hostname": EHLO}
    made = await client.data(CREATE, {"input": values}, actor=actor)
    uuid = made["createVmta"]["vmta"]["uuid"]
    data = await client.data(CHECK, {"input": {"vmta": {"id": uuid}}}, actor=actor)
    found: dict[str, Any] = data["checkVmta"]["vmta"]["dns"]
    return found


async def test_a_name_and_an_address_that_point_at_each_other(
    client: Client, dns: DnsServer
) -> None:
    address = unused_address()
    point(dns, address, EHLO)
    dns.set(EHLO, "AAAA", address)

    found = await checked(client, await make_actor(), address)

    assert found.pop("checkedAt") is not None
    assert found == {"ptr": EHLO, "forwardConfirmed": True, "ehloMatchesPtr": True}


async def test_of_several_names_the_ehlo_name_counts(client: Client, dns: DnsServer) -> None:
    address = unused_address()
    point(dns, address, "other.acme.example", EHLO)
    dns.set(EHLO, "AAAA", address)

    found = await checked(client, await make_actor(), address)

    assert (found["ptr"], found["ehloMatchesPtr"]) == (EHLO, True)


async def test_a_name_that_is_changed_while_it_is_looked_up_is_looked_up_too(
    client: Client, dns: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, address = await make_actor(), unused_address()
    point(dns, address, EHLO)
    dns.set(EHLO, "AAAA", address)
    await checked(client, actor, address)
    (row,) = await fetch("SELECT id FROM vmtas WHERE ip_address = {}", address)
    names_of = checking.names_of
    greeted: list[str] = []

    async def slowly(resolver: Resolver, address: str, ehlo: str) -> checking.Names:
        greeted.append(ehlo)
        if len(greeted) == 1:
            # The job that this asks for is refused, for this one has its key.
            given = {"vmta": {"id": str(row["id"])}, "hostname": "mta2.acme.example"}
            await client.data(UPDATE, {"input": given}, actor=actor)
        return await names_of(resolver, address, ehlo)

    monkeypatch.setattr(checking, "names_of", slowly)
    await check_vmta({}, vmta_id=str(row["id"]))

    (after,) = await fetch("SELECT * FROM vmtas WHERE id = {}", row["id"])
    assert greeted == [EHLO, "mta2.acme.example"]
    assert (after["ptr"], after["ehlo_matches_ptr"]) == (EHLO, False)
    assert row["id"] not in await due_for_check(limit=1000)


async def test_a_vmta_with_another_name_is_due_though_its_job_is_lost(
    client: Client, dns: DnsServer
) -> None:
    actor, address = await make_actor(), unused_address()
    point(dns, address, EHLO)
    await checked(client, actor, address)
    (row,) = await fetch("SELECT id FROM vmtas WHERE ip_address = {}", address)
    was_due = row["id"] in await due_for_check(limit=1000)

    given = {"vmta": {"id": str(row["id"])}, "hostname": "mta2.acme.example"}
    await client.data(UPDATE, {"input": given}, actor=actor)

    assert not was_due
    assert row["id"] in await due_for_check(limit=1000)


async def test_a_name_that_leads_elsewhere_is_not_confirmed(client: Client, dns: DnsServer) -> None:
    address = unused_address()
    point(dns, address, "other.acme.example")
    dns.set("other.acme.example", "AAAA", unused_address())

    found = await checked(client, await make_actor(), address)

    assert found["ptr"] == "other.acme.example"
    assert (found["forwardConfirmed"], found["ehloMatchesPtr"]) == (False, False)


async def test_an_address_without_a_name_is_told(client: Client, dns: DnsServer) -> None:
    found = await checked(client, await make_actor(), unused_address())

    assert (found["ptr"], found["forwardConfirmed"], found["ehloMatchesPtr"]) == (
        None,
        False,
        False,
    )


async def test_without_an_answer_what_was_found_stays_and_is_asked_for_again(
    client: Client, dns: DnsServer
) -> None:
    actor, address = await make_actor(), unused_address()
    point(dns, address, EHLO)
    dns.set(EHLO, "AAAA", address)
    before = await checked(client, actor, address)
    (row,) = await fetch("SELECT id FROM vmtas WHERE ip_address = {}", address)
    dns.fail(dns_name(address), "SERVFAIL")

    await check_vmta({}, vmta_id=str(row["id"]))

    (after,) = await fetch("SELECT * FROM vmtas WHERE id = {}", row["id"])
    assert (after["ptr"], after["is_forward_confirmed"]) == (EHLO, True)
    assert before["checkedAt"] is not None
    assert row["id"] not in await due_for_check(limit=1000)
    with clock.frozen(clock.now() + timedelta(minutes=16)):
        assert row["id"] in await due_for_check(limit=1000)


def dns_name(address: str) -> str:
    """Return where the name of an address is published."""
    return dns.reversename.from_address(address).to_text()
