"""Queues as their users see them, and what they do to them."""

from datetime import timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.actor import Actor, Role
from postlane.core.database import fetch
from postlane.delivery.queue_operations import flush_queue
from postlane.delivery.rules import DeliveryState, RestReason
from postlane.delivery.work import (
    ANY_WAITING,
    Settlement,
    claim_batch,
    due_queues,
    expire_waiting,
    flushing,
    go_on_flushing,
    rest_queue,
    roll_up,
    settle_batch,
    waiting_at,
)
from postlane.mail.outcome import outcome_of_reply
from postlane.vmtas.tables import Vmta
from tests.client import Client
from tests.delivery.spool import Spooled, make_many, make_spooled
from tests.factories import make_actor, make_organization

QUEUES = """query ($filter: QueueFilter, $order: QueueOrder! = DEPTH, $first: Int, $after: String) {
  organization { queues(filter: $filter, orderBy: $order, first: $first, after: $after) {
    nodes { name state depth ready deferred inFlight scheduled deliveredLastHour
      oldestMessageAt nextAttemptAt connections isp hold { reason source until }
      limits { maxConnections maxMessagesPerConnection maxMessagesPerHour } }
    pageInfo { endCursor hasNextPage } totalCount } } }"""
ACT = """mutation ($id: ID!, $reason: String, $seconds: Int) {
  holdQueue(input: {queue: $id, reason: $reason, durationSeconds: $seconds}) {
    affected queue { state hold { reason until } } } }"""


async def queues_of(client: Client, actor: Actor, **variables: Any) -> list[dict[str, Any]]:
    data = await client.data(QUEUES, variables, actor=actor)
    nodes: list[dict[str, Any]] = data["organization"]["queues"]["nodes"]
    return nodes


async def refused_with(
    client: Client, query: str, variables: dict[str, Any], *, actor: Actor
) -> dict[str, Any]:
    body = await client.graphql(query, variables, actor=actor)
    (error,) = body["errors"]
    extensions: dict[str, Any] = error["extensions"]
    return extensions


async def send(spooled: Spooled, code: int, text: str) -> None:
    claims = await claim_batch(spooled.queue_id)
    outcome = outcome_of_reply(code, text, started_at=clock.now())
    await settle_batch([Settlement(claim, "default", outcome) for claim in claims])


