"""`messages/message` and `messages/deliveries`: what is shown, in which form, and to whom."""

import base64
import hashlib
import json
import re
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId, ProjectId
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from tests.client import Client
from tests.factories import make_api_key, make_project

from .world import Server, make_server

MISSING = "`id` parameter is required but is missing"
NAMES = [
    "status",
    "details",
    "inspection",
    "plain_body",
    "html_body",
    "attachments",
    "headers",
    "raw_message",
    "activity_entries",
]
ENTRY = ["id", "status", "details", "output", "sent_with_ssl", "log_id", "time", "timestamp"]


async def test_without_expansions_there_are_id_and_token(server: Server) -> None:
    data = await server.send()
    (copy,) = data["messages"].values()

    for expansions in (None, [], False, "status", "true", ["unknown"], {"status": True}, 1):
        body = {"id": copy["id"], "_expansions": expansions}
        assert await server.data("messages/message", body) == copy


async def test_expansions_come_in_their_own_order(server: Server) -> None:
    id = await server.sent()

    everything = await server.data("messages/message", {"id": id, "_expansions": True})
    some = await server.data(
        "messages/message", {"id": id, "_expansions": ["headers", "x", "status", "headers"]}
    )

    assert list(everything) == ["id", "token", *NAMES]
    assert list(some) == ["id", "token", "status", "headers"]


async def test_each_expansion_comes_by_itself(server: Server) -> None:
    id = await server.sent()

    for name in NAMES:
        assert list(await server.read(id, name)) == ["id", "token", name]


async def test_a_new_message_in_full(server: Server) -> None:
    files = [
        {"name": "é.bin", "content_type": "image/png; x=1", "data": base64.b64encode(b"\0" * 99)}
    ]
    files[0]["data"] = files[0]["data"].decode()
    sent = await server.send(
        "Ann <Ann@Example.NET>",
        subject="Hi ü " + "x" * 300,
        plain_body="One\r\nTwo ü",
        html_body="<p>One</p>",
        tag="welcome mail",
        attachments=files,
        headers={"X-Name": "Ünïcode", "X-A": "1"},
    )
    copy = sent["messages"]["Ann@Example.NET"]

    found = await server.read(copy["id"])

    assert (found["id"], found["token"]) == (copy["id"], copy["token"])
    assert found["status"] == {
        "status": "Pending",
        "last_delivery_attempt": None,
        "held": False,
        "hold_expiry": None,
    }
    raw = base64.b64decode(found["raw_message"])
    timestamp = found["details"].pop("timestamp")
    assert found["details"] == {
        "rcpt_to": "Ann@Example.NET",
        "mail_from": server.sender,
        "subject": ("Hi ü " + "x" * 300)[:200],
        "message_id": sent["message_id"],
        "direction": "outgoing",
        "size": str(len(raw)),
        "bounce": False,
        "bounce_for_id": 0,
        "tag": "welcome mail",
        "received_with_ssl": True,
    }
    assert isinstance(timestamp, float)
    assert abs(timestamp - clock.now().timestamp()) < 60
    assert found["inspection"] == {
        "inspected": False,
        "spam": False,
        "spam_score": 0.0,
        "threat": False,
        "threat_details": None,
    }
    assert isinstance(found["inspection"]["spam_score"], float)
    assert (found["plain_body"], found["html_body"]) == ("One\nTwo ü", "<p>One</p>")
    (file,) = found["attachments"]
    assert list(file) == ["filename", "content_type", "data", "size", "hash"]
    assert (file["filename"], file["content_type"], file["size"]) == ("é.bin", "image/png", 99)
    assert file["hash"] == hashlib.sha1(b"\0" * 99).hexdigest()
    assert file["data"] == "A" * 60 + "\n" + "A" * 60 + "\n" + "A" * 12 + "\n"
    assert found["headers"]["x-name"] == ["Ünïcode"]
    assert found["headers"]["to"] == ["Ann <Ann@Example.NET>"]
    assert all(len(line) <= 60 for line in found["raw_message"].split("\n"))
    assert found["raw_message"].endswith("\n")
    assert found["activity_entries"] == {"loads": [], "clicks": []}


