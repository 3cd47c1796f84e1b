"""Files of counts, messages and events: whole, safe to open, and streamed."""

import csv
import io
from datetime import timedelta

import httpx
import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.database import fetch
from tests.client import Client
from tests.factories import make_actor, make_api_key, make_domain, make_organization

from .setup import make_mail, roll_up_all, tell
from .test_answers import NOW, campaign

PATH = "/api/v1/analytics/export"


def rows_of(answer: httpx.Response, delimiter: str = ",") -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text, newline=""), delimiter=delimiter))


class Owner:
    """Who asks, with a key."""

    def __init__(self, client: Client, key: str) -> None:
        self.client, self.key = client, key

    async def get(self, query: str, method: str = "GET") -> httpx.Response:
        headers = {"x-api-key": self.key}
        return await self.client.request(method, f"{PATH}?{query}", headers=headers)


async def make_owner(client: Client, *scopes: str) -> tuple[Owner, Organization]:
    organization = await make_organization()
    made = await make_api_key(
        organization, scopes=list(scopes) or ["analytics:read", "messages:read"]
    )
    return Owner(client, made.secret), organization


async def test_a_series_is_a_file(client: Client) -> None:
    with clock.frozen(NOW):
        owner, organization = await make_owner(client)
        await campaign(await make_actor(organization), NOW - timedelta(days=2, hours=3))
        await roll_up_all()

        answer = await owner.get("period=2d&interval=day&metrics=accepted,delivery_rate")
        empty = await owner.get("period=30d&interval=week&metrics=accepted&delimiter=tab")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="analytics-timeseries-2026-05-30-2026-06-01.csv"'
    )
    assert answer.text == (
        "timestamp,accepted,delivery_rate\r\n"
        "2026-05-30T12:00:00.000Z,0,\r\n"
        "2026-05-31T00:00:00.000Z,0,\r\n"
        "2026-06-01T00:00:00.000Z,0,\r\n"
    )
    assert [row[1] for row in rows_of(empty, "\t")[1:]] == ["0", "0", "0", "0", "10", "0"]


async def test_no_cell_is_a_formula(client: Client) -> None:
    with clock.frozen(NOW):
        owner, organization = await make_owner(client)
        at = NOW - timedelta(hours=2)
        [ada] = await make_mail(
            await make_actor(organization),
            "ada@example.net",
            at=at,
            tags=["=1+1", "@x", "-5", 'a "b", c', "plain"],
        )
        await tell(ada.queued())
        await roll_up_all()

        answer = await owner.get("period=1d&dataset=breakdown&dimension=tag&metrics=accepted")

    assert sorted(rows_of(answer)) == sorted(
        [
            ["key", "label", "accepted"],
            ["'=1+1", "'=1+1", "1"],
            ["'@x", "'@x", "1"],
            ["'-5", "'-5", "1"],
            ['a "b", c', 'a "b", c', "1"],
            ["plain", "plain", "1"],
        ]
    )


async def test_reasons_are_a_file(client: Client) -> None:
    with clock.frozen(NOW):
        owner, organization = await make_owner(client)
        await campaign(await make_actor(organization), NOW - timedelta(days=1))
        await roll_up_all()

        answer = await owner.get("dataset=bounce_reasons")

    assert rows_of(answer) == [
        ["class", "type", "count", "percent"],
        ["invalid_recipient", "hard", "2", "50.0"],
        ["rate_limited", "soft", "1", "25.0"],
        ["reputation_block", "block", "1", "25.0"],
    ]


async def test_messages_and_events_are_streamed_to_their_end(client: Client) -> None:
    """More than one page of them, sent as the product sends."""
    owner, organization = await make_owner(client, "messages:read", "analytics:read")
    sender = await make_api_key(organization, scopes=["messages:send"])
    domain = await make_domain(organization.id)
    message = {"from": f"a@{domain.name}", "to": ["ada@gmail.com"], "text": "Hi."}
    for start in range(0, 600, 100):
        batch = [{**message, "subject": f"=Hi {start + n}"} for n in range(100)]
        answer = await client.post(
            "/api/v1/messages/batch",
            json={"messages": batch},
            headers={"x-api-key": sender.secret},
        )
        assert answer.status_code < 300, answer.text

    start, end = (clock.now() + timedelta(hours=hours) for hours in (-1, 1))
    window = f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"
    messages = rows_of(await owner.get(f"dataset=messages&{window}"))
    events = rows_of(await owner.get(f"dataset=events&{window}"))

    assert messages[0] == (
        "id,created_at,completed_at,status,from,to,subject,batch_id,tags,vmta,smtp_code,"
        "bounce_class,opens,clicks"
    ).split(",")
    assert {row[6] for row in messages[1:]} == {f"'=Hi {n}" for n in range(600)}
    assert len(messages) == len(events) == 601
    assert events[0] == (
        "id,timestamp,type,message_id,recipient_id,email,vmta,isp,smtp_code,bounce_class"
    ).split(",")
    assert {(row[2], row[5], row[7]) for row in events[1:]} == {
        ("message.queued", "ada@gmail.com", "google")
    }
    assert {row[3] for row in events[1:]} == {row[0] for row in messages[1:]}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("period=nonsense", 422, "invalid_period"),
        ("period=3m&interval=minute", 422, "invalid_interval"),
        ("dataset=breakdown&dimension=colour", 422, "invalid_dimension"),
        ("dataset=nothing", 400, "invalid_request"),
        ("delimiter=pipe", 400, "invalid_request"),
        ("dataset=messages&tag=a,b", 400, "invalid_request"),
        ("period=900d", 422, "range_too_large"),
    ],
)
async def test_what_cannot_be_written_is_refused_before_it_begins(
    client: Client, query: str, status: int, code: str
) -> None:
    owner, organization = await make_owner(client)

    answer = await owner.get(query)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    rows = await fetch(
        "SELECT FROM audit_entries WHERE organization_id = {} AND action = 'analytics.exported'",
        organization.id,
    )
    assert not rows


async def test_messages_need_the_right_to_read_messages(client: Client) -> None:
    owner, _ = await make_owner(client, "analytics:read")

    refused = await owner.get("dataset=messages")
    sums = await owner.get("dataset=timeseries")

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
    assert sums.status_code == 200


async def test_the_address_takes_get_and_head_and_ten_an_hour(client: Client) -> None:
    owner, _ = await make_owner(client)

    posted = await owner.get("period=1h", method="POST")
    asked = await owner.get("period=1h", method="HEAD")
    for _ in range(9):
        assert (await owner.get("period=1h")).status_code == 200
    last = await owner.get("period=1h")
    nobody = await client.get(PATH)

    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
    assert (asked.status_code, asked.content) == (200, b"")
    assert (last.status_code, last.json()["error"]["code"]) == (429, "rate_limited")
    assert nobody.status_code == 401