async def test_what_waits_is_counted_by_state(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    deferred = await make_spooled("a@one.example", organization=organization)
    await send(deferred, 451, "4.3.0 Later")
    await make_many([["b@one.example"], ["c@one.example"]], organization=organization)
    await claim_batch(deferred.queue_id, 1)
    await make_spooled(
        "d@one.example",
        organization=organization,
        state=DeliveryState.SCHEDULED,
        due_at=clock.now() + timedelta(days=1),
    )
    sent = await make_spooled("e@two.example", organization=organization)
    await send(sent, 250, "OK")
    await roll_up()

    one, two = await queues_of(client, actor)

    assert (one["name"], one["state"], one["isp"]) == ("one.example/default", "ACTIVE", "OTHER")
    assert (one["depth"], one["ready"], one["deferred"]) == (3, 1, 1)
    assert (one["inFlight"], one["scheduled"]) == (1, 1)
    assert one["limits"] == {
        "maxConnections": 10,
        "maxMessagesPerConnection": 100,
        "maxMessagesPerHour": 3000,
    }
    assert (two["name"], two["depth"], two["deliveredLastHour"]) == ("two.example/default", 0, 1)
    assert two["oldestMessageAt"] is two["nextAttemptAt"] is None


async def test_the_counters_agree_with_the_rows_whatever_happens(client: Client) -> None:
    organization = await make_organization()
    made = await make_many([[f"u{n}@one.example"] for n in range(40)], organization=organization)
    replies = [(250, "OK"), (451, "4.3.0 Later"), (550, "5.1.1 No such user")]
    for number in range(4):
        claims = await claim_batch(made[0].queue_id, 10)
        code, text = replies[number % 3]
        outcome = outcome_of_reply(code, text, started_at=clock.now()) if number < 3 else None
        await settle_batch([Settlement(claim, "default", outcome) for claim in claims])
    await claim_batch(made[0].queue_id, 5)
    await fetch("DELETE FROM deliveries WHERE message_id = {}", made[39].id)
    await roll_up()

    counted = await fetch(
        "SELECT queued, sending, deferred, depth FROM queues WHERE organization_id = {}",
        organization.id,
    )
    rows = await fetch(
        "SELECT count(*) FILTER (WHERE state = 'queued') AS queued, "
        "count(*) FILTER (WHERE state = 'sending') AS sending, "
        "count(*) FILTER (WHERE state = 'deferred') AS deferred, "
        "count(*) FILTER (WHERE due_at IS NOT NULL) AS depth "
        "FROM deliveries WHERE organization_id = {}",
        organization.id,
    )
    assert counted == rows
    assert rows[0]["sending"] == 5


async def test_sandbox_mail_is_in_no_queue(client: Client) -> None:
    organization = await make_organization()
    spooled = await make_spooled("a@one.example", organization=organization)
    await fetch("UPDATE deliveries SET due_at = NULL WHERE message_id = {}", spooled.id)
    await fetch("UPDATE queues SET emptied_at = 'epoch' WHERE id = {}", spooled.queue_id)
    await roll_up()
    await fetch("UPDATE queues SET emptied_at = 'epoch' WHERE id = {}", spooled.queue_id)

    assert await queues_of(client, await make_actor(organization)) == []


async def test_pages_go_through_every_queue_once_in_every_order(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    for number in range(5):
        addresses = [f"u{n}@d{number}.example" for n in range(1 + number % 3)]
        await make_spooled(*addresses, organization=organization)
    await roll_up()

    for order, key in (
        ("DEPTH", lambda q: -q["depth"]),
        ("DEPTH_ASCENDING", lambda q: q["depth"]),
        ("NAME", lambda q: q["name"]),
        ("OLDEST_MESSAGE_AT", lambda q: q["oldestMessageAt"]),
    ):
        seen: list[dict[str, Any]] = []
        after = None
        for _ in range(4):
            data = await client.data(
                QUEUES, {"order": order, "first": 2, "after": after}, actor=actor
            )
            page = data["organization"]["queues"]
            seen += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert [q["name"] for q in sorted(seen, key=key)] == sorted(
            [q["name"] for q in seen], key=[q["name"] for q in seen].index
        )
        assert len({q["name"] for q in seen}) == len(seen) == page["totalCount"] == 5


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"domain": "ONE.example"}, ["one.example/default"]),
        ({"isp": "GOOGLE"}, ["gmail.com/default"]),
        ({"minDepth": 2}, ["one.example/default"]),
        ({"states": ["HELD"]}, []),
        ({"vmta": "default"}, ["one.example/default", "gmail.com/default"]),
        ({"vmta": "other"}, []),
        ({"pool": "default'--"}, []),
    ],
)
async def test_filters_choose_queues(client: Client, wanted: Any, names: list[str]) -> None:
    organization = await make_organization()
    await make_spooled("a@one.example", "b@one.example", organization=organization)
    await make_spooled("c@gmail.com", organization=organization)
    await roll_up()

    found = await queues_of(client, await make_actor(organization), filter=wanted)

    assert [queue["name"] for queue in found] == names


