"""Bulk actions: done to what matched when they were asked for, once, as whoever asked may."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from postlane.bulk import steps, work
from postlane.bulk.work import ask_for_open_bulk, forget_bulk_actions, run_bulk
from postlane.core import clock
from postlane.core.actor import Permission, Role
from postlane.core.database import fetch
from tests.bulk.setup import START, become, send, shown, start
from tests.client import Client
from tests.credits.books import give, left
from tests.factories import make_actor, make_organization
from tests.statements import count_statements

CANCEL = """
    mutation ($id: ID!) { cancelBulkAction(input: {bulkActionId: $id}) { bulkAction { state } } }
"""
RESEND = """
    mutation ($id: ID!, $key: String) { resendMessage(input: {id: $id, idempotencyKey: $key}) {
      receipt { uuid } message { subject tags to deliveries { address } } } }
"""


async def due(message: str) -> list[bool]:
    """Say of each delivery whether it is due."""
    rows = await fetch(
        "SELECT due_at <= {} AS yes FROM deliveries WHERE message_id = {} ORDER BY id",
        clock.now(),
        uuid.UUID(message),
    )
    return [bool(row["yes"]) for row in rows]


async def test_what_was_refused_for_now_is_due_at_once_if_it_matched(client: Client) -> None:
    actor = await make_actor()
    messages = [await send(client, actor, tags=[tag]) for tag in ("a", "a", "b")]
    for message in messages:
        await become(message, "deferred")
    id = await start(client, actor, "RETRY", {"tag": "a"})
    later = await send(client, actor, tags=["a"])
    await become(later, "deferred")

    await run_bulk(id)

    assert [await due(each) for each in (*messages, later)] == [[True], [True], [False], [False]]
    found = await shown(client, actor)
    assert (found["state"], found["messages"], found["affected"]) == ("DONE", 2, 2)
    assert (found["progress"], found["refused"]) == (1.0, 0)


async def test_recipients_that_match_are_suppressed_and_others_are_not(client: Client) -> None:
    actor = await make_actor()
    both = await send(client, actor, to=["ada@dest.example", "bob@other.example"])
    await become(both, "bounced", address="bob@other.example")
    await fetch("UPDATE spooled_messages SET status = 'partial' WHERE id = {}", uuid.UUID(both))
    bounced = await send(client, actor, to=["cleo@dest.example"])
    await become(bounced, "bounced")

    for filter in ({"recipientDomain": "other.example"}, {"statuses": ["BOUNCED"]}):
        await run_bulk(await start(client, actor, "SUPPRESS", filter))

    rows = await fetch(
        "SELECT address, reason FROM suppressions WHERE organization_id = {} ORDER BY address",
        actor.organization_id,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("bob@other.example", "manual"),
        ("cleo@dest.example", "manual"),
    ]


async def test_what_matches_is_cancelled_and_paid_back(client: Client) -> None:
    actor = await make_actor()
    await give(actor.organization_id, 10)
    messages = [await send(client, actor) for _ in range(3)]
    await become(messages[0], "delivered")

    await run_bulk(await start(client, actor, "CANCEL", {"subject": "order"}))

    states = await fetch(
        "SELECT state FROM deliveries WHERE organization_id = {} ORDER BY id",
        actor.organization_id,
    )
    assert [row["state"] for row in states] == ["delivered", "cancelled", "cancelled"]
    assert (await shown(client, actor))["affected"] == 2


async def test_of_a_message_only_recipients_that_match_are_cancelled(client: Client) -> None:
    actor = await make_actor(await make_organization(plan="trial"))
    await give(actor.organization_id, 10)
    message = await send(client, actor, to=["ada@dest.example", "bob@other.example"])
    await send(client, actor, to=["cleo@dest.example"])

    await run_bulk(await start(client, actor, "CANCEL", {"recipientDomain": "other.example"}))

    rows = await fetch(
        "SELECT address, state FROM deliveries WHERE organization_id = {} ORDER BY address",
        actor.organization_id,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("ada@dest.example", "queued"),
        ("bob@other.example", "cancelled"),
        ("cleo@dest.example", "queued"),
    ]
    open_ones = await fetch(
        "SELECT open_count FROM spooled_messages WHERE id = {}", uuid.UUID(message)
    )
    assert open_ones[0]["open_count"] == 1
    assert sum((await left(actor.organization_id)).values()) == 10 - 3 + 1


async def test_what_did_not_arrive_is_sent_again_once_to_those_who_lack_it(client: Client) -> None:
    actor = await make_actor()
    message = await send(
        client,
        actor,
        to=["ada@dest.example", "bob@dest.example"],
        tags=["vip"],
        headers=[{"name": "X-Shop", "value": "7"}],
    )
    await become(message, "delivered")
    await become(message, "bounced", address="bob@dest.example")
    id = await start(client, actor, "RESEND", {"statuses": ["BOUNCED"]})

    await run_bulk(id)
    await fetch("UPDATE bulk_actions SET state = 'running', place = NULL WHERE id = {}", id)
    await run_bulk(id)

    rows = await fetch(
        "SELECT m.id, m.subject, m.tags, m.sender_name, d.address FROM messages m "
        "JOIN deliveries d ON d.message_id = m.id WHERE m.organization_id = {} AND m.id <> {}",
        actor.organization_id,
        uuid.UUID(message),
    )
    assert [(r["subject"], r["tags"], r["sender_name"], r["address"]) for r in rows] == [
        ("Order", ["vip"], "Shop", "bob@dest.example")
    ]
    source = await client.data(
        "query ($id: ID!) { organization { message(id: $id) { to content "
        "{ text headers { name value } } } } }",
        {"id": str(rows[0]["id"])},
        actor=actor,
    )
    content = source["organization"]["message"]["content"]
    assert content["text"] == "Hello."
    assert content["headers"] == [{"name": "X-Shop", "value": "7"}]


async def test_one_message_is_sent_again(client: Client) -> None:
    actor = await make_actor()
    message = await send(client, actor, tags=["vip"])
    waiting = await client.refusal(RESEND, {"id": message}, actor=actor)
    await become(message, "expired")

    first, again = [
        (await client.data(RESEND, {"id": message, "key": "k"}, actor=actor))["resendMessage"]
        for _ in range(2)
    ]
    await fetch("DELETE FROM contents WHERE organization_id = {}", actor.organization_id)
    gone = await client.refusal(RESEND, {"id": message}, actor=actor)

    assert first["receipt"] == again["receipt"]
    assert first["message"]["deliveries"] == [{"address": "ada@dest.example"}]
    assert first["message"]["tags"] == ["vip"]
    assert (waiting, gone) == ("NOT_RESENDABLE", "NOT_RESENDABLE")


async def test_it_goes_on_where_a_worker_died(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await make_actor()
    messages = [await send(client, actor) for _ in range(7)]
    for message in messages:
        await become(message, "deferred")
    id = await start(client, actor, "RETRY", {})
    monkeypatch.setattr(work, "PAGE", 3)
    hasten, left = steps.TOGETHER["retry"], [1]

    async def dying(*given: Any) -> Any:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return await hasten(*given)

    monkeypatch.setattr(work, "TOGETHER", {"retry": dying})
    with pytest.raises(KeyboardInterrupt):
        await run_bulk(id)
    half = await shown(client, actor)
    monkeypatch.setattr(work, "TOGETHER", steps.TOGETHER)
    await asyncio.gather(run_bulk(id), run_bulk(id))

    assert (half["state"], half["messages"], half["affected"]) == ("RUNNING", 3, 3)
    assert 0 < half["progress"] < 1
    assert all([await due(message) == [True] for message in messages])
    found = await shown(client, actor)
    assert (found["state"], found["messages"], found["affected"]) == ("DONE", 7, 7)


async def test_a_page_that_keeps_failing_ends_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await make_actor()
    await send(client, actor)
    id = await start(client, actor, "RETRY", {})

    async def broken(*given: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(work, "TOGETHER", {"retry": broken})
    for _ in range(work.MOST_FAILURES):
        with pytest.raises(RuntimeError):
            await run_bulk(id)
    await run_bulk(id)

    found = await shown(client, actor)
    assert (found["state"], found["failure"]) == ("FAILED", work.BROKEN)


async def test_it_is_stopped_and_not_begun_again(client: Client) -> None:
    actor = await make_actor()
    message = await send(client, actor)
    await become(message, "deferred")
    id = await start(client, actor, "RETRY", {})

    stopped = await client.data(CANCEL, {"id": str(id)}, actor=actor)
    await ask_for_open_bulk(limit=10)
    await run_bulk(id)
    again = await client.refusal(CANCEL, {"id": str(id)}, actor=actor)

    assert stopped["cancelBulkAction"]["bulkAction"]["state"] == "CANCELLED"
    assert again == "ALREADY_FINAL"
    assert await due(message) == [False]


async def test_whoever_was_removed_or_demoted_does_nothing_any_more(client: Client) -> None:
    for change in (
        "DELETE FROM memberships WHERE user_id = {}",
        "UPDATE memberships SET role = 'viewer' WHERE user_id = {}",
        "UPDATE users SET status = 'disabled' WHERE id = {}",
    ):
        actor = await make_actor()
        message = await send(client, actor)
        await become(message, "bounced")
        id = await start(client, actor, "RESEND", {})
        await fetch(change, actor.user_id)

        await run_bulk(id)

        rows = await fetch("SELECT state, failure FROM bulk_actions WHERE id = {}", id)
        assert rows[0]["state"] == "failed", change
        assert rows[0]["failure"]
        sent = await fetch(
            "SELECT id FROM messages WHERE organization_id = {}", actor.organization_id
        )
        assert len(sent) == 1


async def test_nobody_starts_what_they_may_not_do(client: Client) -> None:
    organization = await make_organization()
    reader = await make_actor(organization, role=Role.VIEWER)
    sender = await make_actor(
        organization, permissions=frozenset({Permission.SEND_MESSAGES, Permission.READ_MESSAGES})
    )

    refused = [
        await client.refusal(START, {"input": {"kind": kind, "filter": {}}}, actor=who)
        for who, kind in ((reader, "SUPPRESS"), (reader, "RESEND"), (sender, "CANCEL"))
    ]

    assert set(refused) <= {"INSUFFICIENT_ROLE", "INSUFFICIENT_SCOPE"}


async def test_three_are_at_work_at_most(client: Client) -> None:
    actor = await make_actor()
    answers = await asyncio.gather(
        *(
            client.graphql(START, {"input": {"kind": "RETRY", "filter": {}}}, actor=actor)
            for _ in "12345"
        )
    )

    assert sum("errors" not in answer for answer in answers) == 3


async def test_a_page_costs_the_same_however_much_matches(client: Client) -> None:
    counts = []
    for size in (2, 12):
        actor = await make_actor()
        for _ in range(size):
            await become(await send(client, actor), "deferred")
        for kind in ("RETRY", "SUPPRESS"):
            id = await start(client, actor, kind, {})
            with count_statements() as counted:
                await run_bulk(id)
            counts.append((kind, len(counted)))

    assert counts[:2] == counts[2:]


async def test_what_was_done_is_forgotten_after_a_month(client: Client) -> None:
    actor = await make_actor()
    id = await start(client, actor, "RETRY", {})
    await run_bulk(id)

    with clock.frozen(clock.now() + timedelta(days=31)):
        await forget_bulk_actions()

    assert await fetch("SELECT FROM bulk_actions WHERE id = {}", id) == []
