"""What only somebody with bad intent, or a broken program, would send."""

from typing import Any

import pytest

from postlane.core.database import fetch
from postlane.rest_compat.dialects import POSTMTA
from tests.factories import make_api_key

from .test_requests import JSON, code_of, details_of
from .world import World, a_sending_domain

BODIES = {
    "nothing": b"",
    "no JSON": b"hello",
    "two values": b"{} {}",
    "an array": b"[]",
    "a string": b'"text"',
    "null": b"null",
    "broken UTF-8": b'{"from":"\xff"}',
    "a broken name": b'{"\xff":1}',
    "UTF-16": '{"from":"a"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an encoded surrogate": b'{"from":"\xed\xa0\x80"}',
    "half a character": b'{"from":"\\ud800"}',
    "a hundred thousand brackets": b"[" * 100_000,
    "a hundred thousand braces": b'{"a":' * 100_000,
    "NaN": b'{"max_lifetime_seconds":NaN}',
    "infinity": b'{"max_lifetime_seconds":Infinity}',
    "a number without end": b'{"max_lifetime_seconds":' + b"9" * 10_000 + b"}",
    "an exponent without end": b'{"max_lifetime_seconds":1e999999}',
    "a trailing comma": b'{"from":"a",}',
    "a comment": b"{/* */}",
    "a line break in a string": b'{"from":"a\nb"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_what_is_not_a_json_object_is_refused(world: World, body: bytes) -> None:
    answer = await world.client.post(
        "/api/v1/messages/send", content=body, headers=world.headers | JSON
    )

    assert (answer.status_code, code_of(answer)) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("max_lifetime_seconds", 2**31, "too_large"),
        ("max_lifetime_seconds", 2**63, "too_large"),
        ("max_lifetime_seconds", -(2**31) - 1, "too_small"),
        ("max_lifetime_seconds", 10**40, "too_large"),
        ("max_lifetime_seconds", True, "invalid_type"),
        ("send_at", "2026-13-01T00:00:00Z", "invalid_format"),
        ("send_at", "0000-01-01T00:00:00Z", "invalid_format"),
        ("send_at", "9999-12-31T23:59:59-23:59", "invalid_format"),
        ("send_at", "2026-06-01T12:00:00", "invalid_format"),
        ("send_at", "٢٠٢٦-06-01T12:00:00Z", "invalid_format"),
        ("subject", "a\0b", "invalid_format"),
        ("metadata", {"a": "\0"}, "invalid_format"),
        ("metadata", {"\0": "a"}, "invalid_format"),
        ("metadata", {"a": {"b": "c"}}, "invalid_type"),
        ("template_data", {"a": [{}] * 2 + ["\0"]}, "invalid_format"),
        ("to", {"0": "a@example.org"}, "invalid_type"),
        ("to", [["a@example.org"]], "invalid_type"),
        ("tags", "one", "invalid_type"),
        ("vmta", "\0", "invalid_format"),
    ],
)
async def test_a_value_that_nothing_could_hold_is_named(
    world: World, field: str, value: Any, code: str
) -> None:
    body = {"from": "a@example.org", "to": "b@example.org", "subject": "x", "text": "x"}

    answer = await world.request("POST", "/api/v1/messages/send", body | {field: value})

    assert answer.status_code == 422, answer.text
    ((found_field, found_code),) = details_of(answer)
    assert found_field.startswith(field)
    assert found_code == code


async def test_deep_data_is_refused(world: World) -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": deep}

    answer = await world.request(
        "POST",
        "/api/v1/messages/send",
        {"from": "a@example.org", "to": "b@example.org", "template_data": deep},
    )

    assert details_of(answer) == [("template_data", "invalid_format")]


async def test_an_answer_does_not_grow_with_a_wrong_body(world: World) -> None:
    body = {"from": "a@example.org", "to": [1] * 10_000, "subject": "x", "text": "x"}

    answer = await world.request("POST", "/api/v1/messages/send", body)

    assert len(answer.json()["error"]["details"]) == 100
    assert len(answer.content) < 20_000