async def test_a_held_queue_attempts_nothing_until_its_time_is_up(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    spooled = await make_spooled("a@one.example", organization=organization)
    await roll_up()

    data = await client.data(
        ACT, {"id": str(spooled.queue_id), "reason": "A block", "seconds": 60}, actor=actor
    )

    held = data["holdQueue"]
    assert (held["affected"], held["queue"]["state"]) == (1, "HELD")
    assert held["queue"]["hold"]["reason"] == "A block"
    assert await claim_batch(spooled.queue_id) == []
    with clock.frozen(clock.now() + timedelta(seconds=61)):
        await roll_up()
        assert [queue["state"] for queue in await queues_of(client, actor)] == ["ACTIVE"]
        assert len(await claim_batch(spooled.queue_id)) == 1
    assert await _audited(organization) == ["queue.held"]


async def test_holding_again_changes_reason_and_duration(client: Client) -> None:
    actor, spooled = await _one_queue()

    for reason, seconds in (("One", 60), ("Two", None)):
        data = await client.data(
            ACT, {"id": str(spooled.queue_id), "reason": reason, "seconds": seconds}, actor=actor
        )

    assert data["holdQueue"]["queue"]["hold"] == {"reason": "Two", "until": None}


async def test_releasing_what_is_not_held_does_nothing(client: Client) -> None:
    actor, spooled = await _one_queue()

    data = await client.data(
        "mutation ($id: ID!) { releaseQueue(input: {queue: $id}) { affected queue { state } } }",
        {"id": str(spooled.queue_id)},
        actor=actor,
    )

    assert data["releaseQueue"] == {"affected": 0, "queue": {"state": "ACTIVE"}}
    assert await _audited(spooled.organization) == []


FLUSH = "mutation ($id: ID!) { flushQueue(input: {queue: $id}) { affected queue { state } } }"


async def test_a_flush_makes_everything_deferred_due_in_steps(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "STEP", 4)
    organization = await make_organization()
    actor = await make_actor(organization)
    made = await make_many([[f"u{n}@one.example"] for n in range(10)], organization=organization)
    await send(made[0], 451, "4.3.0 Later")
    await roll_up()

    data = await client.data(FLUSH, {"id": str(made[0].queue_id)}, actor=actor)
    first = len(await claim_batch(made[0].queue_id))
    for _ in range(3):
        await go_on_flushing()
    rest = len(await claim_batch(made[0].queue_id))

    assert data["flushQueue"]["affected"] == 10
    assert (first, rest) == (4, 6)
    rows = await fetch("SELECT flushed_at FROM queues WHERE id = {}", made[0].queue_id)
    assert rows == [{"flushed_at": None}]


async def test_a_queue_that_may_not_send_is_not_flushed(client: Client) -> None:
    actor, spooled = await _one_queue()
    vmta = Vmta(organization_id=spooled.organization.id, name="paused", status="paused")
    await vmta.save()
    paused = await make_spooled("p@one.example", organization=spooled.organization, vmta_id=vmta.id)
    await roll_up()
    await client.data(ACT, {"id": str(spooled.queue_id)}, actor=actor)

    held = await refused_with(client, FLUSH, {"id": str(spooled.queue_id)}, actor=actor)
    waits = await refused_with(client, FLUSH, {"id": str(paused.queue_id)}, actor=actor)

    assert (held["code"], waits["code"]) == ("QUEUE_HELD", "VMTA_PAUSED")


async def test_what_an_auto_block_holds_is_not_released(client: Client) -> None:
    actor, spooled = await _one_queue()
    await fetch(
        "UPDATE queues SET state = 'held', hold_source = 'auto_block', held_at = now() "
        "WHERE id = {}",
        spooled.queue_id,
    )
    release = "mutation ($id: ID!) { releaseQueue(input: {queue: $id}) { affected } }"

    refused = await refused_with(client, release, {"id": str(spooled.queue_id)}, actor=actor)

    assert refused["code"] == "AUTO_BLOCK_ACTIVE"


@pytest.mark.parametrize(
    ("said", "field"),
    [({"seconds": 59}, "durationSeconds"), ({"seconds": 604_801}, "durationSeconds"),
     ({"reason": "x" * 201}, "reason")],
)  # fmt: skip
async def test_a_hold_out_of_range_is_refused(
    client: Client, said: dict[str, Any], field: str
) -> None:
    actor, spooled = await _one_queue()

    refused = await refused_with(client, ACT, {"id": str(spooled.queue_id), **said}, actor=actor)

    assert [detail["field"] for detail in refused["details"]] == [field]
    assert await queues_of(client, actor, filter={"states": ["HELD"]}) == []


async def test_a_viewer_reads_queues_and_changes_none(client: Client) -> None:
    _, spooled = await _one_queue()
    viewer = await make_actor(spooled.organization, role=Role.VIEWER)

    refused = await refused_with(client, ACT, {"id": str(spooled.queue_id)}, actor=viewer)

    assert refused["code"] == "INSUFFICIENT_ROLE"
    assert [queue["state"] for queue in await queues_of(client, viewer)] == ["ACTIVE"]


async def test_an_empty_queue_leaves_the_list_in_an_hour_and_is_gone_in_a_day(
    client: Client,
) -> None:
    actor, spooled = await _one_queue()
    await send(spooled, 250, "OK")
    await roll_up()
    one = "query ($id: ID!) { organization { queue(id: $id) { depth } } }"
    now = clock.now()

    with clock.frozen(now + timedelta(minutes=59)):
        assert len(await queues_of(client, actor)) == 1
    with clock.frozen(now + timedelta(minutes=61)):
        assert await queues_of(client, actor) == []
        assert await client.data(one, {"id": str(spooled.queue_id)}, actor=actor)
    with clock.frozen(now + timedelta(hours=25)):
        refused = await refused_with(client, one, {"id": str(spooled.queue_id)}, actor=actor)
    assert refused["code"] == "NOT_FOUND"


async def test_organizations_take_turns_in_the_sweep(own_database: str) -> None:
    busy, other = await make_organization(), await make_organization()
    for number in range(30):
        await make_spooled(f"a@d{number}.example", organization=busy)
    late = await make_spooled("b@late.example", organization=other)
    await roll_up()

    found = [queue.queue_id for queue in await due_queues()]

    assert len(found) == 31
    assert late.queue_id in found[:2]
    assert [queue.queue_id for queue in await due_queues(share=1)].count(late.queue_id) == 1
    assert len(await due_queues(share=1)) == 2


async def test_a_queue_whose_time_is_out_of_date_hides_no_other(own_database: str) -> None:
    organization = await make_organization()
    held = await make_spooled("a@held.example", organization=organization)
    due = await make_spooled("b@due.example", organization=organization)
    await roll_up()
    # A worker has it under a lease that it has renewed, of which the queue does not know.
    await fetch(
        "UPDATE deliveries SET due_at = {} WHERE queue_id = {}",
        clock.now() + timedelta(minutes=1),
        held.queue_id,
    )
    await fetch("DELETE FROM queue_changes")
    await fetch(
        "UPDATE queues SET next_due_at = {} WHERE id = {}",
        clock.now() - timedelta(minutes=5),
        held.queue_id,
    )

    [row] = await fetch(f"SELECT {ANY_WAITING} AS any", *waiting_at(clock.now()))

    assert [queue.queue_id for queue in await due_queues()] == [due.queue_id]
    assert row["any"]


async def _one_queue() -> tuple[Actor, Spooled]:
    organization = await make_organization()
    spooled = await make_spooled("a@one.example", organization=organization)
    await roll_up()
    return await make_actor(organization), spooled


async def _audited(organization: Organization) -> list[str]:
    rows = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {} ORDER BY id", organization.id
    )
    return [row["action"] for row in rows]


