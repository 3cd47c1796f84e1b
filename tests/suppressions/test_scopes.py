"""Which mail a suppression stops, and what is told of it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from postlane.core.actor import Actor
from postlane.core.database import fetch, transaction
from postlane.suppressions.rules import SuppressionReason
from postlane.suppressions.work import NewSuppression, Recipients, add, suppressed
from tests.client import Client
from tests.factories import make_actor, make_organization, make_project

ADD = """
    mutation ($input: AddSuppressionInput!) { addSuppression(input: $input) { suppression {
      uuid reason stream projectUuid } } }
"""
REMOVE = """
    mutation ($input: RemoveSuppressionInput!) { removeSuppression(input: $input) { removed } }
"""


async def put(client: Client, actor: Actor, **input: Any) -> Any:
    data = await client.data(ADD, {"input": {"address": "ada@x.example", **input}}, actor=actor)
    return data["addSuppression"]["suppression"]


async def told(actor: Actor) -> list[tuple[str, str, str | None]]:
    rows = await fetch(
        "SELECT type, data FROM events WHERE organization_id = {} ORDER BY position",
        actor.organization_id,
    )
    return [
        (row["type"], (data := json.loads(row["data"]))["reason"], data["stream"]) for row in rows
    ]


async def test_a_stream_or_a_project_is_stopped_and_the_rest_goes_on(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    one, other = await make_project(organization), await make_project(organization)

    by_stream = await put(client, actor, stream="MARKETING")
    by_project = await put(client, actor, projectId=str(one.id), reason="COMPLAINT")

    assert (by_stream["stream"], by_stream["projectUuid"]) == ("MARKETING", None)
    assert (by_project["stream"], by_project["projectUuid"]) == (None, str(one.id))
    asked = [
        Recipients(actor.organization_id, project.id, stream, ["ada@x.example"])
        for project in (one, other)
        for stream in ("transactional", "marketing")
    ]
    assert await suppressed(asked) == [
        SuppressionReason.COMPLAINT,
        SuppressionReason.COMPLAINT,
        None,
        SuppressionReason.MANUAL,
    ]


async def test_unsubscribing_stops_marketing_only_whatever_the_scope(client: Client) -> None:
    actor = await make_actor()
    await put(client, actor, reason="UNSUBSCRIBE")
    await put(client, actor, reason="UNSUBSCRIBE", stream="TRANSACTIONAL")
    project = await make_project(await make_organization())

    asked = [
        Recipients(actor.organization_id, project.id, stream, ["ada@x.example"])
        for stream in ("transactional", "marketing")
    ]
    assert await suppressed(asked) == [None, SuppressionReason.UNSUBSCRIBE]


@pytest.mark.parametrize(
    ("values", "code", "details"),
    [
        ({"reason": "SOFT_BOUNCE_COOLING"}, "INVALID_INPUT", [("reason", "NOT_ALLOWED")]),
        ({"projectId": "01970000-0000-7000-8000-000000000000"}, "NOT_FOUND", []),
        ({"projectId": "no project"}, "NOT_FOUND", []),
    ],
)
async def test_what_is_no_scope_or_reason_is_refused(
    client: Client, values: dict[str, str], code: str, details: list[tuple[str, str]]
) -> None:
    actor = await make_actor()

    body = await client.graphql(ADD, {"input": {"address": "ada@x.example", **values}}, actor=actor)

    extensions = body["errors"][0]["extensions"]
    found = [(each["field"], each["code"]) for each in extensions.get("details", ())]
    assert (extensions["code"], found) == (code, details)
    assert await told(actor) == []


async def test_events_tell_once_what_began_and_what_was_taken_away(client: Client) -> None:
    actor = await make_actor()
    await put(client, actor, stream="MARKETING")
    await put(client, actor, stream="MARKETING", description="again")
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    new = NewSuppression(
        actor.organization_id,
        None,
        "ada@x.example",
        SuppressionReason.SOFT_BOUNCE_COOLING,
        expires_at=ends,
    )
    for _ in range(2):
        async with transaction() as tx:
            await add(tx, [new, new])
    await client.data(REMOVE, {"input": {"suppression": {"address": "ada@x.example"}}}, actor=actor)

    created, removed = "suppression.created", "suppression.removed"
    found = await told(actor)
    assert found[:2] == [
        (created, "manual", "marketing"),
        (created, "soft_bounce_cooling", None),
    ]
    assert sorted(found[2:], key=str) == [
        (removed, "manual", "marketing"),
        (removed, "soft_bounce_cooling", None),
    ]
