"""What is tracked: decided by organization, project, domain, message and recipient."""

import itertools
import uuid
from typing import Any

import pytest

from postlane.accounts.rules import TrackingSwitches
from postlane.core.actor import Actor, ProjectId, Role
from postlane.core.database import fetch
from postlane.tracking.rules import Tracks, decide
from tests.client import Client
from tests.factories import (
    default_project,
    make_actor,
    make_domain,
    make_organization,
    make_project,
)

UPDATE = """
    mutation ($input: UpdateTrackingInput!) { updateTracking(input: $input) {
      tracking { opens clicks textLinks aggregateOnly } } }
"""
CHOOSE = """
    mutation ($input: ChooseTrackingInput!) { chooseTracking(input: $input) {
      choice { address opens clicks projectUuid } } }
"""
SEND = """
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message {
      trackOpens trackClicks
      deliveries { address tracksOpens tracksClicks tracksTextLinks } } } }
"""


def test_the_most_specific_place_that_decides_counts() -> None:
    for switches in itertools.product((None, False, True), repeat=4):
        expected = next((each for each in switches if each is not None), False)
        found = decide([TrackingSwitches(opens=each) for each in switches])
        assert found == (Tracks.OPENS if expected else Tracks.NOTHING)


def test_plain_text_is_tracked_only_where_clicks_are() -> None:
    assert decide([TrackingSwitches(text_links=True)]) == Tracks.NOTHING
    assert decide([TrackingSwitches(clicks=False), TrackingSwitches(None, True, True)]) == 0
    both = Tracks.CLICKS | Tracks.TEXT_LINKS
    assert decide([TrackingSwitches(clicks=True), TrackingSwitches(text_links=True)]) == both


async def update(client: Client, actor: Actor, **changes: Any) -> Any:
    data = await client.data(UPDATE, {"input": changes}, actor=actor)
    return data["updateTracking"]["tracking"]


async def choose(client: Client, actor: Actor, address: str, **choice: Any) -> Any:
    asked = {"input": {"address": address, **choice}}
    return (await client.data(CHOOSE, asked, actor=actor))["chooseTracking"]["choice"]


async def send(client: Client, actor: Actor, *to: str, domain: str, **said: Any) -> Any:
    body = {"from": f"shop@{domain}", "to": list(to), "subject": "Hello", "text": "x", **said}
    return (await client.data(SEND, {"input": body}, actor=actor))["sendMessage"]["message"]


async def test_each_place_decides_for_the_mail_that_follows(client: Client) -> None:
    actor = await make_actor()
    project = await fetch(
        "SELECT id FROM projects WHERE organization_id = {}", actor.organization_id
    )
    plain = (await make_domain(actor.organization_id)).name
    tracked = (await make_domain(actor.organization_id, track_clicks=True)).name
    to = "ada@example.net"

    async def found(domain: str, **said: Any) -> list[bool]:
        message = await send(client, actor, to, domain=domain, **said)
        (delivery,) = message["deliveries"]
        assert delivery["tracksOpens"] == message["trackOpens"]
        return [delivery[f"tracks{what}"] for what in ("Opens", "Clicks", "TextLinks")]

    assert await found(plain) == [False, False, False]
    assert await found(tracked) == [False, True, False]
    await update(client, actor, opens=True, clicks=False, textLinks=True)
    assert await found(plain) == [True, False, False]
    # A domain can ask for tracking, and is more specific than the organization.
    assert await found(tracked) == [True, True, True]
    await update(client, actor, projectId=str(project[0]["id"]), clicks=False, opens=None)
    assert await found(tracked) == [True, False, False]
    assert await found(tracked, trackClicks=True, trackOpens=False) == [False, True, True]
    assert await found(tracked, trackClicks=True, trackTextLinks=False) == [True, True, False]


async def test_a_recipient_decides_whatever_else_is_decided(client: Client) -> None:
    actor = await make_actor()
    domain = (await make_domain(actor.organization_id, track_opens=True)).name
    assert await choose(client, actor, "No@Example.net", opens=False) == {
        "address": "No@example.net",
        "opens": False,
        "clicks": None,
        "projectUuid": None,
    }
    await choose(client, actor, "yes@example.net", opens=True, clicks=True)

    message = await send(
        client,
        actor,
        "no@example.net",
        "yes@example.net",
        "any@example.net",
        domain=domain,
        trackOpens=True,
        trackClicks=False,
    )

    assert {
        each["address"]: (each["tracksOpens"], each["tracksClicks"])
        for each in message["deliveries"]
    } == {
        "no@example.net": (False, False),
        "yes@example.net": (True, True),
        "any@example.net": (True, False),
    }
    assert (message["trackOpens"], message["trackClicks"]) == (True, False)