async def test_the_order_of_fields_within_expansions(server: Server) -> None:
    id = await server.sent()

    details = (await server.read(id, "details"))["details"]

    names = "rcpt_to mail_from subject message_id timestamp direction size bounce bounce_for_id"
    assert list(details) == [*names.split(), "tag", "received_with_ssl"]


async def test_a_whole_message_is_read_as_a_mail_program_would(server: Server) -> None:
    text = (
        f"From: {server.sender}\r\n"
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        "X-Two: 1\r\nX-TWO: 2\r\n"
        "X-Folded: a\r\n b\r\n"
        'Content-Type: multipart/mixed; boundary="m"\r\n\r\n'
        "--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n"
        "--a\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\nZwei\r\n"
        "--a\r\nContent-Type: text/html; charset=nonsense\r\n\r\n<p>x</p>\r\n--a--\r\n"
        "--m\r\nContent-Type: message/rfc822\r\n\r\n"
        "Subject: inner\r\nContent-Type: text/plain\r\n\r\ninner body\r\n"
        '--m\r\nContent-Type: text/plain; name="n.txt"\r\n'
        "Content-Disposition: attachment; filename*=utf-8''%C3%A9.txt\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--m--\r\n"
    )
    body = {
        "rcpt_to": ["ann@example.net"],
        "mail_from": server.sender,
        "data": base64.b64encode(text.encode()).decode(),
    }
    data = await server.data("send/raw", body)

    found = await server.read(data["messages"]["ann@example.net"]["id"])

    assert found["details"]["subject"] == "Grüße"
    assert (found["plain_body"], found["html_body"]) == ("Grüße\nZwei", "<p>x</p>")
    assert found["headers"]["subject"] == ["Grüße"]
    assert found["headers"]["x-two"] == ["1", "2"]
    assert found["headers"]["x-folded"] == ["a b"]
    inner, file = found["attachments"]
    assert (inner["filename"], inner["content_type"]) == ("1.eml", "message/rfc822")
    assert b"inner body" in base64.b64decode(inner["data"])
    assert (file["filename"], base64.b64decode(file["data"])) == ("é.txt", b"abc")


async def test_a_message_without_a_part_has_null(server: Server) -> None:
    html = await server.read(await server.sent(plain_body=None, html_body="<p>x</p>"))
    text = await server.read(await server.sent(subject=None))

    assert (html["plain_body"], html["html_body"]) == (None, "<p>x</p>")
    assert (text["plain_body"], text["html_body"], text["attachments"]) == ("Hello", None, [])
    assert (text["details"]["subject"], text["details"]["tag"]) == (None, None)


async def test_what_is_purged_is_empty(server: Server) -> None:
    id = await server.sent()
    await fetch("DELETE FROM contents WHERE organization_id = {}", server.organization.id)

    found = await server.read(id)

    assert (found["plain_body"], found["html_body"]) == (None, None)
    assert (found["attachments"], found["headers"]) == ([], {})
    assert found["raw_message"] == "DQoNCg==\n"
    assert found["details"]["size"] is None


@pytest.mark.parametrize("action", ["messages/message", "messages/deliveries"])
async def test_what_is_no_id_is_missing_unknown_or_wrong(server: Server, action: str) -> None:
    assert await server.fault(action, {}) == MISSING
    for blank in (None, "", " ", False, [], {}):
        assert await server.fault(action, {"id": blank}) == MISSING
    for unknown in (0, -1, 2**31, 2**63 - 1, 2**63, 10**30, "0"):
        error = await server.error(action, {"id": unknown})
        assert list(error) == ["message", "id", "code"]
        assert (error["code"], error["id"]) == ("MessageNotFound", unknown)
    for wrong in ("a", "1.5", 1.5, True, [1], {"a": 1}, "\u0661"):
        assert await server.fault(action, {"id": wrong}) == "`id` must be an integer"


async def test_a_text_with_the_digits_is_an_id(server: Server) -> None:
    id = await server.sent()

    assert (await server.data("messages/message", {"id": str(id)}))["id"] == id
    assert (await server.data(f"messages/message?id={id}", {}))["id"] == id


