"""How bulk actions go on: as whoever asked is by now, within bounds, and after what passes."""

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postlane.bulk import steps, work
from postlane.bulk.operations import cancel_bulk_action
from postlane.bulk.rules import LONGEST_WAIT
from postlane.bulk.work import run_bulk
from postlane.core import clock
from postlane.core.actor import Actor, ActorKind, ApiKeyId, Mode, ProjectId
from postlane.core.database import fetch
from postlane.core.ids import new_id
from tests.bulk.setup import become, send, shown, start
from tests.client import Client
from tests.credits.books import give
from tests.factories import (
    make_actor,
    make_api_key,
    make_domain,
    make_membership,
    make_organization,
    make_project,
)


async def key_actor(mode: Mode = Mode.LIVE) -> Actor:
    """Return a key of a project, as it signs in."""
    organization = await make_organization()
    membership = await make_membership(organization)
    project = await make_project(organization)
    key = await make_api_key(
        organization, membership=membership, mode=mode.value, project_id=project.id
    )
    return await make_actor(
        organization,
        kind=ActorKind.API_KEY,
        user_id=membership.user_id,
        api_key_id=ApiKeyId(key.row.id),
        project_id=ProjectId(project.id),
        mode=mode,
    )


async def sent_again(actor: Actor, message: str) -> list[str]:
    """Return the modes of what was sent beside *message*."""
    rows = await fetch(
        "SELECT mode FROM messages WHERE organization_id = {} AND id <> {}",
        actor.organization_id,
        uuid.UUID(message),
    )
    return [row["mode"] for row in rows]


async def bounced_and_asked(client: Client, actor: Actor) -> tuple[str, uuid.UUID]:
    """Return a live message of the project that bounced, and the bulk action that resends it."""
    message = await send(client, replace(actor, mode=Mode.LIVE))
    await become(message, "bounced")
    return message, await start(client, actor, "RESEND", {})


@pytest.mark.parametrize(
    ("mode", "change", "then"),
    [
        (Mode.LIVE, None, ["live"]),
        (Mode.SANDBOX, None, ["sandbox"]),
        # However the key was changed since: what it might not do then is not done.
        (Mode.SANDBOX, "UPDATE api_keys SET mode = 'live' WHERE id = {}", ["sandbox"]),
        (
            Mode.LIVE,
            "UPDATE projects SET mode = 'sandbox' "
            "WHERE id = (SELECT project_id FROM api_keys WHERE id = {})",
            ["sandbox"],
        ),
    ],
)
async def test_what_a_key_in_the_sandbox_asks_for_stays_there(
    client: Client, mode: Mode, change: Any, then: list[str]
) -> None:
    actor = await key_actor(mode)
    message, id = await bounced_and_asked(client, actor)
    if change:
        await fetch(change, actor.api_key_id)

    await run_bulk(id)

    assert await sent_again(actor, message) == then


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE api_keys SET blocked_by = gen_random_uuid() WHERE id = {}",
        "UPDATE api_keys SET membership_id = NULL WHERE id = {}",
        "UPDATE projects SET archived_at = now() "
        "WHERE id = (SELECT project_id FROM api_keys WHERE id = {})",
    ],
)
async def test_a_key_that_could_not_sign_in_does_nothing_any_more(
    client: Client, change: Any
) -> None:
    actor = await key_actor()
    message, id = await bounced_and_asked(client, actor)
    await fetch(change, actor.api_key_id)

    await run_bulk(id)

    [row] = await fetch("SELECT state, failure FROM bulk_actions WHERE id = {}", id)
    assert (row["state"], row["failure"]) == ("failed", work.NOBODY)
    assert await sent_again(actor, message) == []


async def ask_for_second_factors(actor: Actor) -> None:
    await fetch(
        "UPDATE organizations SET requires_second_factor = true WHERE id = {}",
        actor.organization_id,
    )


@pytest.mark.parametrize("has_one", [True, False])
async def test_a_person_without_the_second_factor_that_is_asked_for_does_nothing_any_more(
    client: Client, has_one: bool
) -> None:
    actor = await make_actor()
    message, id = await bounced_and_asked(client, actor)
    await ask_for_second_factors(actor)
    if has_one:
        await fetch("UPDATE users SET second_factor_at = now() WHERE id = {}", actor.user_id)

    await run_bulk(id)

    [row] = await fetch("SELECT state, failure FROM bulk_actions WHERE id = {}", id)
    refused = ("failed", "The organization asks for a second factor: set one up first.")
    assert (row["state"], row["failure"]) == (("done", None) if has_one else refused)
    assert len(await sent_again(actor, message)) == has_one


async def test_a_key_goes_on_where_people_are_asked_for_a_second_factor(client: Client) -> None:
    actor = await key_actor()
    message, id = await bounced_and_asked(client, actor)
    await ask_for_second_factors(actor)

    await run_bulk(id)

    assert len(await sent_again(actor, message)) == 1


