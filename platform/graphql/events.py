"""Events: what happened to a message, in the order in which it was written down."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..events import queries, tables
from ..events.rules import EventType
from .context import Info
from .enums import describe_enum
from .scalars import Json

describe_enum(
    EventType,
    "What happened. More types may be added; none is renamed.",
    {
        "MESSAGE_QUEUED": "A message was accepted for a recipient.",
        "MESSAGE_SENT": "The first attempt began.",
        "MESSAGE_DELIVERED": "The receiving server has taken it.",
        "MESSAGE_DEFERRED": "An attempt failed for the moment.",
        "MESSAGE_BOUNCED": "It was refused for good.",
        "MESSAGE_EXPIRED": "It was given up after temporary failures.",
        "MESSAGE_SUPPRESSED": "It was not sent: the address gets no mail.",
        "MESSAGE_CANCELLED": "It was cancelled.",
        "MESSAGE_COMPLAINED": "The recipient called it spam.",
        "MESSAGE_OPENED": "The recipient's program loaded the pixel.",
        "MESSAGE_CLICKED": "A link was followed.",
        "MESSAGE_UNSUBSCRIBED": "The recipient unsubscribed.",
        "DOMAIN_VERIFIED": "A domain's records are as they should be.",
        "DOMAIN_DEGRADED": "A required record of a domain went missing.",
        "DOMAIN_FAILED": "It was missing for too long; the domain cannot send.",
        "DOMAIN_DKIM_ROTATED": "A new DKIM key began to sign.",
        "VMTA_PAUSED": "A vMTA was paused.",
        "VMTA_RESUMED": "A vMTA sends again.",
        "VMTA_WARMUP_ADVANCED": "A warm-up came to its next day.",
        "VMTA_WARMUP_ADJUSTED": "A warm-up did not go on as planned.",
        "VMTA_WARMUP_COMPLETED": "A warm-up is over.",
        "CREDITS_LOW": "A balance fell below the threshold of an alert.",
        "CREDITS_DEPLETED": "Nothing was left of a balance that has an alert.",
        "BILLING_PLAN_CHANGED": "The organization has another plan.",
        "BILLING_INVOICE_CREATED": "An invoice was made.",
        "BILLING_PAYMENT_FAILED": "A payment was refused.",
        "SUPPRESSION_CREATED": "An address gets no more mail.",
        "SUPPRESSION_REMOVED": "An address gets mail again.",
        "SECURITY_AUTO_BLOCK_TRIGGERED": "A rule has stopped something.",
        "SECURITY_AUTO_BLOCK_RESOLVED": "What a rule has stopped goes on.",
        "SECURITY_DNSBL_LISTED": "The address of a vMTA came on a blocklist.",
        "SECURITY_DNSBL_DELISTED": "The address of a vMTA is on a blocklist no more.",
        "WEBHOOK_TEST": "Somebody tried a webhook. It is in no list, and comes with `testWebhook`.",
    },
)


@strawberry.type(description="One thing that happened.")
class Event:
    row: strawberry.Private[tables.Event]

    @strawberry.field(description="UUID of the event; webhooks show the same.")
    def uuid(self) -> UUID:
        return self.row.id

    @strawberry.field(description="What happened.")
    def type(self) -> EventType:
        return EventType(self.row.type)

    @strawberry.field(description="UUID of the delivery it happened to, if to one.")
    def delivery_uuid(self) -> UUID | None:
        return self.row.delivery_id

    @strawberry.field(description="It happened in the sandbox, to no real mail.")
    def simulated(self) -> bool:
        return self.row.simulated

    @strawberry.field(description="What belongs to this type of event.")
    def data(self) -> Json:
        return Json(json.loads(self.row.data))

    @strawberry.field(description="When it happened.")
    def occurred_at(self) -> datetime:
        return self.row.occurred_at


async def load_events(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Sequence[tables.Event]]:
    """Return the events of each message."""
    return await queries.events_of_messages(actor, ids)


@strawberry.type
class MessageFields:
    """What a message shows of its events; the message brings its `uuid`."""

    @strawberry.field(
        description=f"What happened to it, oldest first, at most {queries.MOST_EVENTS}."
    )
    async def events(self, info: Info) -> list[Event]:
        message_id: UUID = self.uuid  # type: ignore[attr-defined]
        found = await info.context.loaders.load(load_events, message_id)
        return [Event(row=row) for row in found or ()]
