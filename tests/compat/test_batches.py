"""A batch: each message stands or falls by itself, unless all shall."""

from typing import Any

import httpx

from postlane.core.database import fetch

from .test_requests import code_of, details_of
from .world import World, a_sending_domain, credits


def message(world: World, **values: Any) -> dict[str, Any]:
    """Return a small message that can be sent, with overrides."""
    return {
        "from": f"shop@{world.names['yourdomain.com']}",
        "to": "ada@example.net",
        "subject": "Hello",
        "text": "Hello.",
    } | values


async def send(world: World, *messages: Any, **values: Any) -> httpx.Response:
    """Send a batch."""
    body = {"messages": list(messages)} | values
    return await world.request("POST", "/api/v1/messages/batch", body)


async def sent(world: World) -> int:
    """Return how many messages the organization has sent."""
    rows = await fetch(
        "SELECT count(*) AS n FROM messages WHERE organization_id = {}", world.organization.id
    )
    found: int = rows[0]["n"]
    return found


async def test_each_message_has_its_result_in_its_place(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)

    answer = await send(
        world,
        {"to": 1},
        message(world),
        "no object",
        message(world, to=["nobody"]),
        message(world, **{"from": "a@elsewhere.example"}),
        message(world, to=["a@example.net", "b@example.net"]),
    )

    body = answer.json()
    assert answer.status_code == 202, answer.text
    assert (body["total"], body["accepted"], body["rejected"]) == (6, 2, 4)
    assert body["credits_consumed"] == 3
    assert [(r["index"], r["status"]) for r in body["results"]] == [
        (0, "rejected"),
        (1, "queued"),
        (2, "rejected"),
        (3, "rejected"),
        (4, "rejected"),
        (5, "queued"),
    ]
    errors = [r["error"] and r["error"]["code"] for r in body["results"]]
    assert errors == [
        "validation_failed",
        None,
        "validation_failed",
        "validation_failed",
        "domain_not_verified",
        None,
    ]
    fields = [(d["field"], d["code"]) for d in body["results"][0]["error"]["details"]]
    assert fields == [("from", "required"), ("to", "invalid_type")]
    assert body["results"][3]["error"]["details"][0]["field"] == "to[0]"


async def test_when_none_is_valid_each_fault_has_its_place(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)

    answer = await send(
        world, {"to": 1}, message(world, to=["nobody"]), message(world, reply_to=["x", "nobody"])
    )

    assert (answer.status_code, code_of(answer)) == (422, "batch_rejected")
    assert details_of(answer) == [
        ("messages[0].from", "required"),
        ("messages[0].to", "invalid_type"),
        ("messages[1].to[0]", "invalid_email"),
        ("messages[2].reply_to[0]", "invalid_email"),
        ("messages[2].reply_to[1]", "invalid_email"),
    ]
    assert await sent(world) == 0


async def test_an_atomic_batch_is_sent_whole_or_not_at_all(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)

    misread = await send(world, message(world), {"to": 1}, atomic=True)
    invalid = await send(world, message(world), message(world, to=["nobody"]), atomic=True)
    whole = await send(world, message(world), message(world), atomic=True)

    assert (misread.status_code, code_of(misread)) == (422, "batch_rejected")
    assert details_of(misread) == [
        ("messages[1].from", "required"),
        ("messages[1].to", "invalid_type"),
    ]
    assert (invalid.status_code, code_of(invalid)) == (422, "batch_rejected")
    assert details_of(invalid) == [("messages[1].to[0]", "invalid_email")]
    assert whole.json()["accepted"] == 2
    assert await sent(world) == 2


async def test_a_batch_has_its_limits(world: World) -> None:
    await a_sending_domain(world)
    many = [f"a{n}@example.net" for n in range(50)]

    none = await send(world)
    messages = await send(world, *[message(world)] * 101)
    recipients = await send(world, *[message(world, to=many)] * 21)
    absent = await world.request("POST", "/api/v1/messages/batch", {"batch_id": "x"})

    assert (none.status_code, code_of(none)) == (422, "validation_failed")
    assert details_of(messages) == [("messages", "too_many")]
    assert details_of(recipients) == [("messages", "too_many")]
    assert details_of(absent) == [("messages", "required")]


async def test_what_cannot_be_paid_is_refused_as_a_whole(world: World) -> None:
    await a_sending_domain(world)

    answer = await send(world, message(world), message(world))

    assert (answer.status_code, code_of(answer)) == (402, "insufficient_credits")
    assert await sent(world) == 0


async def test_a_batch_without_a_name_gets_one(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)

    unnamed = (await send(world, message(world))).json()
    named = (await send(world, message(world), batch_id="spring.2026:a-b_c")).json()
    listed = await world.request("GET", f"/api/v1/messages?batch_id={unnamed['batch_id']}")

    assert len(unnamed["batch_id"]) == 36
    assert named["batch_id"] == "spring.2026:a-b_c"
    assert [m["id"] for m in listed.json()["data"]] == [unnamed["results"][0]["id"]]
