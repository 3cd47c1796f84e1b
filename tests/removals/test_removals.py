"""Removals wait, can be taken back, and then do what removing does, as whoever asked may."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor, ActorKind, ApiKeyId, Role
from postlane.core.database import fetch, transaction
from postlane.removals.rules import GRACE
from postlane.removals.work import NOBODY, ask_for_due_removals, forget_removals, run_removal
from postlane.suppressions.operations import add_suppression
from postlane.suppressions.rules import SuppressionReason
from postlane.suppressions.work import NewSuppression, add
from tests.client import Client
from tests.factories import (
    make_actor,
    make_api_key,
    make_membership,
    make_organization,
    make_suppression,
)

REMOVE = """
    mutation ($subject: RemovalSubject!) { removeLater(input: {subject: $subject}) {
      removal { uuid kind name state targetUuid } } }
"""
UNDO = "mutation ($id: ID!) { undoRemoval(input: {removalId: $id}) { removal { state } } }"
LIST = "{ organization { removals { nodes { uuid state name failure } } } }"


async def remove(client: Client, actor: Actor, **subject: object) -> uuid.UUID:
    values = {name: str(value) for name, value in subject.items()}
    data = await client.data(REMOVE, {"subject": values}, actor=actor)
    return uuid.UUID(data["removeLater"]["removal"]["uuid"])


async def later(id: uuid.UUID) -> None:
    """Run the job of a removal when its time has come."""
    with clock.frozen(clock.now() + GRACE + timedelta(seconds=1)):
        await run_removal(id)


async def listed(client: Client, actor: Actor) -> Any:
    return (await client.data(LIST, actor=actor))["organization"]["removals"]["nodes"]


async def there(table: str, id: object) -> bool:
    """Say whether a row is there."""
    statement: Any = f"SELECT FROM {table} WHERE id = {{}}"
    return bool(await fetch(statement, id))


async def test_each_kind_is_there_until_its_time_has_come(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    suppression = await make_suppression(organization.id, "gone@dest.example")
    key = await make_api_key(organization)
    member = await make_membership(organization, role=Role.VIEWER)

    for table, id, subject in (
        ("suppressions", suppression.id, {"suppressionId": suppression.id}),
        ("api_keys", key.row.id, {"apiKeyId": key.row.id}),
        ("memberships", member.id, {"userId": member.user_id}),
    ):
        removal = await remove(client, actor, **subject)
        await run_removal(removal)
        assert await there(table, id), table
        await later(removal)
        assert not await there(table, id), table
        [found, *_] = await listed(client, actor)
        assert (found["state"], found["name"], found["failure"]) == ("DONE", "", None)
    actions = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {} AND action = ANY({}::text[])",
        organization.id,
        ["suppression.removed", "api_key.deleted", "user.removed"],
    )
    assert len(actions) == 3


async def test_what_is_taken_back_stays(client: Client) -> None:
    actor = await make_actor()
    suppression = await make_suppression(actor.organization_id, "gone@dest.example")
    removal = await remove(client, actor, suppressionId=suppression.id)

    undone = await client.data(UNDO, {"id": str(removal)}, actor=actor)
    await later(removal)
    again = await client.refusal(UNDO, {"id": str(removal)}, actor=actor)

    assert undone["undoRemoval"]["removal"]["state"] == "UNDONE"
    assert again == "ALREADY_FINAL"
    assert await there("suppressions", suppression.id)


@pytest.mark.parametrize("is_ours", [True, False], ids=["by-hand", "by-a-bounce"])
async def test_what_is_made_again_meanwhile_stays(client: Client, is_ours: bool) -> None:
    actor = await make_actor()
    before = await make_suppression(actor.organization_id, "gone@dest.example")
    removal = await remove(client, actor, suppressionId=before.id)

    if is_ours:
        await add_suppression(actor, address="gone@dest.example")
    else:
        again = NewSuppression(
            actor.organization_id, None, "gone@dest.example", SuppressionReason.MANUAL
        )
        async with transaction() as tx:
            assert await add(tx, [again]) == 0
    await later(removal)

    rows = await fetch(
        "SELECT id FROM suppressions WHERE organization_id = {}", actor.organization_id
    )
    assert len(rows) == 1
    assert rows[0]["id"] != before.id


async def test_members_are_kept_by_whoever_might_remove_them_and_never_by_themselves(
    client: Client,
) -> None:
    organization = await make_organization()
    owner = await make_actor(organization)
    other_owner = await make_actor(organization)
    admin = await make_actor(organization, role=Role.ADMIN)
    key = replace(admin, kind=ActorKind.API_KEY, api_key_id=ApiKeyId(uuid.uuid4()))
    of_admin = await remove(client, owner, userId=admin.user_id)
    of_owner = await remove(client, owner, userId=other_owner.user_id)

    for actor, removal in ((admin, of_admin), (key, of_admin), (admin, of_owner)):
        assert await client.refusal(UNDO, {"id": str(removal)}, actor=actor) == "INSUFFICIENT_ROLE"
    await client.data(UNDO, {"id": str(of_owner)}, actor=owner)
    await later(of_admin)

    rows = await fetch(
        "SELECT user_id FROM memberships WHERE organization_id = {}", organization.id
    )
    assert {row["user_id"] for row in rows} == {owner.user_id, other_owner.user_id}
    assert await client.refusal(UNDO, {"id": str(of_admin)}, actor=owner) == "ALREADY_FINAL"


async def test_removing_and_taking_back_at_once_never_both_happen(client: Client) -> None:
    actor = await make_actor()
    for number in range(5):
        suppression = await make_suppression(actor.organization_id, f"gone{number}@dest.example")
        removal = await remove(client, actor, suppressionId=suppression.id)
        with clock.frozen(clock.now() + GRACE + timedelta(seconds=1)):
            _, answer = await asyncio.gather(
                run_removal(removal), client.graphql(UNDO, {"id": str(removal)}, actor=actor)
            )
        assert await there("suppressions", suppression.id) == ("errors" not in answer)


async def test_asked_twice_it_waits_once(client: Client) -> None:
    actor = await make_actor()
    suppression = await make_suppression(actor.organization_id, "gone@dest.example")

    found = await asyncio.gather(
        *(remove(client, actor, suppressionId=suppression.id) for _ in "1234")
    )

    assert len(set(found)) == 1


async def test_what_would_be_refused_is_refused_at_once(client: Client) -> None:
    organization = await make_organization()
    owner = await make_actor(organization)
    admin = await make_actor(organization, role=Role.ADMIN)
    viewer = await make_actor(organization, role=Role.VIEWER)
    suppression = await make_suppression(organization.id, "gone@dest.example")

    async def refusal(actor: Actor, **subject: object) -> str:
        values = {name: str(value) for name, value in subject.items()}
        return await client.refusal(REMOVE, {"subject": values}, actor=actor)

    assert await refusal(admin, userId=owner.user_id) == "INSUFFICIENT_ROLE"
    assert await refusal(owner, userId=owner.user_id) == "LAST_OWNER"
    assert await refusal(viewer, suppressionId=suppression.id) == "INSUFFICIENT_ROLE"
    assert await refusal(owner, suppressionId=uuid.uuid4()) == "NOT_FOUND"


async def test_it_is_not_done_for_whoever_may_not_any_more(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    suppression = await make_suppression(organization.id, "gone@dest.example")
    removal = await remove(client, actor, suppressionId=suppression.id)
    await fetch("DELETE FROM memberships WHERE user_id = {}", actor.user_id)

    await later(removal)

    assert await there("suppressions", suppression.id)
    other = await make_actor(organization)
    assert (await listed(client, other))[0]["failure"] == NOBODY


async def test_whoever_is_to_set_up_a_second_factor_by_now_removes_nothing(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    suppression = await make_suppression(organization.id, "gone@dest.example")
    removal = await remove(client, actor, suppressionId=suppression.id)
    await fetch(
        "UPDATE organizations SET requires_second_factor = true WHERE id = {}", organization.id
    )

    await later(removal)

    assert await there("suppressions", suppression.id)
    failure = (await listed(client, actor))[0]["failure"]
    assert failure == "The organization asks for a second factor: set one up first."


async def test_what_went_otherwise_meanwhile_is_removed(client: Client) -> None:
    actor = await make_actor()
    suppression = await make_suppression(actor.organization_id, "gone@dest.example")
    removal = await remove(client, actor, suppressionId=suppression.id)
    await fetch("DELETE FROM suppressions WHERE id = {}", suppression.id)

    await later(removal)

    assert (await listed(client, actor))[0]["state"] == "DONE"


async def test_a_key_may_delete_itself_later(client: Client) -> None:
    organization = await make_organization()
    membership = await make_membership(organization)
    key = await make_api_key(organization, membership=membership)
    actor = await make_actor(
        organization,
        kind=ActorKind.API_KEY,
        user_id=membership.user_id,
        api_key_id=ApiKeyId(key.row.id),
    )
    removal = await remove(client, actor, apiKeyId=key.row.id)

    await later(removal)

    assert not await there("api_keys", key.row.id)


async def test_developers_see_removals_of_their_own_keys_only(client: Client) -> None:
    organization = await make_organization()
    owner = await make_actor(organization)
    developer = await make_actor(organization, role=Role.DEVELOPER)
    key = await make_api_key(organization)
    removal = await remove(client, owner, apiKeyId=key.row.id)

    assert await listed(client, developer) == []
    assert await client.refusal(UNDO, {"id": str(removal)}, actor=developer) == "NOT_FOUND"


async def test_lost_jobs_are_asked_for_and_old_removals_forgotten(client: Client) -> None:
    actor = await make_actor()
    suppression = await make_suppression(actor.organization_id, "gone@dest.example")
    removal = await remove(client, actor, suppressionId=suppression.id)
    # A worker died between marking it and removing it.
    await fetch("UPDATE removals SET state = 'removing' WHERE id = {}", removal)

    with clock.frozen(clock.now() + GRACE + timedelta(seconds=1)):
        await ask_for_due_removals(limit=1000)
        await run_removal(removal)
    with clock.frozen(clock.now() + timedelta(days=2)):
        await forget_removals()

    assert not await there("suppressions", suppression.id)
    assert not await there("removals", removal)
