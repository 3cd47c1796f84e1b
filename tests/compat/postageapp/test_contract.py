"""The contract as a table: each row names the section of the reference that it shows."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.rest_compat.dialects import POSTAGEAPP
from postlane.rest_compat.postageapp.dialect import STATUSES
from postlane.rest_compat.postageapp.differences import METHODS
from tests.client import Client
from tests.compat.matching import differences, filled
from tests.factories import make_suppression

from .world import Shop, make_shop

MESSAGE = {
    "recipients": {"Ann <ann@example.net>": {"name": "Ann"}},
    "headers": {"from": "Shop <news@{domain}>", "subject": "Hi {{name}}"},
    "content": {"text/plain": "Hi {{name}}"},
}
PROJECT = {
    "id": "<integer>",
    "uid": "shop",
    "label": "Shop",
    "group": "Examples",
    "open_tracking": False,
    "click_tracking": True,
    "unsubscribe_header": False,
    "api_key": "<token><token>",
    "url": "<text>",
    "created_at": "<text>Z",
}
NUMBERS = {
    "current_percent": "<number>",
    "previous_percent": "<number>",
    "diff_percent": "<number>",
    "current_value": "<integer>",
    "previous_value": "<integer>",
}
SERIES = dict.fromkeys(
    "delivered opened failed rejected created queued clicked spammed".split(), NUMBERS
)
FACTS = {
    "name": "<text>",
    "url": "<text>",
    "transmissions": {"today": "<integer>", "this_month": "<integer>", "overall": "<integer>"},
}


@dataclass(frozen=True)
class Row:
    """A request and its answer."""

    section: str
    method: str
    ask: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    """Of an error only the response."""
    status: int = 200
    given: str = "nothing"
    by: str = "project"
    """Whose key it is."""
    verb: str = "POST"


def ok(uid: Any = None, **data: Any) -> dict[str, Any]:
    return {"response": {"status": "ok", "uid": uid}, "data": data}


def error(status: str, message: str | None = None, uid: Any = None) -> dict[str, Any]:
    response = {"status": status, "uid": uid}
    return {"response": response | ({"message": message} if message is not None else {})}


def send(**changed: Any) -> dict[str, Any]:
    return {"uid": "u", "arguments": MESSAGE | changed}


TRANSMISSION = {
    "status": "queued",
    "created_at": "<text>",
    "failed_at": None,
    "opened_at": None,
    "clicked_at": None,
    "result_code": None,
    "result_message": None,
    "error_message": None,
}
RECIPIENT = {
    "status": "good",
    "score": 50,
    "opened_count": 0,
    "clicked_count": 0,
    "soft_bounce_count": 0,
    "hard_bounce_count": 0,
    "opt_out_count": 0,
    "spam_report_count": 0,
    "message": "",
}
SENT = {"message": {"id": "<integer>", "url": "<text>"}}
UNAUTHORIZED = "Invalid or inactive account API key used."
U = {"arguments": {"uid": "u"}}
SHOP = {"uid": "shop", "label": "Shop", "group": "Examples", "click_tracking": True}
BOX = {
    "uid": "box",
    "label": "Support",
    "host": "imap.example.com",
    "username": "ada",
    "password": "secret",
    "postback_url": "https://program.example/mail",
}
MAILBOX = {
    "id": "<integer>",
    "uid": "box",
    "label": "Support",
    "host": "imap.example.com",
    "port": 993,
    "username": "ada",
    "tls": True,
    "postback_url": "https://program.example/mail",
    "created_at": "<text>Z",
}
ROWS = (
    Row("9.1", "get_method_list", {}, ok(methods="<text>")),
    Row("9.1", "get_method_list", {"uid": 12}, ok(12, methods="<text>"), by="account"),
    Row("9.2", "get_account_info", {}, ok(account=FACTS | {"users": "<any>"})),
    Row("9.2", "get_account_info", {}, ok(account=FACTS | {"users": "<any>"}), by="account"),
    Row("9.3", "get_project_info", {}, ok(project=FACTS | {"users": "<any>"})),
    Row("9.4", "get_message_receipt", U, ok("u", **SENT), given="a_message"),
    Row(
        "9.5",
        "get_message_transmissions",
        U,
        ok(
            "u",
            message={"id": "<integer>"},
            transmissions={"ann@example.net": TRANSMISSION},
        ),
        given="a_message",
    ),
    Row("9.6", "get_messages", {}, ok()),
    Row(
        "9.6",
        "get_messages",
        {"arguments": {"page": 1, "per_page": 250}},
        ok(
            u={
                "project_id": "<integer>",
                "template": None,
                "transmissions_total": 1,
                "transmissions_failed": 0,
                "transmissions_completed": 0,
                "created_at": "<text>Z",
                "will_purge_at": "<text>Z",
            }
        ),
        given="a_message",
    ),
    Row(
        "9.7",
        "get_metrics",
        {},
        {
            "response": {"status": "ok", "uid": None, "message": "metrics"},
            "data": {"metrics": dict.fromkeys(("hour", "date", "week", "month"), SERIES)},
        },
    ),
    Row("9.8", "message_status", U, ok("u", message_status={"queued": 1}), given="a_message"),
    Row(
        "9.9",
        "message_delivery_status",
        U,
        {
            "response": {"status": "ok", "uid": "u", "delivery_status": "queued"},
            "data": {
                "delivery_status": [
                    {
                        "unique_id": "<token>@{domain}",
                        "recipient": "ann@example.net",
                        "status": "queued",
                    }
                ]
            },
        },
        given="a_message",
    ),
    Row(
        "9.9",
        "message_delivery_status",
        U,
        error("not_found", "Message with UID u was not found.", "u"),
        404,
    ),
    Row(
        "9.10",
        "messages_history_detailed",
        {"arguments": {"from": "2020-01-01", "to": "2099-12-31"}},
        ok(
            messages_history=[
                {
                    "unique_id": "<token>@{domain}",
                    "message_id": "<integer>",
                    "uid": "u",
                    "recipient": "ann@example.net",
                    "status": "queued",
                    "created_at": "<text>",
                }
            ]
        ),
        given="a_message",
    ),
    Row(
        "9.11",
        "messages_history",
        {},
        ok(
            messages_history=[
                {
                    "message_id": "<integer>",
                    "uid": "u",
                    "status": "queued",
                    "created_at": "<text>",
                }
            ]
        ),
        given="a_message",
    ),
    Row("9.12", "get_suppression_list", {}, ok()),
    Row(
        "9.12",
        "get_suppression_list",
        {},
        ok(
            **{
                "ann@example.net": {
                    "status": "rejected",
                    "suppression_state": "hard_bounce",
                    "blocked_until": "9999-12-31T23:59:59Z",
                    "message": "No such user",
                }
            }
        ),
        given="a_suppression",
    ),
    Row(
        "9.13",
        "get_recipients_list",
        U,
        ok("u", recipients={"ann@example.net": RECIPIENT}),
        given="a_message",
    ),
    Row("9.14", "create_project", {"arguments": SHOP}, ok("shop", project=PROJECT), by="account"),
    Row(
        "9.14",
        "update_project",
        {"arguments": {"uid": "shop", "label": "Renamed"}},
        ok("shop", project=PROJECT | {"label": "Renamed", "api_key": None}),
        given="a_project",
        by="account",
    ),
    Row(
        "9.14",
        "delete_project",
        {"arguments": {"uid": "shop"}},
        ok("shop", project=PROJECT | {"uid": None, "api_key": None}),
        given="a_project",
        by="account",
    ),
    Row("9.14", "list_projects", {}, ok(projects="<any>"), given="a_project", by="account"),
    Row(
        "9.14",
        "create_project",
        {"arguments": {"uid": "shop"}},
        error("precondition_failed", "The argument 'label' is required."),
        412,
        by="account",
    ),
    Row(
        "9.14",
        "create_project",
        {"arguments": SHOP},
        error("precondition_failed", "<text>"),
        412,
        given="a_project",
        by="account",
    ),
    Row(
        "9.14",
        "update_project",
        {"arguments": {"id": "5", "label": "x"}},
        error("not_found", "The project was not found."),
        404,
        by="account",
    ),
    Row("9.14", "list_projects", {}, error("unauthorized", UNAUTHORIZED), 401),
    Row(
        "9.15",
        "create_mailbox",
        {"arguments": BOX},
        ok("box", mailbox=MAILBOX | {"postback_secret": "<secret>"}),
        by="account",
    ),
    Row(
        "9.15",
        "create_mailbox",
        {"arguments": {k: v for k, v in BOX.items() if k != "uid"}},
        ok("<text>", mailbox=MAILBOX | {"uid": "<text>", "postback_secret": "<secret>"}),
        by="account",
    ),
    Row(
        "9.15",
        "update_mailbox",
        {"arguments": {"uid": "box", "label": "Renamed"}},
        ok("box", mailbox=MAILBOX | {"label": "Renamed"}),
        given="a_mailbox",
        by="account",
    ),
    Row(
        "9.15",
        "delete_mailbox",
        {"arguments": {"uid": "box"}},
        ok("box", mailbox=MAILBOX),
        given="a_mailbox",
        by="account",
    ),
    Row("9.15", "list_mailboxes", {}, ok(mailboxes=[]), by="account"),
    Row("9.15", "list_mailboxes", {}, ok(mailboxes=[MAILBOX]), given="a_mailbox", by="account"),
    Row(
        "9.15",
        "create_mailbox",
        {"arguments": {"uid": "box"}},
        error("precondition_failed", "The argument 'host' is required."),
        412,
        by="account",
    ),
    Row(
        "9.15",
        "delete_mailbox",
        {"arguments": {"uid": "nobody"}},
        error("not_found", "The mailbox was not found."),
        404,
        by="account",
    ),
    Row("9.15", "create_mailbox", {"arguments": BOX}, error("unauthorized", UNAUTHORIZED), 401),
    Row(
        "9.16",
        "test_mail_server",
        {},
        error("call_error", "Request could not be processed<text>"),
        406,
    ),
    Row("9.16", "test_error", {}, error("internal_server_error", "Test error"), 500),
    Row("10.1", "send_message", send(), ok("u", **SENT)),
    Row(
        "10.2",
        "send_message",
        send(recipients="ann@example.net, Bob <b@example.net>"),
        ok("u", **SENT),
    ),
    Row(
        "10.2",
        "send_message",
        send(recipients=["a@example.net", ["b@example.net"]]),
        ok("u", **SENT),
    ),
    Row("10.3", "send_message", send(headers={}), ok("u", **SENT)),
    Row("10.4", "send_message", send(content="Hello"), ok("u", **SENT)),
    Row(
        "10.5",
        "send_message",
        send(attachments={"a.txt": {"content_type": "", "content": "YW\nJj\n"}}),
        ok("u", **SENT),
    ),
    Row("10.8", "send_message", send(recipient_override="dev@example.net"), ok("u", **SENT)),
    Row("17", "send_message", send(deliver=False), ok("u", **SENT)),
    Row(
        "5",
        "send_message",
        send(),
        error("bad_request", "Uid u already exists. Assuming message duplication.", "u"),
        400,
        given="a_message",
    ),
    Row("7", "send_message", {}, error("bad_request", "<text>"), 400),
    Row("7", "send_message", {"arguments": {}}, error("bad_request", "<text>"), 400),
    Row("7", "send_message", send(), error("unauthorized", UNAUTHORIZED, "u"), 401, by="nobody"),
    Row("4.1", "send_message", send(), error("unauthorized", UNAUTHORIZED, "u"), 401, by="account"),
    Row("7", "get_message_receipt", U, error("not_found", None, "u"), 404),
    Row(
        "7",
        "no_such_method",
        {"uid": "u"},
        error("call_error", "Request could not be processed<text>", "u"),
        406,
    ),
    Row("7", "send_message", send(variables="x"), error("call_error", "<text>", "u"), 406),
    Row(
        "7.1",
        "send_message",
        {"arguments": {"headers": {}, "attachments": {}}},
        error("precondition_failed", "No recipients were specified."),
        412,
    ),
    Row(
        "7.1",
        "send_message",
        {"arguments": {"template": "no-such-slug"}},
        error("precondition_failed", "<text>"),
        412,
    ),
    Row(
        "7.1",
        "send_message",
        send(template="welcom"),
        error("precondition_failed", "Template 'welcom' was not found.", "u"),
        412,
    ),
    Row(
        "16",
        "send_message",
        send(attachments={"a.txt": {"content": "!"}}),
        error("precondition_failed", "It is not base64.", "u"),
        412,
    ),
    Row(
        "7",
        "get_message_receipt",
        U,
        error("locked", "The specified API key is not valid."),
        423,
        given="a_disabled_account",
    ),
    Row("2", "send_message", {}, error("method_not_allowed", "<text>"), 405, verb="GET"),
)


async def nothing(shop: Shop) -> None:
    """There is an account with a project."""


async def a_message(shop: Shop) -> None:
    """A message with the uid `u` waits."""
    await shop.send("u", {"Ann <ann@example.net>": {"name": "Ann"}})


async def a_project(shop: Shop) -> None:
    """There is a project with the uid `shop`."""
    await shop.data("create_project", SHOP, key=shop.account_key)


async def a_mailbox(shop: Shop) -> None:
    """There is a mailbox with the uid `box`."""
    await shop.data("create_mailbox", BOX, key=shop.account_key)


async def a_suppression(shop: Shop) -> None:
    """Somebody gets no mail."""
    values = {"reason": "hard_bounce", "description": "No such user"}
    await make_suppression(shop.organization.id, "ann@example.net", **values)


async def a_disabled_account(shop: Shop) -> None:
    """The account may only read."""
    await Organization.update({Organization.status: "suspended"}).where(
        Organization.id == shop.organization.id
    )


GIVEN: dict[str, Callable[[Shop], Awaitable[None]]] = {
    each.__name__: each
    for each in (nothing, a_message, a_project, a_mailbox, a_suppression, a_disabled_account)
}


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row.section} {row.method} {row.status} {ROWS.index(row)}"
)
@pytest.mark.parametrize("path", ["v.1.1/{}", "v.1.0/{}.json"])
async def test_every_row_passes(client: Client, row: Row, path: str) -> None:
    shop = await make_shop(client)
    await GIVEN[row.given](shop)
    keys = {"project": shop.key, "account": shop.account_key, "nobody": "A" * 32}
    names = {"{domain}": shop.domain}
    body = filled({"api_key": keys[row.by], **row.ask}, names)

    answer = await client.request(row.verb, f"/{path.format(row.method)}", json=body)

    assert answer.status_code == row.status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert different(filled(row.answer, names), answer.json()) == []


def different(expected: Any, found: Any) -> list[str]:
    """Return what is not as a row says; `<any>` stands for what another test looks at."""
    return [each for each in differences(expected, found) if "instead of '<any>'" not in each]


def test_every_method_and_every_status_has_a_row() -> None:
    methods = {route.path.rpartition("/")[2] for route in POSTAGEAPP[0].routes} - {"{method}"}
    words = {row.answer["response"]["status"] for row in ROWS}
    elsewhere = {
        "conflict",  # tests/compat/postageapp/test_requests.py, as are the next three
        "invalid_json",
        "invalid_utf8",
        "request_too_large",
        "service_unavailable",  # tests/compat/test_hostile.py looks at what is down
        "too_many_requests",
    }

    assert methods <= {row.method for row in ROWS}
    assert methods == set(METHODS)
    assert words | elsewhere == set(STATUSES)
    assert all(re.fullmatch(r"\d+(\.\d+)?", row.section) for row in ROWS)
