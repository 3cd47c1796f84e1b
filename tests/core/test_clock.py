"""The clock that all processes of a deployment agree on."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from postlane.core import clock
from postlane.core.database import fetch, follow_clock
from postlane.delivery.work import claim_batch
from tests.delivery.spool import make_spooled


@pytest.fixture
def own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock follows in the test, it goes by the machine's after it."""
    monkeypatch.setattr(clock, "_followed", None)


async def test_a_process_goes_by_the_databases_clock(database: None, own_clock: None) -> None:
    clock.follow(datetime.now(UTC) + timedelta(hours=3), since=time.monotonic())
    assert clock.now() - datetime.now(UTC) > timedelta(hours=2)

    await follow_clock()

    said = (await fetch("SELECT clock_timestamp() AS at"))[0]["at"]
    assert abs(clock.now() - said) < timedelta(seconds=1)


async def test_time_passes_while_it_is_followed(own_clock: None) -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)

    clock.follow(at, since=time.monotonic() - 5)

    assert timedelta(seconds=5) <= clock.now() - at < timedelta(seconds=6)


async def test_a_machine_whose_clock_is_ahead_takes_nobodys_lease(
    database: None, own_clock: None
) -> None:
    spooled = await make_spooled("ada@dest.example")
    assert len(await claim_batch(spooled.queue_id)) == 1

    clock.follow(datetime.now(UTC) + timedelta(hours=1), since=time.monotonic())
    await follow_clock()

    assert await claim_batch(spooled.queue_id) == []


async def test_a_look_that_took_long_does_not_put_a_clock_off(
    database: None, own_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = datetime.now(UTC)
    clock.follow(right, since=time.monotonic())
    monkeypatch.setattr("postlane.core.database.CLOCK_SECONDS", 0.0)

    await follow_clock()

    assert clock._followed is not None
    assert clock._followed[1] == right
