"""Places that organizations take turns at, whatever one of them waits for."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .gates import Owner


class Turns:
    """So many *places*; whoever waits gets one after one of each other organization."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._lines: OrderedDict[Owner, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, organization_id: Owner) -> AsyncIterator[None]:
        """Have a place for the body."""
        if self._free and not self._lines:
            self._free -= 1
        else:
            await self._wait(organization_id)
        try:
            yield
        finally:
            self._free += 1
            self._wake()

    async def _wait(self, organization_id: Owner) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(organization_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It came in the moment of giving up: the next may have it.
                self._free += 1
                self._wake()
            raise

    def _wake(self) -> None:
        while self._free and self._lines:
            organization_id, line = self._lines.popitem(last=False)
            turn = line.popleft()
            if line:
                # Behind all others that wait.
                self._lines[organization_id] = line
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
