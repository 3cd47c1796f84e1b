"""What comes in order, with the next begun before it is asked for."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

import pytest

from postlane.core.ahead import begun_ahead

Log = list[str]


async def part(name: str, log: Log, *items: str, fault: str = "") -> AsyncGenerator[str, None]:
    """Yield *items*, and note when this begins, goes on and is closed."""
    log.append(f"{name} begun")
    try:
        await asyncio.sleep(0)
        if fault:
            raise LookupError(fault)
        for item in items:
            yield item
    finally:
        log.append(f"{name} closed")


async def each_of(
    parts: Iterable[AsyncGenerator[str, None]], log: Log | None = None
) -> AsyncGenerator[AsyncGenerator[str, None], None]:
    """Yield *parts*, and note when the next is asked for and when no more are."""
    log = [] if log is None else log
    try:
        for nth, each in enumerate(parts):
            log.append(f"asked {nth}")
            await asyncio.sleep(0)
            yield each
    finally:
        log.append("no more")


async def settle() -> None:
    """Let everything go on that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_everything_comes_in_order() -> None:
    log: Log = []
    parts = [part("a", log, "1", "2"), part("b", log), part("c", log, "3")]

    found = [each async for each in begun_ahead(each_of(parts))]

    assert found == ["1", "2", "3"]
    assert sorted(log) == [f"{name} {what}" for name in "abc" for what in ("begun", "closed")]


@pytest.mark.parametrize("ahead", [1, 2])
async def test_the_next_are_begun_and_no_more(ahead: int) -> None:
    log: Log = []
    parts = [part(name, log, name) for name in "abcd"]

    async with aclosing(begun_ahead(each_of(parts), ahead=ahead)) as found:
        assert await anext(found) == "a"
        await settle()
        assert log == [f"{name} begun" for name in "abcd"[: 1 + ahead]]


async def test_what_was_begun_is_closed_when_it_is_left() -> None:
    log: Log = []
    parts = [part(name, log, name, name) for name in "abc"]

    async with aclosing(begun_ahead(each_of(parts))) as found:
        await anext(found)

    assert [each for each in log if each.endswith("closed")] == ["a closed", "b closed"]


async def test_what_is_wrong_is_told_when_it_is_its_turn() -> None:
    log: Log = []
    parts = [part("a", log, "1"), part("b", log, fault="gone"), part("c", log, "3")]
    found = begun_ahead(each_of(parts))

    assert await anext(found) == "1"
    await settle()
    with pytest.raises(LookupError, match="gone"):
        await anext(found)

    assert {"a closed", "b closed", "c closed"} <= set(log)


async def test_whoever_waits_may_be_cancelled() -> None:
    log: Log = []

    async def slow() -> AsyncGenerator[str, None]:
        log.append("slow begun")
        try:
            await asyncio.sleep(60)
            yield "never"
        finally:
            log.append("slow closed")

    async def go_through() -> None:
        async for _ in begun_ahead(each_of([slow(), part("b", log, "2")])):
            pass

    going = asyncio.create_task(go_through())
    await settle()
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    await settle()

    assert "slow closed" in log
    assert "b closed" in log


async def test_they_are_asked_for_one_after_the_other() -> None:
    log: Log = []

    async with aclosing(begun_ahead(each_of(map(part_of(log), "abcd"), log), ahead=2)) as found:
        assert await anext(found) == "a"
        await settle()
        asked = [each for each in log if each.startswith("asked")]

    assert asked == ["asked 0", "asked 1", "asked 2"]
    assert log[-1] == "no more"


async def test_what_is_there_does_not_wait_for_the_next_to_be_there() -> None:
    log: Log = []

    async def asked() -> AsyncGenerator[AsyncGenerator[str, None], None]:
        yield part("a", log, "1", "2")
        await asyncio.sleep(60)
        yield part("b", log, "3")

    async with asyncio.timeout(5), aclosing(begun_ahead(asked())) as found:
        assert [await anext(found), await anext(found)] == ["1", "2"]


async def test_what_goes_wrong_with_asking_is_told_when_it_is_its_turn() -> None:
    log: Log = []

    async def asked() -> AsyncGenerator[AsyncGenerator[str, None], None]:
        yield part("a", log, "1")
        raise LookupError("gone")

    found = begun_ahead(asked())

    assert await anext(found) == "1"
    await settle()
    with pytest.raises(LookupError, match="gone"):
        await anext(found)


def part_of(log: Log) -> Callable[[str], AsyncGenerator[str, None]]:
    """Return what makes a part of one item, of its name."""
    return lambda name: part(name, log, name)