async def test_a_strangers_numbers_are_not_there(client: Client) -> None:
    server, stranger = await make_server(client), await make_server(client)
    project = await make_project(server.organization)
    bound = await make_api_key(server.organization, project_id=project.id)
    id = await server.sent()

    for action in ("messages/message", "messages/deliveries"):
        theirs = await stranger.error(action, {"id": id})
        absent = await stranger.error(action, {"id": 2**62})
        assert theirs | {"id": 0} == absent | {"id": 0}
        other = await server.error(action, {"id": id}, headers={"X-Server-API-Key": bound.secret})
        assert other["code"] == "MessageNotFound"


async def test_reading_what_a_message_says_needs_the_scope(client: Client) -> None:
    server = await make_server(client, scopes=["messages:send", "messages:read"])
    id = await server.sent()

    assert await server.read(id, "status", "details", "inspection", "activity_entries")
    for name in ("plain_body", "html_body", "attachments", "headers", "raw_message"):
        error = await server.error("messages/message", {"id": id, "_expansions": [name]})
        assert error["code"] == "AccessDenied"


async def test_each_reading_is_on_record(server: Server) -> None:
    id = await server.sent()

    await server.read(id, "plain_body", "raw_message")
    await server.read(id, "details", "status")

    rows = await fetch(
        "SELECT count(*) AS n FROM audit_entries WHERE organization_id = {} "
        "AND action = 'message.content_read'",
        server.organization.id,
    )
    assert rows[0]["n"] == 1


