"""GraphQL over HTTP: which request gets which status, media type and headers.

What the outside audit asks is in `test_audit.py`; here is what it does not ask.
"""

import json
import re
import socket
from ipaddress import ip_network
from typing import Any

import asyncpg
import httpx
import pytest
from graphql import GraphQLError, OperationDefinitionNode, parse

from postlane.core.errors import Detail, DetailCode, InvalidInput, LimitReached
from postlane.graphql.errors import refusals
from postlane.graphql.media import accepted
from postlane.graphql.request import DISCARD_BYTES
from postlane.graphql.schema import CORE
from postlane.graphql.variables import coercion_error
from postlane.server.addresses import client_address
from tests.client import Client
from tests.factories import make_actor

GRAPHQL = "application/graphql-response+json"
TYPENAME = {"query": "{ __typename }"}


async def send(client: Client, body: bytes, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(
        "/graphql", content=body, headers={"content-type": "application/json", **given}
    )


def message_of(answer: httpx.Response) -> str:
    errors = answer.json()["errors"]
    assert len(errors) == 1
    assert set(errors[0]["extensions"]) >= {"code", "requestId"}
    text: str = errors[0]["message"]
    return text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request has no body; send a JSON object with a query."),
        (b"{", "The body is not valid JSON."),
        (b"\xef\xbb\xbf{}", "The body is not valid JSON."),
        (b'{"query": "\xff"}', "The body is not valid UTF-8."),
        (b'{"query": "\xed\xa0\x80"}', "The body is not valid UTF-8."),
        (b'{"query": "\\ud800"}', "The body is not valid JSON."),
        (b'{"query": "\x00"}', "The body is not valid JSON."),
        (b'{"query": NaN}', "The body is not valid JSON."),
        (b'{"query": "{a}"} x', "The body is not valid JSON."),
        (b"[" * 100_000, "The body is nested too deeply."),
        (b'{"a":' * 100_000, "The body is nested too deeply."),
        (b'{"variables": {"a": ' + b"9" * 6000 + b"}}", "The body has a number that is too large"),
        (b'{"variables": {"a": 1e999}}', "The body has a number that is too large"),
        (b"null", "The body has to be a JSON object with a query."),
        (b'"{ __typename }"', "The body has to be a JSON object with a query."),
        (b"{}", "The request has no query."),
        (b'{"query": null}', "The request has no query."),
        (b'{"query": 1}', "query has to be a string."),
        (b'{"query": "{a}", "operationName": 1}', "operationName has to be a string."),
        (b'{"query": "{a}", "variables": []}', "variables has to be an object."),
        (b'{"query": "{a}", "variables": "x"}', "variables has to be an object."),
        (b'{"query": "{a}", "extensions": 7}', "extensions has to be an object."),
        (b'[{"query": "{ __typename }"}]', "Batches are not taken"),
        (b"[]", "Batches are not taken"),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", GRAPHQL])
async def test_a_broken_request_is_a_clear_400(
    client: Client, body: bytes, message: str, accept: str
) -> None:
    answer = await send(client, body, accept=accept)

    assert answer.status_code == 400
    assert message_of(answer).startswith(message)
    assert answer.headers["content-type"] == f"{accept}; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ('{ __type(name: "a\\u0000b") { name } }', {}),
        ("query ($name: String!) { __type(name: $name) { name } }", {"name": "a\x00b"}),
        ("query ($name: String!) { __type(name: $name) { name } }", {"name": {"\x00": 1}}),
        ('{ __type(name: "\\u{D800}") { name } }', {}),
        ("{ __typename }\x00", {}),
    ],
)
async def test_text_that_the_database_cannot_hold_stops_before_it(
    client: Client, query: str, variables: dict[str, Any]
) -> None:
    answer = await client.post(
        "/graphql", json={"query": query, "variables": variables}, headers={"accept": GRAPHQL}
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] in ("INVALID_INPUT", "DOCUMENT_INVALID")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ('application/json; charset="utf-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("application/graphql", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
async def test_only_json_is_taken(client: Client, content_type: str, status: int) -> None:
    answer = await send(client, json.dumps(TYPENAME).encode(), content_type=content_type)

    assert answer.status_code == status


async def test_a_compressed_body_is_refused(client: Client) -> None:
    answer = await send(client, b"\x1f\x8b", content_encoding="gzip")

    assert answer.status_code == 415
    assert message_of(answer) == "Send the request uncompressed."


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, application/json;q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.5, application/json", "application/json"),
        (f"application/json, {GRAPHQL}", GRAPHQL),
        (f"{GRAPHQL}, */*", GRAPHQL),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("application/json;q=0, */*", GRAPHQL),
        ("application/json; q=nonsense", None),
        ("text/html", None),
        ("*/*;q=0", None),
        (",;,", None),
    ],
)
def test_the_media_type_is_the_one_wanted_most(accept: str | None, expected: str | None) -> None:
    assert accepted(accept) == expected


