"""What becomes of mail that waits for a vMTA which is paused or deleted."""

import asyncio
import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations
from typing import Any

import asyncpg
import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.delivery import auto_holds
from postlane.delivery.rules import queue_id
from postlane.delivery.work import Settlement, claim_batch, settle_batch
from postlane.mail.outcome import outcome_of_reply
from tests.billing.setup import settings_with
from tests.client import Client
from tests.credits.books import give, ledger
from tests.factories import make_actor, make_domain, make_organization
from tests.security.test_races import until_waiting

from .setup import INVENTORY, unused_address

SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { uuid } } }"
CREATE = "mutation ($input: CreateVmtaInput!) { createVmta(input: $input) { vmta { uuid } } }"
PAUSE = """mutation ($input: PauseVmtaInput!) { pauseVmta(input: $input) {
    vmta { status } rerouted waiting inFlight } }"""
RESUME = "mutation ($input: ResumeVmtaInput!) { resumeVmta(input: $input) { vmta { status } } }"
DELETE = """mutation ($input: DeleteVmtaInput!) { deleteVmta(input: $input) {
    deletedUuid reassigned cancelled } }"""

OURS = {"vmta": {"name": "tx-1"}}


@pytest.fixture(autouse=True)
def inventory() -> Iterator[None]:
    """The deployment has addresses that nobody uses."""
    with settings_with(source_addresses=INVENTORY):
        yield


@pytest.fixture
async def actor(client: Client) -> Actor:
    """Somebody with one vMTA, for which two recipients wait by its pool and one by its name."""
    actor = await make_actor()
    await make(client, actor, "tx-1")
    await send(client, actor, "ada@a.example", "bob@b.example", pool="bulk")
    await send(client, actor, "eve@a.example", vmta="tx-1")
    return actor


async def make(client: Client, actor: Actor, name: str, **values: Any) -> str:
    wanted = {"name": name, "ipAddress": unused_address(), "hostname": "mta1.example.com"}
    wanted |= {"pool": "bulk"} | values
    data = await client.data(CREATE, {"input": wanted}, actor=actor)
    found: str = data["createVmta"]["vmta"]["uuid"]
    return found


async def send(client: Client, actor: Actor, *to: str, **route: str) -> None:
    domain = await make_domain(actor.organization_id)
    body = {"from": f"shop@{domain.name}", "to": list(to), "subject": "Hello", "text": "Hello."}
    await client.data(SEND, {"input": body | route}, actor=actor)


async def pause(client: Client, actor: Actor, **given: Any) -> tuple[int, int, int]:
    """Pause `tx-1` and return what was rerouted, what waits, what is on the wire."""
    paused = (await client.data(PAUSE, {"input": OURS | given}, actor=actor))["pauseVmta"]
    assert paused["vmta"]["status"] == "PAUSED"
    return paused["rerouted"], paused["waiting"], paused["inFlight"]


async def delete(client: Client, actor: Actor, **given: Any) -> tuple[int, int]:
    """Delete `tx-1` and return how many recipients were moved, and cancelled."""
    deleted = (await client.data(DELETE, {"input": OURS | given}, actor=actor))["deleteVmta"]
    return deleted["reassigned"], deleted["cancelled"]


async def waiting(actor: Actor) -> dict[str, list[str]]:
    """Return the open recipients by the vMTA they wait for."""
    rows = await fetch(
        "SELECT vmtas.name, address FROM deliveries JOIN queues ON queues.id = queue_id "
        "LEFT JOIN vmtas ON vmtas.id = queues.vmta_id "
        "WHERE deliveries.organization_id = {} AND due_at IS NOT NULL ORDER BY address",
        actor.organization_id,
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row["address"])
    return found


async def claim_all(actor: Actor) -> list[Any]:
    rows = await fetch("SELECT id FROM queues WHERE organization_id = {}", actor.organization_id)
    return [claim for row in rows for claim in await claim_batch(row["id"])]


ALL = ["ada@a.example", "bob@b.example", "eve@a.example"]


