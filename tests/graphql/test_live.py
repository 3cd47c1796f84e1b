"""What is sent after rights were taken away: nothing, however slowly a client takes it."""

import asyncio

import pytest

from postlane.core import clock
from postlane.core.actor import Actor, Role
from postlane.core.database import transaction
from postlane.core.errors import NotAuthenticated
from postlane.core.ids import new_id
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.graphql.context import Context
from postlane.graphql.documents import prepare
from postlane.graphql.execute import Result
from postlane.graphql.live import CHECK_SECONDS, Credential, Subscribed, subscribe
from tests.factories import make_actor

EVENTS = "subscription { messageEvents { messageUuid } }"


async def write(actor: Actor, count: int) -> None:
    async with transaction() as tx:
        events = [
            NewEvent(
                organization_id=actor.organization_id,
                project_id=None,
                message_id=new_id(),
                delivery_id=None,
                type=EventType.MESSAGE_QUEUED,
                data={},
                occurred_at=clock.now(),
            )
            for _ in range(count)
        ]
        await append(tx, events)


async def test_what_waits_for_a_slow_client_is_withheld_once_the_credential_is_gone(
    database: None,
) -> None:
    actor, is_good = await make_actor(), True

    async def ask() -> Actor | None:
        return actor if is_good else None

    document = prepare(EVENTS)
    context = Context(actor=actor, request_id="slow", source_address=None)
    begun = await subscribe(document.node, document.operation(None), {}, context, Credential(ask))
    assert isinstance(begun, Subscribed)
    await write(actor, 3)
    answers = begun.answers()

    first = await anext(answers)
    is_good = False
    await asyncio.sleep(CHECK_SECONDS + 0.1)

    assert first.data is not None
    with pytest.raises(NotAuthenticated):
        await anext(answers)


async def test_all_that_happens_is_followed_as_far_as_one_may_read_it(database: None) -> None:
    """Who may not read bills is not told of them, and asking for them is refused."""
    actor = await make_actor(role=Role.VIEWER)

    async def ask() -> Actor | None:
        return actor

    context = Context(actor=actor, request_id="all", source_address=None)
    everything = prepare("subscription { organizationEvents { type messageUuid message { id } } }")
    bills = prepare("subscription { organizationEvents(types: [BILLING_PLAN_CHANGED]) { type } }")
    begun = await subscribe(
        everything.node, everything.operation(None), {}, context, Credential(ask)
    )
    refused = await subscribe(bills.node, bills.operation(None), {}, context, Credential(ask))
    assert isinstance(begun, Subscribed)
    async with transaction() as tx:
        await append(
            tx,
            [
                NewEvent(actor.organization_id, None, None, None, type, {}, clock.now())
                for type in (EventType.BILLING_PLAN_CHANGED, EventType.VMTA_PAUSED)
            ],
        )
    answers = begun.answers()

    first = await asyncio.wait_for(anext(answers), 10)
    await answers.aclose()

    assert first.data == {
        "organizationEvents": {"type": "VMTA_PAUSED", "messageUuid": None, "message": None}
    }
    assert isinstance(refused, Result)
    assert [error.code for error in refused.errors] == ["INSUFFICIENT_ROLE"]