async def test_nothing_acceptable_is_a_406(client: Client) -> None:
    answer = await send(client, json.dumps(TYPENAME).encode(), accept="text/html")

    assert answer.status_code == 406


async def test_a_mutation_by_get_is_a_405(client: Client) -> None:
    answer = await client.get("/graphql", params={"query": "mutation { __typename }"})

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert message_of(answer) == "Send a mutation by POST, not by GET."


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
async def test_other_methods_are_a_405(client: Client, method: str) -> None:
    answer = await client.request(method, "/graphql")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


async def test_head_is_a_get_without_its_body(client: Client) -> None:
    answer = await client.head("/graphql", params={"query": "{ __typename }"})

    assert answer.status_code == 200
    assert answer.content == b""


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("query=%ff", "The query string is not form-encoded UTF-8."),
        ("query={a}&query={b}", "The parameter query is there twice."),
        ("query={a}&variables=[1]", "variables has to be an object."),
        ("query={a}&variables={", "The parameter variables is not valid JSON."),
        ("", "The request has no query."),
        ("query=", "The request has no query."),
        ("&".join("a=1" for _ in range(60)), "The query string is not form-encoded UTF-8."),
    ],
)
async def test_a_broken_query_string_is_a_clear_400(
    client: Client, query: str, message: str
) -> None:
    answer = await client.get(f"/graphql?{query}")

    assert answer.status_code == 400
    assert message_of(answer) == message


async def test_an_announced_size_is_refused_unread(client: Client) -> None:
    answer = await send(client, b"{}", content_length="99999999")

    assert answer.status_code == 413
    assert message_of(answer).startswith(
        "The request's body has 99999999 bytes; at most 1048576 bytes are taken."
    )
    assert answer.json()["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"


async def test_an_endless_stream_is_given_up(client: Client) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 2**16
            yield b" " * 2**16

    answer = await client.post(
        "/graphql", content=endless(), headers={"content-type": "application/json"}
    )

    assert answer.status_code == 413
    assert read <= DISCARD_BYTES + 2**17


async def test_whoever_is_signed_in_may_send_a_large_message(client: Client) -> None:
    body = await client.graphql(
        "query ($x: String!) { __type(name: $x) { name } }",
        {"x": "a" * 2**21},
        actor=await make_actor(),
    )

    assert body["data"] == {"__type": None}


async def test_a_request_id_is_taken_over_and_shown(client: Client) -> None:
    answer = await send(client, b"{}", x_request_id="My.id_1-2")

    assert answer.headers["x-request-id"] == "My.id_1-2"
    assert answer.json()["errors"][0]["extensions"]["requestId"] == "My.id_1-2"


@pytest.mark.parametrize("bad", ["", "a b", "a" * 129, "é", "a;b", "<script>"])
async def test_a_bad_request_id_is_replaced(client: Client, bad: str) -> None:
    answer = await client.get("/graphql", headers=[(b"x-request-id", bad.encode())])

    made = answer.headers["x-request-id"]
    assert len(made) == 32
    assert made != bad


@pytest.mark.parametrize("path", ["/graphql", "/no/such/page", "/graphql/../../etc/passwd"])
async def test_every_answer_has_safe_headers(client: Client, path: str) -> None:
    answer = await client.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "x-request-id" in answer.headers


async def test_an_unknown_address_is_a_plain_404(client: Client) -> None:
    answer = await client.get("/no/such/page", headers={"x-request-id": "r"})

    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "code": "not_found",
            "message": "There is nothing at this address.",
            "status": 404,
            "details": [],
            "request_id": "r",
        }
    }


