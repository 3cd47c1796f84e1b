"""Turns: nobody waits for ever, and much of one delays little of another."""

import asyncio
from collections.abc import Hashable

import pytest

from postlane.core.turns import Turns


async def take(turns: Turns, owner: Hashable, order: list[Hashable]) -> None:
    async with turns.turn(owner):
        order.append(owner)
        await asyncio.sleep(0)


@pytest.mark.parametrize("owner", ["one", None, 0, ""])
async def test_whoever_it_is_gets_a_turn(owner: Hashable) -> None:
    turns, order = Turns(2), list[Hashable]()

    async with asyncio.timeout(5):
        await asyncio.gather(*(take(turns, owner, order) for _ in range(10)))

    assert order == [owner] * 10


async def test_owners_take_turns() -> None:
    turns, order = Turns(1), list[Hashable]()

    async with asyncio.timeout(5):
        await asyncio.gather(*(take(turns, owner, order) for owner in ("many",) * 5 + ("few",) * 2))

    assert order == ["many", "many", "few", "many", "few", "many", "many"]


async def test_the_rest_is_free_for_others_where_each_has_a_limit() -> None:
    turns = Turns(3, each=2)

    async with asyncio.timeout(5), turns.turn("many"), turns.turn("many"):
        waiting = asyncio.create_task(take(turns, "many", []))
        await asyncio.sleep(0)
        async with turns.turn("few"):
            assert not waiting.done()
    await waiting


async def test_who_gives_up_takes_no_place_with_him() -> None:
    turns, order = Turns(1), list[Hashable]()

    async with asyncio.timeout(5):
        async with turns.turn("first"):
            gone = asyncio.create_task(take(turns, "gone", order))
            then = asyncio.create_task(take(turns, "then", order))
            await asyncio.sleep(0)
            gone.cancel()
        await then

    assert order == ["then"]
