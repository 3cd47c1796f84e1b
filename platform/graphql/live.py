"""Subscriptions as they run: what happens becomes answers, for whoever may still have them.

Rights are asked for again when events are there, every second while they wait to be taken,
and every second while nothing happens.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from graphql import ExecutionResult, create_source_event_stream

from ..core.actor import Actor
from ..core.batching import Batcher
from ..core.errors import ErrorCode, LimitReached, NotAuthenticated
from ..core.reaching import is_unreachable
from ..core.tenants import acting_for
from .context import Context
from .documents import Operation
from .errors import refusals
from .execute import Result, built, run
from .subscriptions import Stream

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""How often the rights of a subscription are looked at while nothing happens."""
PER_CREDENTIAL = 100
"""Subscriptions of one credential at a time, in one process."""


class TooManySubscriptions(LimitReached):
    """Another subscription would be one too many."""

    code = ErrorCode.SUBSCRIPTION_LIMIT_REACHED


class Credential:
    """What a client signed in with, to be asked again and again who that is now."""

    def __init__(self, ask: Callable[[], Awaitable[Actor | None]]) -> None:
        self._ask = ask
        # All who ask while one question is on its way share the next: the answer is younger
        # than whatever they ask about.
        self._questions: Batcher[None, Actor] = Batcher(self._answers, at_once=1)
        self._last: tuple[float, Actor] | None = None
        """When the last question was asked that was answered, and the answer."""

    async def actor(self) -> Actor:
        """Return who it is now.

        Raises:
            OperationError: it is good no longer.
        """
        return await self._questions.run(None)

    async def lately(self) -> Actor:
        """Return who it was a moment ago; for those who look again and again.

        Raises:
            OperationError: it is good no longer.
        """
        now = asyncio.get_running_loop().time()
        if self._last is not None and now - self._last[0] < CHECK_SECONDS:
            return self._last[1]
        return await self.actor()

    async def _answers(self, items: Sequence[None]) -> Sequence[Actor | BaseException]:
        began, self._last = asyncio.get_running_loop().time(), None
        actor = await self._ask()
        if actor is not None:
            self._last = (began, actor)
        return [NotAuthenticated() if actor is None else actor for _ in items]


class Places:
    """How many subscriptions each credential has."""

    def __init__(self, most: int = PER_CREDENTIAL) -> None:
        self._most = most
        self._taken: Counter[object] = Counter()

    @asynccontextmanager
    async def one(self, actor: Actor) -> AsyncIterator[None]:
        """Take a place for as long as the body runs.

        Raises:
            TooManySubscriptions: there is none.
        """
        who = (actor.api_key_id or actor.user_id, actor.organization_id)
        if self._taken[who] >= self._most:
            raise TooManySubscriptions(
                f"This credential has {self._most} subscriptions here; it may have no more."
            )
        self._taken[who] += 1
        try:
            yield
        finally:
            self._taken[who] -= 1
            if not self._taken[who]:
                del self._taken[who]


PLACES = Places()


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription that has begun."""

    stream: Stream
    operation: Operation
    document: Any
    variables: Mapping[str, Any]
    credential: Credential
    context: Context

    async def answers(self) -> AsyncIterator[Result]:
        """Give an answer for each thing that happens, for ever.

        Raises:
            OperationError: the credential or its rights are gone, or the client is too slow.
            FeedClosed: this process ends.
        """
        try:
            while True:
                happened = await self._next()
                actor = await self._allowed()
                context = Context(
                    actor=actor,
                    request_id=self.context.request_id,
                    source_address=self.context.source_address,
                    may_introspect=True,
                )
                for result in await asyncio.gather(
                    *(self._answer(each, context) for each in happened)
                ):
                    # The one before may have waited long for a client that reads slowly.
                    self.stream.check(await self._answered(self.credential.lately))
                    yield result
        finally:
            self.stream.close()

    async def _next(self) -> Sequence[Any]:
        taking = asyncio.ensure_future(self.stream.take())
        try:
            while True:
                done, _ = await asyncio.wait({taking}, timeout=CHECK_SECONDS)
                if done:
                    return taking.result()
                self.stream.check(await self._answered(self.credential.lately))
        finally:
            taking.cancel()

    async def _allowed(self) -> Actor:
        """Return who is asking now that something has happened."""
        actor = await self._answered(self.credential.actor)
        self.stream.check(actor)
        return actor

    async def _answered(self, question: Callable[[], Awaitable[Actor]]) -> Actor:
        """Return the answer, however long the database is away."""
        while True:
            try:
                return await question()
            except Exception as error:  # an edge: the database may come back
                if not is_unreachable(error):
                    raise
                log.warning("rights could not be looked at: %r", error)
                await asyncio.sleep(CHECK_SECONDS)

    async def _answer(self, happened: Any, context: Context) -> Result:
        return await run(self.document, self.operation.node, self.variables, context, root=happened)


async def subscribe(
    document: Any,
    operation: Operation,
    variables: Mapping[str, Any],
    context: Context,
    credential: Credential,
) -> Subscribed | Result:
    """Return the subscription that an operation begins, or why it does not begin."""
    executor = built(document, operation.node, variables, context)
    if isinstance(executor, Result):
        return executor
    with acting_for(context.tenants):
        source: Any = create_source_event_stream(executor)
        if asyncio.iscoroutine(source):
            source = await source
    if isinstance(source, ExecutionResult):
        return Result(None, refusals(source.errors, request_id=context.request_id))
    return Subscribed(cast("Stream", source), operation, document, variables, credential, context)
