"""Asking again with the same key changes nothing and answers the same."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from postlane.core.database import fetch
from postlane.rest_compat.dialects import POSTMTA

from .matching import filled
from .table import EXAMPLES, ROUTES, read
from .test_requests import code_of
from .world import GIVEN, World, a_sending_domain, credits


async def send(world: World, key: str, **values: Any) -> httpx.Response:
    """Send a message under an idempotency key."""
    body = {
        "from": f"shop@{world.names['yourdomain.com']}",
        "to": "ada@example.net",
        "subject": "Hello",
        "text": "Hello.",
    }
    return await world.client.post(
        "/api/v1/messages/send",
        json=body | values,
        headers=world.headers | {"idempotency-key": key},
    )


async def sent(world: World) -> int:
    """Return how many messages the organization has sent."""
    rows = await fetch(
        "SELECT count(*) AS n FROM messages WHERE organization_id = {}", world.organization.id
    )
    found: int = rows[0]["n"]
    return found


async def test_a_repeat_answers_the_same_and_sends_nothing(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)

    first, second = await send(world, "order-4711"), await send(world, "order-4711")

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert await sent(world) == 1


async def test_a_batch_is_repeated_as_a_whole(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)
    message = {
        "from": f"shop@{world.names['yourdomain.com']}",
        "to": "ada@example.net",
        "subject": "Hello",
        "text": "Hello.",
    }
    headers = world.headers | {"idempotency-key": "batch-1"}

    first, second = [
        await world.client.post(
            "/api/v1/messages/batch",
            json={"messages": [message, {"to": 1}, message | {"to": "nobody"}]},
            headers=headers,
        )
        for _ in range(2)
    ]

    assert first.status_code == 202, first.text
    assert [r["status"] for r in first.json()["results"]] == ["queued", "rejected", "rejected"]
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert await sent(world) == 1


async def test_a_domain_is_made_once(world: World) -> None:
    headers = world.headers | {"idempotency-key": "domain-1"}

    first, second = [
        await world.client.post("/api/v1/domains", json={"domain": "a.example"}, headers=headers)
        for _ in range(2)
    ]

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(("domain", "status"), [("a.example", 409), ("co.uk", 422)])
async def test_a_refusal_is_repeated_and_says_so(world: World, domain: str, status: int) -> None:
    headers = world.headers | {"idempotency-key": "domain-1"}
    await world.request("POST", "/api/v1/domains", {"domain": "a.example"})

    first, second = [
        await world.client.post("/api/v1/domains", json={"domain": domain}, headers=headers)
        for _ in range(2)
    ]

    assert (first.status_code, second.status_code) == (status, status)
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"


async def test_a_key_belongs_to_one_request(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)

    await send(world, "order-4711")
    other = await send(world, "order-4711", subject="Other")

    assert (other.status_code, code_of(other)) == (422, "idempotency_key_reuse")
    assert await sent(world) == 1


async def test_of_many_at_once_one_is_sent(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)

    answers = await asyncio.gather(*(send(world, "order-4711") for _ in range(8)))

    assert {a.status_code for a in answers} <= {202, 409}
    assert {code_of(a) for a in answers if a.status_code == 409} <= {"idempotency_in_progress"}
    assert await sent(world) == 1


async def test_a_refusal_is_repeated_too(world: World) -> None:
    """What was refused for want of credits stays refused under its key."""
    await a_sending_domain(world)

    first = await send(world, "order-4711")
    await credits(world)
    second, other = await send(world, "order-4711"), await send(world, "order-4712")

    assert (first.status_code, code_of(first)) == (402, "insufficient_credits")
    assert (second.status_code, code_of(second)) == (402, "insufficient_credits")
    assert other.status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "schlüssel".encode("latin-1")])
async def test_a_key_is_printable_ascii(world: World, key: Any) -> None:
    headers = world.headers | {"idempotency-key": key}

    answer = await world.client.post("/api/v1/domains", json={"domain": "a.x"}, headers=headers)

    assert (answer.status_code, code_of(answer)) == (400, "invalid_request")


async def test_secrets_are_never_kept(world: World) -> None:
    """Making an API key takes no notice of the header."""
    headers = world.headers | {"idempotency-key": "key-1"}
    body = {"name": "k", "scopes": ["messages:send"]}

    first, second = [
        await world.client.post("/api/v1/api-keys", json=body, headers=headers) for _ in range(2)
    ]

    assert first.json()["key"] != second.json()["key"]
    rows = await fetch(
        "SELECT count(*) AS n FROM idempotency_records WHERE organization_id = {}",
        world.organization.id,
    )
    assert rows[0]["n"] == 0


async def test_what_cannot_be_read_spends_its_key_too(world: World) -> None:
    """A wrong JSON type is a 422 like any other: kept, repeated, and no other request's."""
    await credits(world)
    await a_sending_domain(world)

    first = await send(world, "order-4711", to=17)
    second = await send(world, "order-4711", to=17)
    corrected = await send(world, "order-4711")

    assert (first.status_code, code_of(first)) == (422, "validation_failed")
    assert "idempotent-replayed" not in first.headers
    assert second.status_code == 422
    assert second.headers["idempotent-replayed"] == "true"
    assert first.json()["error"]["details"] == second.json()["error"]["details"]
    assert (corrected.status_code, code_of(corrected)) == (422, "idempotency_key_reuse")
    assert await sent(world) == 0


