"""Files of suppressions: imported line by line, and exported so that nothing is calculated."""

import asyncio
import base64
import csv
import io
import uuid
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.suppressions.files import UnreadableFile, read_file
from postlane.suppressions.work import run_import
from tests.client import Client
from tests.factories import (
    default_project,
    make_actor,
    make_api_key,
    make_organization,
    make_project,
    make_suppression,
)

IMPORT = """
    mutation ($input: ImportSuppressionsInput!) { importSuppressions(input: $input) {
      suppressionImport { id uuid done completedAt } } }
"""
REPORT = """
    query ($id: ID!, $after: String) { node(id: $id) { ... on SuppressionImport {
      done added alreadyThere refused failure completedAt
      refusedLines(first: 2, after: $after) {
        nodes { line text problem } pageInfo { hasNextPage endCursor } } } } }
"""


async def hand_in(client: Client, actor: Actor, data: bytes, **more: str) -> Any:
    input = {"data": base64.b64encode(data).decode(), **more}
    answer = await client.data(IMPORT, {"input": input}, actor=actor)
    return answer["importSuppressions"]["suppressionImport"]


async def report(client: Client, actor: Actor, id: str, after: str | None = None) -> Any:
    return (await client.data(REPORT, {"id": id, "after": after}, actor=actor))["node"]


async def stopped(actor: Actor) -> list[tuple[str, str, str | None]]:
    rows = await fetch(
        "SELECT address, reason, stream FROM suppressions WHERE organization_id = {} "
        "ORDER BY address",
        actor.organization_id,
    )
    return [(row["address"], row["reason"], row["stream"]) for row in rows]


async def test_every_line_is_taken_or_reported(client: Client) -> None:
    actor = await make_actor()
    await make_suppression(actor.organization_id, "known@x.example", reason="manual")
    data = (
        b"E-Mail,Type,Expires At,Stream\r\n"
        b"one@x.example,spam,,\r\n"
        b"known@x.example,,2030-01-01T00:00:00Z,\r\n"
        b"nobody,,,\r\n"
        b",,,\r\n"
        b"old@x.example,,2020-01-01T00:00:00Z,\r\n"
        b"two@x.example,Hard Bounce,,marketing\r\n"
        b"bad@x.example,because,,\r\n"
    )

    begun = await hand_in(client, actor, data)
    await asyncio.gather(*(run_import(uuid.UUID(begun["uuid"])) for _ in range(3)))
    first = await report(client, actor, begun["id"])
    rest = await report(client, actor, begun["id"], first["refusedLines"]["pageInfo"]["endCursor"])

    assert (begun["done"], begun["completedAt"]) == (0, None)
    assert (first["done"], first["added"], first["alreadyThere"]) == (6, 2, 1)
    assert (first["refused"], first["failure"]) == (3, None)
    assert first["completedAt"] is not None
    lines = first["refusedLines"]["nodes"] + rest["refusedLines"]["nodes"]
    assert [(line["line"], line["text"]) for line in lines] == [
        (4, "nobody,,,"),
        (6, "old@x.example,,2020-01-01T00:00:00Z,"),
        (8, "bad@x.example,because,,"),
    ]
    assert await stopped(actor) == [
        ("known@x.example", "manual", None),
        ("one@x.example", "complaint", None),
        ("two@x.example", "hard_bounce", "marketing"),
    ]
    files = await fetch(
        "SELECT FROM suppression_import_files WHERE id = {}", uuid.UUID(begun["uuid"])
    )
    assert files == []


async def test_an_import_goes_on_where_a_killed_worker_left_it(client: Client) -> None:
    actor = await make_actor()
    data = "\n".join(f"r{n}@x.example" for n in range(1200)).encode()
    begun = await hand_in(client, actor, data, reason="UNSUBSCRIBE", stream="MARKETING")
    await fetch(
        "UPDATE suppression_imports SET done = 1100, added = 1100 WHERE id = {}",
        uuid.UUID(begun["uuid"]),
    )

    await run_import(uuid.UUID(begun["uuid"]))
    await run_import(uuid.UUID(begun["uuid"]))

    found = await report(client, actor, begun["id"])
    assert (found["done"], found["added"], found["refused"]) == (1200, 1200, 0)
    assert len(await stopped(actor)) == 100
    assert (await stopped(actor))[0] == ("r1100@x.example", "unsubscribe", "marketing")


@pytest.mark.parametrize(
    ("data", "addresses"),
    [
        (b"\xef\xbb\xbfemail\nada@x.example\n", ["ada@x.example"]),
        ("Email Address\tReason\nada@x.example\tbounce\n".encode("utf-16"), ["ada@x.example"]),
        (b"name;EMAIL\nAda;ada@x.example\n", ["ada@x.example"]),
        (b"ada@x.example\rbob@x.example\r", ["ada@x.example", "bob@x.example"]),
        (b'recipient\n"ada@x.example"\n\n\n', ["ada@x.example"]),
        (b"email\n\xff\xfe\x00@x.example\nbob@x.example\n", [None, "bob@x.example"]),
        (b"email\n" + b'"' + b"a" * 200_000 + b"\n", [None]),
        (b"email,reason\n'=cmd@x.example,'-spam\nada@x.example\n", [None, "ada@x.example"]),
    ],
)
def test_files_are_read_as_people_write_them(data: bytes, addresses: list[str | None]) -> None:
    lines = read_file(data, now=clock.now())

    assert [line.mailbox and line.mailbox.address for line in lines] == addresses
    assert [line.problem is None for line in lines] == [each is not None for each in addresses]


