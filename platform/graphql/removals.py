"""Removals that can be taken back for half a minute."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..removals import operations, queries, tables
from ..removals.rules import GRACE, RemovalState, RemovedKind
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection

describe_enum(
    RemovedKind,
    "What is removed.",
    {
        "SUPPRESSION": "A suppression: mail goes to the address again.",
        "API_KEY": "An API key: whatever uses it is refused.",
        "MEMBER": "A member, with the tokens and keys they had.",
    },
)
describe_enum(
    RemovalState,
    "What became of a removal.",
    {
        "WAITING": "Nothing has happened yet; it can be taken back.",
        "REMOVING": "It is being removed.",
        "DONE": "It is removed.",
        "UNDONE": "Somebody took it back.",
        "FAILED": "It was refused when its time came; `failure` says why.",
    },
)


@strawberry.type(description="Something that is to be removed, unless somebody takes that back.")
class Removal(Node):
    row: strawberry.Private[tables.Removal]

    @strawberry.field(description="What is removed.")
    def kind(self) -> RemovedKind:
        return RemovedKind(self.row.kind)

    @strawberry.field(description="UUID of what is removed.")
    def target_uuid(self) -> UUID:
        return self.row.target_id

    @strawberry.field(description="What it is called; empty when it is over.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(description="What became of it.")
    def state(self) -> RemovalState:
        return RemovalState(self.row.state)

    @strawberry.field(description="Why it failed; null unless it did.")
    def failure(self) -> str | None:
        return self.row.failure

    @strawberry.field(description="When it is removed; until then it can be taken back.")
    def due_at(self) -> datetime:
        return self.row.due_at

    @strawberry.field(description="Who asked for it; null was an API key that nobody has made.")
    def user_uuid(self) -> UUID | None:
        return self.row.user_id

    @strawberry.field(description="When it was asked for.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was over; null before that.")
    def completed_at(self) -> datetime | None:
        return self.row.completed_at


def _removal_type(row: tables.Removal) -> Removal:
    return Removal(uuid=row.id, row=row)


async def load_removals(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Removal]:
    """Return those of the removals that the actor may see."""
    found = await queries.find_removals(actor, ids)
    return {id: _removal_type(row) for id, row in found.items()}


register(Removal, load_removals)


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="Removals of what the caller may remove, newest first; known for a day. Needs "
        "`messages:write`, `api_keys:write` or `users:write`."
    )
    async def removals(
        self,
        info: Info,
        kind: Annotated[
            RemovedKind | None, strawberry.argument(description="Only of such things.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Removal]:
        page = page_request(first, after, last, before)
        found = await queries.list_removals(actor_of(info), page=page, kind=kind)
        return to_connection(found, _removal_type)


@strawberry.input(one_of=True, description="What is to be removed.")
class RemovalSubject:
    suppression_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="A suppression, by its id or UUID."
    )
    api_key_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="An API key, by its id or UUID."
    )
    user_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="A member, by the id or UUID of the user."
    )


@strawberry.input(description="What to remove.")
class RemoveLaterInput:
    subject: RemovalSubject = strawberry.field(description="One thing.")


@strawberry.type(description="A removal that waits.")
class RemoveLaterPayload:
    removal: Removal = strawberry.field(description="What is removed, and when.")


@strawberry.input(description="What to take back.")
class UndoRemovalInput:
    removal_id: strawberry.ID = strawberry.field(description="Its id or UUID.")


@strawberry.type(description="A removal that was taken back.")
class UndoRemovalPayload:
    removal: Removal = strawberry.field(description="The removal.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description=f"Remove something in {GRACE.seconds} seconds, unless `undoRemoval` takes "
        "that back; until then nothing has happened to it. What would be refused then is refused "
        "now. Needs what removing it at once needs."
    )
    async def remove_later(
        self,
        info: Info,
        input: Annotated[RemoveLaterInput, strawberry.argument(description="What.")],
    ) -> RemoveLaterPayload:
        kind, target = _subject(input.subject)
        return RemoveLaterPayload(
            removal=_removal_type(await operations.remove_later(actor_of(info), kind, target))
        )

    @strawberry.mutation(
        description="Leave where it is what was to be removed, as long as it waits. Needs what "
        "removing it needs."
    )
    async def undo_removal(
        self,
        info: Info,
        input: Annotated[UndoRemovalInput, strawberry.argument(description="Which.")],
    ) -> UndoRemovalPayload:
        id = parse_id(input.removal_id, "Removal")
        return UndoRemovalPayload(
            removal=_removal_type(await operations.undo_removal(actor_of(info), id))
        )


def _subject(subject: RemovalSubject) -> tuple[RemovedKind, UUID]:
    ways = (
        (RemovedKind.SUPPRESSION, "Suppression", subject.suppression_id),
        (RemovedKind.API_KEY, "ApiKey", subject.api_key_id),
        (RemovedKind.MEMBER, "User", subject.user_id),
    )
    for kind, node, id in ways:
        if id is not None and id is not strawberry.UNSET:
            return kind, parse_id(id, node)
    raise AssertionError("the schema takes exactly one")
