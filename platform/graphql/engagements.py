"""Opens and clicks of messages and deliveries."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..core.paging import PageRequest
from ..delivery.tables import Delivery
from ..events import queries, tables
from ..events.rules import EventType
from ..tracking.rules import Tracks
from .context import Info, actor_of
from .enums import describe_enum
from .paging import After, Before, Connection, First, Last, page_request, to_connection


class EngagementKind(StrEnum):
    """What a recipient did."""

    OPEN = "message.opened"
    CLICK = "message.clicked"


describe_enum(
    EngagementKind,
    "What a recipient did with a message.",
    {"OPEN": "Their program loaded the pixel.", "CLICK": "They followed a link."},
)


@strawberry.type(description="An open or a click, by a person or by a machine.")
class Engagement:
    row: strawberry.Private[tables.Event]

    def _data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.row.data)
        return found

    @strawberry.field(description="UUID of the event.")
    def uuid(self) -> UUID:
        return self.row.id

    @strawberry.field(description="What was done.")
    def kind(self) -> EngagementKind:
        return EngagementKind(self.row.type)

    @strawberry.field(description="UUID of the delivery whose pixel or link it was.")
    def delivery_uuid(self) -> UUID | None:
        return self.row.delivery_id

    @strawberry.field(description="No person did it: a proxy, a scanner, a program.")
    def by_machine(self) -> bool:
        data = self._data()
        return bool(data.get("machine_open") or data.get("bot"))

    @strawberry.field(description="Which machine, by the name of the rule that recognised it.")
    def machine(self) -> str | None:
        return self._data().get("machine")

    @strawberry.field(
        description="It is the first of its kind of this delivery: by a person, or by a machine."
    )
    def is_first(self) -> bool:
        return bool(self._data().get("first"))

    @strawberry.field(
        description="Of an open: it was not seen, and a click shows that there was one."
    )
    def is_implied(self) -> bool:
        return bool(self._data().get("implied"))

    @strawberry.field(description="Of a click: where the link leads.")
    def url(self) -> str | None:
        return self._data().get("url")

    @strawberry.field(description="Of a click: which link of the message; 0 is the first.")
    def link_index(self) -> int | None:
        return self._data().get("link_index")

    @strawberry.field(description="What the program called itself.")
    def user_agent(self) -> str | None:
        return self._data().get("user_agent")

    @strawberry.field(description="The network it came from, not the machine.")
    def ip(self) -> str | None:
        return self._data().get("ip")

    @strawberry.field(description="It happened in the sandbox, to no real mail.")
    def simulated(self) -> bool:
        return self.row.simulated

    @strawberry.field(description="When it was done.")
    def occurred_at(self) -> datetime:
        return self.row.occurred_at


Kinds = Annotated[
    list[EngagementKind] | None, strawberry.argument(description="Only of these kinds.")
]
ByMachine = Annotated[
    bool | None,
    strawberry.argument(description="Only those that machines made, or only all others."),
]


async def load_counts(
    actor: Actor, ids: Sequence[UUID]
) -> Mapping[UUID, Mapping[UUID, queries.Engagement]]:
    """Return what recipients did with each message, by delivery."""
    return await queries.engagement_of_messages(actor, ids)


OPENS = "How often people opened it, as far as that can be seen; machines are counted apart."
CLICKS = "How often people followed a link of it."
MACHINE_OPENS = "How often proxies of mailbox providers and other machines opened it."
BOT_CLICKS = "How often scanners and other machines followed its links."


@strawberry.type
class MessageFields:
    """What a message shows of its opens and clicks; the message brings its `uuid`."""

    @strawberry.field(description=OPENS)
    async def opens(self, info: Info) -> int:
        return sum(done.opens for done in await self._counts(info))

    @strawberry.field(description=CLICKS)
    async def clicks(self, info: Info) -> int:
        return sum(done.clicks for done in await self._counts(info))

    @strawberry.field(description=MACHINE_OPENS)
    async def machine_opens(self, info: Info) -> int:
        return sum(done.machine_opens for done in await self._counts(info))

    @strawberry.field(description=BOT_CLICKS)
    async def bot_clicks(self, info: Info) -> int:
        return sum(done.bot_clicks for done in await self._counts(info))

    async def _counts(self, info: Info) -> Iterable[queries.Engagement]:
        message_id: UUID = self.uuid  # type: ignore[attr-defined]
        return (await info.context.loaders.load(load_counts, message_id) or {}).values()

    @strawberry.field(
        description="Opens and clicks of all of its recipients, oldest first. Needs "
        "`messages:read`."
    )
    async def engagements(
        self,
        info: Info,
        kinds: Kinds = None,
        by_machine: ByMachine = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Engagement]:
        message_id: UUID = self.uuid  # type: ignore[attr-defined]
        page = page_request(first, after, last, before)
        return await _page(info, message_id, kinds=kinds, by_machine=by_machine, page=page)


@strawberry.type
class DeliveryFields:
    """What a delivery shows of its opens and clicks."""

    row: strawberry.Private[Delivery]

    @strawberry.field(description=OPENS)
    async def opens(self, info: Info) -> int:
        return (await self._counts(info)).opens

    @strawberry.field(description=CLICKS)
    async def clicks(self, info: Info) -> int:
        return (await self._counts(info)).clicks

    @strawberry.field(description=MACHINE_OPENS)
    async def machine_opens(self, info: Info) -> int:
        return (await self._counts(info)).machine_opens

    @strawberry.field(description=BOT_CLICKS)
    async def bot_clicks(self, info: Info) -> int:
        return (await self._counts(info)).bot_clicks

    @strawberry.field(description="When a person first opened it.")
    async def first_opened_at(self, info: Info) -> datetime | None:
        return (await self._counts(info)).first_opened_at

    @strawberry.field(description="When a person first followed a link of it.")
    async def first_clicked_at(self, info: Info) -> datetime | None:
        return (await self._counts(info)).first_clicked_at

    async def _counts(self, info: Info) -> queries.Engagement:
        found = await info.context.loaders.load(load_counts, self.row.message_id)
        return (found or {}).get(self.row.id, queries.Engagement())

    @strawberry.field(description="Its opens and clicks, oldest first. Needs `messages:read`.")
    async def engagements(
        self,
        info: Info,
        kinds: Kinds = None,
        by_machine: ByMachine = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Engagement]:
        row, page = self.row, page_request(first, after, last, before)
        return await _page(
            info, row.message_id, row.id, kinds=kinds, by_machine=by_machine, page=page
        )

    @strawberry.field(
        description="Its mail has a pixel; a recipient may have decided otherwise than the message."
    )
    def tracks_opens(self) -> bool:
        return bool(self.row.tracks & Tracks.OPENS)

    @strawberry.field(description="The links in its mail lead by way of us.")
    def tracks_clicks(self) -> bool:
        return bool(self.row.tracks & Tracks.CLICKS)

    @strawberry.field(description="So do the addresses in its plain text.")
    def tracks_text_links(self) -> bool:
        return bool(self.row.tracks & Tracks.TEXT_LINKS)


async def _page(
    info: Info,
    message_id: UUID,
    delivery_id: UUID | None = None,
    *,
    kinds: list[EngagementKind] | None,
    by_machine: bool | None,
    page: PageRequest,
) -> Connection[Engagement]:
    found = await queries.list_engagements(
        actor_of(info),
        message_id=message_id,
        delivery_id=delivery_id,
        types=queries.ENGAGEMENTS if kinds is None else [EventType(kind.value) for kind in kinds],
        by_machines=by_machine,
        page=page,
    )
    return to_connection(found, lambda row: Engagement(row=row))