async def test_activity_is_shown_with_times_in_iso(server: Server) -> None:
    id = await server.sent("ann@example.net", "bob@example.net")
    (row,) = await fetch(
        "SELECT id, message_id, organization_id, project_id FROM deliveries WHERE number = {}", id
    )
    began = clock.now().replace(microsecond=123_000)

    def event(type: EventType, seconds: int, **data: Any) -> NewEvent:
        return NewEvent(
            organization_id=OrganizationId(row["organization_id"]),
            project_id=ProjectId(row["project_id"]),
            message_id=row["message_id"],
            delivery_id=row["id"],
            type=type,
            data={"ip": "192.0.2.7", "user_agent": "Mail/1.0"} | data,
            occurred_at=began + timedelta(seconds=seconds),
        )

    async with transaction() as tx:
        await append(
            tx,
            [
                event(EventType.MESSAGE_OPENED, 0),
                event(EventType.MESSAGE_CLICKED, 1, url="https://example.net/?a=1&b=2"),
                event(EventType.MESSAGE_OPENED, 1, implied=True),
                event(EventType.MESSAGE_OPENED, 2, ip=None, user_agent=None),
            ],
        )

    found = (await server.read(id, "activity_entries"))["activity_entries"]
    other = (await server.read(id + 1, "activity_entries"))["activity_entries"]

    def at(seconds: int) -> str:
        text = (began + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")

    assert found == {
        "loads": [
            {"ip_address": "192.0.2.7", "user_agent": "Mail/1.0", "timestamp": at(0)},
            {"ip_address": None, "user_agent": None, "timestamp": at(2)},
        ],
        "clicks": [
            {
                "url": "https://example.net/?a=1&b=2",
                "ip_address": "192.0.2.7",
                "user_agent": "Mail/1.0",
                "timestamp": at(1),
            }
        ],
    }
    assert list(found["clicks"][0]) == ["url", "ip_address", "user_agent", "timestamp"]
    assert other == {"loads": [], "clicks": []}


async def test_nothing_was_attempted_yet(server: Server) -> None:
    assert await server.data("messages/deliveries", {"id": await server.sent()}) == []


STATES = [
    ("scheduled", {}, "Pending"),
    ("queued", {}, "Pending"),
    ("sending", {}, "Pending"),
    ("deferred", {}, "SoftFail"),
    ("delivered", {"delivered_at": True}, "Sent"),
    ("bounced", {}, "HardFail"),
    ("bounced", {"delivered_at": True}, "Bounced"),
    ("expired", {}, "HardFail"),
    ("suppressed", {}, "Held"),
    ("cancelled", {}, "HoldCancelled"),
]


@pytest.mark.parametrize(("state", "more", "status"), STATES, ids=str)
async def test_every_state_has_a_word(
    server: Server, state: str, more: dict[str, Any], status: str
) -> None:
    id = await server.sent()
    now = clock.now()
    await fetch(
        "UPDATE deliveries SET state = {}, delivered_at = {}, settled_at = {}, due_at = NULL "
        "WHERE number = {}",
        state,
        now if more else None,
        now,
        id,
    )

    found = (await server.read(id, "status"))["status"]
    entries = await server.data("messages/deliveries", {"id": id})

    assert (found["status"], found["held"]) == (status, status == "Held")
    ended = state in ("expired", "suppressed", "cancelled") or status == "Bounced"
    assert [entry["status"] for entry in entries] == ([status] if ended else [])
    for entry in entries:
        assert list(entry) == ENTRY
        assert (entry["output"], entry["sent_with_ssl"]) == (None, False)
        assert (entry["log_id"], entry["time"]) == (None, None)


async def test_attempts_are_shown_oldest_first(server: Server) -> None:
    id = await server.sent()
    (row,) = await fetch("SELECT id, organization_id FROM deliveries WHERE number = {}", id)
    began = clock.now()
    attempts = [
        (1, "deferred", None, "connection refused", None, None, None, 20_000),
        (2, "deferred", 451, "4.7.1 try later" + "x" * 300, "mx.example", "192.0.2.1", None, 414),
        (3, "delivered", 250, "2.0.0 Ok", "mx.example", "192.0.2.1", "TLSv1.3", 1_006),
    ]
    for number, verdict, code, reply, host, address, tls, took in attempts:
        await fetch(
            "INSERT INTO attempts (id, organization_id, delivery_id, number, verdict, code, reply, "
            "mx_host, mx_address, tls_version, transcript, started_at, duration_ms) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
            new_id(),
            row["organization_id"],
            row["id"],
            number,
            verdict,
            code,
            reply,
            host,
            address,
            tls,
            json.dumps([]),
            began + timedelta(minutes=number),
            took,
        )
    await fetch("UPDATE deliveries SET attempts = 3 WHERE id = {}", row["id"])

    first, second, third = await server.data("messages/deliveries", {"id": id})

    assert list(first) == list(second) == list(third) == ENTRY
    assert [each["status"] for each in (first, second, third)] == ["SoftFail", "SoftFail", "Sent"]
    assert first["id"] < second["id"] < third["id"]
    assert (first["output"], first["time"]) == (None, None)
    assert second["output"] == ("451 4.7.1 try later" + "x" * 300)[:250]
    assert (third["output"], third["time"]) == ("250 2.0.0 Ok", 1.01)
    assert [each["sent_with_ssl"] for each in (first, second, third)] == [False, False, True]
    assert all(len(each["details"]) <= 250 for each in (first, second, third))
    assert len({each["log_id"] for each in (first, second, third)}) == 3
    assert re.fullmatch("[A-Z0-9]{8}", third["log_id"])
    assert third["timestamp"] == pytest.approx(began.timestamp() + 181.006, abs=0.01)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"html_body": "<p>Hello</p>"},
        {"plain_body": None, "html_body": "<p>Grüße</p>"},
        {"attachments": [{"name": "a.txt", "content_type": "text/plain", "data": "YWJj"}]},
    ],
    ids=["text", "both", "html", "file"],
)
async def test_every_field_that_typed_clients_demand_is_there(
    server: Server, values: dict[str, Any]
) -> None:
    """PyPI's postal_py, for one, takes no message without these."""
    found = (await server.read(await server.sent(**values), "headers"))["headers"]

    demanded = "received date from to message-id subject mime-version content-type".split()
    for name in (*demanded, "content-transfer-encoding"):
        assert len(found[name]) == 1, name
    assert re.fullmatch(
        r"by mail\.postlane\.test with HTTP; \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000",
        found["received"][0],
    )


async def test_what_comes_by_our_own_apis_has_no_such_field(server: Server) -> None:
    made = await make_api_key(server.organization)
    body = {"from": server.sender, "to": ["ann@example.net"], "subject": "Hi", "text": "Hello"}

    answer = await server.client.post(
        "/api/v1/messages/send", json=body, headers={"X-API-Key": made.secret}
    )

    rows = await fetch(
        "SELECT d.number FROM deliveries d WHERE organization_id = {}", server.organization.id
    )
    assert answer.status_code == 202
    found = await server.read(rows[0]["number"], "headers")
    assert "received" not in found["headers"]
