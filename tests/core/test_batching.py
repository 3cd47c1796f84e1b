"""Group commit: who comes together is done together, and answers for itself alone."""

import asyncio
from collections.abc import Sequence

import pytest

from postlane.core.batching import Batcher
from postlane.core.database import transaction


class Refused(Exception):
    """One item is not accepted."""


async def begun() -> None:
    """Let a batch begin: it is asked for in one turn, and takes its items in the next."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_gathers_while_a_batch_runs_makes_the_next_one() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def work(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        await gate.wait()
        return [item * 10 for item in items]

    batcher: Batcher[int, int] = Batcher(work)
    first = asyncio.create_task(batcher.run(0))
    await begun()
    waiting = [asyncio.create_task(batcher.run(number)) for number in range(1, 5)]
    await asyncio.sleep(0)
    gate.set()

    assert await asyncio.gather(first, *waiting) == [0, 10, 20, 30, 40]
    assert batches == [[0], [1, 2, 3, 4]]


async def test_what_comes_in_one_turn_of_the_loop_is_one_batch() -> None:
    batches: list[list[int]] = []

    async def work(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        return items

    first: Batcher[int, int] = Batcher(work)
    second: Batcher[int, int] = Batcher(work)

    async def one_after_the_other(number: int) -> int:
        return await second.run(await first.run(number))

    await asyncio.gather(*(one_after_the_other(number) for number in range(4)))

    assert batches == [[0, 1, 2, 3], [0, 1, 2, 3]]


async def test_whoever_waits_is_served_though_a_batch_was_cancelled_before_it_began() -> None:
    async def work(items: Sequence[int]) -> Sequence[int]:
        return items

    batcher: Batcher[int, int] = Batcher(work)
    waiting = asyncio.create_task(batcher.run(1))
    known = asyncio.all_tasks()
    await asyncio.sleep(0)
    [batch] = asyncio.all_tasks() - known
    batch.cancel()

    assert await asyncio.wait_for(waiting, 1) == 1


async def test_a_crowd_gets_a_second_batch_at_once_and_never_a_third() -> None:
    running = 0
    most = 0

    async def work(items: Sequence[int]) -> Sequence[int]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return items

    batcher: Batcher[int, int] = Batcher(work, largest=4, crowd=4)
    await asyncio.gather(*(batcher.run(number) for number in range(100)))

    assert most == 2


async def test_a_batch_is_no_heavier_than_it_may_be() -> None:
    batches: list[list[int]] = []

    async def work(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        return items

    batcher: Batcher[int, int] = Batcher(work, weigh=lambda item: item, largest=10)
    await asyncio.gather(*(batcher.run(item) for item in (99, 6, 4, 1, 5)))

    assert batches == [[99], [6, 4], [1, 5]]


async def test_what_is_given_up_before_it_is_begun_is_never_done() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def work(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        await gate.wait()
        return items

    batcher: Batcher[int, int] = Batcher(work)
    runs = asyncio.create_task(batcher.run(0))
    await begun()
    waits, stays = (asyncio.create_task(batcher.run(number)) for number in (1, 2))
    await asyncio.sleep(0)
    runs.cancel()
    waits.cancel()
    await asyncio.gather(runs, waits, return_exceptions=True)
    gate.set()

    assert await stays == 2
    assert batches == [[0], [2]]


async def test_a_crowd_that_has_gone_leaves_no_empty_batch() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def work(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        await gate.wait()
        return items

    batcher: Batcher[int, int] = Batcher(work)
    first = asyncio.create_task(batcher.run(0))
    await begun()
    others = [asyncio.create_task(batcher.run(number)) for number in range(1, 4)]
    await asyncio.sleep(0)
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    gate.set()

    assert await first == 0
    assert await batcher.run(9) == 9
    assert batches == [[0], [9]]


async def test_a_refusal_that_proves_a_rollback_is_its_items_own() -> None:
    async def work(items: Sequence[int]) -> Sequence[int]:
        if 3 in items:
            raise Refused
        return items

    batcher: Batcher[int, int] = Batcher(work, splits_on=(Refused,))
    results = await asyncio.gather(
        *(batcher.run(number) for number in range(6)), return_exceptions=True
    )

    assert [type(result) if number == 3 else result for number, result in enumerate(results)] == [
        0,
        1,
        2,
        Refused,
        4,
        5,
    ]


async def test_a_lost_connection_is_never_tried_again() -> None:
    tries = 0

    async def work(items: Sequence[int]) -> Sequence[int]:
        nonlocal tries
        tries += 1
        raise ConnectionError("the commit may or may not have happened")

    batcher: Batcher[int, int] = Batcher(work, splits_on=(Refused,))
    results = await asyncio.gather(
        *(batcher.run(number) for number in range(3)), return_exceptions=True
    )

    assert [type(result) for result in results] == [ConnectionError] * 3
    assert tries == 1


async def test_nobody_waits_for_a_batch_that_was_cancelled() -> None:
    async def work(items: Sequence[int]) -> Sequence[int]:
        raise asyncio.CancelledError

    batcher: Batcher[int, int] = Batcher(work)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(batcher.run(1), 1)


async def test_a_batch_inherits_nothing_from_who_began_it(database: None) -> None:
    async def work(items: Sequence[int]) -> Sequence[int]:
        async with transaction():
            return items

    batcher: Batcher[int, int] = Batcher(work)

    async with transaction():
        assert await batcher.run(1) == 1


def test_a_loop_that_ended_keeps_nobody_of_the_next_one() -> None:
    """Neither its timer nor its batches will ever come to anything."""
    batches: list[list[int]] = []

    async def work(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        if items[0] < 0:
            await asyncio.sleep(60)
        return items

    batcher: Batcher[int, int] = Batcher(work, apart_seconds=0.01)

    async def leave_the_timer_set() -> None:
        await batcher.run(1)
        waits = asyncio.create_task(batcher.run(2))
        await asyncio.sleep(0)
        assert not waits.done()

    async def leave_a_batch_running() -> None:
        waits = asyncio.create_task(batcher.run(-1))
        await asyncio.sleep(0.02)
        others = [asyncio.create_task(batcher.run(number)) for number in (3, 4)]
        await asyncio.sleep(0)
        assert not any(each.done() for each in (waits, *others))

    async def ask(*numbers: int) -> list[int]:
        return [await asyncio.wait_for(batcher.run(number), 2) for number in numbers]

    asyncio.run(leave_the_timer_set())
    assert asyncio.run(ask(5, 6)) == [5, 6]
    asyncio.run(leave_a_batch_running())
    assert asyncio.run(ask(7, 8)) == [7, 8]
    assert batches == [[1], [5], [6], [-1], [7], [8]]
