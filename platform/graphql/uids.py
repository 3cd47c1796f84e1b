"""Messages by the customers' own names for them."""

from datetime import datetime
from typing import Annotated

import strawberry

from ..delivery.queries import find_deliveries
from ..messages import queries
from ..messages.queries import NumberedPage
from .context import Info, actor_of
from .deliveries import Delivery, delivery_type
from .messages import Message, message_type

PAGE_COST = 250
Page = Annotated[
    int, strawberry.argument(description="Which page, from 1; beyond the 400th there is nothing.")
]
PerPage = Annotated[int, strawberry.argument(description="How many on a page, at most 250.")]
From = Annotated[
    datetime | None, strawberry.argument(name="from", description="Accepted then or later.")
]
To = Annotated[datetime | None, strawberry.argument(name="to", description="Accepted before.")]


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="The message with this uid in the project of the key, or else in the default "
        "one. Needs `messages:read`."
    )
    async def message_by_uid(
        self, info: Info, uid: Annotated[str, strawberry.argument(description="Its uid.")]
    ) -> Message:
        return message_type(await queries.get_message_by_uid(actor_of(info), uid))

    @strawberry.field(
        description="Messages of the key's project, or of the default one, that have a uid, for "
        "clients that know pages by numbers; others use `messages`. Needs `messages:read`.",
        metadata={"cost": PAGE_COST},
    )
    async def uid_messages(
        self,
        info: Info,
        page: Page = 1,
        per_page: PerPage = 250,
        start: From = None,
        end: To = None,
        oldest_first: Annotated[
            bool, strawberry.argument(description="Turn the order round.")
        ] = False,
    ) -> list[Message]:
        asked = NumberedPage(page, per_page, start, end, oldest_first)
        return [message_type(row) for row in await queries.list_uid_messages(actor_of(info), asked)]

    @strawberry.field(
        description="The deliveries of these messages, the oldest first. Needs `messages:read`.",
        metadata={"cost": PAGE_COST},
    )
    async def uid_deliveries(
        self,
        info: Info,
        page: Page = 1,
        per_page: PerPage = 250,
        start: From = None,
        end: To = None,
    ) -> list[Delivery]:
        actor = actor_of(info)
        asked = NumberedPage(page, per_page, start, end)
        ids = await queries.list_uid_deliveries(actor, asked)
        found = await find_deliveries(actor, ids) if ids else {}
        return [delivery_type(found[id]) for id in ids if id in found]