async def test_a_spent_key_is_not_free_for_what_cannot_be_read(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)

    await send(world, "order-4711")
    other = await send(world, "order-4711", to=17)

    assert (other.status_code, code_of(other)) == (422, "idempotency_key_reuse")
    assert await sent(world) == 1


async def test_what_is_no_json_spends_no_key(world: World) -> None:
    headers = world.headers | {"idempotency-key": "domain-1", "content-type": "application/json"}

    broken = await world.client.post("/api/v1/domains", content=b"{", headers=headers)
    whole = await world.client.post(
        "/api/v1/domains", json={"domain": "a.example"}, headers=headers
    )

    assert broken.status_code == 400
    assert whole.status_code == 201, whole.text


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_batch_with_another_broken_message_is_another_batch(
    world: World, atomic: bool
) -> None:
    await credits(world)
    await a_sending_domain(world)
    message = {
        "from": f"shop@{world.names['yourdomain.com']}",
        "to": "ada@example.net",
        "subject": "Hello",
        "text": "Hello.",
    }
    headers = world.headers | {"idempotency-key": "batch-1"}

    first, other, whole = [
        await world.client.post(
            "/api/v1/messages/batch",
            json={"messages": [message, *broken], "atomic": atomic},
            headers=headers,
        )
        for broken in ([{"to": 1}], [{"to": 2}], [])
    ]

    assert first.status_code == (422 if atomic else 202), first.text
    assert (other.status_code, code_of(other)) == (422, "idempotency_key_reuse")
    assert (whole.status_code, code_of(whole)) == (422, "idempotency_key_reuse")
    assert await sent(world) == (0 if atomic else 1)


IDEMPOTENT = {f"{route.method} {route.path}" for route in POSTMTA.routes if route.is_idempotent}


def test_the_contracts_eight_take_a_key() -> None:
    """Source: postmta-api section 1.6."""
    assert sorted(ROUTES[route] for route in IDEMPOTENT) == [
        *("E11", "E21", "E22", "E30", "E37", "E76", "E77", "E78")
    ]


@pytest.mark.parametrize(
    "path",
    [path for path in EXAMPLES if read(path)["route"] in IDEMPOTENT],
    ids=lambda path: path.stem,
)
async def test_a_repeated_example_answers_the_same(world: World, path: Path) -> None:
    example = read(path)
    for name in example["given"]:
        await GIVEN[name](world)
    request = filled(example["request"], world.names)
    headers = world.headers | {"idempotency-key": f"key-{path.stem}"}

    first, again = [
        await world.client.post(request["path"], json=request["body"], headers=headers)
        for _ in range(2)
    ]

    assert first.status_code == again.status_code == example["status"], again.text
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
