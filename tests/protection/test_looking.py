"""Looking at the rules by the clock: however many workers there are, one looks."""

import asyncio
from datetime import timedelta

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.jobs import protection
from postlane.protection.rules import Scope


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is looked at, instead of looking."""
    seen: list[str] = []

    async def look(rules: list[object] | None = None) -> int:
        seen.append("all" if rules is None else "networks")
        return 0

    monkeypatch.setattr(protection, "look", look)
    return seen


async def test_of_several_workers_one_looks(database: None, looks: list[str]) -> None:
    await fetch("DELETE FROM auto_block_looks")

    await asyncio.gather(*(protection.look_if_due() for _ in range(6)))

    assert looks == ["all", "networks"]


async def test_the_next_look_comes_when_it_is_time(database: None, looks: list[str]) -> None:
    await fetch("DELETE FROM auto_block_looks")
    start = clock.now()
    for seconds in (0, 3, 10, 13, 20, 60, 63):
        with clock.frozen(start + timedelta(seconds=seconds)):
            await protection.look_if_due()

    assert looks == ["all", "networks", "networks", "all", "networks"]
    assert await fetch("SELECT key FROM auto_block_looks ORDER BY key") == [
        {"key": "all"},
        {"key": Scope.SOURCE_IP.value},
    ]
