"""Following queues: each that is not as it was a moment ago, as it is now.

The numbers of queues are rolled up about once a second. Events of the organization say that
it is worth looking at them; what changes without an event, such as a hold, is seen a little
later.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import strawberry

from ..core.actor import Actor, Permission
from ..core.errors import NotPermitted
from ..core.paging import PageRequest
from ..delivery.queue_queries import QueueView, find_queues, get_queue, list_queues
from ..events import tables
from ..events.feed import FEED, Subscriber
from .context import Info, actor_of
from .nodes import parse_id
from .queues import Queue, QueueFilter, queue_type, wanted_queues

MOST = 200
"""Queues that one subscription follows: the deepest ones."""
LOOK_SECONDS = 1.0
IDLE_SECONDS = 3.0
"""Between two looks while no event comes."""
SETTLE_LOOKS = 3
"""Looks after the last event, until the numbers have been rolled up."""

Look = Callable[[], Awaitable[Mapping[UUID, QueueView]]]


class Hints:
    """Whether something happened lately that changes queues."""

    def __init__(self) -> None:
        self._some = asyncio.Event()
        self._looks = 0

    def note(self, event: tables.Event) -> bool:
        """Remember that there was an event, and keep nothing of it."""
        if event.delivery_id is not None:
            self._looks = SETTLE_LOOKS
            self._some.set()
        return False

    async def pause(self) -> None:
        """Return when it is time to look again."""
        await asyncio.sleep(LOOK_SECONDS)
        if self._looks > 0:
            self._looks -= 1
            return
        self._some.clear()
        try:
            await asyncio.wait_for(self._some.wait(), IDLE_SECONDS)
        except TimeoutError:
            return


class QueueStream(AsyncIterator[Any]):
    """Queues that change; see `subscriptions.Stream`."""

    def __init__(self, actor: Actor, subscriber: Subscriber, hints: Hints, look: Look) -> None:
        self._actor = actor
        self._subscriber = subscriber
        self._hints = hints
        self._look = look
        self._before: Mapping[UUID, QueueView] = {}

    async def begin(self) -> None:
        """See what there is: only what is different later has changed."""
        self._before = await self._look()

    async def take(self) -> Sequence[Queue]:
        """Return the queues that are not as they were, as soon as there are any."""
        while True:
            await self._until_next_look()
            now = await self._look()
            changed = [view for key, view in now.items() if self._before.get(key) != view]
            self._before = now
            if changed:
                return [queue_type(view) for view in changed]

    async def _until_next_look(self) -> None:
        pausing = asyncio.ensure_future(self._hints.pause())
        # Nothing is ever offered to it, so that it only returns to say that this is the end.
        ending = asyncio.ensure_future(self._subscriber.take(1))
        try:
            await asyncio.wait({pausing, ending}, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                ending.result()
        finally:
            pausing.cancel()
            ending.cancel()

    def check(self, actor: Actor) -> None:
        """Do nothing if *actor* may still read them."""
        actor.require(Permission.READ_QUEUES)
        if actor.organization_id != self._actor.organization_id:
            raise NotPermitted("The credential acts for somebody else now.")

    def close(self) -> None:
        """Leave the feed."""
        FEED.leave(self._subscriber)

    async def __anext__(self) -> Any:
        # Said for graphql-core, which asks whether this can be iterated over.
        return (await self.take())[0]


@strawberry.type
class Subscription:
    """What can be followed of queues."""

    @strawberry.subscription(
        description="Each queue that changes, as it is after the change; about a second late, and "
        f"of more than {MOST} queues the deepest. Needs `queues:read`."
    )
    async def queue_changes(
        self,
        info: Info,
        queue_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Id or UUID of the only queue to follow."),
        ] = None,
        filter: Annotated[
            QueueFilter | None,
            strawberry.argument(description="Only such queues; nothing with a queue's id."),
        ] = None,
    ) -> AsyncIterator[Queue]:
        actor = actor_of(info)
        look = await _look(actor, queue_id, filter)
        hints = Hints()
        subscriber = await FEED.subscribe(actor.organization_id, hints.note)
        stream = QueueStream(actor, subscriber, hints, look)
        try:
            await stream.begin()
        except BaseException:
            stream.close()
            raise
        return stream


async def _look(actor: Actor, queue_id: str | None, filter: QueueFilter | None) -> Look:
    if queue_id is not None:
        one = (await get_queue(actor, parse_id(queue_id, "Queue"))).id
        return lambda: find_queues(actor, [one])
    wanted = wanted_queues(filter)

    async def look() -> Mapping[UUID, QueueView]:
        page = await list_queues(actor, PageRequest(first=MOST, maximum=MOST), wanted=wanted)
        return {view.id: view for view in page.items}

    return look