async def test_any_page_may_ask_with_a_token_but_never_with_cookies(client: Client) -> None:
    answer = await client.options("/graphql", headers={"origin": "https://elsewhere.example"})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_strangers_do_not_see_the_schema(client: Client) -> None:
    whole = "{ __schema { types { name } } }"
    one = '{ __type(name: "Query") { name } }'
    wrong = await client.graphql("{ organisation { id } }")
    actor = await make_actor()

    assert await client.refusal(whole) == "NOT_AUTHENTICATED"
    assert await client.data(one) == {"__type": None}
    assert wrong["errors"][0]["message"] == (
        "The document does not fit the schema here. Sign in to be told why."
    )
    known = await client.graphql("{ organisation { id } }", actor=actor)
    assert known["errors"][0]["message"] == "Cannot query field 'organisation' on type 'Query'."
    assert len((await client.data(whole, actor=actor))["__schema"]["types"]) > 10
    assert await client.data(one, actor=actor) == {"__type": {"name": "Query"}}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ organisation { id } }", None),
        ("{ viewer { user { colour } } }", None),
        ("mutation { logIn(input: {email: 1}) { token } }", None),
        ("mutation { register }", None),
        ("query ($x: RegisterInput!, $y: Nothing) { __typename }", None),
        ("mutation ($input: LogInInput!) { logIn(input: $input) { token } }", {"input": "x"}),
        ("mutation ($input: LogInInput!) { logIn(input: $input) { token } }", {"input": {"a": 1}}),
        ("mutation ($input: LogInInput!) { logIn(input: $input) { token } }", {}),
        ("query ($id: ID!) { node(id: $id) { id } }", {"id": {"a": 1}}),
        ("{ node(id: []) { ... on Message { nothing } } }", None),
        ("query ($role: Role) { __typename }", {"role": "emperor"}),
    ],
)
async def test_no_refusal_of_a_stranger_names_a_type(
    client: Client, query: str, variables: dict[str, Any] | None
) -> None:
    body = await client.graphql(query, variables)

    text = " ".join(error["message"] for error in body["errors"])
    details = [d for error in body["errors"] for d in error["extensions"].get("details", ())]
    text += " ".join(detail["message"] for detail in details)
    assert not re.search(r"Input|\btype '|Query|Mutation|Role|String|Did you mean", text), text


@pytest.mark.parametrize("key", ["", "é", "a\tb", "a" * 256])
async def test_a_bad_idempotency_key_is_refused(client: Client, key: str) -> None:
    answer = await client.post(
        "/graphql", json=TYPENAME, headers=[(b"idempotency-key", key.encode())]
    )

    assert answer.status_code == 400
    assert message_of(answer) == "Idempotency-Key has to be 1 to 255 printable ASCII characters."


async def test_an_operation_is_chosen_by_name(client: Client) -> None:
    query = "query A { a: __typename } query B { b: __typename }"

    async def run(name: str | None) -> Any:
        body = {"query": query, "operationName": name}
        return (await client.post("/graphql", json=body)).json()

    assert (await run("B"))["data"] == {"b": "Query"}
    assert (await run("C"))["errors"][0]["message"].startswith("The document has no operation of")
    assert (await run(None))["errors"][0]["message"].startswith("The document has 2 operations")


