"""The log of requests: what it says of each, what it never says, and how much of it there is."""

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.actor import Actor, ActorKind, ApiKeyId, Role
from postlane.core.database import fetch
from postlane.core.ids import first_id_at, new_id
from postlane.core.retention import Term
from postlane.core.settings import settings
from postlane.requests import noting
from postlane.requests.noting import LINES_APART, MOST_LINES, MOST_SHARED, NOTEBOOK, Asked
from postlane.requests.rules import Api, Outcome, outcome_of
from postlane.requests.tables import ApiRequest
from postlane.requests.work import remove_old_requests
from postlane.security.rules import KeyFormat
from postlane.server.edge import Edge
from tests.billing.setup import settings_with
from tests.client import Client
from tests.dashboard.browser import member
from tests.factories import (
    make_actor,
    make_api_key,
    make_api_request,
    make_membership,
    make_organization,
    make_project,
)
from tests.messages.test_long_log import explained, rows_read
from tests.statements import watch_statements

LOG = """query ($filter: ApiRequestFilterInput, $first: Int, $after: String) { organization {
    apiRequests(filter: $filter, first: $first, after: $after) {
      nodes { api method route operation status code outcome requests durationMs requestId
        apiKeyUuid apiKey { name } }
      pageInfo { hasNextPage endCursor } } } }"""


@pytest.fixture(autouse=True)
async def nothing_gathered(database: None) -> AsyncIterator[None]:
    """What other tests asked is written before, and what these did is not left to others."""
    await NOTEBOOK.flush()
    yield
    await NOTEBOOK.flush()


async def log_of(client: Client, actor: Actor, **asked: Any) -> list[dict[str, Any]]:
    """Return the log as *actor* sees it, the newest first."""
    await NOTEBOOK.flush()
    data = await client.data(LOG, asked, actor=actor)
    nodes: list[dict[str, Any]] = data["organization"]["apiRequests"]["nodes"]
    return nodes


async def caller(organization: Organization, **values: Any) -> Actor:
    """Return whom a key of *organization* acts as."""
    values = {"kind": ActorKind.API_KEY, "api_key_id": ApiKeyId(new_id())} | values
    return await make_actor(organization, **values)


def asked_for(operation: str | None = "Send", status: int = 200) -> Asked:
    return Asked(Api.GRAPHQL, "POST", "/graphql", operation, status, None)


async def test_each_api_says_what_was_asked_and_what_became_of_it(client: Client) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    key = (await make_api_key(organization, name="Shop")).secret
    own = {"format": KeyFormat.POSTAL, "project_id": project.id}
    postal = (await make_api_key(organization, **own)).secret

    await client.graphql("query Who { organization { slug } }", key=key)
    await client.graphql('mutation { cancelMessage(input: {id: "x"}) { __typename } }', key=key)
    await client.graphql("{ nonsense }", key=key)
    headers = {"x-api-key": key, "x-request-id": "mine-1"}
    await client.get("/api/v1/domains/example.net?a=secret", headers=headers)
    await client.get("/api/v1/messages?limit=1", headers=headers)
    # It answers 200 to what it refuses.
    await client.post("/api/v1/send/message", json={}, headers={"x-server-api-key": postal})
    await client.post("/v.1.1/get_method_list", json={"api_key": key})

    found = await log_of(client, await make_actor(organization, role=Role.OWNER))
    said = [
        [each[name] for name in ("api", "method", "route", "operation", "status", "code")]
        for each in reversed(found)
    ]
    assert said == [
        ["GRAPHQL", "POST", "/graphql", "Who", 200, None],
        ["GRAPHQL", "POST", "/graphql", "cancelMessage", 200, "NOT_FOUND"],
        ["GRAPHQL", "POST", "/graphql", None, 200, "DOCUMENT_INVALID"],
        ["REST", "GET", "/api/v1/domains/{id}", None, 404, "NOT_FOUND"],
        ["REST", "GET", "/api/v1/messages", None, 200, None],
        ["POSTAL", "POST", "/api/v1/send/message", None, 200, "INVALID_INPUT"],
        ["POSTAGEAPP", "POST", "/v.1.1/get_method_list", None, 200, None],
    ]
    assert [each["outcome"] for each in found[3:5]] == ["REFUSED", "REFUSED"]
    assert {each["requests"] for each in found} == {1}
    assert all(0 < each["durationMs"] < 60_000 for each in found)
    assert found[2]["requestId"] == found[3]["requestId"] == "mine-1"
    assert found[-1]["apiKey"] == {"name": "Shop"}