async def block(actor: Actor, *, until: Any, name: str | None = None) -> None:
    """Let an auto-block keep a domain, or all that there are, from sending."""
    await fetch(
        "UPDATE domains SET blocked_by = {}, blocked_until = {}::timestamptz "
        "WHERE organization_id = {} AND ({}::text IS NULL OR name = {})",
        new_id(),
        until,
        actor.organization_id,
        name,
        name,
    )


async def bounced_from(client: Client, actor: Actor, senders: str) -> dict[str, str]:
    """Let a message bounce for each letter, from the domain of that letter; return their names."""
    names = {
        letter: (await make_domain(actor.organization_id)).name for letter in sorted(set(senders))
    }
    for nth, letter in enumerate(senders):
        values = {"from": f"shop@{names[letter]}", "subject": f"{letter}{nth}"}
        await become(await send(client, actor, **values), "bounced")
    return names


async def subjects_sent_again(actor: Actor) -> list[str]:
    rows = await fetch(
        "SELECT m.subject FROM messages m JOIN spooled_messages s ON s.id = m.id "
        "WHERE m.organization_id = {} AND s.status <> 'bounced' ORDER BY m.id",
        actor.organization_id,
    )
    return [row["subject"] for row in rows]


async def test_a_block_that_ends_is_waited_for(client: Client) -> None:
    actor = await make_actor()
    messages = [await send(client, actor) for _ in range(3)]
    for message in messages:
        await become(message, "bounced")
    id = await start(client, actor, "RESEND", {"statuses": ["BOUNCED"]})
    await block(actor, until=clock.now() + timedelta(hours=1))

    await run_bulk(id)
    await run_bulk(id)
    blocked = await shown(client, actor)
    with clock.frozen(clock.now() + timedelta(hours=2)):
        await run_bulk(id)
    done = await shown(client, actor)

    assert (blocked["state"], blocked["waiting"], blocked["refused"]) == ("RUNNING", 3, 0)
    assert blocked["progress"] == 0.0
    assert (done["state"], done["affected"], done["refused"]) == ("DONE", 3, 0)
    assert (done["waiting"], done["waitingFor"], done["progress"]) == (0, None, 1.0)
    [row] = await fetch(
        "SELECT count(*) AS n FROM messages WHERE organization_id = {}", actor.organization_id
    )
    assert row["n"] == 6


