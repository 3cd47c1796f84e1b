"""The audit log as a file: all of it, for whoever may read it, and harmless to spreadsheets."""

import asyncio
import csv
import io
from typing import Any

import pytest

from postlane.accounts.tables import Membership, Organization
from postlane.audit import operations
from postlane.core.actor import Actor, ActorKind, OrganizationId, Role, UserId
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.server.app import build_app
from postlane.server.csv_export import PAGE
from tests.client import Client
from tests.factories import make_actor, make_api_key, make_organization
from tests.people import registered

URL = "/audit-log.csv"


async def log(actor: Actor, action: str, target: str = "t", **changes: Any) -> None:
    """Write an entry."""
    async with transaction() as tx:
        await operations.record(
            tx, actor, action=action, target_type="thing", target_id=target, changes=changes
        )


async def log_many(actor: Actor, number: int) -> None:
    """Write as many entries at once."""
    await fetch(
        "INSERT INTO audit_entries (id, organization_id, actor_kind, user_id, action, "
        "target_type, target_id, created_at) SELECT new.id, {}, 'user', {}, "
        "'thing.made', 'thing', new.n, now() FROM unnest({}::uuid[], {}::text[]) "
        "AS new (id, n)",
        actor.organization_id,
        actor.user_id,
        [new_id() for _ in range(number)],
        [str(n) for n in range(number)],
    )


async def rows(client: Client, actor: Actor, **where: str) -> list[dict[str, str]]:
    """Return the rows of the file."""
    answer = await client.get(URL, params=where, headers=client.as_actor(actor))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit-log.csv"'
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_the_file_holds_every_entry_newest_first(client: Client) -> None:
    actor = await make_actor(role=Role.ADMIN, source_address="192.0.2.7", request_id="r-1")
    await log(actor, "thing.made", "1", name='A, "B"\nC')
    await log(actor, "thing.ended", "1")

    found = await rows(client, actor)

    assert [row["action"] for row in found] == ["thing.ended", "thing.made"]
    assert found[1] | {"time": ""} == {
        "time": "",
        "action": "thing.made",
        "actor": "USER",
        "user_id": str(actor.user_id),
        "api_key_id": "",
        "target_type": "thing",
        "target_id": "1",
        "changes": '{"name": "A, \\"B\\"\\nC"}',
        "source_address": "192.0.2.7",
        "request_id": "r-1",
    }
    assert found[1]["time"].endswith("Z")


async def test_a_long_log_is_streamed_page_by_page(client: Client) -> None:
    actor = await make_actor()
    await log_many(actor, PAGE * 2 + 3)

    found = await rows(client, actor)

    assert len({row["target_id"] for row in found}) == len(found) == PAGE * 2 + 3


async def test_the_file_is_filtered_like_the_field(client: Client) -> None:
    organization = await make_organization()
    actor, other = await make_actor(organization), await make_actor(organization)
    await log(actor, "thing.made", "a")
    await log(other, "thing.made", "b")
    await log(actor, "thing.ended", "a")

    assert len(await rows(client, actor, action="thing.made")) == 2
    assert len(await rows(client, actor, action="thing.made", user_id=str(other.user_id))) == 1
    assert len(await rows(client, actor, target_type="thing", target_id="a")) == 2
    assert await rows(client, actor, since="2999-01-01T00:00:00Z") == []
    assert len(await rows(client, actor, until="2999-01-01T00:00:00Z")) == 3


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
async def test_no_cell_is_a_formula(client: Client, start: str) -> None:
    actor = await make_actor()
    await log(actor, "thing.made", f"{start}cmd|' /C calc'!A0")

    (row,) = await rows(client, actor)

    assert row["target_id"] == f"'{start}cmd|' /C calc'!A0"


async def test_a_stranger_reads_nothing_of_it(client: Client) -> None:
    actor, stranger = await make_actor(), await make_actor()
    await log(actor, "thing.made")

    assert await rows(client, stranger) == []


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?actoin=x", 400, "invalid_request"),
        ("?action", 400, "invalid_request"),
        ("?since=yesterday", 422, "validation_failed"),
        ("?user_id=" + "x" * 300, 404, "not_found"),
        ("?" + "&".join(f"a{n}=1" for n in range(30)), 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    client: Client, query: str, status: int, code: str
) -> None:
    headers = client.as_actor(await make_actor())

    answer = await client.get(URL + query, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_it_is_for_those_who_may_read_the_log(client: Client) -> None:
    developer = await make_actor(role=Role.DEVELOPER)
    key = await make_api_key(await make_organization(), scopes=["messages:read"])

    nobody = await client.get(URL)
    below = await client.get(URL, headers=client.as_actor(developer))
    scope = await client.get(URL, headers={"x-api-key": key.secret})
    posted = await client.post(URL, headers={"x-api-key": key.secret})

    assert [each.status_code for each in (nobody, below, scope, posted)] == [401, 403, 403, 405]


async def test_whoever_loses_the_right_loses_the_rest_of_the_file(client: Client) -> None:
    person = await registered(client)
    organization_id = OrganizationId(person["organization"]["uuid"])
    actor = Actor(
        kind=ActorKind.USER,
        organization_id=organization_id,
        role=Role.OWNER,
        permissions=frozenset(),
        user_id=UserId(person["user"]["uuid"]),
    )
    await log_many(actor, PAGE * 3)
    app = build_app(opens_pool=False)
    parts: list[bytes] = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": URL,
        "raw_path": URL.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "http_version": "1.1",
        "server": ("postlane.test", 80),
        "client": ("192.0.2.1", 40000),
        "headers": [
            (b"host", b"postlane.test"),
            (b"authorization", f"Bearer {person['token']}".encode()),
        ],
        "state": {},
    }

    received = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        if message := next(received, None):
            return message
        # As a server does: the next there is to say is that the client has left.
        await asyncio.Event().wait()
        return None

    async def send(message: Any) -> None:
        parts.append(message.get("body", b""))
        if len(parts) == 3:
            await Membership.update({Membership.role: "viewer"}).where(
                Membership.user_id == actor.user_id
            )

    await app(scope, receive, send)  # type: ignore[arg-type]

    lines = b"".join(parts).decode().splitlines()
    assert len(lines) == 1 + PAGE + 1
    assert lines[-1].startswith("The log does not end here: This needs the role")
    assert await Organization.exists().where(Organization.id == organization_id)