async def test_nothing_that_was_sent_along_is_kept(client: Client) -> None:
    organization = await make_organization()
    made = await make_api_key(organization)
    secret = "do-not-keep-me"

    await client.get(
        f"/api/v1/domains/{secret}.example?q={secret}", headers={"x-api-key": made.secret}
    )
    await client.graphql("query ($a: ID!) { node(id: $a) { id } }", {"a": secret}, key=made.secret)
    await NOTEBOOK.flush()

    rows = await fetch(
        "SELECT row_to_json(r)::text AS line FROM api_requests r WHERE organization_id = {}",
        organization.id,
    )
    assert len(rows) == 2
    for row in rows:
        assert secret not in row["line"]
        assert made.secret not in row["line"]
        assert client.address not in row["line"]


async def test_who_is_not_known_or_signed_in_otherwise_is_not_in_it(client: Client) -> None:
    organization = await make_organization()

    await client.graphql("{ organization { slug } }", key="pmta_live_" + "x" * 40)
    await client.get("/api/v1/messages")
    await client.graphql("{ organization { slug } }", actor=await make_actor(organization))

    assert await log_of(client, await make_actor(organization, role=Role.OWNER)) == []


async def test_what_is_asked_very_often_shares_lines(client: Client) -> None:
    organization = await make_organization()
    actor = await caller(organization)

    for number in range(1_000):
        NOTEBOOK.note(actor, asked_for(), request_id=f"r{number}", seconds=0.002)
    NOTEBOOK.note(actor, asked_for(status=500), request_id="broken", seconds=0.5)

    found = await log_of(client, await make_actor(organization, role=Role.OWNER))
    assert len(found) == LINES_APART + 2
    assert [(each["outcome"], each["requestId"]) for each in found[:1]] == [("FAILED", "broken")]
    shared = found[1]
    assert (shared["requests"], shared["requestId"]) == (1_000 - LINES_APART, "r999")
    assert shared["durationMs"] == 2.0
    assert sum(each["requests"] for each in found) == 1_001


async def test_names_that_a_client_makes_up_take_no_room_of_others(client: Client) -> None:
    loud, quiet = await make_organization(), await make_organization()
    actor = await caller(loud)

    for number in range(5_000):
        NOTEBOOK.note(actor, asked_for(f"Made{number}"), request_id="r", seconds=0.001)
    NOTEBOOK.note(await caller(quiet), asked_for(), request_id="q", seconds=0.001)

    found = await log_of(client, await make_actor(loud, role=Role.OWNER), first=100)
    assert len(found) == LINES_APART + MOST_SHARED + 1 < MOST_LINES
    assert sum(each["requests"] for each in found) == 5_000
    assert [each["operation"] for each in found if each["requests"] > 1] == [None]
    assert len(await log_of(client, await make_actor(quiet, role=Role.OWNER))) == 1


async def test_what_the_database_refuses_holds_nobody_up(client: Client) -> None:
    organization = await make_organization()
    actor = await caller(organization)

    NOTEBOOK.note(actor, asked_for(status=10**6), request_id="r", seconds=0.1)
    await NOTEBOOK.flush()
    NOTEBOOK.note(actor, asked_for(), request_id="next", seconds=0.1)

    (line,) = await log_of(client, await make_actor(organization, role=Role.OWNER))
    assert line["requestId"] == "next"


