"""What can be followed as it happens, and with which rights."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Annotated, Any, Protocol
from uuid import UUID

import strawberry

from ..accounts.queries import get_project
from ..core.actor import Actor, Permission, ProjectId
from ..core.errors import NotPermitted
from ..events import tables
from ..events.feed import FEED, Subscriber
from ..events.rules import READING, EventType, permission_for
from ..messages.queries import get_message
from . import organization_changes, queue_changes
from .context import Info, actor_of
from .deliveries import Delivery, load_deliveries
from .events import Event
from .messages import Message, load_messages
from .nodes import parse_id

AT_ONCE = 50
"""Events that are answered together, so that what they load is loaded once for all."""


class Stream(Protocol):
    """What a subscription field gives: things that happen, until it is closed."""

    async def take(self) -> Sequence[Any]:
        """Return what has happened, at least one thing, as soon as there is something.

        Raises:
            OperationError: the rest would not be complete.
            FeedClosed: this process ends.
        """

    def check(self, actor: Actor) -> None:
        """Do nothing if *actor*, who began this, may still have what it gives.

        Raises:
            NotPermitted: a role or a scope was taken away.
        """

    def close(self) -> None:
        """Let go of everything."""


class EventStream(AsyncIterator[Any]):
    """The events that one actor wants to know of."""

    def __init__(
        self,
        actor: Actor,
        subscriber: Subscriber,
        *,
        shown: Callable[[tables.Event], Any],
        needs: Collection[Permission],
    ) -> None:
        """*needs* is what *actor* has to hold as long as this goes on."""
        self._actor = actor
        self._subscriber = subscriber
        self._shown = shown
        self._needs = needs

    async def take(self) -> Sequence[Any]:
        """Return the next events; see `Stream`."""
        return [self._shown(row) for row in await self._subscriber.take(AT_ONCE)]

    def check(self, actor: Actor) -> None:
        """Do nothing if *actor* may still read them; see `Stream`."""
        for permission in self._needs:
            actor.require(permission)
        began = self._actor
        if (actor.organization_id, actor.project_id) != (began.organization_id, began.project_id):
            raise NotPermitted("The credential acts for somebody else now.")

    def close(self) -> None:
        """Leave the feed."""
        FEED.leave(self._subscriber)

    async def __anext__(self) -> Any:
        # Said for graphql-core, which asks whether this can be iterated over.
        return (await self.take())[0]


@strawberry.type(description="One thing that happened to a message, as it happened.")
class MessageEvent(Event):
    @strawberry.field(description="UUID of the message.")
    def message_uuid(self) -> UUID:
        # Only events of messages are offered to a subscriber.
        return self.row.message_id

    @strawberry.field(description="The message as it is now; null if it is no longer kept.")
    async def message(self, info: Info) -> Message | None:
        return await info.context.loaders.load(load_messages, self.message_uuid())

    @strawberry.field(description="The delivery it happened to as it is now, if to one.")
    async def delivery(self, info: Info) -> Delivery | None:
        if self.row.delivery_id is None:
            return None
        return await info.context.loaders.load(load_deliveries, self.row.delivery_id)


@strawberry.type(description="One thing that happened in the organization, as it happened.")
class OrganizationEvent(Event):
    @strawberry.field(description="UUID of the message that it happened to, if to one.")
    def message_uuid(self) -> UUID | None:
        return self.row.message_id

    @strawberry.field(
        description="The message as it is now; null if it is no longer kept, or it is about none. "
        "Needs `messages:read`."
    )
    async def message(self, info: Info) -> Message | None:
        if self.row.message_id is None:
            return None
        return await info.context.loaders.load(load_messages, self.row.message_id)

    @strawberry.field(
        description="The delivery it happened to as it is now, if to one. Needs `messages:read`."
    )
    async def delivery(self, info: Info) -> Delivery | None:
        if self.row.delivery_id is None:
            return None
        return await info.context.loaders.load(load_deliveries, self.row.delivery_id)


@strawberry.type(description="Everything that can be followed as it happens.")
class Subscription(organization_changes.Subscription, queue_changes.Subscription):
    @strawberry.subscription(
        description="What happens to messages from now on, a moment after it is written down, "
        "in the order in which that is seen; nothing twice, nothing left out. It ends with "
        "`SUBSCRIPTION_OVERFLOW` for a client that takes events too slowly, and with the "
        "credential. Needs `messages:read`."
    )
    async def message_events(
        self,
        info: Info,
        message_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Id or UUID of the only message to follow."),
        ] = None,
        project_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Id or UUID of the only project to follow."),
        ] = None,
        types: Annotated[
            list[EventType] | None,
            strawberry.argument(description="Only such events; left out, all of messages."),
        ] = None,
    ) -> AsyncIterator[MessageEvent]:
        actor = actor_of(info)
        actor.require(Permission.READ_MESSAGES)
        message = project = None
        if message_id is not None:
            message = (await get_message(actor, parse_id(message_id, "Message"))).id
        if project_id is not None:
            wanted = ProjectId(parse_id(project_id, "Project"))
            project = (await get_project(actor, wanted)).id
        kinds = None if types is None else frozenset(type_.value for type_ in types)

        def wants(event: tables.Event) -> bool:
            return (
                event.message_id is not None
                and actor.project_id in (None, event.project_id)
                and message in (None, event.message_id)
                and project in (None, event.project_id)
                and (kinds is None or event.type in kinds)
            )

        return EventStream(
            actor,
            await FEED.subscribe(actor.organization_id, wants),
            shown=lambda row: MessageEvent(row=row),
            needs=[Permission.READ_MESSAGES],
        )

    @strawberry.subscription(
        description="Whatever happens in the organization from now on, to messages and to "
        "anything else; like `messageEvents`. Left out are types that you may not read. A webhook "
        "can have its payload made by such a document."
    )
    async def organization_events(
        self,
        info: Info,
        types: Annotated[
            list[EventType] | None,
            strawberry.argument(
                description="Only such events, each of which you have to be allowed to read; left "
                "out, all that you may read."
            ),
        ] = None,
    ) -> AsyncIterator[OrganizationEvent]:
        actor = actor_of(info)
        if types is None:
            needs = {each for each in READING.values() if actor.may(each)}
        else:
            needs = {permission_for(each.value) for each in types}
        if not needs:
            actor.require(Permission.READ_MESSAGES)
        for permission in needs:
            actor.require(permission)
        kinds = None if types is None else frozenset(each.value for each in types)

        def wants(event: tables.Event) -> bool:
            return (
                actor.project_id in (None, event.project_id)
                and (kinds is None or event.type in kinds)
                and permission_for(event.type) in needs
            )

        return EventStream(
            actor,
            await FEED.subscribe(actor.organization_id, wants),
            shown=lambda row: OrganizationEvent(row=row),
            needs=needs,
        )
