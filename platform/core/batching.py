"""Group commit: calls that arrive together share one transaction.

A durable commit waits for the disk, and that wait is the same for one row and for a
hundred. While one batch is being committed the next calls gather, so a lone call is not
delayed and a crowd costs a few statements instead of a few for each. Calls of one turn of the
event loop come together as well: those that one batch has answered often ask the next together.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Runs *work* on the items that gathered while the last batches ran.

    *work* returns one result or one exception per item, in order. If it raises one of
    *splits_on*, which must prove that nothing was committed, each item of that batch is
    run again alone, so that one item's fault is its own. Anything else, a lost connection
    during the commit above all, is raised for every item: running it again might do it twice.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result | BaseException]]],
        *,
        weigh: Callable[[Item], int] = lambda item: 1,
        largest: int = 500,
        crowd: int = 32,
        at_once: int = 2,
        apart_seconds: float = 0.0,
        splits_on: tuple[type[Exception], ...] = (),
    ) -> None:
        """*largest* is the weight of one batch, at least one item.

        A second batch runs beside the first only when *crowd* items wait: fewer and fuller
        batches cost less. More than *at_once* never run.

        Batches begin *apart_seconds* apart, unless *crowd* items wait: where calls come
        one by one, but often, each would else pay for a batch of its own.
        """
        self._work = work
        self._weigh = weigh
        self._largest = largest
        self._crowd = crowd
        self._at_once = at_once
        self._apart = apart_seconds
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._splits_on = splits_on
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._gathers = False
        """Whether the batch that was begun last has yet to take its items."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """Where all of that is."""

    async def run(self, item: Item) -> Result:
        """Return the result for *item*, or raise its exception.

        Cancelled before its batch has begun, *item* is not worked on at all; after that, its
        batch goes on, and whoever asks again finds what came of it.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        self._start()
        return await future

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        # The timer and the batches of a loop that has ended never come to anything: whoever
        # waited for them here would wait for ever. Nobody waits there any more.
        if self._loop is not None and not self._loop.is_running():
            self._timer = None
            self._not_before = 0.0
            self._waiting.clear()
            self._running.clear()
            self._gathers = False
        self._loop = loop

    def _start(self) -> None:
        if self._gathers or not self._waiting:
            return
        is_crowded = len(self._waiting) >= self._crowd
        if self._running and not (is_crowded and len(self._running) < self._at_once):
            return
        if not self._is_time():
            return
        self._gathers = True
        # A batch is nobody's: it must not inherit the transaction or the log fields of
        # whoever happened to begin it.
        task = asyncio.create_task(self._flush(), context=Context())
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _is_time(self) -> bool:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now < self._not_before and len(self._waiting) < self._crowd:
            if self._timer is None:
                self._timer = loop.call_at(self._not_before, self._wake, context=Context())
            return False
        self._not_before = now + self._apart
        return True

    def _wake(self) -> None:
        self._timer = None
        # The clock of the timer may be a little early.
        self._not_before = 0.0
        self._start()

    def _take(self) -> list[tuple[Item, "asyncio.Future[Result]"]]:
        taken: list[tuple[Item, asyncio.Future[Result]]] = []
        weight = 0
        while self._waiting:
            item, future = self._waiting[0]
            # Whoever gave up before it was begun must not find it done later.
            if not future.done():
                weight += self._weigh(item)
                if taken and weight > self._largest:
                    break
                taken.append((item, future))
            self._waiting.popleft()
        return taken

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():  # perhaps before it had taken anything
            self._gathers = False
        self._start()

    async def _flush(self) -> None:
        self._gathers = False
        taken = self._take()
        self._start()
        if not taken:
            return
        try:
            results = await self._results([item for item, _ in taken])
        except BaseException:  # the process ends: whoever waits must not wait for ever
            for _, future in taken:
                future.cancel()
            raise
        for (_, future), result in zip(taken, results, strict=True):
            if future.done():  # its caller has gone away
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

    async def _results(self, items: Sequence[Item]) -> Sequence[Result | BaseException]:
        try:
            return await self._work(items)
        except Exception as error:  # an edge: raised again where each item was asked for
            if len(items) == 1 or not isinstance(error, self._splits_on):
                return [error] * len(items)
            return [(await self._results([item]))[0] for item in items]
