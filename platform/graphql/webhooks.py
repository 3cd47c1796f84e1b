"""Webhooks: where customers are called, and every call."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..messages.rules import Stream
from ..webhooks import queries, tables
from ..webhooks.attempts import attempts_of
from ..webhooks.rules import CallState, DisabledReason, PayloadFormat
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt, Url

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
describe_enum(
    DisabledReason,
    "Why the platform switched a webhook off.",
    {
        "FAILING": "Every attempt has failed for five days.",
        "GONE": "The receiver answered 410: it wants no more calls.",
    },
    name="WebhookDisabledReason",
)
describe_enum(
    PayloadFormat,
    "How the body of a call is written. More formats may be added.",
    {"STANDARD": "JSON with id, type, timestamp and data, signed by Standard Webhooks."},
    name="WebhookFormat",
)


@strawberry.type(description="What an event has to be about; an empty list does not matter.")
class WebhookFilters:
    domains: list[str] = strawberry.field(description="Sending domains, each with those below.")
    vmtas: list[str] = strawberry.field(description="Names of vMTAs.")
    tags: list[str] = strawberry.field(description="Tags of the message; one is enough.")
    streams: list[Stream] = strawberry.field(description="Streams of the message.")


@strawberry.type(description="What became of the calls of a webhook in the last 24 hours.")
class WebhookStats:
    delivered: BigInt = strawberry.field(description="Calls that the receiver took.")
    failed_attempts: BigInt = strawberry.field(description="Attempts that failed.")
    dead: BigInt = strawberry.field(description="Calls that were given up.")
    pending: int = strawberry.field(
        description=f"Calls that wait now, counted up to {queries.MOST_PENDING}."
    )
    median_ms: int | None = strawberry.field(
        description="Median duration of attempts that succeeded, to about a tenth; null of none."
    )
    success_rate: float | None = strawberry.field(
        description="Percent of the attempts that succeeded; null of none."
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


@strawberry.type(description="One event for one webhook. It is kept for 14 days.")
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


async def load_stats(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, queries.Stats]:
    """Return what became of the calls of each webhook."""
    return await queries.stats_of(actor, ids)


async def load_last_deliveries(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, datetime]:
    """Return when each webhook took a call for the last time."""
    return await queries.last_deliveries(actor, ids)


@strawberry.type(description="Where somebody is called when something happens.")
class Webhook(Node):
    row: strawberry.Private[tables.Webhook]

    @strawberry.field(description="The address that is called.")
    def url(self) -> Url:
        return Url(self.row.url)

    @strawberry.field(
        description="What it is called for: types such as `message.bounced`, `message.*`, or `*`."
    )
    def events(self) -> list[str]:
        return list(self.row.events)

    @strawberry.field(description="A note.")
    def description(self) -> str | None:
        return self.row.description

    @strawberry.field(description="UUID of the only project whose events it gets; null is all.")
    def project_uuid(self) -> UUID | None:
        return self.row.project_id

    @strawberry.field(description="What an event has to be about.")
    def filters(self) -> WebhookFilters:
        lists = json.loads(self.row.filters)
        return WebhookFilters(
            domains=lists.get("domains", []),
            vmtas=lists.get("vmtas", []),
            tags=lists.get("tags", []),
            streams=[Stream(each) for each in lists.get("streams", [])],
        )

    @strawberry.field(description="Names of the headers that are sent along; not their values.")
    def header_names(self) -> list[str]:
        return list(self.row.header_names)

    @strawberry.field(
        description="A call waits until the one before is final, so that all come in order."
    )
    def in_order(self) -> bool:
        return self.row.in_order

    @strawberry.field(description="How the body is written.")
    def format(self) -> PayloadFormat:
        return PayloadFormat(self.row.format)

    @strawberry.field(description="Version of the payload, a date.")
    def payload_version(self) -> str:
        return self.row.payload_version

    @strawberry.field(
        description="The subscription to `organizationEvents` whose answer is sent as `data`; "
        "null is the data of the payload version."
    )
    def document(self) -> str | None:
        return self.row.document

    @strawberry.field(description="It is called.")
    def enabled(self) -> bool:
        return self.row.enabled

    @strawberry.field(description="Why the platform switched it off; null if it did not.")
    def disabled_reason(self) -> DisabledReason | None:
        reason = self.row.disabled_reason
        return DisabledReason(reason) if reason else None

    @strawberry.field(description="Until when a replaced secret goes on signing, too.")
    def previous_secret_expires_at(self) -> datetime | None:
        return self.row.previous_secret_expires_at

    @strawberry.field(description="What became of its calls in the last 24 hours.")
    async def stats(self, info: Info) -> WebhookStats:
        found = await info.context.loaders.load(load_stats, self.row.id) or queries.Stats()
        return WebhookStats(
            delivered=BigInt(found.delivered),
            failed_attempts=BigInt(found.failed),
            dead=BigInt(found.dead),
            pending=found.pending,
            median_ms=found.median_ms,
            success_rate=found.success_rate,
        )

    @strawberry.field(description="When it took a call for the last time; null is never.")
    async def last_delivery_at(self, info: Info) -> datetime | None:
        return await info.context.loaders.load(load_last_deliveries, self.row.id)

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was changed last.")
    def updated_at(self) -> datetime:
        return self.row.updated_at

    @strawberry.field(description="Its calls, the newest first.")
    async def calls(
        self,
        info: Info,
        filter: Annotated[
            WebhookCallFilter | None, strawberry.argument(description="Only some of them.")
        ] = None,
        descending: Annotated[bool, strawberry.argument(description="The newest first.")] = True,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[WebhookCall]:
        wanted = filter or WebhookCallFilter()
        named = None if wanted.message is None else parse_id(wanted.message, "Message")
        actor, where = (
            actor_of(info),
            queries.CallFilter(
                state=wanted.state,
                event=wanted.event,
                message_id=named,
                test=wanted.test,
                since=wanted.created_after,
                until=wanted.created_before,
            ),
        )
        page = page_request(first, after, last, before, maximum=500)
        found = await queries.list_calls(
            actor, self.row.id, page, where=where, descending=descending
        )
        return to_connection(
            found, call_type, count=lambda: queries.count_calls(actor, self.row.id, where=where)
        )

    @strawberry.field(description="What was asked to be replayed, the newest first.")
    async def replays(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[WebhookReplay]:
        page = page_request(first, after, last, before)
        found = await queries.list_replays(actor_of(info), self.row.id, page)
        return to_connection(found, replay_type)


def webhook_type(row: tables.Webhook) -> Webhook:
    """Return the GraphQL object of a row."""
    return Webhook(uuid=row.id, row=row)


async def load_webhooks(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Webhook]:
    """Return those of the webhooks that the actor may see."""
    found = await queries.find_webhooks(actor, ids)
    return {id: webhook_type(row) for id, row in found.items()}


register(Webhook, load_webhooks)


@strawberry.input(description="Which webhooks; conditions that are left out do not matter.")
class WebhookFilter:
    enabled: bool | None = strawberry.field(default=None, description="Those that are on, or off.")
    event: str | None = strawberry.field(
        default=None, description="Those that are called for such events, by whatever pattern."
    )


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="Webhooks, the newest first. Needs `webhooks:read`.")
    async def webhooks(
        self,
        info: Info,
        filter: Annotated[
            WebhookFilter | None, strawberry.argument(description="Only some of them.")
        ] = None,
        descending: Annotated[bool, strawberry.argument(description="The newest first.")] = True,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Webhook]:
        wanted = filter or WebhookFilter()
        actor = actor_of(info)
        where = queries.WebhookFilter(wanted.enabled, wanted.event)
        page = page_request(first, after, last, before, maximum=500)
        found = await queries.list_webhooks(actor, page, where=where, descending=descending)
        return to_connection(
            found, webhook_type, count=lambda: queries.count_webhooks(actor, where=where)
        )

    @strawberry.field(description="One webhook. Needs `webhooks:read`.")
    async def webhook(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id or UUID of it.")],
    ) -> Webhook:
        return webhook_type(await queries.get_webhook(actor_of(info), parse_id(id, "Webhook")))