async def test_what_cannot_be_written_waits_for_the_database(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = await make_organization()
    NOTEBOOK.note(await caller(organization), asked_for(), request_id="r1", seconds=0.1)
    with monkeypatch.context() as patched:
        patched.setattr(noting, "WRITE", noting.WRITE.replace("INTO api_requests", "INTO absent"))
        await NOTEBOOK.flush()
    NOTEBOOK.note(await caller(organization), asked_for(), request_id="r2", seconds=0.1)

    found = await log_of(client, await make_actor(organization, role=Role.OWNER))
    assert [each["requestId"] for each in found] == ["r2", "r1"]


async def test_the_last_flush_waits_for_one_that_is_writing(client: Client) -> None:
    organization = await make_organization()
    NOTEBOOK.note(await caller(organization), asked_for(), request_id="r1", seconds=0.1)
    before = asyncio.create_task(NOTEBOOK.flush())
    await asyncio.sleep(0)  # It has begun, and what it writes is gathered no more.
    assert NOTEBOOK._gathered == {}

    await NOTEBOOK.flush()

    rows = await fetch(
        "SELECT request_id FROM api_requests WHERE organization_id = {}", organization.id
    )
    assert [row["request_id"] for row in rows] == ["r1"]
    await before


async def test_how_long_a_stream_lasts_is_not_how_long_it_took(client: Client) -> None:
    actor = await caller(await make_organization())
    lasted = 0.5

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] |= {"caller": actor, "is_endless": True}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(lasted)
        await send({"type": "http.response.body", "body": b""})

    served: Any = Edge(stream, settings())
    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as asking:
        await asking.get("/graphql")
    await NOTEBOOK.flush()

    (row,) = await fetch(
        "SELECT microseconds FROM api_requests WHERE organization_id = {}", actor.organization_id
    )
    assert row["microseconds"] < lasted * 1_000_000


async def test_a_developer_sees_their_own_keys_and_a_key_its_project(client: Client) -> None:
    organization, other = await make_organization(), await make_organization()
    project = await make_project(organization)
    theirs = await make_membership(organization, role=Role.DEVELOPER)
    by_developer = await caller(organization, user_id=theirs.user_id)
    in_project = await caller(organization, project_id=project.id)
    for number, each in enumerate((by_developer, in_project, await caller(other))):
        NOTEBOOK.note(each, asked_for(), request_id=f"r{number}", seconds=0.1)

    def asking(**values: Any) -> Any:
        return make_actor(organization, **values)

    seen = {
        "owner": await log_of(client, await asking(role=Role.OWNER)),
        "developer": await log_of(
            client, await asking(role=Role.DEVELOPER, user_id=theirs.user_id)
        ),
        "bound": await log_of(client, await asking(role=Role.OWNER, project_id=project.id)),
    }

    assert {who: [each["requestId"] for each in found] for who, found in seen.items()} == {
        "owner": ["r1", "r0"],
        "developer": ["r0"],
        "bound": ["r1"],
    }
    viewer = await asking(role=Role.VIEWER)
    assert await client.refusal(LOG, actor=viewer) == "INSUFFICIENT_ROLE"


@pytest.fixture
async def long_log(client: Client) -> tuple[Actor, uuid.UUID]:
    """An owner whose log has 20,000 lines, of which the oldest are special, and a key in it."""
    organization = await make_organization()
    key = new_id()
    await fetch(
        "INSERT INTO api_requests (id, organization_id, api_key_id, user_id, api, method, route, "
        "status, outcome, request_id, requests, microseconds, created_at) "
        "SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '7000' || '8' "
        "|| substr(md5(n::text), 1, 15))::uuid, {}, CASE n % 2 WHEN 0 THEN {}::uuid "
        "ELSE {}::uuid END, NULL, CASE WHEN n <= 20 THEN 'postal' ELSE 'graphql' END, "
        "'POST', '/graphql', 200, "
        "CASE WHEN n <= 20 THEN 'refused' ELSE 'succeeded' END, n::text, 1, 1, now() "
        "FROM generate_series(1, 20000) n",
        organization.id,
        key,
        new_id(),
    )
    await fetch("ANALYZE api_requests")
    return await make_actor(organization, role=Role.OWNER), key


