"""Receivers that fail: tried again by a ladder, left alone, switched off, and told about."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from postlane.core import clock
from postlane.core.crypto import unseal
from postlane.core.database import fetch
from postlane.notices.rendering import PURPOSE
from postlane.webhooks.rules import CallState, median_ms, next_step, wants
from postlane.webhooks.work import calls_between

from .conftest import Hooks
from .receiver import Receiver

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.slow
async def test_a_call_is_tried_eight_times_and_then_dead(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    receiver.then(500, 404, 301, 503, 400, 429, 502, 500, body=b"oops")
    await hooks.emit("tx-1")
    waits, now = [], clock.now()

    for _ in range(8):
        with clock.frozen(now):
            await hooks.round()
            (call,) = await hooks.calls(webhook)
        if call["nextAttemptAt"]:
            waits.append((at(call["nextAttemptAt"]) - now).total_seconds())
            with clock.frozen(at(call["nextAttemptAt"]) - timedelta(milliseconds=2)):
                before = len(receiver.asked)
                await hooks.round()
                assert len(receiver.asked) == before
            # What is shown is cut to milliseconds.
            now = at(call["nextAttemptAt"]) + timedelta(milliseconds=1)

    assert len(waits) == 7
    for wait, least in zip(waits, SECONDS, strict=True):
        assert least - 0.001 <= wait <= least * 1.1
    assert (call["state"], call["attemptCount"], call["deliveredAt"]) == ("DEAD", 8, None)
    assert [(a["number"], a["status"], a["reply"]) for a in call["attempts"]] == [
        (nth, status, "oops")
        for nth, status in enumerate((500, 404, 301, 503, 400, 429, 502, 500), start=1)
    ]
    ids = {asked.headers["webhook-id"] for asked in receiver.asked}
    stamps = {asked.headers["webhook-timestamp"] for asked in receiver.asked}
    assert ids == {call["eventUuid"]}
    assert len(stamps) == len(receiver.asked) == 8
    assert len({asked.body for asked in receiver.asked}) == 1
    with clock.frozen(now):
        stats = (await hooks.show(webhook))["stats"]
    assert stats["dead"] == 1


@pytest.mark.parametrize(
    ("attempts", "retry_after", "state", "seconds"),
    [
        (1, None, CallState.PENDING, 5),
        (1, timedelta(minutes=2), CallState.PENDING, 120),
        (1, timedelta(days=1), CallState.PENDING, 3_600),
        (5, timedelta(seconds=1), CallState.PENDING, 18_000),
        (7, None, CallState.PENDING, 36_000),
        (8, timedelta(minutes=2), CallState.DEAD, None),
    ],
)
def test_when_a_call_is_tried_again(
    attempts: int, retry_after: timedelta | None, state: CallState, seconds: int | None
) -> None:
    found = next_step(
        succeeded=False, attempts=attempts, now=NOON, jitter=0.0, retry_after=retry_after
    )

    due_at = None if seconds is None else NOON + timedelta(seconds=seconds)
    assert found == (state, due_at)


def test_which_events_a_pattern_names() -> None:
    assert wants(["message.*"], "message.bounced")
    assert wants(["*"], "domain.failed")
    assert wants(["vmta.paused"], "vmta.paused")
    assert not wants(["vmta.paused", "message.*"], "vmta.resumed")


def test_a_median_of_classes_is_near_the_middle() -> None:
    assert median_ms([]) is None
    assert median_ms([0, 0, 0]) is None
    assert median_ms([5, 0, 1]) == 0
    assert median_ms([0] * 20 + [10] + [0] * 22) == 78


async def test_a_receiver_that_names_a_time_is_left_alone(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    receiver.then(429, Retry_After="120")
    await hooks.emit("tx-1")
    now = clock.now()

    with clock.frozen(now):
        await hooks.round()

    (call,) = await hooks.calls(webhook)
    waits = at(call["nextAttemptAt"]) - at(call["attempts"][0]["at"])
    assert waits == timedelta(seconds=120)


async def test_redirects_are_not_followed(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url)
    receiver.then(302, location="/elsewhere")
    await hooks.emit("tx-1")

    await hooks.round()

    (call,) = await hooks.calls(webhook)
    assert [asked.path for asked in receiver.server.asked] == ["/hooks/mail"]
    assert (call["state"], call["attempts"][0]["status"]) == ("PENDING", 302)


async def test_a_receiver_that_is_gone_is_called_no_more(hooks: Hooks, receiver: Receiver) -> None:
    webhook = await hooks.create(receiver.url, inOrder=True)
    receiver.then(410)
    await hooks.emit("tx-1", "tx-2")

    await hooks.round()
    await hooks.emit("tx-3")
    with clock.frozen(clock.now() + timedelta(hours=1)):
        await hooks.round()

    shown = await hooks.show(webhook)
    assert (shown["enabled"], shown["disabledReason"]) == (False, "GONE")
    assert len(receiver.asked) == 1
    assert [call["state"] for call in await hooks.calls(webhook)] == ["PENDING", "PENDING"]
    assert await notices(hooks) == [
        {
            "url": receiver.url,
            "reason": "The receiver answered that it wants no more calls (410 Gone).",
        }
    ]

    again = await hooks.update(webhook, enabled=True)
    with clock.frozen(clock.now() + timedelta(hours=1)):
        await hooks.round()

    assert (again["webhook"]["enabled"], again["webhook"]["disabledReason"]) == (True, None)
    told = [json.loads(asked.body)["data"]["vmta"] for asked in receiver.asked]
    assert told == ["tx-1", "tx-1", "tx-2"]


async def test_five_days_of_failures_switch_it_off_and_one_success_does_not(
    hooks: Hooks, receiver: Receiver
) -> None:
    failing = await hooks.create(receiver.url)
    began = clock.now()
    receiver.then(*[500] * 3, 200, *[500] * 8)

    # One call, of which one attempt is made at a time: of several, another's failure may be
    # written down before the success.
    await hooks.emit("tx")
    for hours in (0, 60, 119):
        with clock.frozen(began + timedelta(hours=hours)):
            await hooks.round()
    assert (await hooks.show(failing))["enabled"]
    assert len(receiver.asked) == 3
    with clock.frozen(began + timedelta(hours=121)):
        # It succeeds: the five days begin anew.
        await hooks.round()
    assert (await hooks.show(failing))["enabled"]
    await hooks.emit("tx")
    with clock.frozen(began + timedelta(hours=122)):
        await hooks.round()
    assert (await hooks.show(failing))["enabled"]
    with clock.frozen(began + timedelta(hours=250)):
        await hooks.round()

    shown = await hooks.show(failing)
    assert (shown["enabled"], shown["disabledReason"]) == (False, "FAILING")
    told = await notices(hooks)
    assert [each["reason"] for each in told] == ["Every call has failed for five days."]
    rows = await fetch(
        "SELECT actor_kind, action FROM audit_entries WHERE target_id = {} ORDER BY id",
        failing["uuid"],
    )
    assert [tuple(row.values()) for row in rows] == [
        ("user", "webhook.created"),
        ("platform", "webhook.disabled"),
    ]


async def notices(hooks: Hooks) -> list[dict[str, str]]:
    """Return what those who look after the organization were told."""
    rows = await fetch(
        "SELECT sealed_values FROM notices WHERE organization_id = {} "
        "AND notice = 'webhook_disabled' ORDER BY id",
        hooks.actor.organization_id,
    )
    found = [json.loads(unseal(row["sealed_values"], purpose=PURPOSE)) for row in rows]
    return [{"url": each["url"], "reason": each["reason"]} for each in found]


async def test_attempts_are_counted_by_result(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url)
    receiver.then(500)
    await hooks.emit("tx-1", "tx-2")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await hooks.round()

    headers = hooks.client.as_actor(hooks.actor)
    # Not from an operator's network, so it is the organization's own view.
    answer = await hooks.client.get("/metrics", headers=headers)
    delivered = await calls_between(hour, hour + timedelta(hours=2))

    assert 'pmta_webhook_attempts_total{result="delivered"} 1.0' in answer.text
    assert 'pmta_webhook_attempts_total{result="failed"} 1.0' in answer.text
    assert delivered[hooks.actor.organization_id] == 1
