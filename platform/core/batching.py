"""Group commit: calls that arrive together share one transaction.

A durable commit waits for the disk, and that wait is the same for one row and for a
hundred. While one batch is being committed the next calls gather, so a lone call is not
delayed and a crowd costs a few statements instead of a few for each.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
        largest: int = 100,
        at_once: int = 2,
        splits_on: tuple[type[Exception], ...] = (),
    ) -> None:
        self._work = work
        self._largest = largest
        self._free = at_once
        self._splits_on = splits_on
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, item: Item) -> Result:
        """Return the result for *item*, or raise its exception."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._start()
        return await future

    def _start(self) -> None:
        while self._free and self._waiting:
            taken, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            self._free -= 1
            task = asyncio.create_task(self._flush(taken))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._free += 1
        self._start()

    async def _flush(self, taken: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        results = await self._results([item for item, _ in taken])
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