@pytest.mark.parametrize(
    ("field", "value"), [("to", [1] * 10_001), ("metadata", {str(n): 1 for n in range(10_001)})]
)
async def test_items_beyond_all_measure_are_not_looked_at(
    world: World, field: str, value: Any
) -> None:
    body = {"from": "a@example.org", "to": "b@example.org", "subject": "x", "text": "x"}

    answer = await world.request("POST", "/api/v1/messages/send", body | {field: value})

    assert details_of(answer) == [(field, "too_many")]


async def test_of_a_name_that_comes_twice_the_last_counts(world: World) -> None:
    """As RFC 8259 leaves it open, and as nearly every parser does it."""
    answer = await world.client.post(
        "/api/v1/domains",
        content=b'{"domain":"one.example","domain":"two.example"}',
        headers=world.headers | JSON,
    )

    assert answer.json()["domain"] == "two.example"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=ten",
        "limit=1e2",
        "limit=",
        "limit=٣",
        "limit=99999999999999999999",
        "limit=5&limit=6",
        "sort=subject",
        "include_total=yes",
        "status=lost",
        "created_after=yesterday",
        "tag=%00",
        "tag=%ff",
        "api_key_id=1",
        "metadata[a]=1&metadata[a]=2",
        "&".join(f"x{n}=1" for n in range(200)),
    ],
)
async def test_a_malformed_parameter_is_refused(world: World, query: str) -> None:
    answer = await world.request("GET", f"/api/v1/messages?{query}")

    assert (answer.status_code, code_of(answer)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "cursor", ["", "x", "e30", "bm9uc2Vuc2U", "WyJ4IixudWxsXQ", "WyJ4IiwiMjAyNiJd", "%00"]
)
async def test_a_cursor_that_is_none_is_refused(world: World, cursor: str) -> None:
    for path in ("messages", "domains", "users", "api-keys"):
        answer = await world.request("GET", f"/api/v1/{path}?cursor={cursor}")
        wanted = {"invalid_cursor"} | ({"invalid_request"} if cursor == "%00" else set())
        assert answer.status_code == 400
        assert code_of(answer) in wanted


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "segment", ["%00", "1", "..%2f..", "{id}", "%F0%9F%93%AC", "a" * 2_000, "'--", "%25", "-"]
)
async def test_garbage_in_a_path_is_not_found(world: World, method: str, segment: str) -> None:
    for route in POSTMTA.routes:
        if route.method == method and "{id}" in route.path:
            path = route.path.replace("{id}", segment)
            body = {"role": "admin"} if path.endswith("/role") else None
            answer = await world.request(method, path, body)
            assert answer.status_code in (404, 405), (path, answer.text)


async def test_a_stranger_learns_nothing_anywhere(world: World) -> None:
    for route in POSTMTA.routes:
        path = route.path.replace("{id}", "0197a000-0000-7000-8000-000000000301")
        answer = await world.client.request(route.method, path.replace("{type}", "email"))
        if not route.is_public:
            assert (answer.status_code, code_of(answer)) == (401, "authentication_required")


async def test_a_key_without_scopes_may_do_nothing(world: World) -> None:
    made = await make_api_key(world.organization, scopes=["metrics:read"])
    for route in POSTMTA.routes:
        if route.permission is not None:
            path = route.path.replace("{id}", "0197a000-0000-7000-8000-000000000301")
            answer = await world.client.request(
                route.method,
                path.replace("{type}", "email"),
                headers={"x-api-key": made.secret},
            )
            assert (answer.status_code, code_of(answer)) == (403, "insufficient_scope")


async def test_nothing_is_left_of_a_refused_message(world: World) -> None:
    await a_sending_domain(world)
    body = {"from": f"a@{world.names['yourdomain.com']}", "to": ["b@example.org", "nobody"]}

    await world.request("POST", "/api/v1/messages/send", body | {"subject": "x", "text": "x"})

    rows = await fetch(
        "SELECT count(*) AS n FROM messages WHERE organization_id = {}", world.organization.id
    )
    assert rows[0]["n"] == 0
