"""Settling: outcomes become states, attempts, events and suppressions, each once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.database import fetch, transaction
from postlane.delivery.operations import cancel_deliveries
from postlane.delivery.work import Settlement, claim_batch, find_queue, settle_batch
from postlane.mail.outcome import Outcome, outcome_of_reply
from tests.delivery.spool import Spooled, lose_lease, make_many, make_spooled

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
VMTA = "default"


def said(code: int, text: str) -> Outcome:
    """Return the outcome of a reply that came a moment ago."""
    return outcome_of_reply(
        code, text, started_at=clock.now(), duration=timedelta(milliseconds=120)
    )


async def settle(spooled: Spooled, outcome: Outcome | None) -> int:
    """Claim what is due of a message to one domain, and settle all of it alike."""
    claims = await claim_batch(spooled.queue_id)
    return await settle_batch([Settlement(claim, VMTA, outcome) for claim in claims])


async def suppressions(spooled: Spooled) -> list[tuple[str, str, datetime | None]]:
    rows = await fetch(
        "SELECT address, reason, expires_at FROM suppressions WHERE organization_id = {}",
        spooled.organization.id,
    )
    return [(row["address"], row["reason"], row["expires_at"]) for row in rows]


async def event_data(spooled: Spooled, kind: str) -> dict[str, Any]:
    import json

    rows = await fetch(
        "SELECT data FROM events WHERE message_id = {} AND type = {}", spooled.id, kind
    )
    data: dict[str, Any] = json.loads(rows[0]["data"])
    return data


async def test_a_delivered_message_is_complete(database: None, frozen: datetime) -> None:
    spooled = await make_spooled("ada@dest.example")

    assert await settle(spooled, said(250, "2.0.0 Taken")) == 1

    delivery, message = await spooled.delivery(), await spooled.message()
    assert (delivery.state, delivery.due_at, delivery.attempts) == ("delivered", None, 1)
    assert (delivery.code, delivery.enhanced_code, delivery.reply) == (250, "2.0.0", "2.0.0 Taken")
    assert (delivery.delivered_at, delivery.settled_at) == (NOON, NOON)
    assert (message.status, message.open_count, message.completed_at) == ("delivered", 0, NOON)
    assert await spooled.events() == ["message.sent", "message.delivered"]
    (attempt,) = await spooled.attempts()
    assert (attempt["number"], attempt["verdict"], attempt["duration_ms"]) == (1, "delivered", 120)
    assert await event_data(spooled, "message.delivered") == {
        "vmta": "default",
        "mx_host": None,
        "smtp_code": 250,
        "smtp_response": "250 2.0.0 Taken",
        "tls": None,
        "attempt": 1,
        "duration_ms": 120,
    }


@pytest.mark.parametrize(
    ("code", "text", "state", "bounce_class", "suppressed"),
    [
        (550, "5.1.1 No such user", "bounced", "invalid_recipient", True),
        (550, "5.2.1 Disabled", "bounced", "inactive_mailbox", True),
        (552, "5.2.2 Mailbox full", "bounced", "mailbox_full", False),
        (554, "5.7.1 Blocked using a block list", "bounced", "reputation_block", False),
        (550, "5.7.26 DMARC", "bounced", "auth_failure", False),
        (451, "4.3.0 Later", "deferred", "temporary_failure", False),
        (421, "4.7.28 Slow down", "deferred", "rate_limited", False),
    ],
)
async def test_a_refusal_decides_what_happens_next(
    database: None,
    frozen: datetime,
    code: int,
    text: str,
    state: str,
    bounce_class: str,
    suppressed: bool,
) -> None:
    spooled = await make_spooled("ada@dest.example")

    await settle(spooled, said(code, text))

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.bounce_class) == (state, bounce_class)
    assert await spooled.events() == ["message.sent", f"message.{state}"]
    assert await suppressions(spooled) == (
        [("ada@dest.example", "hard_bounce", None)] if suppressed else []
    )


@pytest.mark.parametrize(
    ("attempt", "minutes"), [(1, 5), (2, 30), (3, 120), (4, 480), (5, 480), (6, 480)]
)
async def test_the_ladder_is_climbed_with_up_to_a_tenth_of_jitter(
    database: None, frozen: datetime, attempt: int, minutes: int
) -> None:
    spooled = await make_spooled("ada@dest.example")
    await fetch(
        "UPDATE deliveries SET attempts = {} WHERE message_id = {}", attempt - 1, spooled.id
    )

    await settle(spooled, said(451, "4.3.0 Later"))

    delivery = await spooled.delivery()
    wait = timedelta(minutes=minutes)
    assert delivery.due_at is not None
    assert NOON + wait <= delivery.due_at <= NOON + wait * 1.1
    data = await event_data(spooled, "message.deferred")
    assert data["next_attempt_at"][:19] == delivery.due_at.isoformat()[:19]


async def test_mail_is_given_up_when_the_next_attempt_would_be_too_late(
    database: None, frozen: datetime
) -> None:
    spooled = await make_spooled("ada@dest.example", expires_at=NOON + timedelta(minutes=4))

    await settle(spooled, said(451, "4.3.0 Later"))

    assert await spooled.state() == "expired"
    assert await spooled.events() == ["message.sent", "message.expired"]
    assert await event_data(spooled, "message.expired") == {
        "vmta": "default",
        "mx_host": None,
        "attempt": 1,
        "bounce_class": "temporary_failure",
        "smtp_response": "451 4.3.0 Later",
    }


async def test_mail_whose_time_is_up_expires_without_an_attempt(
    database: None, frozen: datetime
) -> None:
    spooled = await make_spooled("ada@dest.example", expires_at=NOON - timedelta(seconds=1))

    await settle(spooled, None)

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.attempts, delivery.due_at) == ("expired", 0, None)
    assert await spooled.events() == ["message.expired"]
    assert await spooled.attempts() == []


async def test_mail_that_a_worker_died_over_is_told_as_sent_once_by_whoever_settles_it(
    database: None, frozen: datetime
) -> None:
    spooled = await make_spooled("ada@dest.example")
    await claim_batch(spooled.queue_id)
    await lose_lease(spooled)
    assert await spooled.events() == []

    await settle(spooled, said(451, "4.3.0 Later"))
    await fetch("UPDATE deliveries SET due_at = {} WHERE message_id = {}", NOON, spooled.id)
    await settle(spooled, said(250, "2.0.0 Taken"))

    assert await spooled.events() == ["message.sent", "message.deferred", "message.delivered"]
    assert (await event_data(spooled, "message.delivered"))["attempt"] == 3


async def test_mail_that_a_worker_died_over_and_the_next_put_back_was_not_deferred(
    database: None, frozen: datetime
) -> None:
    spooled = await make_spooled("ada@dest.example")
    await claim_batch(spooled.queue_id)
    await lose_lease(spooled)

    await settle(spooled, None)
    before = await spooled.delivery()
    await settle(spooled, said(250, "2.0.0 Taken"))

    assert (before.state, before.due_at) == ("queued", NOON)
    assert await spooled.events() == ["message.sent", "message.delivered"]


async def test_a_claim_that_was_not_begun_is_due_again_at_once(
    database: None, frozen: datetime
) -> None:
    spooled = await make_spooled("ada@dest.example")

    await settle(spooled, None)

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.attempts, delivery.due_at) == ("queued", 0, NOON)
    assert (await spooled.message()).status == "queued"
    assert await spooled.events() == []


async def test_a_late_worker_changes_nothing(database: None) -> None:
    spooled = await make_spooled("ada@dest.example")
    (late,) = await claim_batch(spooled.queue_id)
    await lose_lease(spooled)
    (current,) = await claim_batch(spooled.queue_id)

    settled_late = await settle_batch([Settlement(late, VMTA, said(550, "5.1.1 No such user"))])
    before = await spooled.delivery()
    settled = await settle_batch([Settlement(current, VMTA, said(250, "2.0.0 Taken"))])
    settled_last = await settle_batch([Settlement(late, VMTA, said(451, "4.3.0 Later"))])

    assert (settled_late, settled, settled_last) == (0, 1, 0)
    assert (before.state, before.attempts) == ("sending", 2)
    assert await spooled.state() == "delivered"
    assert [attempt["number"] for attempt in await spooled.attempts()] == [2]
    assert await suppressions(spooled) == []


async def test_settling_twice_does_nothing_the_second_time(database: None) -> None:
    spooled = await make_spooled("ada@dest.example")
    (claim,) = await claim_batch(spooled.queue_id)
    settlement = Settlement(claim, VMTA, said(250, "2.0.0 Taken"))

    counts = [await settle_batch([settlement]), await settle_batch([settlement])]

    assert counts == [1, 0]
    assert await spooled.events() == ["message.sent", "message.delivered"]
    assert len(await spooled.attempts()) == 1


@pytest.mark.parametrize(
    ("code", "text", "state"),
    [
        (250, "2.0.0 Taken", "delivered"),
        (550, "5.1.1 No such user", "bounced"),
        (451, "4.3.0 Later", "cancelled"),
    ],
)
async def test_a_cancellation_during_the_attempt_holds_unless_the_attempt_ended_it(
    database: None, code: int, text: str, state: str
) -> None:
    spooled = await make_spooled("ada@dest.example")
    (claim,) = await claim_batch(spooled.queue_id)
    async with transaction() as tx:
        cancelled = await cancel_deliveries(tx, spooled.id)
    assert cancelled.in_progress == 1

    await settle_batch([Settlement(claim, VMTA, said(code, text))])

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.due_at) == (state, None)
    assert await spooled.events() == ["message.sent", f"message.{state}"]
    assert (await event_data(spooled, f"message.{state}"))["attempt"] == 1


async def test_a_message_is_the_sum_of_its_deliveries(database: None) -> None:
    spooled = await make_spooled("a@dest.example", "b@dest.example", "c@dest.example")
    claims = {claim.address: claim for claim in await claim_batch(spooled.queue_id)}
    statuses = []

    for address, code in (("a", 250), ("b", 451), ("c", 550)):
        claim = claims[f"{address}@dest.example"]
        await settle_batch([Settlement(claim, VMTA, said(code, ""))])
        message = await spooled.message()
        statuses.append((message.status, message.open_count))

    assert statuses == [("sending", 2), ("sending", 2), ("deferred", 1)]
    with clock.frozen(clock.now() + timedelta(minutes=6)):
        await settle(spooled, said(250, ""))
    message = await spooled.message()
    assert (message.status, message.open_count) == ("partial", 0)
    assert message.completed_at is not None


async def test_the_third_soft_failure_of_a_week_cools_an_address_down(
    database: None, frozen: datetime
) -> None:
    spooled = await make_spooled("full@dest.example")
    organization = spooled.organization
    await settle(spooled, said(552, "5.2.2 Mailbox full"))
    second = await make_spooled("full@dest.example", organization=organization)
    await settle(second, said(552, "5.2.2 Mailbox full"))
    assert await suppressions(spooled) == []

    third = await make_spooled("full@dest.example", organization=organization)
    await settle(third, said(552, "5.2.2 Mailbox full"))

    assert await suppressions(spooled) == [
        ("full@dest.example", "soft_bounce_cooling", NOON + timedelta(hours=72))
    ]


async def test_workers_that_settle_the_same_messages_do_not_deadlock(database: None) -> None:
    addresses = [f"user{n}@{d}.example" for n in range(5) for d in ("one", "two")]
    messages = await make_many([addresses] * 20)
    queues = list(messages[0].queues.values())
    claims = [await claim_batch(queue_id, 500) for queue_id in queues]

    async def settle_in_pieces(claimed: list[Any]) -> int:
        pieces = [claimed[start : start + 10] for start in range(0, len(claimed), 10)]
        counts = await asyncio.gather(
            *(
                settle_batch([Settlement(claim, VMTA, said(250, "")) for claim in reversed(piece)])
                for piece in pieces
            )
        )
        return sum(counts)

    counts = await asyncio.gather(*(settle_in_pieces(claimed) for claimed in claims))

    assert counts == [100, 100]
    assert {(await message.message()).status for message in messages} == {"delivered"}


async def test_a_throttled_queue_backs_off_until_ten_minutes_pass_without_a_failure(
    database: None, frozen: datetime
) -> None:
    spooled = await make_spooled("a@dest.example")

    async def throttled_at(minutes: float) -> bool:
        with clock.frozen(NOON + timedelta(minutes=minutes)):
            queue = await find_queue(spooled.queue_id)
            assert queue is not None
            return queue.is_throttled

    await settle(spooled, said(451, "4.3.0 Later"))
    assert not await throttled_at(0)
    with clock.frozen(NOON + timedelta(minutes=6)):
        await settle(spooled, said(421, "4.7.28 Slow down"))
    assert [await throttled_at(minute) for minute in (6, 15.9, 16)] == [True, True, False]
    other = await make_spooled("b@dest.example", organization=spooled.organization)
    with clock.frozen(NOON + timedelta(minutes=15)):
        await settle(other, said(451, "4.3.0 Later"))
    assert [await throttled_at(minute) for minute in (24.9, 25)] == [True, False]
