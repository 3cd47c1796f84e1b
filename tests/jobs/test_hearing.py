"""Who is told of events: webhooks at once, and where there are none only now and then."""

import asyncio
import uuid

import pytest

from postlane.core.actor import Actor
from postlane.events.announcing import named, payload
from postlane.events.rules import EventType
from postlane.graphql.payloads import shaped_for
from postlane.jobs import hearing
from postlane.jobs.hearing import Signs
from postlane.jobs.webhooks import Caller
from postlane.server.auth import actor_for_webhook
from tests.client import Client
from tests.factories import make_actor
from tests.webhooks.conftest import Hooks

WITHOUT, WITH = uuid.uuid4(), uuid.uuid4()


def hear(signs: Signs, *organizations: uuid.UUID) -> bool:
    """Let new events be announced and say whether webhooks are looked at at once."""
    signs.calls.clear()
    signs.counts.clear()
    signs.hear(named(payload(organizations)))
    assert signs.counts.is_set()
    return signs.calls.is_set()


async def test_events_where_there_are_no_webhooks_are_no_hurry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "SELDOM_SECONDS", 0.2)
    signs = Signs(uncalled={WITHOUT})

    assert not hear(signs, WITHOUT)
    assert not hear(signs, WITHOUT)
    await asyncio.wait_for(signs.calls.wait(), 20)
    assert not hear(signs, WITHOUT)
    await asyncio.wait_for(signs.calls.wait(), 20)


async def test_any_other_event_is_looked_at_at_once() -> None:
    signs = Signs(uncalled={WITHOUT})

    assert hear(signs, WITH)
    assert hear(signs, WITHOUT, WITH)
    assert hear(signs)  # more than a notification names, or nobody knows whose
    signs.calls.clear()
    signs.hear(None)
    assert signs.calls.is_set()


async def test_a_new_webhook_is_told_of() -> None:
    signs = Signs(uncalled={WITHOUT})

    signs.hear_of_webhooks()

    assert signs.calls.is_set()
    assert hear(signs, WITHOUT)


async def actor_with_events(client: Client) -> tuple[Actor, Hooks]:
    actor = await make_actor()
    hooks = Hooks(client, actor)
    await hooks.emit("first", type=EventType.VMTA_PAUSED)
    return actor, hooks


async def test_a_round_learns_who_has_webhooks(client: Client) -> None:
    uncalled: set[uuid.UUID] = set()
    caller = Caller(shaped_for(actor_for_webhook), uncalled=uncalled)
    actor, hooks = await actor_with_events(client)
    other, others = await actor_with_events(client)
    # What happens while it is off is not to be called for once it is on again.
    await others.create("https://elsewhere.example/", enabled=False)

    # It begins with what is written from now on.
    await caller.round()
    await hooks.emit("second")
    await others.emit("second")
    for _ in range(3):
        await caller.round()
    before = actor.organization_id in uncalled, other.organization_id in uncalled
    await hooks.create("https://elsewhere.example/")
    await hooks.emit("third")
    for _ in range(3):
        await caller.round()

    assert before == (True, False)
    assert actor.organization_id not in uncalled
