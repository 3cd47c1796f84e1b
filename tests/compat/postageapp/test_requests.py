"""How one asks: paths, bodies, keys, and the order in which refusals come."""

import json
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.security.tables import ApiKey
from tests.client import Client

from .world import Shop, make_shop

UNAUTHORIZED = (401, "unauthorized", "Invalid or inactive account API key used.")
PROJECT_METHODS = (
    "send_message get_message_receipt get_message_transmissions get_messages get_metrics "
    "get_project_info message_status message_delivery_status messages_history "
    "messages_history_detailed get_recipients_list get_suppression_list"
).split()
ACCOUNT_METHODS = (
    "create_project update_project delete_project list_projects "
    "create_mailbox update_mailbox delete_mailbox list_mailboxes"
).split()


@pytest.mark.parametrize("version", ["v.1.1", "v.1.0"])
@pytest.mark.parametrize("suffix", ["", ".json", "/"])
async def test_both_versions_and_both_forms_are_served(
    shop: Shop, version: str, suffix: str
) -> None:
    shop.version = version

    data = await shop.data(f"get_method_list{suffix}")

    names = data["methods"].split(", ")
    assert names == sorted(names)
    assert {*PROJECT_METHODS, *ACCOUNT_METHODS, "get_method_list"} <= set(names)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf8",
        "application/x-www-form-urlencoded",
        "text/plain; charset=iso-8859-1",
        None,
    ],
)
async def test_the_body_is_json_whatever_it_is_called(shop: Shop, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    content = json.dumps({"api_key": shop.key, "uid": 12, "method": "get_method_list"})

    answer = await shop.post("get_method_list.json", content=content, headers=headers)

    assert answer.status_code == 200
    assert answer.json()["response"] == {"status": "ok", "uid": 12}


@pytest.mark.parametrize("arguments", [None, {}, []])
async def test_arguments_may_be_nothing_in_any_form(shop: Shop, arguments: Any) -> None:
    assert await shop.data("get_messages", arguments) == {}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_told_which_there_is(shop: Shop, method: str) -> None:
    answer = await shop.client.request(method, "/v.1.1/send_message.json")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["response"]["status"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/v.2.0/send_message", "/v.1.2/x.json", "/v.1/get_messages"])
async def test_there_are_two_versions(client: Client, path: str) -> None:
    answer = await client.post(path, content=b"\xff not even JSON")

    assert answer.status_code == 409
    assert answer.json()["response"] == {
        "status": "conflict",
        "uid": None,
        "message": "Invalid API version.",
    }


@pytest.mark.parametrize(
    ("octets", "status", "message"),
    [
        (b"", "invalid_json", "The posted content is not valid JSON."),
        (b"{", "invalid_json", "The posted content is not valid JSON."),
        (b'{"a": 1} {}', "invalid_json", "The posted content is not valid JSON."),
        (b"[" * 100_000, "invalid_json", "The posted content is not valid JSON."),
        (
            b'{"a": "\xff"}',
            "invalid_utf8",
            "The posted content is not encoded in UTF8 or contains invalid characters. "
            "Error detected at byte 7.",
        ),
        (
            b'{"a": "\\ud800"}',
            "invalid_utf8",
            "The posted content is not encoded in UTF8 or contains invalid characters. "
            "Error detected at byte 7.",
        ),
        (b"[]", "call_error", "The posted content is not a JSON object."),
        (b'"x"', "call_error", "The posted content is not a JSON object."),
        (b'{"api_key": 5}', "call_error", "The api_key is not a string."),
    ],
)
async def test_what_cannot_be_read_is_told_before_anybody_is_known(
    shop: Shop, octets: bytes, status: str, message: str
) -> None:
    answer = await shop.post("no_such_method", content=octets)

    assert answer.status_code == 406
    response = {"status": status, "uid": None, "message": message}
    assert answer.json() == {"response": response}


async def test_a_pair_of_surrogates_is_a_character(shop: Shop) -> None:
    content = b'{"api_key": "%s", "uid": "\\ud83d\\ude00"}' % shop.key.encode()

    answer = await shop.post("get_method_list", content=content)

    assert answer.json()["response"]["uid"] == "😀"


@pytest.mark.parametrize("key", ["", "A" * 32, "short", "é" * 32])
async def test_an_unknown_key_is_told_before_what_it_asks_for(shop: Shop, key: str) -> None:
    assert await shop.refused("send_message", {}, key=key) == UNAUTHORIZED
    assert await shop.refused("no_such_method", 5, key=key) == UNAUTHORIZED


async def test_without_a_key_nobody_asks(shop: Shop) -> None:
    answer = await shop.post("send_message", {"uid": "u", "arguments": {}})

    assert answer.status_code == 401
    assert answer.json()["response"]["uid"] == "u"


@pytest.mark.parametrize("method", PROJECT_METHODS)
async def test_an_account_key_is_none_of_a_project(shop: Shop, method: str) -> None:
    assert await shop.refused(method, {"uid": "u"}, key=shop.account_key) == UNAUTHORIZED


@pytest.mark.parametrize("method", ACCOUNT_METHODS)
async def test_a_project_key_is_none_of_the_account(shop: Shop, method: str) -> None:
    assert await shop.refused(method, {"uid": "u", "label": "x"}) == UNAUTHORIZED


async def test_a_disabled_key_is_none(shop: Shop) -> None:
    await ApiKey.update({ApiKey.status: "disabled"}).where(ApiKey.project_id == shop.project.id)

    assert await shop.refused("get_method_list") == UNAUTHORIZED


async def test_the_key_of_a_disabled_account_is_locked(shop: Shop) -> None:
    await Organization.update({Organization.status: "suspended"}).where(
        Organization.id == shop.organization.id
    )

    refused = await shop.refused("get_message_receipt", {"uid": "u"})

    assert refused == (423, "locked", "The specified API key is not valid.")


async def test_an_unknown_method_is_told_to_whoever_has_a_key(shop: Shop) -> None:
    status, found = await shop.call("no_such_method", {"a": 1}, uid="mine")

    assert status == 406
    assert found["response"]["status"] == "call_error"
    assert found["response"]["message"].startswith("Request could not be processed")
    assert found["response"]["uid"] == "mine"


async def test_failing_can_be_tried(shop: Shop) -> None:
    assert await shop.refused("test_error") == (500, "internal_server_error", "Test error")


async def test_a_body_has_an_end(shop: Shop) -> None:
    content = b'{"api_key": "' + b"x" * (35 * 2**20)

    answer = await shop.post("send_message", content=content)

    assert answer.status_code == 413
    assert answer.json()["response"]["status"] == "request_too_large"


async def test_another_tenants_uid_is_unknown(client: Client, shop: Shop) -> None:
    await shop.send("theirs")
    other = await make_shop(client)
    methods = ("get_message_receipt", "get_message_transmissions", "message_status")

    answers = [await other.refused(method, {"uid": "theirs"}) for method in methods]

    assert answers == [(404, "not_found", None)] * 3
    assert await other.refused("message_delivery_status", {"uid": "theirs"}) == (
        404,
        "not_found",
        "Message with UID theirs was not found.",
    )
    assert await other.refused("get_recipients_list", {"uid": "theirs"}) == (404, "not_found", None)


async def test_another_projects_uid_is_unknown(client: Client, shop: Shop) -> None:
    made = await shop.data("create_project", {"uid": "b", "label": "B"}, key=shop.account_key)
    await shop.send("of-a")

    refused = await shop.refused(
        "get_message_receipt", {"uid": "of-a"}, key=made["project"]["api_key"]
    )

    assert refused == (404, "not_found", None)
