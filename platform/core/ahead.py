"""What comes in order, of which the next is begun before it is asked for."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final, TypeVar

T = TypeVar("T")


class _Nothing:
    """Stands for what a part without anything yields first."""


_NOTHING: Final = _Nothing()


async def begun_ahead(
    parts: AsyncGenerator[AsyncGenerator[T, None], None], *, ahead: int = 1
) -> AsyncGenerator[T, None]:
    """Yield what each of *parts* yields, one part after the other.

    While one is gone through, the next *ahead* are asked for, and worked on until they have
    something. What goes wrong with one of them, or with asking for it, is raised when it is its
    turn. All are closed when this is.
    """
    asking = asyncio.Lock()

    async def begin() -> tuple[AsyncGenerator[T, None], T | _Nothing] | None:
        async with asking:  # had in the order of asking
            part = await anext(parts, None)
        if part is None:
            return None
        try:
            return part, await anext(part, _NOTHING)
        except BaseException:
            await part.aclose()
            raise

    begun = deque(asyncio.create_task(begin()) for _ in range(1 + ahead))
    try:
        while (found := await begun[0]) is not None:
            part, first = found
            if not isinstance(first, _Nothing):
                yield first
                async for each in part:
                    yield each
            begun.popleft()
            begun.append(asyncio.create_task(begin()))
    finally:
        try:
            for beginning in begun:
                beginning.cancel()
                (left,) = await asyncio.gather(beginning, return_exceptions=True)
                if isinstance(left, tuple):
                    await left[0].aclose()
        finally:
            # Whoever waits may be cancelled once more.
            for beginning in begun:
                beginning.cancel()
            await parts.aclose()