@pytest.mark.parametrize("data", [b"name,age\nAda,36\n", b"\0\0\0", b"PK\x03\x04 zip"])
def test_what_is_no_list_of_addresses_fails_as_a_whole(data: bytes) -> None:
    with pytest.raises(UnreadableFile):
        read_file(data, now=clock.now())


async def test_a_file_without_addresses_says_why(client: Client) -> None:
    actor = await make_actor()
    begun = await hand_in(client, actor, b"name,age\nAda,36\n")

    await run_import(uuid.UUID(begun["uuid"]))

    found = await report(client, actor, begun["id"])
    assert "email" in found["failure"]
    assert found["completedAt"] is not None


@pytest.mark.parametrize(
    ("data", "code"),
    [(b" \n", "REQUIRED"), (b"a" * (10 * 2**20 + 1), "TOO_LARGE")],
    ids=["empty", "large"],
)
async def test_a_file_of_the_wrong_size_is_refused(client: Client, data: bytes, code: str) -> None:
    actor = await make_actor()
    input = {"data": base64.b64encode(data).decode()}

    body = await client.graphql(IMPORT, {"input": input}, actor=actor)

    details = body["errors"][0]["extensions"]["details"]
    assert [(each["field"], each["code"]) for each in details] == [("data", code)]
    kept = await fetch(
        "SELECT FROM suppression_imports WHERE organization_id = {}", actor.organization_id
    )
    assert kept == []


async def test_no_more_than_five_files_wait(client: Client) -> None:
    actor = await make_actor()
    input = {"data": base64.b64encode(b"ada@x.example").decode()}

    answers = await asyncio.gather(
        *(client.graphql(IMPORT, {"input": input}, actor=actor) for _ in range(7))
    )

    refused = [answer["errors"][0]["extensions"] for answer in answers if "errors" in answer]
    assert [each["code"] for each in refused] == ["RATE_LIMITED"] * 2


async def test_an_export_calculates_nothing_and_can_be_imported_again(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    key = (await make_api_key(organization, scopes=["messages:read"])).secret
    await make_suppression(organization.id, "+cmd@x.example", reason="hard_bounce")
    await make_suppression(
        organization.id, "ada@x.example", reason="complaint", description='=HYPERLINK("a")'
    )
    stranger = await make_organization()
    await make_suppression(stranger.id, "theirs@x.example")

    answer = await client.request("GET", "/suppressions.csv", headers={"x-api-key": key})
    only = await client.request(
        "GET", "/suppressions.csv?reason=hard_bounce", headers={"x-api-key": key}
    )

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-disposition"] == 'attachment; filename="suppressions.csv"'
    assert [(row["email"], row["reason"], row["description"]) for row in rows] == [
        ("ada@x.example", "complaint", '\'=HYPERLINK("a")'),
        ("'+cmd@x.example", "hard_bounce", ""),
    ]
    assert len(only.text.splitlines()) == 2
    again = read_file(answer.content, now=clock.now())
    assert [(line.mailbox and line.mailbox.address, line.description) for line in again] == [
        ("ada@x.example", '=HYPERLINK("a")'),
        ("+cmd@x.example", None),
    ]
    assert actor.organization_id == organization.id


async def test_what_holds_for_one_project_still_does_after_a_round_trip(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    own, other = [await make_project(organization, name=name) for name in ("Own", "Other")]
    theirs = await default_project(await make_organization())
    key = (await make_api_key(organization, scopes=["messages:read"])).secret
    await make_suppression(organization.id, "ada@x.example", project_id=own.id)
    answer = await client.request("GET", "/suppressions.csv", headers={"x-api-key": key})
    await fetch("DELETE FROM suppressions WHERE organization_id = {}", organization.id)
    more = f"bob@x.example,manual,,,{theirs.id},,\r\neve@x.example,manual,,,nobody,,\r\n"

    begun = await hand_in(client, actor, answer.content + more.encode())
    await run_import(uuid.UUID(begun["uuid"]))
    bound = await hand_in(client, actor, answer.content, projectId=str(other.id))
    await run_import(uuid.UUID(bound["uuid"]))

    rows = await fetch(
        "SELECT address, project_id FROM suppressions WHERE organization_id = {}", organization.id
    )
    assert rows == [{"address": "ada@x.example", "project_id": own.id}]
    found = await report(client, actor, begun["id"])
    assert (found["added"], found["refused"]) == (1, 2)
    assert [line["text"].partition(",")[0] for line in found["refusedLines"]["nodes"]] == [
        "bob@x.example",
        "eve@x.example",
    ]
    assert (await report(client, actor, bound["id"]))["refused"] == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [("?reason=nonsense", 422), ("?what=1", 422), ("", 401)],
)
async def test_what_cannot_be_exported_is_refused_before_it_begins(
    client: Client, query: str, status: int
) -> None:
    organization = await make_organization()
    key = (await make_api_key(organization, scopes=["messages:read"])).secret
    headers = {} if status == 401 else {"x-api-key": key}

    answer = await client.request("GET", f"/suppressions.csv{query}", headers=headers)

    assert answer.status_code in (status, 400)
    assert answer.headers["content-type"] == "application/json"
