"""Exports: complete once whatever dies, for whoever may read the list, and gone in time."""

import asyncio
import csv
import io
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor, ActorKind, Permission, ProjectId, Role
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.exports.pages import Asking, Page, PageMissing, ReadPage
from postlane.exports.rules import KEPT, LINK_LASTS, LISTED, MOST_FAILURES, PAGE
from postlane.exports.work import ask_for_open_exports, drop_expired, drop_outdated, run_export
from postlane.graphql.export_pages import pages_for
from postlane.messages.tables import Erasure
from postlane.security import limits
from postlane.security.limits import Window
from postlane.server.auth import actor_for_export
from tests.client import Client
from tests.factories import (
    default_project,
    make_actor,
    make_domain,
    make_organization,
    make_project,
)
from tests.long_log import make_long_log

START = """
    mutation ($input: StartExportInput!) { startExport(input: $input) { export {
      uuid state rows progress estimatedRows downloadUrl } } }
"""
SHOW = """
    query ($id: ID!) { node(id: $id) { ... on Export {
      dataset state rows estimatedRows progress sizeBytes failure completedAt expiresAt
      downloadUrl downloadUrlExpiresAt } } }
"""
CANCEL = """
    mutation ($id: ID!) { cancelExport(input: {exportId: $id}) { export { state } } }
"""
LIST = "{ organization { exports { nodes { uuid } } } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { uuid } } }"
READ = pages_for(actor_for_export)
NO_MORE = "Whoever asked for it may not read that any more."


async def start(client: Client, actor: Actor, subject: dict[str, Any], **more: str) -> str:
    """Have an export begun, and return its UUID."""
    data = await client.data(START, {"input": {"subject": subject, **more}}, actor=actor)
    return str(data["startExport"]["export"]["uuid"])


async def show(client: Client, actor: Actor, id: str) -> Any:
    """Return how far it is, by its global id as a client has it."""
    listed = await client.data("{ organization { exports { nodes { id uuid } } } }", actor=actor)
    [found] = [n for n in listed["organization"]["exports"]["nodes"] if n["uuid"] == id]
    return (await client.data(SHOW, {"id": found["id"]}, actor=actor))["node"]


