"""Erasing one person from everything an organization has."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..messages import operations, queries, tables
from .context import Info, actor_of
from .nodes import Node, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import EmailAddress


@strawberry.type(
    description="A person who is being erased or was. Whom it is about is not shown, and is not "
    "kept when it is done."
)
class Erasure(Node):
    row: strawberry.Private[tables.Erasure]

    @strawberry.field(description="Whether nothing is sent to them any more.")
    def stops_mail(self) -> bool:
        return self.row.stops_mail

    @strawberry.field(description="Deliveries to them that were erased so far.")
    def deliveries(self) -> int:
        return self.row.deliveries

    @strawberry.field(description="Events that were made to say nothing of them so far.")
    def events(self) -> int:
        return self.row.events

    @strawberry.field(description="Suppressions of theirs that are kept by a keyed hash alone.")
    def suppressions(self) -> int:
        return self.row.suppressions

    @strawberry.field(
        description="Messages that others have yet to get, or that are on the wire; they are "
        "erased when that is over."
    )
    def waiting(self) -> int:
        return self.row.waiting

    @strawberry.field(description="When it was asked for.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was done; null before that.")
    def completed_at(self) -> datetime | None:
        return self.row.completed_at


def _erasure(row: tables.Erasure) -> Erasure:
    return Erasure(uuid=row.id, row=row)


async def load_erasures(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Erasure]:
    """Return those of the erasures that are the organization's."""
    return {id: _erasure(row) for id, row in (await queries.find_erasures(actor, ids)).items()}


register(Erasure, load_erasures)


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="Persons who were erased, newest first. Needs `security:read`.")
    async def erasures(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Erasure]:
        page = page_request(first, after, last, before)
        return to_connection(await queries.list_erasures(actor_of(info), page=page), _erasure)


@strawberry.input(description="Whom to erase.")
class EraseRecipientInput:
    address: EmailAddress = strawberry.field(description="One email address.")
    stops_mail: bool = strawberry.field(
        default=True,
        description="Send nothing to it any more; what was stopped before stays so either way.",
    )


@strawberry.type(description="What `eraseRecipient` began.")
class EraseRecipientPayload:
    erasure: Erasure = strawberry.field(description="How far it is.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Erase what there is of one person: contents, addresses, and what events, "
        "suppressions and the audit log say of them; in the background. It cannot be undone. "
        "Needs `security:write`."
    )
    async def erase_recipient(
        self,
        info: Info,
        input: Annotated[EraseRecipientInput, strawberry.argument(description="Whom.")],
    ) -> EraseRecipientPayload:
        row = await operations.erase_recipient(
            actor_of(info), address=input.address, stops_mail=input.stops_mail
        )
        return EraseRecipientPayload(erasure=_erasure(row))