async def test_a_filter_reads_no_more_than_its_page(
    client: Client, long_log: tuple[Actor, uuid.UUID]
) -> None:
    actor, key = long_log
    filters = {"apiKeyId": str(key), "api": "POSTAL", "outcome": "REFUSED"}

    found, read = {}, {}
    for name, value in filters.items():
        with watch_statements() as sent:
            data = await client.data(LOG, {"filter": {name: value}, "first": 4}, actor=actor)
        found[name] = [n["requestId"] for n in data["organization"]["apiRequests"]["nodes"]]
        (statement,) = [each for each in sent if "api_requests" in each[0]]
        read[name] = rows_read(await explained(*statement))

    assert found == {
        "apiKeyId": ["20000", "19998", "19996", "19994"],
        "api": ["20", "19", "18", "17"],
        "outcome": ["20", "19", "18", "17"],
    }
    assert (read["api"], read["outcome"]) == (5, 5)
    # Every other line is of the key, so that walking all of them is as good a way.
    assert read["apiKeyId"] in (5, 9)


async def test_old_lines_go_and_sooner_on_a_plan(client: Client) -> None:
    organization, other = await make_organization(), await make_organization()
    for each in (organization, other):
        for days in (0, 3, 9):
            line = make_api_request(each.id, new_id())
            before = first_id_at(clock.now() - timedelta(days=days))
            line.id = uuid.UUID(int=before.int | secrets.randbits(64))
            line.request_id = str(days)
            await line.save()

    async def left(of: Organization) -> list[str]:
        rows = await ApiRequest.objects().where(ApiRequest.organization_id == of.id)
        return sorted(row.request_id for row in rows)

    await remove_old_requests(Term(2, [organization.id]))
    on_plan = await left(organization), await left(other)
    await remove_old_requests(Term(7))

    assert on_plan == (["0"], ["0", "3", "9"])
    assert (await left(organization), await left(other)) == (["0"], ["0", "3"])


async def test_no_log_is_kept_where_it_is_switched_off(client: Client) -> None:
    organization = await make_organization()
    with settings_with(keep_request_days="0"):
        NOTEBOOK.note(await caller(organization), asked_for(), request_id="r", seconds=0.1)

    assert await log_of(client, await make_actor(organization, role=Role.OWNER)) == []


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, None, Outcome.SUCCEEDED),
        (304, None, Outcome.SUCCEEDED),
        (200, "NOT_FOUND", Outcome.REFUSED),
        (429, None, Outcome.REFUSED),
        (200, "INTERNAL", Outcome.FAILED),
        (503, "SERVICE_UNAVAILABLE", Outcome.FAILED),
    ],
)
def test_the_outcome_is_not_the_status_alone(
    status: int, code: str | None, outcome: Outcome
) -> None:
    assert outcome_of(status, code) is outcome


async def test_the_page_shows_the_log_and_what_it_is_filtered_by(client: Client) -> None:
    browser, organization = await member(client)
    page = f"/o/{organization.slug}/developers"
    empty = (await browser.get(page)).text
    key = await make_api_key(organization, name="Shop")
    await client.graphql("query Who { organization { slug } }", key=key.secret)
    await client.get("/api/v1/messages/nothing", headers={"x-api-key": key.secret})
    await NOTEBOOK.flush()

    shown = (await browser.get(page)).text
    part = (
        await browser.get(f"{page}?outcome=REFUSED", hx_request="true", hx_target="requests")
    ).text
    none = (await browser.get(f"{page}?api=POSTAL")).text
    odd = (await browser.get(f"{page}?key=nonsense&api=SOAP")).text

    assert "Nothing was asked yet" in empty
    assert "<code>Who</code>" in shown
    assert "/api/v1/messages/{id}" in shown
    assert "<h1>" not in part
    assert "/api/v1/messages/{id}" in part
    assert "<code>Who</code>" not in part
    assert "Nothing matches" in none
    assert "<code>key=nonsense</code>" in odd
    assert "<code>api=SOAP</code>" in odd
    assert "<code>Who</code>" in odd