async def test_a_pause_reroutes_what_came_by_the_pool(client: Client, actor: Actor) -> None:
    await make(client, actor, "tx-2")

    paused = await pause(client, actor)

    assert paused == (2, 1, 0)
    assert await waiting(actor) == {
        "tx-1": ["eve@a.example"],
        "tx-2": ["ada@a.example", "bob@b.example"],
    }
    # What moved goes out at once; what names the vMTA waits for it.
    assert sorted(claim.address for claim in await claim_all(actor)) == ALL[:2]


async def test_an_auto_block_reroutes_as_a_pause_does(client: Client, actor: Actor) -> None:
    await make(client, actor, "tx-2")
    (row,) = await fetch(
        "SELECT id FROM vmtas WHERE organization_id = {} AND name = 'tx-1'", actor.organization_id
    )

    async with transaction() as tx:
        is_new = await auto_holds.pause_vmta(
            tx, actor.organization_id, row["id"], "Blocked by receivers", until=None
        )

    assert is_new
    assert await waiting(actor) == {
        "tx-1": ["eve@a.example"],
        "tx-2": ["ada@a.example", "bob@b.example"],
    }
    assert sorted(claim.address for claim in await claim_all(actor)) == ALL[:2]


async def test_a_pause_without_rerouting_moves_nothing(client: Client, actor: Actor) -> None:
    await make(client, actor, "tx-2")

    paused = await pause(client, actor, reroute=False)

    assert paused == (0, 3, 0)
    assert await waiting(actor) == {"tx-1": ALL}
    assert await claim_all(actor) == []


@pytest.mark.parametrize(
    "values",
    [{"pool": "other"}, {"weight": 0}, {"allowedDomains": ["shop.example"]}],
    ids=["another pool", "by name only", "for other domains"],
)
async def test_mail_is_rerouted_only_to_who_takes_it(
    client: Client, actor: Actor, values: dict[str, Any]
) -> None:
    await make(client, actor, "tx-2", **values)

    paused = await pause(client, actor)

    assert paused == (0, 3, 0)
    assert await waiting(actor) == {"tx-1": ALL}


async def test_what_is_on_the_wire_stays_where_it_is(client: Client, actor: Actor) -> None:
    await make(client, actor, "tx-2")
    claims = await claim_all(actor)

    paused = await pause(client, actor)

    assert len(claims) == 3
    assert paused == (0, 0, 3)


@pytest.mark.parametrize("others", [0, 1])
async def test_a_vmta_with_mail_is_not_deleted_by_the_way(
    client: Client, actor: Actor, others: int
) -> None:
    for number in range(others):
        await make(client, actor, f"tx-{number + 2}")

    refused = await client.refusal(DELETE, {"input": OURS}, actor=actor)

    assert refused == ("VMTA_IN_USE" if others else "LAST_VMTA")
    assert await waiting(actor) == {"tx-1": ALL}
    states = await fetch(
        "SELECT DISTINCT status FROM vmtas WHERE organization_id = {}", actor.organization_id
    )
    assert [row["status"] for row in states] == ["active"]


@pytest.mark.parametrize("to", ["name", "uuid", "pool"])
async def test_mail_of_a_deleted_vmta_goes_to_another(
    client: Client, actor: Actor, to: str
) -> None:
    uuid = await make(client, actor, "tx-2", pool="spare")
    target = {"name": "tx-2", "uuid": uuid, "pool": "spare"}[to]

    deleted = await delete(client, actor, reassignTo=target)

    assert deleted == (3, 0)
    assert await waiting(actor) == {"tx-2": ALL}
    assert sorted(claim.address for claim in await claim_all(actor)) == ALL


async def test_mail_does_not_go_to_a_stranger(client: Client, actor: Actor) -> None:
    theirs = await make(client, await make_actor(), "theirs")

    for target in (theirs, "theirs"):
        body = await client.graphql(DELETE, {"input": OURS | {"reassignTo": target}}, actor=actor)
        (detail,) = body["errors"][0]["extensions"]["details"]
        assert (detail["field"], detail["code"]) == ("reassignTo", "NOT_FOUND")

    assert await waiting(actor) == {"tx-1": ALL}