async def test_a_flushed_queue_that_rested_is_due_although_nobody_came(own_database: str) -> None:
    resting = await make_spooled("a@rested.example")
    await roll_up()
    await rest_queue(resting.queue_id, clock.now() + timedelta(hours=1), RestReason.LIMIT)
    assert await due_queues() == []

    await flush_queue(await make_actor(resting.organization), resting.queue_id)

    assert [queue.queue_id for queue in await due_queues()] == [resting.queue_id]


@pytest.mark.parametrize("by", ["hold", "pause"])
async def test_the_time_of_mail_runs_on_while_its_queue_sends_nothing(
    client: Client, by: str
) -> None:
    organization = await make_organization()
    vmta = Vmta(organization_id=organization.id, name="resting", hostname="")
    await vmta.save()
    soon, later = clock.now() + timedelta(minutes=5), clock.now() + timedelta(hours=1)
    short, long = [
        await make_spooled(
            "a@one.example", organization=organization, vmta_id=vmta.id, expires_at=at
        )
        for at in (soon, later)
    ]
    sends = await make_spooled("a@two.example", organization=organization, expires_at=soon)
    await roll_up()
    if by == "hold":
        await fetch("UPDATE queues SET state = 'held' WHERE id = {}", short.queue_id)
    else:
        await fetch("UPDATE vmtas SET status = 'paused' WHERE id = {}", vmta.id)

    with clock.frozen(clock.now() + timedelta(minutes=6)):
        await expire_waiting()

    assert [await each.state() for each in (short, long, sends)] == ["expired", "queued", "queued"]
    assert (await short.events(), (await short.delivery()).attempts) == (["message.expired"], 0)
    assert (await short.message()).completed_at is not None
