"""Loading by key in batches, so that a list of a hundred rows costs one statement per edge.

A loader is a plain function of an area's GraphQL module:

    async def load_domains(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Domain]: ...

and a resolver says `await info.context.loaders.load(load_domains, self.domain_id)`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from ..core.actor import Actor, known

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Load = Callable[[Actor, Sequence[Key]], Awaitable[Mapping[Key, Value]]]


class Loaders:
    """Gathers the keys that one request's resolvers ask for side by side.

    Nothing is kept after a batch has been answered: a second mutation in the same document
    sees what the first one changed. It belongs to one actor, so tenants share nothing.
    """

    def __init__(self, actor: Actor | None) -> None:
        self._actor = actor
        self._waiting: dict[Any, dict[Any, asyncio.Future[Any]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def load(self, function: "Load[Key, Value]", key: Key) -> Value | None:
        """Return what *function* finds for *key*, or None; asked for together with others.

        Raises:
            NotAuthenticated: nobody is signed in.
        """
        known(self._actor)
        loop = asyncio.get_running_loop()
        batch = self._waiting.get(function)
        if batch is None:
            batch = self._waiting[function] = {}
            loop.call_soon(self._start, function)
        future = batch.get(key)
        if future is None:
            future = batch[key] = loop.create_future()
        found: Value | None = await asyncio.shield(future)
        return found

    def _start(self, function: "Load[Any, Any]") -> None:
        batch = self._waiting.pop(function)
        task = asyncio.create_task(self._answer(function, batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(
        self, function: "Load[Any, Any]", batch: dict[Any, asyncio.Future[Any]]
    ) -> None:
        try:
            found = await function(known(self._actor), list(batch))
        except Exception as error:  # an edge: raised again where each key was asked for
            for future in batch.values():
                if not future.done():
                    future.set_exception(error)
            return
        for key, future in batch.items():
            if not future.done():
                future.set_result(found.get(key))
