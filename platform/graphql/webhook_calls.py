"""Calls of webhooks: what was sent and answered, and what is sent once more."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..webhooks import queries, tables
from ..webhooks.attempts import attempts_of
from ..webhooks.rules import CallState
from .enums import describe_enum
from .nodes import Node, register

describe_enum(
    CallState,
    "How far a call is.",
    {
        "PENDING": "It is being made, or waits for its next attempt.",
        "DELIVERED": "The receiver answered 2xx.",
        "DEAD": "Every attempt failed. It can be replayed.",
    },
    name="WebhookCallState",
)


@strawberry.type(description="One request of a call.")
class WebhookAttempt:
    number: int = strawberry.field(description="1 is the first.")
    at: datetime = strawberry.field(description="When it began.")
    status: int | None = strawberry.field(description="Status of the answer; null without one.")
    reply: str | None = strawberry.field(
        description="How the answer's body begins, at most 1 KiB; or what was wrong with the "
        "document."
    )
    error: str | None = strawberry.field(
        description="Why there was no answer, such as `timeout`; null with one."
    )
    duration_ms: int = strawberry.field(description="How long it took.")


@strawberry.type(description="A header of a request.")
class SentHeader:
    name: str = strawberry.field(description="Its name.")
    value: str = strawberry.field(description="What it says.")


@strawberry.type(
    description="One event for one webhook. It is kept for 14 days, if nothing else is set."
)
class WebhookCall(Node):
    row: strawberry.Private[tables.WebhookCall]

    @strawberry.field(description="UUID of the webhook.")
    def webhook_uuid(self) -> UUID:
        return self.row.webhook_id

    @strawberry.field(description="UUID of the event, the `webhook-id` of every attempt.")
    def event_uuid(self) -> UUID:
        return self.row.event_id

    @strawberry.field(description="Type of the event, such as `message.bounced`.")
    def event(self) -> str:
        return self.row.event_type

    @strawberry.field(description="UUID of the message that it is about, if of one.")
    def message_uuid(self) -> UUID | None:
        return self.row.message_id

    @strawberry.field(description="How far it is.")
    def state(self) -> CallState:
        return CallState(self.row.state)

    @strawberry.field(description="Somebody tried the webhook: nothing has happened.")
    def test(self) -> bool:
        return self.row.test

    @strawberry.field(description="0 for the first call of the event, counting replays.")
    def replay(self) -> int:
        return self.row.replay

    @strawberry.field(description="How many attempts were made.")
    def attempt_count(self) -> int:
        return self.row.attempts

    @strawberry.field(description="When the next attempt is due; null when it is final.")
    def next_attempt_at(self) -> datetime | None:
        return self.row.due_at

    @strawberry.field(description="Every attempt, in order.")
    def attempts(self) -> list[WebhookAttempt]:
        return [
            WebhookAttempt(
                number=each.number,
                at=each.at,
                status=each.status,
                reply=each.reply,
                error=each.error,
                duration_ms=each.duration_ms,
            )
            for each in attempts_of(self.row)
        ]

    @strawberry.field(description="The body that was sent last; null before the first attempt.")
    def request(self) -> str | None:
        return self.row.request

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When the receiver took it; null if it has not.")
    def delivered_at(self) -> datetime | None:
        return self.row.delivered_at


def call_type(row: tables.WebhookCall) -> WebhookCall:
    """Return the GraphQL object of a row."""
    return WebhookCall(uuid=row.id, row=row)


async def load_calls(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, WebhookCall]:
    """Return those of the calls that the actor may see."""
    found = await queries.find_calls(actor, ids)
    return {id: call_type(row) for id, row in found.items()}


register(WebhookCall, load_calls)


@strawberry.input(description="Which calls; conditions that are left out do not matter.")
class WebhookCallFilter:
    state: CallState | None = strawberry.field(default=None, description="In this state.")
    event: str | None = strawberry.field(default=None, description="For such events.")
    message: strawberry.ID | None = strawberry.field(
        default=None, description="About the message of this id or UUID."
    )
    test: bool | None = strawberry.field(default=None, description="Tests only, or none.")
    created_after: datetime | None = strawberry.field(default=None, description="From then on.")
    created_before: datetime | None = strawberry.field(default=None, description="Before that.")


@strawberry.type(description="Calls of a stretch of time that are made once more.")
class WebhookReplay(Node):
    row: strawberry.Private[tables.WebhookReplay]

    @strawberry.field(description="UUID of the webhook.")
    def webhook_uuid(self) -> UUID:
        return self.row.webhook_id

    @strawberry.field(description="Where the stretch begins.")
    def since(self) -> datetime:
        return self.row.since

    @strawberry.field(description="Where it ends.")
    def until(self) -> datetime:
        return self.row.until

    @strawberry.field(description="The states of the calls that are replayed.")
    def states(self) -> list[CallState]:
        return [CallState(each) for each in self.row.states]

    @strawberry.field(description="Also calls for what happened and was never called for.")
    def missed(self) -> bool:
        return self.row.missed

    @strawberry.field(description="How many calls were made so far.")
    def replayed(self) -> int:
        return self.row.replayed

    @strawberry.field(description="When all were made; null before that.")
    def completed_at(self) -> datetime | None:
        return self.row.completed_at

    @strawberry.field(description="When it was asked for.")
    def created_at(self) -> datetime:
        return self.row.created_at


def replay_type(row: tables.WebhookReplay) -> WebhookReplay:
    """Return the GraphQL object of a row."""
    return WebhookReplay(uuid=row.id, row=row)


async def load_replays(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, WebhookReplay]:
    """Return those of the replays that the actor may see."""
    found = await queries.find_replays(actor, ids)
    return {id: replay_type(row) for id, row in found.items()}


register(WebhookReplay, load_replays)
