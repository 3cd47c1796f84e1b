"""Following what changes without what became of it: for pages that then ask again.

However much happens, little is said: what came within a moment is one answer.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any
from uuid import UUID

import strawberry

from ..core.actor import Actor, Permission
from ..core.errors import DetailCode, InvalidInput, NotPermitted
from ..events import tables
from ..events.feed import FEED, Subscriber
from ..events.rules import READING, EventType, permission_for
from ..messages.queries import get_message
from .context import Info, actor_of
from .nodes import parse_id

GATHER_SECONDS = 0.25
"""What happens within this time is told together."""
MOST_MESSAGES = 20
"""Messages that one subscription tells apart."""


class Gathered:
    """What happened since it was last asked."""

    def __init__(self, needs: frozenset[Permission], messages: frozenset[UUID]) -> None:
        self._needs = needs
        self._messages = messages
        self._types: set[str] = set()
        self._seen: set[UUID] = set()
        self.some = asyncio.Event()

    def note(self, event: tables.Event) -> bool:
        """Remember what kind of event it was, and keep nothing of it."""
        if permission_for(event.type) in self._needs:
            self._types.add(event.type)
            if event.message_id in self._messages:
                self._seen.add(event.message_id)
            self.some.set()
        return False

    def taken(self) -> "OrganizationChange":
        """Return what happened, and begin anew."""
        types, seen = sorted(self._types), sorted(self._seen)
        self._types.clear()
        self._seen.clear()
        self.some.clear()
        return OrganizationChange(types=[EventType(each) for each in types], message_uuids=seen)


class ChangeStream(AsyncIterator[Any]):
    """What changes, a moment at a time; see `subscriptions.Stream`."""

    def __init__(self, actor: Actor, subscriber: Subscriber, gathered: Gathered) -> None:
        self._actor = actor
        self._subscriber = subscriber
        self._gathered = gathered

    async def take(self) -> Sequence["OrganizationChange"]:
        """Return what happened, as soon as something has, and a moment has passed."""
        something = asyncio.ensure_future(self._gathered.some.wait())
        # Nothing is ever offered to it, so that it only returns to say that this is the end.
        ending = asyncio.ensure_future(self._subscriber.take(1))
        try:
            await asyncio.wait({something, ending}, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                ending.result()
            await asyncio.sleep(GATHER_SECONDS)
        finally:
            something.cancel()
            ending.cancel()
        return [self._gathered.taken()]

    def check(self, actor: Actor) -> None:
        """Do nothing if *actor* may still know."""
        if actor.organization_id != self._actor.organization_id:
            raise NotPermitted("The credential acts for somebody else now.")
        for permission in _readable(self._actor):
            actor.require(permission)

    def close(self) -> None:
        """Leave the feed."""
        FEED.leave(self._subscriber)

    async def __anext__(self) -> Any:
        # Said for graphql-core, which asks whether this can be iterated over.
        return (await self.take())[0]


@strawberry.type(description="What kinds of things happened within a moment.")
class OrganizationChange:
    types: list[EventType] = strawberry.field(description="Types of events, each once.")
    message_uuids: list[UUID] = strawberry.field(
        description="UUIDs of those messages that were asked about and that something happened to."
    )


@strawberry.type
class Subscription:
    """What can be followed without being told in full."""

    @strawberry.subscription(
        description="What kinds of things happen in the organization from now on: at most four "
        "times a second, however much it is, and so never too slow a client's end. Ask for what "
        "is shown when it may have changed. Left out are types that you may not read."
    )
    async def organization_changes(
        self,
        info: Info,
        message_ids: Annotated[
            list[strawberry.ID] | None,
            strawberry.argument(
                description=f"Ids or UUIDs of messages to tell apart, at most {MOST_MESSAGES}. "
                "Needs `messages:read`."
            ),
        ] = None,
    ) -> AsyncIterator[OrganizationChange]:
        actor = actor_of(info)
        needs = _readable(actor)
        if message_ids or not needs:
            actor.require(Permission.READ_MESSAGES)
        if len(message_ids or ()) > MOST_MESSAGES:
            said = f"At most {MOST_MESSAGES} messages are told apart."
            raise InvalidInput.of("messageIds", DetailCode.TOO_MANY, said)
        messages = [
            (await get_message(actor, parse_id(each, "Message"))).id for each in message_ids or ()
        ]
        gathered = Gathered(needs, frozenset(messages))

        def note(event: tables.Event) -> bool:
            return actor.project_id in (None, event.project_id) and gathered.note(event)

        subscriber = await FEED.subscribe(actor.organization_id, note)
        return ChangeStream(actor, subscriber, gathered)


def _readable(actor: Actor) -> frozenset[Permission]:
    """Return which kinds of events *actor* may read."""
    return frozenset(each for each in READING.values() if actor.may(each))