@pytest.mark.parametrize(
    ("type_", "value", "field", "code"),
    [
        ("String!", 3, "x", "INVALID_TYPE"),
        ("String!", None, "x", "REQUIRED"),
        ("[String!]!", ["a", None], "x[1]", "REQUIRED"),
        ("Int!", 2**40, "x", "INVALID_TYPE"),
        ("Int!", 1.5, "x", "INVALID_TYPE"),
        ("DateTime!", "tomorrow", "x", "INVALID_FORMAT"),
        ("DateTime!", "2026-01-01T12:00:00", "x", "INVALID_FORMAT"),
        ("DateTime!", 1767225600, "x", "INVALID_FORMAT"),
        ("BigInt!", 2**70, "x", "INVALID_FORMAT"),
        ("BigInt!", "12x", "x", "INVALID_FORMAT"),
        ("ErrorCode!", "NOPE", "x", "NOT_ALLOWED"),
        ("SendMessageInput!", {"from": "a@b.example"}, "x.to", "REQUIRED"),
        ("SendMessageInput!", {"from": "", "to": [], "by": 1}, "x.by", "UNKNOWN_FIELD"),
        ("SendMessageInput!", "text", "x", "INVALID_TYPE"),
        ("DomainRef!", {}, "x", "MUTUALLY_EXCLUSIVE"),
        ("DomainRef!", {"id": "a", "name": "b"}, "x", "MUTUALLY_EXCLUSIVE"),
        ("DomainRef!", {"id": None}, "x.id", "MUTUALLY_EXCLUSIVE"),
    ],
)
def test_a_wrong_variable_names_its_field(type_: str, value: Any, field: str, code: str) -> None:
    operation = parse(f"query ($x: {type_}) {{ __typename }}").definitions[0]
    assert isinstance(operation, OperationDefinitionNode)

    error = coercion_error(CORE, operation, {"x": value})

    assert error is not None
    assert [(d.field, d.code) for d in error.details] == [(field, code)]


def test_the_variable_input_is_left_out_of_paths() -> None:
    operation = parse("query ($input: SendMessageInput!) { __typename }").definitions[0]
    assert isinstance(operation, OperationDefinitionNode)

    error = coercion_error(CORE, operation, {"input": {"from": "a@b.example", "to": ["x", 1]}})

    assert error is not None
    assert error.details == (
        Detail("to[1]", DetailCode.INVALID_TYPE, "String cannot represent a non string value: 1."),
    )


async def test_what_nobody_foresaw_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    bug = GraphQLError("secret", original_error=ZeroDivisionError("secret"))

    (shown,) = refusals([bug], request_id="r")

    assert "secret" not in json.dumps(shown.formatted("r"))
    assert shown.code == "INTERNAL"
    assert caplog.records[0].exc_info is not None


async def test_a_database_that_is_down_is_not_a_bug() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://postgres@127.0.0.1:{closed.getsockname()[1]}/postlane"
        with pytest.raises(OSError) as caught:  # noqa: PT011 which one is the system's business
            await asyncpg.connect(url)

    (shown,) = refusals([GraphQLError("x", original_error=caught.value)], request_id="r")

    assert (shown.code, shown.retry_after_seconds) == ("SERVICE_UNAVAILABLE", 5)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, rubbish"], "::"),
        ("10.0.0.1", ["198.51.100.1", "unknown"], "::"),
        ("10.0.0.1", ["rubbish, 198.51.100.1, ,"], "198.51.100.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        (None, ["198.51.100.1"], None),
        ("unix", [], None),
    ],
)
def test_the_client_is_the_nearest_machine_that_is_not_ours(
    peer: str | None, forwarded: list[str], client: str | None
) -> None:
    trusted = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

    assert client_address(peer, forwarded, trusted=trusted) == client


def test_refusals_carry_everything_a_client_can_act_on() -> None:
    details = [Detail("to[0]", DetailCode.INVALID_EMAIL, "It is no address.")]
    error = GraphQLError("x", original_error=InvalidInput("Look again.", details=details))
    limit = GraphQLError("x", original_error=LimitReached(retry_after_seconds=7))

    shown = [refusal.formatted("r") for refusal in refusals([error, limit], request_id="r")]

    assert shown == [
        {
            "message": "Look again.",
            "extensions": {
                "code": "INVALID_INPUT",
                "requestId": "r",
                "field": "to[0]",
                "details": [
                    {"field": "to[0]", "code": "INVALID_EMAIL", "message": "It is no address."}
                ],
            },
        },
        {
            "message": "A limit is reached.",
            "extensions": {"code": "RATE_LIMITED", "requestId": "r", "retryAfterSeconds": 7},
        },
    ]
