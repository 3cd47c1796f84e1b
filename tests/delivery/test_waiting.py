"""Why a delivery is not attempted now: as a rule, and as GraphQL tells it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.delivery.queue_operations import hold_queue
from postlane.delivery.rules import DeliveryState, RestReason
from postlane.delivery.waiting import QueueFacts, Wait, WaitReason, waits
from postlane.delivery.work import claim_batch, rest_queue, roll_up
from postlane.graphql.scalars import write_time
from tests.client import Client
from tests.delivery.spool import Spooled, make_spooled
from tests.factories import make_actor, make_organization
from tests.statements import count_statements

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
TOMORROW = NOON + timedelta(days=1)

WAITS = """query ($id: ID!) { organization { delivery(id: $id) {
    state waits { reason until detail } } } }"""
PAGE = """{ organization { deliveries(first: 50) { nodes { waits { reason } } } } }"""


@pytest.mark.parametrize("state", list(DeliveryState))
def test_what_is_final_or_on_the_wire_waits_for_nothing(state: DeliveryState) -> None:
    found = waits(state, due_at=NOON, last_reply=None, queue=QueueFacts(is_held=True), now=NOON)

    is_waiting = state.value in ("scheduled", "queued", "deferred")
    assert list(found) == ([Wait(WaitReason.HOLD)] if is_waiting else [])


@pytest.mark.parametrize(
    ("state", "due_at", "queue", "expected"),
    [
        ("queued", NOON, QueueFacts(), [Wait(WaitReason.TURN)]),
        ("queued", None, QueueFacts(), [Wait(WaitReason.SIMULATION)]),
        ("scheduled", LATER, QueueFacts(), [Wait(WaitReason.SCHEDULE, LATER)]),
        ("deferred", LATER, QueueFacts(), [Wait(WaitReason.RETRY, LATER, "4.2.1 Busy")]),
        (
            "queued",
            NOON,
            QueueFacts(is_held=True, held_until=LATER, hold_reason="a look"),
            [Wait(WaitReason.HOLD, LATER, "a look")],
        ),
        (
            "queued",
            NOON,
            QueueFacts(is_paused=True, pause_reason="moving"),
            [Wait(WaitReason.PAUSE, None, "moving")],
        ),
        (
            "queued",
            NOON,
            QueueFacts(resume_at=LATER, rest_reason="limit"),
            [Wait(WaitReason.LIMIT, LATER)],
        ),
        (
            "queued",
            NOON,
            QueueFacts(resume_at=LATER, rest_reason="warmup"),
            [Wait(WaitReason.WARMUP, LATER)],
        ),
        (
            "queued",
            NOON,
            QueueFacts(resume_at=NOON, rest_reason="warmup", backoff_until=NOON),
            [Wait(WaitReason.TURN)],
        ),
        (
            "queued",
            NOON,
            QueueFacts(resume_at=LATER, rest_reason="no_address", rest_detail="192.0.2.1"),
            [Wait(WaitReason.NO_ADDRESS, LATER, "192.0.2.1")],
        ),
        (
            "deferred",
            LATER,
            QueueFacts(
                resume_at=TOMORROW,
                rest_reason="suspended",
                rest_detail="listed",
                backoff_until=TOMORROW,
                last_reply="slower",
            ),
            [
                Wait(WaitReason.RETRY, LATER, "4.2.1 Busy"),
                Wait(WaitReason.SUSPENSION, TOMORROW, "listed"),
                Wait(WaitReason.BACKOFF, TOMORROW, "slower"),
            ],
        ),
    ],
)
def test_everything_that_keeps_a_delivery_is_told(
    state: str, due_at: datetime | None, queue: QueueFacts, expected: list[Wait]
) -> None:
    found = waits(
        DeliveryState(state), due_at=due_at, last_reply="4.2.1 Busy", queue=queue, now=NOON
    )

    assert list(found) == expected


async def ask(client: Client, actor: Actor, spooled: Spooled) -> Any:
    """Return what GraphQL says of the only delivery."""
    (delivery_id,) = spooled.deliveries.values()
    data = await client.data(WAITS, {"id": str(delivery_id)}, actor=actor)
    return data["organization"]["delivery"]["waits"]


async def test_one_delivery_explains_itself_from_one_reason_to_the_next(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    due_at = clock.now() + timedelta(hours=2)
    spooled = await make_spooled(
        "ada@dest.example", organization=organization, due_at=due_at, state=DeliveryState.SCHEDULED
    )
    said = [await ask(client, actor, spooled)]

    await fetch(
        "UPDATE deliveries SET state = 'queued', due_at = {} WHERE message_id = {}",
        clock.now(),
        spooled.id,
    )
    said.append(await ask(client, actor, spooled))
    resume_at = clock.now() + timedelta(minutes=10)
    await rest_queue(spooled.queue_id, resume_at, RestReason.SUSPENDED, detail="5.7.1 Listed")
    said.append(await ask(client, actor, spooled))
    await roll_up()
    await hold_queue(actor, spooled.queue_id, reason="A look")
    said.append(await ask(client, actor, spooled))

    until = write_time(resume_at)
    assert said[0] == [{"reason": "SCHEDULE", "until": write_time(due_at), "detail": None}]
    assert said[1] == [{"reason": "TURN", "until": None, "detail": None}]
    rests = [
        {"reason": "SUSPENSION", "until": until, "detail": "5.7.1 Listed"},
        {"reason": "BACKOFF", "until": until, "detail": None},
    ]
    assert said[2] == rests
    assert said[3] == [{"reason": "HOLD", "until": None, "detail": "A look"}, *rests]


async def test_on_the_wire_it_waits_for_nothing(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    spooled = await make_spooled("ada@dest.example", organization=organization)

    await claim_batch(spooled.queue_id)

    assert await ask(client, actor, spooled) == []


async def test_a_page_of_them_costs_one_statement(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    for number in range(5):
        await make_spooled(f"ada@d{number}.example", organization=organization)

    with count_statements() as sent:
        data = await client.data(PAGE, {}, actor=actor)

    nodes = data["organization"]["deliveries"]["nodes"]
    assert json.dumps(nodes).count("TURN") == 5
    assert sum("rest_reason" in statement for statement in sent) == 1