async def test_an_attempt_that_was_under_way_counts_although_the_vmta_is_gone(
    client: Client, actor: Actor
) -> None:
    await make(client, actor, "tx-2")
    claims = await claim_all(actor)
    sent = outcome_of_reply(
        250, "2.0.0 Ok", started_at=clock.now(), duration=timedelta(milliseconds=5)
    )

    deleted = await delete(client, actor, reassignTo="tx-2")
    settled = await settle_batch([Settlement(claim, "tx-1", sent) for claim in claims])

    assert deleted == (3, 0)
    assert settled == 3
    assert await waiting(actor) == {}
    assert await claim_all(actor) == []


async def test_force_cancels_what_waits_and_pays_it_back(client: Client) -> None:
    actor = await make_actor(await make_organization(plan="professional"))
    await make(client, actor, "tx-1")
    await give(actor.organization_id, 10)
    await send(client, actor, *ALL, pool="bulk")

    deleted = await delete(client, actor, force=True)

    assert deleted == (0, 3)
    assert await waiting(actor) == {}
    entries = await ledger(actor.organization_id)
    assert entries[-2:] == [("balance", "used", "send", 3), ("used", "balance", "refund", 3)]
    events = await fetch(
        "SELECT count(*) AS n FROM events WHERE organization_id = {} "
        "AND type = 'message.cancelled'",
        actor.organization_id,
    )
    assert events[0]["n"] == 3


async def test_force_deletes_the_last_one_too(client: Client, actor: Actor) -> None:
    assert await delete(client, actor, force=True) == (0, 3)

    rows = await fetch("SELECT FROM vmtas WHERE organization_id = {}", actor.organization_id)
    assert list(rows) == []


async def test_a_vmta_is_resumed_while_its_queues_are_summed_up(
    client: Client, database_url: str
) -> None:
    actor = await make_actor()
    vmta_id = uuid.UUID(await make(client, actor, "tx-1"))
    await pause(client, actor)
    # The queue that is locked last lies first.
    later, earlier = sorted((new_id() for _ in range(2)), reverse=True)
    for id in (later, earlier):
        await fetch(
            "INSERT INTO queues (id, organization_id, vmta_id, domain, state, created_at, isp, "
            "scheduled, queued, sending, deferred, depth) "
            "VALUES ({}, {}, {}, {}, 'active', now(), 'other', 0, 1, 0, 0, 1)",
            *(id, actor.organization_id, vmta_id, f"{id.hex}.example"),
        )
    lock = "SELECT FROM queues WHERE id = $1::text::uuid FOR NO KEY UPDATE"

    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(lock, str(earlier))
            resuming = asyncio.create_task(client.data(RESUME, {"input": OURS}, actor=actor))
            await until_waiting(1)
            await connection.execute(lock, str(later))
    finally:
        await connection.close()

    assert (await resuming)["resumeVmta"]["vmta"]["status"] == "ACTIVE"


async def test_a_vmta_is_paused_while_mail_makes_the_queues_that_its_own_goes_to(
    client: Client, database_url: str
) -> None:
    actor = await make_actor()
    from_id = uuid.UUID(await make(client, actor, "tx-1"))
    domains = [f"d{n}.example" for n in range(20)]
    await send(client, actor, *(f"ada@{name}" for name in domains), pool="bulk")
    to_id = uuid.UUID(await make(client, actor, "tx-2"))

    def queue_of(vmta_id: uuid.UUID, domain: str) -> uuid.UUID:
        return queue_id(actor.organization_id, vmta_id, domain)

    # Its own queues go one after the other; those they become are made the other way round.
    first, second = next(
        (one, other)
        for one, other in permutations(domains, 2)
        if queue_of(from_id, one) < queue_of(from_id, other)
        and queue_of(to_id, one) > queue_of(to_id, other)
    )
    insert = (
        "INSERT INTO queues (id, organization_id, vmta_id, domain, state, created_at, isp, "
        "scheduled, queued, sending, deferred, depth, emptied_at) VALUES ($1::text::uuid, "
        "$2::text::uuid, $3::text::uuid, $4, 'active', now(), 'other', 0, 0, 0, 0, 0, 'epoch')"
    )

    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            for domain in (second, first):
                if domain == first:
                    pausing = asyncio.create_task(pause(client, actor))
                    await until_waiting(1)
                ids = [
                    str(each) for each in (queue_of(to_id, domain), actor.organization_id, to_id)
                ]
                await connection.execute(insert, *ids, domain)
    finally:
        await connection.close()

    assert await pausing == (20, 0, 0)
