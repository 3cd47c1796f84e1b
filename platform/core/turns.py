"""Places that whoever asks takes turns at, so that much of one delays little of another."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Turns:
    """So many *places*; whoever waits gets one after one of each other owner.

    With *each*, nobody has more than that at once: the rest is free for others at any moment.
    """

    def __init__(self, places: int, *, each: int | None = None) -> None:
        self._free = places
        self._each = places if each is None else each
        self._held: Counter[Hashable] = Counter()
        self._lines: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, owner: Hashable) -> AsyncIterator[None]:
        """Have a place for the body."""
        # Whoever waits while a place is free has as many as one may have.
        if self._free and self._may_have(owner) and owner not in self._lines:
            self._take(owner)
        else:
            await self._wait(owner)
        try:
            yield
        finally:
            self._give_back(owner)

    async def _wait(self, owner: Hashable) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(owner, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It came in the moment of giving up: the next may have it.
                self._give_back(owner)
            raise

    def _may_have(self, owner: Hashable) -> bool:
        return self._held[owner] < self._each

    def _take(self, owner: Hashable) -> None:
        self._free -= 1
        self._held[owner] += 1

    def _give_back(self, owner: Hashable) -> None:
        self._free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        while self._free:
            for first in self._lines:
                if self._may_have(first):
                    break
            else:
                return
            self._call(first)

    def _call(self, owner: Hashable) -> None:
        """Let the first in an owner's line go, and the line end behind all others that wait."""
        line = self._lines.pop(owner)
        turn = line.popleft()
        if line:
            self._lines[owner] = line
        if not turn.done():
            self._take(owner)
            turn.set_result(None)
