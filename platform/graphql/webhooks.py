"""Webhooks: where customers are called."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..messages.rules import Stream
from ..webhooks import queries, tables
from ..webhooks.checking import MOST_HEADERS
from ..webhooks.formats import triable_events
from ..webhooks.rules import DisabledReason, PayloadFormat
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt, Url
from .webhook_calls import (
    WebhookCall,
    WebhookCallFilter,
    WebhookReplay,
    call_type,
    replay_type,
)
from .webhook_signatures import ReceivedHeaderInput, WebhookSignatureCheck, signature_check

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
    {
        "STANDARD": "JSON with id, type, timestamp and data, signed by Standard Webhooks.",
        "POSTAL": "Postal's JSON, signed with the key at `/.well-known/jwks.json`; at most six "
        "attempts. Events that Postal does not have make no call.",
        "POSTAGEAPP": "PostageApp's JSON of version 1.1, with its signature in it. Events that "
        "PostageApp does not have make no call.",
        "POSTAGEAPP_1_0": "The same of version 1.0: each variable is a key of its own.",
        "POSTAGEAPP_FORM": "The keys of version 1.0 as a form.",
    },
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
            found,
            call_type,
            total=lambda exact: queries.count_calls(actor, self.row.id, where=where, exact=exact),
        )

    @strawberry.field(description="Types of events that `testWebhook` can send in its format.")
    def triable_events(self) -> list[str]:
        return list(triable_events(self.row))

    @strawberry.field(
        description="A call as its receiver got it, checked step by step with what the webhook "
        "signs with now. Needs `webhooks:write`."
    )
    async def signature_check(
        self,
        info: Info,
        headers: Annotated[
            list[ReceivedHeaderInput],
            strawberry.argument(description=f"As they came, at most {MOST_HEADERS}."),
        ],
        body: Annotated[str, strawberry.argument(description="As it came, byte by byte.")],
    ) -> WebhookSignatureCheck:
        return await signature_check(actor_of(info), self.row, headers, body)

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
