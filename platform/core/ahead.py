"""What comes in order, of which the next is begun before it is asked for."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from typing import Final, TypeVar

T = TypeVar("T")


class _Nothing:
    """Stands for what a part without anything yields first."""


_NOTHING: Final = _Nothing()


async def begun_ahead(
    parts: Iterable[AsyncGenerator[T, None]], *, ahead: int = 1
) -> AsyncGenerator[T, None]:
    """Yield what *parts* yield, one after the other.

    While one is gone through, the next *ahead* are worked on until they have something. What one
    of them raises is raised when it is its turn. All are closed when this is.
    """
    waiting = iter(parts)
    begun: deque[tuple[AsyncGenerator[T, None], asyncio.Task[T | _Nothing]]] = deque()

    def begin() -> None:
        if (part := next(waiting, None)) is not None:
            begun.append((part, asyncio.create_task(_first(part))))

    try:
        for _ in range(1 + ahead):
            begin()
        while begun:
            part, beginning = begun[0]
            first = await beginning
            if not isinstance(first, _Nothing):
                yield first
                async for each in part:
                    yield each
            begun.popleft()
            begin()
    finally:
        for part, beginning in begun:
            beginning.cancel()
            await asyncio.gather(beginning, return_exceptions=True)
            await part.aclose()


async def _first(part: AsyncGenerator[T, None]) -> T | _Nothing:
    return await anext(part, _NOTHING)
