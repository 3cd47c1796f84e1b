"""Bulk actions: one thing that is done to every message a search finds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..bulk import operations, queries, tables
from ..bulk.rules import LISTED, MOST_OPEN, BulkKind, BulkState
from ..core.actor import Actor
from .context import Info, actor_of
from .enums import describe_enum
from .messages import MessageFilter, wanted_messages
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt

describe_enum(
    BulkKind,
    "What is done to all messages that match.",
    {
        "RETRY": "What was refused for now is tried again at once; limits and holds still count.",
        "RESEND": "A new message says the same to those who did not get it. Needs "
        "`messages:send`, and costs credits like any other.",
        "SUPPRESS": "Nothing more is sent to their recipients, as far as the search is about them.",
        "CANCEL": "What has not left is cancelled.",
    },
    name="BulkActionKind",
)
describe_enum(
    BulkState,
    "How far a bulk action is.",
    {
        "QUEUED": "It waits for a worker.",
        "RUNNING": "It is at work.",
        "DONE": "It is done.",
        "FAILED": "It could not be done to its end; `failure` says why.",
        "CANCELLED": "Somebody stopped it; what was done stays done.",
    },
    name="BulkActionState",
)


@strawberry.type(
    description="Something that is done to every message a search finds, in the background."
)
class BulkAction(Node):
    row: strawberry.Private[tables.BulkAction]

    @strawberry.field(description="What is done.")
    def kind(self) -> BulkKind:
        return BulkKind(self.row.kind)

    @strawberry.field(description="How far it is.")
    def state(self) -> BulkState:
        return BulkState(self.row.state)

    @strawberry.field(description="Messages that were looked at so far.")
    def messages(self) -> BigInt:
        return BigInt(self.row.seen)

    @strawberry.field(
        description="What it was done to so far: recipients where they are tried again or "
        "suppressed, messages otherwise."
    )
    def affected(self) -> BigInt:
        return BigInt(self.row.affected)

    @strawberry.field(
        description="Messages so far that it could not be done to, such as those that are no "
        "longer kept."
    )
    def refused(self) -> BigInt:
        return BigInt(self.row.refused)

    @strawberry.field(
        description="Messages so far that wait, because an auto-block keeps their domain from "
        "sending. They are sent by themselves once it ends; what waits for a day is refused."
    )
    def waiting(self) -> BigInt:
        return BigInt(self.row.waiting)

    @strawberry.field(description="What they wait for; null while none does.")
    def waiting_for(self) -> str | None:
        return self.row.waiting_for if self.row.waiting else None

    @strawberry.field(description="How much of it is done, 0 to 1, by time.")
    def progress(self) -> float:
        return float(self.row.share)

    @strawberry.field(description="Why it failed; null unless it did.")
    def failure(self) -> str | None:
        return self.row.failure

    @strawberry.field(description="UUID of the only project whose mail it is; null is all.")
    def project_uuid(self) -> UUID | None:
        return self.row.project_id

    @strawberry.field(description="Who asked for it; null was an API key that nobody has made.")
    def user_uuid(self) -> UUID | None:
        return self.row.user_id

    @strawberry.field(description="When it was asked for; later messages do not match.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was over; null before that.")
    def completed_at(self) -> datetime | None:
        return self.row.completed_at


def _bulk_type(row: tables.BulkAction) -> BulkAction:
    return BulkAction(uuid=row.id, row=row)


async def load_bulk_actions(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, BulkAction]:
    """Return those of the bulk actions that the actor may see."""
    found = await queries.find_bulk_actions(actor, ids)
    return {id: _bulk_type(row) for id, row in found.items()}


register(BulkAction, load_bulk_actions)


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description=f"Bulk actions, newest first; shown for {LISTED.days} days. Needs "
        "`messages:read`."
    )
    async def bulk_actions(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[BulkAction]:
        page = page_request(first, after, last, before)
        return to_connection(await queries.list_bulk_actions(actor_of(info), page=page), _bulk_type)


@strawberry.input(description="What to do to which messages.")
class StartBulkActionInput:
    kind: BulkKind = strawberry.field(description="What is done.")
    filter: MessageFilter = strawberry.field(
        description="Which messages; `{}` is all there are. Where it asks for recipients, their "
        "provider, a bounce class or a status, only such recipients of a message are meant."
    )


@strawberry.type(description="A bulk action that waits for a worker.")
class StartBulkActionPayload:
    bulk_action: BulkAction = strawberry.field(description="How far it is.")


@strawberry.input(description="Which bulk action to stop.")
class CancelBulkActionInput:
    bulk_action_id: strawberry.ID = strawberry.field(description="Its id or UUID.")


@strawberry.type(description="A bulk action that is over.")
class CancelBulkActionPayload:
    bulk_action: BulkAction = strawberry.field(description="The bulk action.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Do something to every message that matches now, in the background; at most "
        f"{MOST_OPEN} at a time. Needs `messages:read`, and `messages:write` or, to send again, "
        "`messages:send`."
    )
    async def start_bulk_action(
        self,
        info: Info,
        input: Annotated[StartBulkActionInput, strawberry.argument(description="What.")],
    ) -> StartBulkActionPayload:
        row = await operations.start_bulk_action(
            actor_of(info), input.kind, wanted=wanted_messages(input.filter)
        )
        return StartBulkActionPayload(bulk_action=_bulk_type(row))

    @strawberry.mutation(
        description="Stop a bulk action; what is done stays done. Needs `messages:write`."
    )
    async def cancel_bulk_action(
        self,
        info: Info,
        input: Annotated[CancelBulkActionInput, strawberry.argument(description="Which.")],
    ) -> CancelBulkActionPayload:
        id = parse_id(input.bulk_action_id, "BulkAction")
        row = await operations.cancel_bulk_action(actor_of(info), id)
        return CancelBulkActionPayload(bulk_action=_bulk_type(row))
