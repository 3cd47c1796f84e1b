"""Changing webhooks: made, changed, tried, replayed, deleted."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import strawberry

from ..core.actor import Actor, ProjectId
from ..core.errors import DetailCode, InvalidInput
from ..messages.rules import Stream
from ..webhooks import operations
from ..webhooks.requests import FilterRequest, WebhookChanges, WebhookRequest
from ..webhooks.rules import (
    LONGEST_DESCRIPTION,
    MOST_HEADERS,
    MOST_WEBHOOKS,
    PAYLOAD_VERSIONS,
    CallState,
    PayloadFormat,
)
from .context import Info, actor_of
from .nodes import parse_id
from .payloads import shaped_for, stored_document
from .scalars import Url
from .webhook_calls import SentHeader, WebhookCall, WebhookReplay, call_type, replay_type
from .webhooks import Webhook, webhook_type


@strawberry.input(description="A header that is sent along with every call.")
class WebhookHeaderInput:
    name: str = strawberry.field(
        description="Its name; not one that belongs to the request, and none of `webhook-`."
    )
    value: str = strawberry.field(
        description="At most 512 characters. It is encrypted, and never shown again."
    )


@strawberry.input(description="What an event has to be about; each that is given must fit.")
class WebhookFiltersInput:
    domains: list[str] | None = strawberry.field(
        default=None, description="Sending domains, each with those below."
    )
    vmtas: list[str] | None = strawberry.field(default=None, description="Names of vMTAs.")
    tags: list[str] | None = strawberry.field(
        default=None, description="Tags of the message; one is enough."
    )
    streams: list[Stream] | None = strawberry.field(
        default=None, description="Streams of the message."
    )


@strawberry.input(description="A webhook to make.")
class CreateWebhookInput:
    url: Url = strawberry.field(
        description="`https` and a public address, without user name; at most 2048 characters."
    )
    events: list[str] = strawberry.field(
        description="Types such as `message.bounced`, `message.*`, or `*`; in Postal's format also "
        "what Postal calls them, such as `MessageBounced`."
    )
    description: str | None = strawberry.field(
        default=None, description=f"A note of at most {LONGEST_DESCRIPTION} characters."
    )
    enabled: bool = strawberry.field(default=True, description="Whether it is called.")
    headers: list[WebhookHeaderInput] | None = strawberry.field(
        default=None, description=f"Sent along with every call; at most {MOST_HEADERS}."
    )
    filters: WebhookFiltersInput | None = strawberry.field(
        default=None, description="Only events about something."
    )
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="Id or UUID of the only project whose events it gets."
    )
    in_order: bool = strawberry.field(
        default=False, description="A call waits until the one before is final."
    )
    format: PayloadFormat = strawberry.field(
        default=PayloadFormat.STANDARD, description="How the body is written."
    )
    payload_version: str | None = strawberry.field(
        default=None, description=f"Left out, the newest, {PAYLOAD_VERSIONS[-1]}."
    )
    document: str | None = strawberry.field(
        default=None,
        description="A GraphQL subscription to `organizationEvents` whose answer is sent as "
        "`data`. It runs with the rights to read that you have now.",
    )


@strawberry.input(description="What of a webhook to change; what is left out stays.")
class UpdateWebhookInput:
    webhook_id: strawberry.ID = strawberry.field(description="Id or UUID of it.")
    url: Url | None = strawberry.field(default=None, description="Holds for calls that wait, too.")
    events: list[str] | None = strawberry.field(default=None, description="Replaced as a whole.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="Null is none.")
    enabled: bool | None = strawberry.field(
        default=None, description="True sends what waits, and forgets why it was off."
    )
    headers: strawberry.Maybe[list[WebhookHeaderInput] | None] = strawberry.field(
        description="Replaced as a whole; null is none."
    )
    filters: strawberry.Maybe[WebhookFiltersInput | None] = strawberry.field(
        description="Replaced as a whole; null is none."
    )
    in_order: bool | None = strawberry.field(
        default=None, description="A call waits until the one before is final."
    )
    format: PayloadFormat | None = strawberry.field(
        default=None, description="How the body is written."
    )
    payload_version: str | None = strawberry.field(
        default=None, description=f"One of {', '.join(PAYLOAD_VERSIONS)}."
    )
    document: strawberry.Maybe[str | None] = strawberry.field(
        description="Runs with the rights that you have now; null is none."
    )
    rotate_secret: bool = strawberry.field(default=False, description="Make a new secret.")
    grace_period_seconds: int = strawberry.field(
        default=86_400,
        description="How long the old secret signs beside a new one, 0 to 604800 seconds.",
    )


@strawberry.input(description="A webhook to delete.")
class DeleteWebhookInput:
    webhook_id: strawberry.ID = strawberry.field(description="Id or UUID of it.")


@strawberry.input(description="A webhook to try.")
class TestWebhookInput:
    webhook_id: strawberry.ID = strawberry.field(description="Id or UUID of it.")
    event: str | None = strawberry.field(
        default=None,
        description="Type of the event, with made-up data; left out `webhook.test`, or in "
        "Postal's format `message.delivered`.",
    )


@strawberry.input(description="A call to make once more.")
class ReplayWebhookCallInput:
    call_id: strawberry.ID = strawberry.field(description="Id or UUID of it.")


@strawberry.input(description="Calls to make once more.")
class ReplayWebhookCallsInput:
    webhook_id: strawberry.ID = strawberry.field(description="Id or UUID of the webhook.")
    since: datetime = strawberry.field(
        description="Calls made from then on; as far back as they are kept."
    )
    until: datetime | None = strawberry.field(
        default=None, description="Calls made before that; left out, before now."
    )
    states: list[CallState] | None = strawberry.field(
        default=None,
        description="DEAD, DELIVERED or both; left out, DEAD. With `missed`, none is fine, too.",
    )
    missed: bool = strawberry.field(
        default=False,
        description="Also call for what happened and was never called for: while the webhook was "
        "off, or wanted other events than now. Nothing from before it was made.",
    )


@strawberry.type(description="A webhook that was made.")
class CreateWebhookPayload:
    webhook: Webhook = strawberry.field(description="The webhook.")
    secret: str = strawberry.field(description="What its calls are signed with; shown this once.")


@strawberry.type(description="A webhook that was changed.")
class UpdateWebhookPayload:
    webhook: Webhook = strawberry.field(description="The webhook as it is now.")
    secret: str | None = strawberry.field(
        description="The new secret, shown this once; null if it was not rotated."
    )


@strawberry.type(description="A webhook that was deleted.")
class DeleteWebhookPayload:
    deleted_uuid: UUID = strawberry.field(description="UUID it had.")
    dropped_calls: int = strawberry.field(description="Calls that waited, and are not made.")


@strawberry.type(description="A webhook that was tried, whatever came of it.")
class TestWebhookPayload:
    call: WebhookCall = strawberry.field(description="The call, with its only attempt.")
    succeeded: bool = strawberry.field(description="The receiver answered 2xx.")
    headers: list[SentHeader] = strawberry.field(
        description="Headers of ours that were sent; those of your own are not shown again."
    )


@strawberry.type(description="A call that is made once more.")
class ReplayWebhookCallPayload:
    call: WebhookCall = strawberry.field(
        description="The new call; or the old one, if it had not ended and is due now."
    )


@strawberry.type(description="Calls that are made once more, in the background.")
class ReplayWebhookCallsPayload:
    replay: WebhookReplay = strawberry.field(description="How far that is.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Have somebody called for what happens from now on. Needs `webhooks:write`. "
        f"Refused with WEBHOOK_LIMIT_REACHED when the organization has {MOST_WEBHOOKS}."
    )
    async def create_webhook(
        self,
        info: Info,
        input: Annotated[CreateWebhookInput, strawberry.argument(description="The webhook.")],
    ) -> CreateWebhookPayload:
        actor = actor_of(info)
        made = await operations.create_webhook(actor, _request(actor, input))
        assert made.secret is not None
        return CreateWebhookPayload(webhook=webhook_type(made.webhook), secret=made.secret)

    @strawberry.mutation(
        description="Change a webhook, or replace its secret. Needs `webhooks:write`."
    )
    async def update_webhook(
        self,
        info: Info,
        input: Annotated[UpdateWebhookInput, strawberry.argument(description="The changes.")],
    ) -> UpdateWebhookPayload:
        actor = actor_of(info)
        done = await operations.update_webhook(
            actor,
            parse_id(input.webhook_id, "Webhook"),
            WebhookChanges(
                _changes(actor, input),
                rotate_secret=input.rotate_secret,
                grace=_seconds(input.grace_period_seconds),
            ),
        )
        return UpdateWebhookPayload(webhook=webhook_type(done.webhook), secret=done.secret)

    @strawberry.mutation(
        description="Call a webhook no more; what waits is dropped. Needs `webhooks:write`."
    )
    async def delete_webhook(
        self,
        info: Info,
        input: Annotated[DeleteWebhookInput, strawberry.argument(description="Which one.")],
    ) -> DeleteWebhookPayload:
        webhook_id = parse_id(input.webhook_id, "Webhook")
        dropped = await operations.delete_webhook(actor_of(info), webhook_id)
        return DeleteWebhookPayload(deleted_uuid=webhook_id, dropped_calls=dropped)

    @strawberry.mutation(
        description="Call a webhook once with made-up data, also one that is off, and wait for "
        "the answer, ten seconds at most. A webhook has 10 a minute. Needs `webhooks:write`."
    )
    async def test_webhook(
        self,
        info: Info,
        input: Annotated[TestWebhookInput, strawberry.argument(description="Which one.")],
    ) -> TestWebhookPayload:
        done = await operations.test_webhook(
            actor_of(info),
            parse_id(input.webhook_id, "Webhook"),
            event=input.event,
            shape=shaped_for(lambda _: actor_of(info)),
        )
        return TestWebhookPayload(
            call=call_type(done.call),
            succeeded=done.tried.succeeded,
            headers=[SentHeader(name=name, value=v) for name, v in done.tried.headers.items()],
        )

    @strawberry.mutation(
        description="Make a call once more, with the same event id; one that waits is made at "
        "once. Needs `webhooks:write`."
    )
    async def replay_webhook_call(
        self,
        info: Info,
        input: Annotated[ReplayWebhookCallInput, strawberry.argument(description="Which one.")],
    ) -> ReplayWebhookCallPayload:
        row = await operations.replay_call(actor_of(info), parse_id(input.call_id, "WebhookCall"))
        return ReplayWebhookCallPayload(call=call_type(row))

    @strawberry.mutation(
        description="Make the calls of a stretch of time once more, in their order, those that "
        "are dead unless it says otherwise. Needs `webhooks:write`."
    )
    async def replay_webhook_calls(
        self,
        info: Info,
        input: Annotated[ReplayWebhookCallsInput, strawberry.argument(description="Which.")],
    ) -> ReplayWebhookCallsPayload:
        row = await operations.replay_calls(
            actor_of(info),
            parse_id(input.webhook_id, "Webhook"),
            since=input.since,
            until=input.until,
            states=[CallState.DEAD] if input.states is None else input.states,
            missed=input.missed,
        )
        return ReplayWebhookCallsPayload(replay=replay_type(row))


def _request(actor: Actor, input: CreateWebhookInput) -> WebhookRequest:
    project = input.project_id
    return WebhookRequest(
        url=input.url,
        events=input.events,
        description=input.description,
        enabled=input.enabled,
        headers=_headers(input.headers or []),
        filters=_filters(input.filters),
        project_id=None if project is None else ProjectId(parse_id(project, "Project")),
        in_order=input.in_order,
        format=input.format,
        payload_version=input.payload_version or PAYLOAD_VERSIONS[-1],
        document=stored_document(actor, input.document),
    )


def _changes(actor: Actor, input: UpdateWebhookInput) -> dict[str, Any]:
    given: dict[str, Any] = {
        name: getattr(input, name)
        for name in ("url", "events", "enabled", "in_order", "format", "payload_version")
        if getattr(input, name) is not None
    }
    if input.description is not None:
        given["description"] = input.description.value
    if input.headers is not None:
        given["headers"] = _headers(input.headers.value or [])
    if input.filters is not None:
        given["filters"] = _filters(input.filters.value)
    if input.document is not None:
        given["document"] = stored_document(actor, input.document.value)
    return given


def _headers(given: Sequence[WebhookHeaderInput]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for each in given:
        if each.name in found:
            raise InvalidInput.of(
                f"headers.{each.name[:100]}", DetailCode.DUPLICATE, "This header is there twice."
            )
        found[each.name] = each.value
    return found


def _filters(given: WebhookFiltersInput | None) -> FilterRequest:
    if given is None:
        return FilterRequest()
    return FilterRequest(
        domains=given.domains or (),
        vmtas=given.vmtas or (),
        tags=given.tags or (),
        streams=[each.value for each in given.streams or ()],
    )


def _seconds(given: int) -> timedelta:
    return timedelta(seconds=max(-1, min(given, 10**9)))
