"""Credits in PostMTA's words: consuming, the history of usage, alerts."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from tests.factories import make_api_key

from .test_requests import code_of
from .world import World, credits, credits_to_validate

CONSUME = "/api/v1/credits/consume"
USAGE = "/api/v1/credits/usage"
ALERTS = "/api/v1/credits/alerts"


def details_of(answer: Any) -> list[tuple[str, str]]:
    return [(each["field"], each["code"]) for each in answer.json()["error"]["details"]]


async def consume(world: World, amount: Any = 25, **values: Any) -> Any:
    return await world.request("POST", CONSUME, {"type": "validation", "amount": amount} | values)


async def balance(world: World) -> int:
    answer = await world.request("GET", "/api/v1/credits/validation")
    found: int = answer.json()["balance"]
    return found


async def test_a_reference_is_consumed_once(world: World) -> None:
    await credits_to_validate(world)

    first = await consume(world, reference="import-1", metadata={"list": "7"})
    again = await consume(world, reference="import-1")
    other = await consume(world, 26, reference="import-1")

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json() | {"replayed": True}
    assert (other.status_code, code_of(other)) == (409, "reference_conflict")
    assert await balance(world) == 4975


async def test_a_key_is_answered_with_the_same_body(world: World) -> None:
    await credits_to_validate(world)
    headers = world.headers | {"idempotency-key": "k-1"}
    body = {"type": "validation", "amount": 25}

    first = await world.client.post(CONSUME, json=body, headers=headers)
    again = await world.client.post(CONSUME, json=body, headers=headers)
    other = await world.client.post(CONSUME, json=body | {"amount": 1}, headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, code_of(other)) == (422, "idempotency_key_reuse")
    assert await balance(world) == 4975


async def test_more_than_is_left_is_not_consumed(world: World) -> None:
    await credits_to_validate(world)

    answer = await consume(world, 5001)

    assert (answer.status_code, code_of(answer)) == (402, "insufficient_credits")
    assert details_of(answer) == [("type", "too_small")]
    assert "5001" in answer.json()["error"]["message"]
    assert "5000" in answer.json()["error"]["message"]
    assert await balance(world) == 5000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"amount": 0}, [("amount", "too_small")]),
        ({"amount": -1}, [("amount", "too_small")]),
        ({"amount": 1_000_001}, [("amount", "too_large")]),
        ({"amount": 10**30}, [("amount", "too_large")]),
        ({"amount": 2.5}, [("amount", "invalid_type")]),
        ({"amount": "3"}, [("amount", "invalid_type")]),
        ({"amount": True}, [("amount", "invalid_type")]),
        ({"amount": None}, [("amount", "required")]),
        ({"type": "gold"}, [("type", "not_found")]),
        ({"type": 1}, [("type", "invalid_type")]),
        ({"reference": ""}, [("reference", "too_short")]),
        ({"reference": "x" * 129}, [("reference", "too_long")]),
        ({"description": "x" * 201}, [("description", "too_long")]),
        ({"metadata": []}, [("metadata", "invalid_type")]),
        ({"metadata": {"a": 1}}, [("metadata.a", "invalid_type")]),
    ],
)
async def test_what_breaks_a_rule_consumes_nothing(
    world: World, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    await credits_to_validate(world)

    answer = await world.request("POST", CONSUME, {"type": "validation", "amount": 3} | body)

    assert (answer.status_code, code_of(answer)) == (422, "validation_failed")
    assert details_of(answer) == expected
    assert await balance(world) == 5000


async def test_a_key_without_the_scope_consumes_nothing(world: World) -> None:
    await credits_to_validate(world)
    made = await make_api_key(world.organization, membership=world.owner, scopes=["credits:read"])
    headers = {"x-api-key": made.secret}

    refused = await world.client.post(
        CONSUME, json={"type": "validation", "amount": 1}, headers=headers
    )
    alert = await world.client.post(ALERTS, json={"type": "email"}, headers=headers)
    read = await world.client.get(USAGE, headers=headers)

    assert (refused.status_code, code_of(refused)) == (403, "insufficient_scope")
    assert (alert.status_code, code_of(alert)) == (403, "insufficient_scope")
    assert read.status_code == 200


async def test_fifty_requests_for_the_last_ten_credits_get_ten(world: World) -> None:
    await credits_to_validate(world)
    await consume(world, 4990)

    answers = await asyncio.gather(*(consume(world, 1) for _ in range(50)))

    assert sorted({answer.status_code for answer in answers}) == [200, 402]
    assert sum(answer.status_code == 200 for answer in answers) == 10
    assert await balance(world) == 0


async def test_usage_is_walked_through_and_narrowed(world: World) -> None:
    await credits_to_validate(world)
    for n in range(4):
        await consume(world, n + 1, reference=f"r-{n}")

    first = (await world.request("GET", f"{USAGE}?limit=2&include_total=true")).json()
    cursor = first["pagination"]["next_cursor"]
    with clock.frozen(clock.now() + timedelta(hours=1)):
        second = (await world.request("GET", f"{USAGE}?limit=9&cursor={cursor}")).json()
        other = await world.request("GET", f"{USAGE}?period=7d&cursor={cursor}")
    api = (await world.request("GET", f"{USAGE}?source=api&sort=created_at&period=today")).json()
    one = (await world.request("GET", f"{USAGE}?reference=r-2&direction=debit")).json()

    assert [row["amount"] for row in first["data"] + second["data"]] == [4, 3, 2, 1, 5000]
    assert first["pagination"]["total"] == 5
    assert second["filters"] == first["filters"]
    assert (other.status_code, code_of(other)) == (400, "invalid_cursor")
    assert [row["amount"] for row in api["data"]] == [1, 2, 3, 4]
    assert [row["reference"] for row in one["data"]] == ["r-2"]
    assert one["data"][0]["user_id"] == str(world.owner.user_id)


async def test_usage_is_grouped(world: World) -> None:
    await credits(world)
    await credits_to_validate(world)
    await consume(world, 25)
    day = clock.now().date().isoformat()

    async def rows(query: str) -> list[dict[str, Any]]:
        answer = await world.request("GET", f"{USAGE}?{query}")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    assert await rows("group_by=day") == [
        {"key": day, "debits": 25, "credits": 155_000, "entries": 4}
    ]
    assert await rows("group_by=type&sort=created_at") == [
        {"key": "email", "debits": 0, "credits": 150_000, "entries": 2},
        {"key": "validation", "debits": 25, "credits": 5000, "entries": 2},
    ]
    assert await rows("group_by=source&type=validation") == [
        {"key": "purchase", "debits": 0, "credits": 5000, "entries": 1},
        {"key": "api", "debits": 25, "credits": 0, "entries": 1},
    ]
    assert len(await rows("group_by=none")) == 4
    page = (
        await world.request("GET", f"{USAGE}?group_by=source&limit=1&include_total=true")
    ).json()
    assert (page["pagination"]["has_more"], page["pagination"]["total"]) == (True, 3)


@pytest.mark.parametrize(
    "query",
    [
        "period=forever",
        "period=0d",
        "period=99999d",
        "from=2026-01-01T00:00:00Z",
        "to=2026-01-01T00:00:00Z",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=yesterday&to=today",
        "type=gold",
        "source=theft",
        "direction=up",
        "group_by=moon",
        "group_by=day&reference=x",
        "limit=0",
        "limit=501",
        "sort=amount",
    ],
)
async def test_a_malformed_question_is_refused(world: World, query: str) -> None:
    answer = await world.request("GET", f"{USAGE}?{query}")

    assert (answer.status_code, code_of(answer)) == (400, "invalid_request")


async def test_nobodys_cursor_is_refused(world: World) -> None:
    for cursor in ("x", "e30", "WyJhIiwiYiJd", "WyJhIiwgIjMwZCB4IHkiXQ"):
        answer = await world.request("GET", f"{USAGE}?cursor={cursor}")
        assert (answer.status_code, code_of(answer)) == (400, "invalid_cursor"), cursor


async def test_an_alert_is_made_and_then_changed(world: World) -> None:
    body = {"type": "email", "threshold": 12.5, "unit": "percent"}

    made = await world.request("POST", ALERTS, body)
    changed = await world.request("POST", ALERTS, body | {"enabled": False})
    listed = (await world.request("GET", f"{ALERTS}?type=email")).json()
    none = (await world.request("GET", f"{ALERTS}?type=inbound")).json()

    assert (made.status_code, changed.status_code) == (201, 200)
    assert made.json()["threshold"] == 12.5
    assert made.json()["channels"] == ["email", "webhook"]
    assert changed.json()["id"] == made.json()["id"]
    assert [each["enabled"] for each in listed["data"]] == [False]
    assert (none["data"], none["filters"]) == ([], {"type": "inbound"})


async def test_there_are_ten_alerts_of_a_type(world: World) -> None:
    for threshold in range(10):
        await world.request("POST", ALERTS, {"type": "email", "threshold": threshold})

    answer = await world.request("POST", ALERTS, {"type": "email", "threshold": 10})

    assert (answer.status_code, code_of(answer)) == (409, "alert_limit_reached")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"threshold": None}, [("threshold", "required")]),
        ({"threshold": -1}, [("threshold", "too_small")]),
        ({"threshold": 1.5}, [("threshold", "invalid_format")]),
        ({"threshold": 10**300}, [("threshold", "too_large")]),
        ({"threshold": "20"}, [("threshold", "invalid_type")]),
        ({"threshold": 100, "unit": "percent"}, [("threshold", "too_large")]),
        ({"threshold": 0, "unit": "percent"}, [("threshold", "too_small")]),
        ({"unit": "liters"}, [("unit", "not_allowed")]),
        ({"type": "gold"}, [("type", "not_found")]),
        ({"channels": []}, [("channels", "too_short")]),
        ({"channels": ["pigeon"]}, [("channels[0]", "not_allowed")]),
        ({"recipients": ["x"]}, [("recipients[0]", "invalid_email")]),
        ({"recipients": ["a@example.com"] * 21}, [("recipients", "too_many")]),
    ],
)
async def test_an_alert_that_breaks_a_rule_is_not_set(
    world: World, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    answer = await world.request("POST", ALERTS, {"type": "email", "threshold": 20} | body)

    assert (answer.status_code, code_of(answer)) == (422, "validation_failed")
    assert details_of(answer) == expected
    rows = await fetch(
        "SELECT id FROM credit_alerts WHERE organization_id = {}", world.organization.id
    )
    assert rows == []


async def test_fixed_words_are_no_types(world: World) -> None:
    unknown = await world.request("GET", "/api/v1/credits/gold")
    fixed = await world.request("GET", "/api/v1/credits/packages")
    wrong = await world.request("GET", CONSUME)

    assert (unknown.status_code, code_of(unknown)) == (404, "unknown_credit_type")
    assert fixed.status_code == 200
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