async def test_a_choice_of_one_project_counts_more_there_and_nothing_elsewhere(
    client: Client,
) -> None:
    organization = await make_organization()
    everywhere = await make_actor(organization)
    other = await make_project(organization)
    bound = await make_actor(organization, project_id=ProjectId(other.id))
    domain = (await make_domain(organization.id)).name
    await choose(client, everywhere, "ada@example.net", opens=True, clicks=True)
    chosen = await choose(client, bound, "ada@example.net", opens=False)

    found = [
        (await send(client, actor, "ada@example.net", domain=domain))["deliveries"][0]
        for actor in (everywhere, bound)
    ]

    assert chosen["projectUuid"] == str(other.id)
    assert [(each["tracksOpens"], each["tracksClicks"]) for each in found] == [
        (True, True),
        (False, True),
    ]


async def test_a_choice_is_listed_and_taken_back(client: Client) -> None:
    actor = await make_actor()
    await choose(client, actor, "ada@example.net", opens=False)
    await choose(client, actor, "bob@example.net", clicks=False)
    query = (
        "query ($a: EmailAddress) { organization { trackingChoices(address: $a) "
        "{ nodes { address } } } }"
    )

    async def listed(address: str | None = None) -> list[str]:
        data = await client.data(query, {"a": address}, actor=actor)
        return [n["address"] for n in data["organization"]["trackingChoices"]["nodes"]]

    assert await listed() == ["bob@example.net", "ada@example.net"]
    assert await listed("ADA@example.net") == ["ada@example.net"]
    assert await choose(client, actor, "ada@example.net") is None
    assert await choose(client, actor, "nobody@example.net") is None
    assert await listed() == ["bob@example.net"]
    rows = await fetch(
        "SELECT count(*) AS n FROM audit_entries WHERE organization_id = {} "
        "AND action = 'tracking.chosen'",
        actor.organization_id,
    )
    assert rows[0]["n"] == 3


async def test_changes_are_audited_once_and_shown(client: Client) -> None:
    actor = await make_actor()

    first = await update(client, actor, opens=True, aggregateOnly=True)
    again = await update(client, actor, opens=True)
    back = await update(client, actor, opens=None, aggregateOnly=False)
    data = await client.data(
        "{ organization { tracking { opens aggregateOnly } "
        "projects { nodes { tracking { opens clicks textLinks aggregateOnly } } } } }",
        actor=actor,
    )

    nothing = {"opens": None, "clicks": None, "textLinks": None, "aggregateOnly": False}
    assert first == again == {**nothing, "opens": True, "aggregateOnly": True}
    assert back == nothing
    assert data["organization"]["tracking"] == {"opens": None, "aggregateOnly": False}
    assert data["organization"]["projects"]["nodes"] == [{"tracking": nothing}]
    rows = await fetch(
        "SELECT target_type, changes FROM audit_entries WHERE organization_id = {} "
        "AND action = 'tracking.changed' ORDER BY id",
        actor.organization_id,
    )
    assert [row["target_type"] for row in rows] == ["organization"] * 2


async def test_who_may_not_decide_changes_nothing(client: Client) -> None:
    organization = await make_organization()
    project = await default_project(organization)
    bound = await make_actor(organization, project_id=ProjectId(project.id))
    developer = await make_actor(organization, role=Role.DEVELOPER)
    viewer = await make_actor(organization, role=Role.VIEWER)

    refusals = [
        await client.refusal(UPDATE, {"input": {"opens": True}}, actor=bound),
        await client.refusal(UPDATE, {"input": {"opens": True}}, actor=developer),
        await client.refusal(
            CHOOSE, {"input": {"address": "a@example.net", "opens": True}}, actor=viewer
        ),
        await client.refusal(
            UPDATE, {"input": {"opens": True, "projectId": str(uuid.uuid4())}}, actor=bound
        ),
    ]

    assert refusals == [
        "INSUFFICIENT_ROLE",
        "INSUFFICIENT_ROLE",
        "INSUFFICIENT_ROLE",
        "NOT_FOUND",
    ]
    rows = await fetch(
        "SELECT track_opens, tracks_by_recipient FROM organizations WHERE id = {}", organization.id
    )
    assert rows == [{"track_opens": None, "tracks_by_recipient": False}]


@pytest.mark.parametrize("address", ["", "nobody", "a@b@c", "a@example.net, b@example.net"])
async def test_a_choice_is_for_an_address(client: Client, address: str) -> None:
    asked = {"input": {"address": address, "opens": False}}

    assert await client.refusal(CHOOSE, asked, actor=await make_actor()) == "INVALID_INPUT"
