"""Suppressions: addresses that get no mail."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor, ProjectId
from ..messages.rules import Stream
from ..suppressions import operations, queries, tables
from ..suppressions.rules import MAX_DESCRIPTION, SuppressionReason
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import EmailAddress

describe_enum(
    SuppressionReason,
    "Why an address gets no mail.",
    {
        "COMPLAINT": "The recipient called a message spam.",
        "HARD_BOUNCE": "The address does not exist or takes no mail.",
        "MANUAL": "Somebody of the organization said so.",
        "UNSUBSCRIBE": "The recipient unsubscribed; stops marketing mail only.",
        "ERASED": "They were erased, and are known by a keyed hash alone.",
        "SOFT_BOUNCE_COOLING": "It failed several times lately; mail stops for a while.",
    },
)


@strawberry.type(description="An address that gets no mail from the organization.")
class Suppression(Node):
    row: strawberry.Private[tables.Suppression]

    @strawberry.field(
        description="The address; its case does not count. Of somebody who was erased, what "
        "stands for it."
    )
    def address(self) -> EmailAddress:
        return EmailAddress(self.row.address)

    @strawberry.field(description="Why.")
    def reason(self) -> SuppressionReason:
        return SuppressionReason(self.row.reason)

    @strawberry.field(description="A note, such as what the server replied.")
    def description(self) -> str | None:
        return self.row.description

    @strawberry.field(description="UUID of the only project that it holds for; null is all.")
    def project_uuid(self) -> UUID | None:
        return self.row.project_id

    @strawberry.field(
        description="The only stream that it holds for; null is what the reason says."
    )
    def stream(self) -> Stream | None:
        return Stream(self.row.stream) if self.row.stream else None

    @strawberry.field(description="When it ends; null is never.")
    def expires_at(self) -> datetime | None:
        return self.row.expires_at

    @strawberry.field(description="When it began.")
    def created_at(self) -> datetime:
        return self.row.created_at


def _suppression_type(row: tables.Suppression) -> Suppression:
    return Suppression(uuid=row.id, row=row)


async def load_suppressions(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Suppression]:
    """Return those of the suppressions that the actor may see."""
    return {row.id: _suppression_type(row) for row in await queries.find_suppressions(actor, ids)}


register(Suppression, load_suppressions)


async def load_by_address(actor: Actor, keys: Sequence[str]) -> Mapping[str, Suppression]:
    """Return what stops mail to addresses, by their keys."""
    found = await queries.suppressions_by_address(actor, keys)
    return {key: _suppression_type(row) for key, row in found.items()}


@strawberry.input(description="Which suppressions to list.")
class SuppressionFilter:
    reason: SuppressionReason | None = strawberry.field(
        default=None, description="Only those with this reason."
    )
    address: EmailAddress | None = strawberry.field(
        default=None, description="Only those of this address."
    )


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="The suppressions that hold now, newest first. Needs `messages:read`."
    )
    async def suppressions(
        self,
        info: Info,
        filter: Annotated[
            SuppressionFilter | None, strawberry.argument(description="Only some of them.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Suppression]:
        wanted = filter or SuppressionFilter()
        found = await queries.list_suppressions(
            actor_of(info),
            page=page_request(first, after, last, before, maximum=500),
            reason=wanted.reason,
            address=wanted.address,
        )
        return to_connection(found, _suppression_type)

    @strawberry.field(
        description="The newest 10,000 suppressions that hold now, for clients that know no pages. "
        "Needs `messages:read`.",
        metadata={"cost": 1_000},
    )
    async def suppressed_addresses(self, info: Info) -> list[Suppression]:
        return [_suppression_type(row) for row in await queries.list_suppressed(actor_of(info))]


@strawberry.input(description="An address to stop sending to.")
class AddSuppressionInput:
    address: EmailAddress = strawberry.field(description="One email address.")
    reason: SuppressionReason = strawberry.field(
        default=SuppressionReason.MANUAL,
        description="Why; `SOFT_BOUNCE_COOLING` begins by itself only, `ERASED` by erasing.",
    )
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="Id or UUID of the only project it holds for."
    )
    stream: Stream | None = strawberry.field(
        default=None, description="The only stream it holds for."
    )
    description: str | None = strawberry.field(
        default=None, description=f"A note of at most {MAX_DESCRIPTION} characters."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it ends; left out, never."
    )


@strawberry.type(description="An address that is sent to no more.")
class AddSuppressionPayload:
    suppression: Suppression = strawberry.field(description="The suppression.")


@strawberry.input(one_of=True, description="Names suppressions.")
class SuppressionRef:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="One, by its global id or UUID."
    )
    address: EmailAddress | None = strawberry.field(
        default=strawberry.UNSET, description="Those of an address, whatever their reasons."
    )


@strawberry.input(description="What to send to again.")
class RemoveSuppressionInput:
    suppression: SuppressionRef = strawberry.field(description="Which.")


@strawberry.type(description="Suppressions that were taken away.")
class RemoveSuppressionPayload:
    removed: int = strawberry.field(description="How many.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Stop sending to an address; with a key of one project, in that project. "
        "Adding it again changes the note, the end and the id. Needs `messages:write`."
    )
    async def add_suppression(
        self,
        info: Info,
        input: Annotated[AddSuppressionInput, strawberry.argument(description="The address.")],
    ) -> AddSuppressionPayload:
        row = await operations.add_suppression(
            actor_of(info),
            address=input.address,
            reason=input.reason,
            scope=scope_of(input.project_id, input.stream),
            description=input.description,
            expires_at=input.expires_at,
        )
        return AddSuppressionPayload(suppression=_suppression_type(row))

    @strawberry.mutation(description="Send to an address again. Needs `messages:write`.")
    async def remove_suppression(
        self,
        info: Info,
        input: Annotated[RemoveSuppressionInput, strawberry.argument(description="Which.")],
    ) -> RemoveSuppressionPayload:
        removed = await operations.remove_suppression(actor_of(info), _read_ref(input.suppression))
        return RemoveSuppressionPayload(removed=removed)


def _read_ref(ref: SuppressionRef) -> operations.SuppressionRef:
    if ref.id is not None and ref.id is not strawberry.UNSET:
        return operations.SuppressionRef(id=parse_id(ref.id, "Suppression"))
    return operations.SuppressionRef(address=ref.address)


def scope_of(project_id: strawberry.ID | None, stream: Stream | None) -> operations.Scope:
    """Return which mail a suppression stops."""
    project = None if project_id is None else ProjectId(parse_id(project_id, "Project"))
    return operations.Scope(project, stream and stream.value)
