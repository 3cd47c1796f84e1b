"""How a request is read: methods, paths, forms of parameters, keys; and what is no request."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from postlane.accounts.tables import Organization
from postlane.core.errors import ErrorCode
from postlane.rest_compat.bodies import Request
from postlane.rest_compat.dialects import POSTAL
from postlane.rest_compat.postal.dialect import HTTP_STATUSES
from postlane.rest_compat.route import Fault, Refused
from tests.client import Client
from tests.factories import make_api_key

from .world import Server, make_server

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ACTIONS = ("send/message", "send/raw", "messages/message", "messages/deliveries")
NOT_FOUND = "No message found matching provided ID"


async def test_methods_and_suffixes_make_no_difference(server: Server) -> None:
    for method in ("GET", "POST", "PUT", "PATCH"):
        for suffix in ("", "/", ".json"):
            error = await server.error(f"messages/message{suffix}", {"id": 1}, method=method)

            assert error == {"message": NOT_FOUND, "id": 1, "code": "MessageNotFound"}


async def test_head_is_get_without_a_body(server: Server) -> None:
    answer = await server.post("messages/message", method="HEAD")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS"])
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
async def test_other_methods_and_paths_are_not_there(
    server: Server, method: str, accept: str
) -> None:
    for path, verb in (("send/message", method), ("send/other", "POST"), ("domains", "GET")):
        answer = await server.post(path, method=verb, headers={"Accept": accept})

        assert answer.status_code == 404
        if accept == "*/*":
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.text.startswith("<!DOCTYPE html>")
        else:
            assert answer.json() == {"status": 404, "error": "Not Found"}
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"X-Server-API-Key": ""}, {"X-Server-API-Key": "  "}])
async def test_without_a_key_access_is_denied(client: Client, headers: dict[str, str]) -> None:
    sentence = "Must be authenticated as a server."
    for action in ACTIONS:
        answer = await client.post(f"/api/v1/{action}", content=b"{broken", headers=JSON | headers)

        found = answer.json()
        assert (answer.status_code, found["status"]) == (200, "error")
        assert found["data"] == {"message": sentence, "code": "AccessDenied"}
        assert list(found["data"]) == ["message", "code"]


@pytest.mark.parametrize("key", ["short", "A" * 24, "<&>" * 9, "x" * 5000])
async def test_an_unknown_key_is_echoed(client: Client, key: str) -> None:
    answer = await client.post(
        "/api/v1/send/message", content=b"{broken", headers=JSON | {"X-Server-API-Key": key}
    )

    found = answer.json()
    assert answer.status_code == 200
    assert found["data"] == {
        "message": "The API token provided in X-Server-API-Key was not valid.",
        "token": key,
        "code": "InvalidServerAPIKey",
    }
    assert list(found["data"]) == ["message", "token", "code"]
    assert not set("<>&") & set(answer.text)


async def test_the_header_decides_which_api_is_spoken(server: Server) -> None:
    made = await make_api_key(server.organization)
    client, bearer = server.client, {"Authorization": f"Bearer {made.secret}"}

    theirs = await client.get("/api/v1/messages", headers=bearer)
    both = await server.post("messages/message", {"id": 1}, headers=bearer)
    absent = await client.post("/api/v1/send/message", json={}, headers=bearer)
    stranger = await client.get("/api/v1/messages")

    assert (theirs.status_code, both.json()["data"]["code"]) == (200, "MessageNotFound")
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, "not_found")
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (
        401,
        "authentication_required",
    )


async def test_a_disabled_key_is_unknown(client: Client) -> None:
    server = await make_server(client, status="disabled")

    assert (await server.error("send/message"))["code"] == "InvalidServerAPIKey"


async def test_a_suspended_server_is_told_without_a_sentence(server: Server) -> None:
    await Organization.update({Organization.status: "suspended"}).where(
        Organization.id == server.organization.id
    )

    for action in ACTIONS:
        assert await server.error(action, {"id": 1}) == {"code": "ServerSuspended"}


async def test_a_key_without_the_scope_is_denied(client: Client) -> None:
    server = await make_server(client, scopes=["messages:read"])

    error = await server.error("send/message", server.message())

    assert error["code"] == "AccessDenied"
    assert "messages:send" in error["message"]


def params(body: dict[str, Any]) -> dict[str, str]:
    """Return the field that carries parameters in a form."""
    return {"params": json.dumps(body)}


async def test_parameters_stand_in_the_field_of_a_form(server: Server) -> None:
    body = server.message("ann@example.net", subject="100 % + more & ü")

    form = await server.data("send/message", data=params(body))
    multipart = await server.data(
        "send/message", files={"params": (None, json.dumps(body)), "other": (None, "x")}
    )
    query = await server.data(f"send/message?{urlencode(params(body))}", method="GET")
    plain = await server.data(
        f"send/message?{urlencode(params(body))}",
        content=b"ignored",
        headers={"Content-Type": "text/plain"},
    )

    for data in (form, multipart, query, plain):
        copy = data["messages"]["ann@example.net"]["id"]
        assert (await server.read(copy, "details"))["details"]["subject"] == body["subject"]


async def test_other_fields_of_a_form_are_ignored(server: Server) -> None:
    form = {"to[]": "ann@example.net", "from": server.sender, "plain_body": "x"}

    assert (await server.error("send/message", data=form))["code"] == "NoRecipients"


async def test_the_last_field_counts(server: Server) -> None:
    content = "params=%7B%7D&xparams=1&params=" + quote(json.dumps({"id": 7}))

    error = await server.error("messages/message", content=content, headers=FORM)

    assert error["id"] == 7


async def test_the_query_is_merged_into_json_and_wins(server: Server) -> None:
    body = server.message(subject="Body")
    query = "subject=Query&cc[]=bob%40example.net&cc[]=carl%40example.net&headers[X-A]=1"

    data = await server.data(f"send/message?{query}", body)

    assert list(data["messages"]) == ["ann@example.net", "bob@example.net", "carl@example.net"]
    found = await server.read(data["messages"]["ann@example.net"]["id"])
    assert found["details"]["subject"] == "Query"
    assert found["headers"]["x-a"] == ["1"]


async def test_files_may_stand_in_the_query(server: Server) -> None:
    files = "attachments[][name]=a&attachments[][data]=YQ&attachments[][name]=b"

    error = await server.error(f"send/message?{files}", server.message())

    assert error["code"] == "AttachmentMissingData"


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
async def test_what_is_no_object_has_no_parameters(server: Server, content_type: str) -> None:
    headers = {"Content-Type": content_type}

    for content in (b"", b"  ", b"[]", b"null", b'"a"', b"5", b"[1, 2]"):
        fault = await server.fault("messages/message", content=content, headers=headers)
        assert fault == "`id` parameter is required but is missing"


async def test_json_of_another_type_has_no_parameters(server: Server) -> None:
    content = json.dumps({"id": 1}).encode()

    for content_type in ("Application/JSON", "text/json", "", "multipart/x"):
        headers = {"Content-Type": content_type}
        fault = await server.fault("messages/message", content=content, headers=headers)
        assert fault == "`id` parameter is required but is missing"


async def test_nulls_in_lists_are_dropped(server: Server) -> None:
    body = server.message() | {"to": [None, "ann@example.net", None]}

    data = await server.data("send/message", body)

    assert list(data["messages"]) == ["ann@example.net"]
    assert (await server.error("send/message", body | {"to": [None]}))["code"] == "NoRecipients"


BROKEN = (
    b"{",
    b'{"id": 1',
    b"\xff\xfe",
    b'{"a": "\xff"}',
    b'{"a": "\\ud800"}',
    b"[" * 100_000,
    b'{"id": NaN}',
    b"\x00",
)


async def test_broken_json_is_no_request(server: Server) -> None:
    asking = JSON | {"Accept": "application/json"}
    for content in BROKEN:
        bare = await server.post("send/message", content=content, headers=JSON)
        asked = await server.post("send/message", content=content, headers=asking)

        assert (bare.status_code, bare.content) == (400, b""), content[:20]
        assert (asked.status_code, asked.json()) == (400, {"status": 400, "error": "Bad Request"})


async def test_broken_json_in_a_field_is_a_parameter_error(server: Server) -> None:
    for content in BROKEN:
        form = b"params=" + quote(content).encode()

        fault = await server.fault("send/message", content=form, headers=FORM)

        assert fault == "`params` is not valid JSON"


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nbroken", "multipart/form-data"),
        (b"no parts at all", "multipart/form-data; boundary=x"),
        (b"--x\r\n" * 200, "multipart/form-data; boundary=x"),
    ],
    ids=["cut", "no boundary", "no parts", "many"],
)
async def test_a_broken_form_is_a_parameter_error(
    server: Server, content: bytes, content_type: str
) -> None:
    headers = {"Content-Type": content_type}

    assert await server.fault("messages/message", content=content, headers=headers)


@pytest.mark.parametrize(
    "query",
    ["id=%ff", "a[b]=1&a[]=2", "a=1&a[]=2", "a[]=1&a[b]=2", "a" + "[b]" * 40 + "=1", "a&" * 2000],
    ids=lambda query: query[:16],
)
async def test_a_query_that_contradicts_itself_is_no_request(server: Server, query: str) -> None:
    answer = await server.post(f"messages/message?{query}", {})

    assert answer.status_code == 400


async def test_chunked_bodies_are_read(server: Server) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in json.dumps({"id": 5}).encode():
            yield bytes([byte])

    error = await server.error("messages/message", content=chunks(), headers=JSON)

    assert error["id"] == 5


async def test_a_body_beyond_the_limit_is_refused_in_the_envelope(server: Server) -> None:
    answer = await server.post("send/message", content=b" " * (35 * 2**20 + 1), headers=JSON)

    assert answer.status_code == 413
    assert answer.json()["data"]["code"] == "PayloadTooLarge"


def test_every_refusal_has_an_answer() -> None:
    """Also those that no action has today."""
    request = Request(
        scope={"type": "http"},  # type: ignore[typeddict-item]
        method="POST",
        path="send/message",
        query=b"",
        headers={},
        request_id="test",
        address=None,
    )

    for code in (*ErrorCode, *Fault):
        reply = POSTAL.failure(Refused(code, "A sentence."), request, POSTAL.routes[0])

        expected = 400 if code is Fault.INVALID_JSON else HTTP_STATUSES.get(code, 200)
        assert reply.status == expected
        if expected != 400:
            found = json.loads(reply.body)
            assert list(found) == ["status", "time", "flags", "data"]
            assert found["status"] in ("error", "parameter-error")