@pytest.mark.parametrize("page", [1, 2, 20])
async def test_mail_of_other_domains_does_not_wait_for_a_block(
    client: Client, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(work, "SMALL_PAGE", page)
    actor = await make_actor()
    names = await bounced_from(client, actor, "abacba")
    id = await start(client, actor, "RESEND", {"statuses": ["BOUNCED"]})
    await block(actor, until=clock.now() + timedelta(hours=1), name=names["a"])
    await block(actor, until=clock.now() + timedelta(hours=5), name=names["c"])

    await run_bulk(id)
    others = await shown(client, actor)
    first = await subjects_sent_again(actor)
    with clock.frozen(clock.now() + timedelta(hours=2)):
        for _ in range(3):
            await run_bulk(id)
        one_left = await shown(client, actor)
    with clock.frozen(clock.now() + timedelta(hours=6)):
        await run_bulk(id)
    done = await shown(client, actor)

    assert first == ["b4", "b1"]
    assert (others["state"], others["messages"], others["affected"]) == ("RUNNING", 6, 2)
    assert others["waiting"] == 4
    assert (one_left["state"], one_left["affected"], one_left["waiting"]) == ("RUNNING", 5, 1)
    assert names["c"] in one_left["waitingFor"]
    assert (done["state"], done["messages"], done["affected"]) == ("DONE", 6, 6)
    assert (done["waiting"], done["refused"]) == (0, 0)
    assert await subjects_sent_again(actor) == ["b4", "b1", "a5", "a2", "a0", "c3"]


async def test_what_was_passed_over_is_sent_once_though_the_block_ended_meanwhile(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await make_actor()
    await bounced_from(client, actor, "aaaa")
    id = await start(client, actor, "RESEND", {"statuses": ["BOUNCED"]})
    await block(actor, until=None)
    leave = work.leave

    async def unblocking(*given: Any) -> Any:
        await fetch(
            "UPDATE domains SET blocked_by = NULL WHERE organization_id = {}",
            actor.organization_id,
        )
        return await leave(*given)

    monkeypatch.setattr(work, "leave", unblocking)
    await run_bulk(id)

    found = await shown(client, actor)
    assert (found["state"], found["messages"], found["affected"]) == ("DONE", 4, 4)
    assert await subjects_sent_again(actor) == ["a3", "a2", "a1", "a0"]


async def test_sandbox_mail_waits_for_no_block(client: Client) -> None:
    actor = await make_actor()
    await bounced_from(client, actor, "aa")
    await fetch(
        "UPDATE messages SET mode = 'sandbox' WHERE organization_id = {} AND subject = 'a0'",
        actor.organization_id,
    )
    id = await start(client, actor, "RESEND", {"statuses": ["BOUNCED"]})
    await block(actor, until=clock.now() + timedelta(hours=1))

    await run_bulk(id)
    beside_the_block = await subjects_sent_again(actor)
    with clock.frozen(clock.now() + timedelta(hours=2)):
        await run_bulk(id)
    found = await shown(client, actor)

    assert beside_the_block == ["a0"]
    assert (found["state"], found["affected"], found["refused"]) == ("DONE", 2, 0)
    assert await subjects_sent_again(actor) == ["a0", "a1"]


async def test_a_block_that_does_not_end_is_not_waited_for_for_ever(client: Client) -> None:
    actor = await make_actor()
    names = await bounced_from(client, actor, "aab")
    id = await start(client, actor, "RESEND", {"statuses": ["BOUNCED"]})
    await block(actor, until=None, name=names["a"])

    await run_bulk(id)
    with clock.frozen(clock.now() + LONGEST_WAIT):
        await run_bulk(id)

    found = await shown(client, actor)
    assert (found["state"], found["messages"]) == ("FAILED", 3)
    assert (found["affected"], found["refused"], found["waiting"]) == (1, 2, 0)
    assert "auto-block" in found["failure"]
    assert names["a"] in found["failure"]


async def test_what_waits_is_stopped(client: Client) -> None:
    actor = await make_actor()
    await bounced_from(client, actor, "a")
    id = await start(client, actor, "RESEND", {"statuses": ["BOUNCED"]})
    await block(actor, until=clock.now() + timedelta(hours=1))
    await run_bulk(id)

    await cancel_bulk_action(actor, id)
    with clock.frozen(clock.now() + timedelta(hours=2)):
        await run_bulk(id)

    found = await shown(client, actor)
    assert (found["state"], found["affected"], found["waiting"]) == ("CANCELLED", 0, 0)
    assert await subjects_sent_again(actor) == []


async def test_what_is_done_before_it_has_to_wait_is_not_done_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await make_actor()
    messages = [await send(client, actor) for _ in range(3)]
    done: list[str] = []

    async def one(id: uuid.UUID, actor: Actor, message: Any, wanted: Any) -> steps.Did:
        if len(done) == 2:
            done.append("waited")
            raise steps.Later("Not now.")
        done.append(str(message.id))
        return steps.Did(1)

    monkeypatch.setattr(work, "ONE_BY_ONE", {"cancel": one})
    id = await start(client, actor, "CANCEL", {})
    await run_bulk(id)
    half = await shown(client, actor)
    await run_bulk(id)
    found = await shown(client, actor)

    assert (half["state"], half["messages"], half["affected"]) == ("RUNNING", 2, 2)
    assert (found["state"], found["messages"], found["affected"]) == ("DONE", 3, 3)
    assert [each for each in done if each != "waited"] == messages[::-1]


async def test_what_was_sent_before_the_credits_ran_out_is_counted(client: Client) -> None:
    actor = await make_actor(await make_organization(plan="trial"))
    await give(actor.organization_id, 4)
    for _ in range(3):
        await become(await send(client, actor), "bounced")

    await run_bulk(await start(client, actor, "RESEND", {"statuses": ["BOUNCED"]}))

    found = await shown(client, actor)
    assert (found["state"], found["messages"], found["affected"]) == ("FAILED", 1, 1)
    assert found["failure"] == "This needs 1 email credit and 0 are left."


async def test_a_page_has_no_more_recipients_than_are_taken_together(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await make_actor()
    for _ in range(4):
        to = [f"{name}@dest.example" for name in ("ada", "bob", "cleo")]
        await become(await send(client, actor, to=to), "deferred")
    monkeypatch.setattr(work, "MOST_RECIPIENTS", 7)
    sizes: list[int] = []
    hasten = steps.hasten_deliveries

    async def noting(tx: Any, ids: Any) -> Any:
        sizes.append(len(ids))
        return await hasten(tx, ids)

    monkeypatch.setattr(steps, "hasten_deliveries", noting)
    await run_bulk(await start(client, actor, "RETRY", {}))
    monkeypatch.setattr(work, "MOST_RECIPIENTS", 2)
    await run_bulk(await start(client, actor, "SUPPRESS", {}))

    assert sizes == [6, 6]
    [suppressed, retried] = [
        row["affected"]
        for row in await fetch(
            "SELECT affected FROM bulk_actions WHERE organization_id = {} ORDER BY id DESC",
            actor.organization_id,
        )
    ]
    # The second is of one message at a time, though each has more than that.
    assert (suppressed, retried) == (3, 12)


async def test_of_what_is_tried_again_only_what_waits_is_read(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await make_actor()
    message = await send(client, actor, to=["ada@dest.example", "bob@dest.example"])
    await become(message, "delivered", address="ada@dest.example")
    await become(message, "deferred", address="bob@dest.example")
    read: list[int] = []
    matching = steps.matching_deliveries

    async def noting(*given: Any, **named: Any) -> Any:
        found = await matching(*given, **named)
        read.append(len(found))
        return found

    monkeypatch.setattr(steps, "matching_deliveries", noting)
    await run_bulk(await start(client, actor, "RETRY", {}))

    assert read == [1]