async def rows_of(client: Client, actor: Actor, id: str, delimiter: str = ",") -> list[list[str]]:
    """Download a file as a stranger does who has the link, and return its rows."""
    shown = await show(client, actor, id)
    answer = await client.get(shown["downloadUrl"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content) == shown["sizeBytes"]
    return list(csv.reader(io.StringIO(answer.text, newline=""), delimiter=delimiter))


async def suppress_many(actor: Actor, count: int, *, named: str = "gone") -> list[str]:
    """Suppress many addresses, some minutes apart, and return them, newest first."""
    ids = [new_id() for _ in range(count)]
    addresses = [f"{named}{number}@dest.example" for number in range(count)]
    await fetch(
        "INSERT INTO suppressions (id, organization_id, address, address_key, reason, created_at) "
        "SELECT id, {}, address, address, 'manual', at "
        "FROM unnest({}::uuid[], {}::text[], {}::timestamptz[]) AS new (id, address, at)",
        actor.organization_id,
        ids,
        addresses,
        [clock.now() - timedelta(minutes=count - number) for number in range(count)],
    )
    return addresses[::-1]


def addresses_in(rows: Sequence[Sequence[str]]) -> list[str]:
    return [row[0] for row in rows[1:]]


class Killed(BaseException):
    """The worker is gone."""


def dying_after(pages: int) -> ReadPage:
    """Return what reads so many pages and then dies with its worker; bounds are pages, too."""
    left = pages

    async def read(asking: Asking) -> Page:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        return await READ(asking)

    return read


async def test_a_file_of_messages_is_the_list_and_harmless_to_spreadsheets(client: Client) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    for subject in ("=HYPERLINK(1)", 'A, "B"'):
        message = {
            "from": f"shop@{domain.name}",
            "to": ["ada@dest.example", "bob@dest.example"],
            "subject": subject,
            "text": "Hello.",
            "tags": ["vip"],
        }
        await client.data(SEND, {"input": message}, actor=actor)
    wanted = {"messages": {"tag": "vip", "statuses": ["QUEUED"], "stream": "TRANSACTIONAL"}}
    id = await start(client, actor, wanted, delimiter="SEMICOLON")
    events = await start(client, actor, {"events": {"tag": "vip"}})
    nothing = await start(client, actor, {"messages": {"tag": "nobody"}})

    for each in (id, events, nothing):
        await run_export(uuid.UUID(each), READ)

    header, *rows = await rows_of(client, actor, id, ";")
    assert (
        header
        == (
            "id created_at completed_at status from to subject batch_id tags vmta smtp_code "
            "bounce_class opens clicks"
        ).split()
    )
    assert [dict(zip(header, row, strict=True))["subject"] for row in rows] == [
        'A, "B"',
        "'=HYPERLINK(1)",
    ]
    assert rows[0][3:6] == ["queued", f"shop@{domain.name}", "ada@dest.example bob@dest.example"]
    _, *told = await rows_of(client, actor, events)
    assert [row[2] for row in told] == ["message.queued"] * 4
    assert [row[5] for row in told] == ["ada@dest.example", "bob@dest.example"] * 2
    shown = await show(client, actor, nothing)
    assert (shown["state"], shown["rows"], shown["progress"]) == ("DONE", 0, 1.0)
    assert len(await rows_of(client, actor, nothing)) == 1


async def test_a_long_log_is_written_whole_and_says_how_far_it_is(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    project = await default_project(organization)
    await make_long_log(organization.id, project.id, count=2 * PAGE + 7)
    id = await start(client, actor, {"messages": {}})

    with pytest.raises(Killed):
        await run_export(uuid.UUID(id), dying_after(3))
    half = await show(client, actor, id)
    await run_export(uuid.UUID(id), READ)

    assert (half["state"], half["rows"], half["downloadUrl"]) == ("RUNNING", PAGE, None)
    # Messages are as far apart in time.
    assert half["progress"] == pytest.approx(PAGE / (2 * PAGE + 7), abs=0.01)
    assert half["estimatedRows"] == pytest.approx(2 * PAGE + 7, abs=10)
    done = await show(client, actor, id)
    assert (done["state"], done["rows"], done["progress"]) == ("DONE", 2 * PAGE + 7, 1.0)
    rows = await rows_of(client, actor, id)
    assert [row[6] for row in rows[1:]] == [f"Message {n}" for n in range(1, 2 * PAGE + 8)]


async def test_nothing_is_missing_or_doubled_whatever_dies_and_whoever_writes(
    client: Client,
) -> None:
    actor = await make_actor()
    addresses = await suppress_many(actor, 3 * PAGE + 1)
    id = await start(client, actor, {"suppressions": {"reason": "MANUAL"}})

    for pages in (1, 3, 1, 1):
        with pytest.raises(Killed):
            await run_export(uuid.UUID(id), dying_after(pages))
    await asyncio.gather(*(run_export(uuid.UUID(id), READ) for _ in range(3)))

    assert addresses_in(await rows_of(client, actor, id)) == addresses


async def test_one_that_is_cancelled_stops_and_leaves_nothing(client: Client) -> None:
    actor = await make_actor()
    await suppress_many(actor, 3 * PAGE)
    id = await start(client, actor, {"suppressions": {}})
    asked = 0

    async def cancelling(asking: Asking) -> Page:
        nonlocal asked
        asked += 1
        if asked == 4:
            answer = await client.data(CANCEL, {"id": id}, actor=actor)
            assert answer["cancelExport"]["export"]["state"] == "CANCELLED"
        return await READ(asking)

    await run_export(uuid.UUID(id), cancelling)

    assert asked == 4
    shown = await show(client, actor, id)
    assert (shown["state"], shown["downloadUrl"]) == ("CANCELLED", None)
    assert await parts(id) == 0
    assert await client.refusal(CANCEL, {"id": id}, actor=actor) == "ALREADY_FINAL"
    await run_export(uuid.UUID(id), READ)
    assert await parts(id) == 0


async def test_a_file_is_thrown_away_on_wish(client: Client) -> None:
    actor = await make_actor()
    await suppress_many(actor, 1)
    id = await start(client, actor, {"suppressions": {}})
    await run_export(uuid.UUID(id), READ)
    url = (await show(client, actor, id))["downloadUrl"]

    await client.data(CANCEL, {"id": id}, actor=actor)

    assert (await client.get(url)).status_code == 410
    assert await parts(id) == 0


async def test_a_link_that_is_followed_too_often_is_refused_for_a_while(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOWNLOAD", Window("download", 2, timedelta(minutes=1)))
    actor = await make_actor()
    await suppress_many(actor, 1)
    id = await start(client, actor, {"suppressions": {}})
    await run_export(uuid.UUID(id), READ)
    url = (await show(client, actor, id))["downloadUrl"]

    with clock.frozen(clock.now()):
        answers = [await client.get(url) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["retry-after"] == "60"
    assert answers[-1].json()["error"]["code"] == "rate_limited"


async def test_links_are_of_use_for_an_hour_and_cannot_be_made_up(client: Client) -> None:
    actor, other = await make_actor(), await make_actor()
    ids = []
    for whose in (actor, other):
        await suppress_many(whose, 2)
        ids.append(await start(client, whose, {"suppressions": {}}))
        await run_export(uuid.UUID(ids[-1]), READ)
    shown = await show(client, actor, ids[0])
    url: str = shown["downloadUrl"]
    named, _, signature = url.rpartition("-")
    theirs = (await show(client, other, ids[1]))["downloadUrl"]

    head = await client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(shown["sizeBytes"])
    forged = (
        url[:-1],
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        f"{named}f-{signature}",
        f"{theirs.rpartition('-')[0]}-{signature}",
        "http://postlane.test/exports/x",
        "http://postlane.test/exports/%C3%A9--",
    )
    for wrong in forged:
        assert (await client.get(wrong)).status_code == 404, wrong
    with clock.frozen(clock.now() + LINK_LASTS + timedelta(seconds=1)):
        assert (await client.get(url)).status_code == 410
        assert (await client.get((await show(client, actor, ids[0]))["downloadUrl"])).is_success


async def test_files_are_gone_when_their_time_is_up(client: Client) -> None:
    actor = await make_actor()
    await suppress_many(actor, 1)
    id = await start(client, actor, {"suppressions": {}})
    await run_export(uuid.UUID(id), READ)

    with clock.frozen(clock.now() + KEPT + timedelta(minutes=1)):
        before = await show(client, actor, id)
        await drop_expired()
        after = await show(client, actor, id)
    with clock.frozen(clock.now() + LISTED + timedelta(minutes=1)):
        await drop_expired()

    for shown in (before, after):
        assert (shown["state"], shown["downloadUrl"]) == ("EXPIRED", None)
    assert await parts(id) == 0
    assert (await client.data(LIST, actor=actor))["organization"]["exports"]["nodes"] == []


async def test_somebody_who_is_erased_is_in_no_file_any_more(client: Client) -> None:
    actor, other = await make_actor(), await make_actor()
    ids = []
    for whose in (actor, other):
        await suppress_many(whose, 1)
        ids.append(await start(client, whose, {"suppressions": {}}))
        await run_export(uuid.UUID(ids[-1]), READ)
    url = (await show(client, actor, ids[0]))["downloadUrl"]
    running = await start(client, actor, {"suppressions": {}})

    await Erasure(organization_id=actor.organization_id, key="#0").save()
    answer = await client.get(url)
    later = await start(client, actor, {"suppressions": {}})
    await drop_outdated()

    assert answer.status_code == 410
    assert (await show(client, actor, ids[0]))["state"] == "OUTDATED"
    assert (await show(client, actor, running))["state"] == "OUTDATED"
    assert await parts(ids[0]) == 0
    assert (await show(client, actor, later))["state"] == "QUEUED"
    assert (await show(client, other, ids[1]))["state"] == "DONE"


async def test_an_export_reads_what_whoever_asked_may_read(client: Client) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    owner = await make_actor(organization)
    bound = await make_actor(organization, project_id=ProjectId(project.id))
    viewer = await make_actor(organization, role=Role.VIEWER)
    nobody = await make_actor(
        organization, kind=ActorKind.API_KEY, permissions=[Permission.SEND_MESSAGES]
    )
    await suppress_many(owner, 2)
    await fetch(
        "UPDATE suppressions SET project_id = {} WHERE organization_id = {} "
        "AND address = 'gone1@dest.example'",
        (await default_project(organization)).id,
        organization.id,
    )
    everything = await start(client, owner, {"suppressions": {}})
    one_project = await start(client, bound, {"suppressions": {}})
    for id in (everything, one_project):
        await run_export(uuid.UUID(id), READ)
    log = await start(client, owner, {"auditLog": {"action": "export.started"}})
    await run_export(uuid.UUID(log), READ)

    assert len(await rows_of(client, owner, everything)) == 3
    assert addresses_in(await rows_of(client, bound, one_project)) == ["gone0@dest.example"]
    assert await listed(client, bound) == [one_project]
    assert await listed(client, viewer) == [one_project, everything]
    assert await listed(client, owner) == [log, one_project, everything]
    assert len(await rows_of(client, owner, log)) == 4
    asked = {"input": {"subject": {"auditLog": {}}}}
    assert await client.refusal(START, asked, actor=viewer) == "INSUFFICIENT_ROLE"
    asked = {"input": {"subject": {"messages": {}}}}
    assert await client.refusal(START, asked, actor=nobody) == "INSUFFICIENT_SCOPE"
    assert await client.refusal(LIST, actor=nobody) == "INSUFFICIENT_SCOPE"
    assert await client.refusal(CANCEL, {"id": log}, actor=viewer) == "NOT_FOUND"
    assert await client.refusal(CANCEL, {"id": everything}, actor=bound) == "NOT_FOUND"


async def test_whoever_may_read_less_by_now_gets_no_more_of_it(client: Client) -> None:
    for change, why in (
        ("DELETE FROM memberships WHERE user_id = {}", NO_MORE),
        ("UPDATE users SET status = 'disabled' WHERE id = {}", NO_MORE),
        (
            "UPDATE memberships SET role = 'developer' WHERE user_id = {}",
            "This needs the role 'admin' or one above it; yours is 'developer'.",
        ),
        (
            "UPDATE organizations o SET requires_second_factor = true FROM memberships m "
            "WHERE m.organization_id = o.id AND m.user_id = {}",
            "The organization asks for a second factor: set one up first.",
        ),
    ):
        actor = await make_actor()
        id = await start(client, actor, {"auditLog": {}})
        await fetch(change, actor.user_id)

        await run_export(uuid.UUID(id), READ)

        [row] = await fetch(
            "SELECT state, failure, parts FROM exports WHERE id = {}", uuid.UUID(id)
        )
        assert tuple(row.values()) == ("failed", why, 0)


async def test_whoever_has_the_second_factor_that_is_asked_for_gets_all_of_it(
    client: Client,
) -> None:
    actor = await make_actor()
    await suppress_many(actor, 2)
    id = await start(client, actor, {"suppressions": {}})
    await fetch(
        "UPDATE organizations SET requires_second_factor = true WHERE id = {}",
        actor.organization_id,
    )
    await fetch("UPDATE users SET second_factor_at = now() WHERE id = {}", actor.user_id)

    await run_export(uuid.UUID(id), READ)

    assert len(await rows_of(client, actor, id)) == 3


async def test_a_strangers_domain_makes_an_empty_file(client: Client) -> None:
    organization = await make_organization()
    owner, stranger = await make_actor(organization), await make_actor()
    project = await default_project(organization)
    await make_long_log(organization.id, project.id, count=2)
    domain = await make_domain(organization.id)
    id = await start(client, stranger, {"messages": {"domain": str(domain.id)}})
    everything = await start(client, stranger, {"events": {}})

    for each in (id, everything):
        await run_export(uuid.UUID(each), READ)

    assert len(await rows_of(client, stranger, id)) == 1
    assert len(await rows_of(client, stranger, everything)) == 1
    assert await listed(client, owner) == []


async def test_three_are_written_at_a_time(client: Client) -> None:
    actor = await make_actor()
    asked = {"input": {"subject": {"suppressions": {}}}}

    answers = await asyncio.gather(*(client.graphql(START, asked, actor=actor) for _ in range(6)))

    refused = [each["errors"][0]["extensions"]["code"] for each in answers if "errors" in each]
    assert refused == ["RATE_LIMITED"] * 3
    for id in await listed(client, actor):
        await run_export(uuid.UUID(id), READ)
    assert "errors" not in await client.graphql(START, asked, actor=actor)


@pytest.mark.parametrize(
    "subject",
    [
        {},
        {"messages": {}, "events": {}},
        {"messages": None},
        {"messages": {"statuses": ["GONE"]}},
    ],
    ids=str,
)
async def test_what_cannot_be_asked_for_is_refused_at_once(client: Client, subject: Any) -> None:
    actor = await make_actor()

    code = await client.refusal(START, {"input": {"subject": subject}}, actor=actor)

    assert code == "INVALID_INPUT"
    assert await listed(client, actor) == []


async def test_a_list_that_cannot_be_read_is_given_up(client: Client) -> None:
    actor = await make_actor()
    id = await start(client, actor, {"messages": {"domain": "what is this"}})
    missing = await start(client, actor, {"suppressions": {}})

    async def failing(asking: Asking) -> Page:
        raise PageMissing

    await run_export(uuid.UUID(id), READ)
    for _ in range(MOST_FAILURES - 1):
        await run_export(uuid.UUID(missing), failing)
    before = await show(client, actor, missing)
    await run_export(uuid.UUID(missing), failing)

    shown = await show(client, actor, id)
    assert (shown["state"], shown["expiresAt"]) == ("FAILED", None)
    assert shown["failure"] == "There is no such thing in this organization."
    assert before["state"] == "RUNNING"
    after = await show(client, actor, missing)
    assert (after["state"], after["failure"]) == (
        "FAILED",
        "The list could not be read to its end; try again later.",
    )


async def test_a_file_does_not_grow_without_end(client: Client) -> None:
    actor = await make_actor()
    await suppress_many(actor, 2 * PAGE)
    id = await start(client, actor, {"suppressions": {}})

    await run_export(uuid.UUID(id), READ, most_bytes=50_000)

    shown = await show(client, actor, id)
    assert (shown["state"], shown["downloadUrl"]) == ("FAILED", None)
    assert await parts(id) == 0


async def test_what_lost_its_job_is_asked_for_again(client: Client) -> None:
    actor = await make_actor()
    id = await start(client, actor, {"suppressions": {}})
    begun = await fetch("DELETE FROM saq_jobs WHERE key LIKE {} RETURNING key", f"%export:{id}")

    await ask_for_open_exports(limit=1_000)

    again = await fetch("SELECT key FROM saq_jobs WHERE key LIKE {}", f"%export:{id}")
    assert len(begun) == 1
    assert again == begun


async def parts(id: str) -> int:
    rows = await fetch("SELECT count(*) AS n FROM export_parts WHERE export_id = {}", uuid.UUID(id))
    return int(rows[0]["n"])


async def listed(client: Client, actor: Actor) -> list[str]:
    data = await client.data(LIST, actor=actor)
    return [node["uuid"] for node in data["organization"]["exports"]["nodes"]]
