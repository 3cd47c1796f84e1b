"""A worker with nothing to do asks little, and sees at once when there is something."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.credits.work import look_at_alerts
from postlane.delivery.rules import DeliveryState
from postlane.delivery.work import anything_waits, claim_batch, roll_up
from tests.delivery.spool import Spooled, make_spooled
from tests.statements import count_statements

LATER = timedelta(hours=1)


async def mail_comes(waiting: Spooled) -> None:
    await make_spooled("new@dest.example")


async def a_flush(waiting: Spooled) -> None:
    await fetch("UPDATE queues SET flushed_at = now() WHERE id = {}", waiting.queue_id)


async def the_end_of_a_hold(waiting: Spooled) -> None:
    await fetch(
        "UPDATE queues SET state = 'held', held_until = now() - interval '1 second' WHERE id = {}",
        waiting.queue_id,
    )


async def the_end_of_a_pause(waiting: Spooled) -> None:
    await fetch(
        "UPDATE vmtas SET status = 'paused', paused_until = now() - interval '1 second'",
    )


@pytest.mark.parametrize("what", [mail_comes, a_flush, the_end_of_a_hold, the_end_of_a_pause])
async def test_whatever_a_sweep_is_for_is_seen(
    own_database: str, what: Callable[[Spooled], Awaitable[None]]
) -> None:
    waiting = await make_spooled(
        "ada@dest.example", due_at=clock.now() + LATER, state=DeliveryState.SCHEDULED
    )
    await roll_up()
    before = await anything_waits()

    await what(waiting)

    assert (before, await anything_waits()) == (False, True)


async def test_mail_is_seen_when_its_time_has_come_and_not_while_it_is_sent(
    own_database: str,
) -> None:
    waiting = await make_spooled(
        "ada@dest.example", due_at=clock.now() + LATER, state=DeliveryState.SCHEDULED
    )
    await roll_up()

    with clock.frozen(clock.now() + LATER):
        due = await anything_waits()
        await claim_batch(waiting.queue_id)
        await roll_up()
        sending = await anything_waits()

    assert (due, sending) == (True, False)


async def test_looking_for_work_and_for_alerts_takes_a_statement_each(own_database: str) -> None:
    with count_statements() as sent:
        waits, alerts = await anything_waits(), await look_at_alerts()

    assert (waits, alerts, len(sent)) == (False, 0, 2)
