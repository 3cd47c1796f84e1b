"""Limits on what one worker process holds in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ByteWindow:
    """Limits how many bytes are held at once; whoever wants more waits in line.

    More than the whole window is let in when nothing else is there.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = asyncio.Condition()
        self._line = asyncio.Lock()

    async def acquire(self, size: int) -> None:
        # In line, or what is large would wait for as long as small ones come.
        async with self._line, self._changed:
            await self._changed.wait_for(
                lambda: self._held == 0 or self._held + size <= self._limit
            )
            self._held += size

    async def release(self, size: int) -> None:
        async with self._changed:
            self._held -= size
            self._changed.notify_all()


@asynccontextmanager
async def held(window: ByteWindow | None, size: int) -> AsyncIterator[None]:
    """Hold so many bytes of *window* for the body; without a window nothing is limited.

    Whoever wants none waits for nobody.
    """
    if window is None or not size:
        yield
        return
    await window.acquire(size)
    try:
        yield
    finally:
        await window.release(size)
