"""Simulating what becomes of sandbox mail."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..delivery.rules import DeliveryState, MessageStatus
from ..delivery.scripts import SimulatedOutcome
from ..events.queries import events_of_deliveries
from ..mail.outcome import BounceClass
from ..messages import operations
from ..webhooks.queries import count_calls_for
from .context import Info, actor_of
from .enums import describe_enum
from .events import Event
from .messages import Message, load_messages
from .nodes import parse_id
from .sending import MessageInput, new_message

describe_enum(
    SimulatedOutcome,
    "What becomes of sandbox mail.",
    {
        "DELIVERED": "The server takes it.",
        "DEFERRED": "The server asks to come again later.",
        "HARD_BOUNCE": "There is no such recipient.",
        "SOFT_BOUNCE": "The mailbox is full until the message expires.",
        "BLOCKED": "The server refuses the sender for its reputation.",
        "EXPIRED": "No server answers until the message expires.",
        "SUPPRESSED": "The address gets no mail, so nothing is attempted.",
        "COMPLAINED": "It is delivered, and the recipient calls it spam.",
        "OPENED": "It is delivered and opened.",
        "CLICKED": "It is delivered and opened, and its first link is followed.",
    },
)


@strawberry.input(
    description="What is to become of a sandbox message: of one that is there, or of a new one."
)
class SimulateDeliveryInput:
    message_id: strawberry.ID | None = strawberry.field(
        default=None, description="Id or UUID of a sandbox message; not with message."
    )
    message: MessageInput | None = strawberry.field(
        default=None, description="A message to put into the sandbox; not with messageId."
    )
    outcome: SimulatedOutcome = strawberry.field(
        default=SimulatedOutcome.DELIVERED, description="What becomes of it."
    )
    recipient: str | None = strawberry.field(
        default=None,
        description="Address or UUID of one recipient; left out, every one that is open.",
    )
    smtp_code: int | None = strawberry.field(
        default=None,
        description="Reply code, 200 to 599, that fits the outcome; left out, its usual one.",
    )
    smtp_response: str | None = strawberry.field(
        default=None,
        description="Reply of at most 512 characters; left out, the usual one of the outcome.",
    )
    delay_seconds: int = strawberry.field(
        default=0, description="It happens so much later, 0 to 3600 seconds."
    )
    fire_webhooks: bool = strawberry.field(
        default=True, description="Whether webhooks are called for its events."
    )


@strawberry.type(description="A recipient whose delivery was simulated, as it is now.")
class SimulatedRecipient:
    uuid: UUID = strawberry.field(description="UUID of the delivery.")
    address: str = strawberry.field(description="Address of the recipient.")
    state: DeliveryState = strawberry.field(description="How far it is.")
    bounce_class: BounceClass | None = strawberry.field(
        description="Why it failed; null if it did not."
    )


@strawberry.type(description="What a simulation did, or is going to do.")
class SimulateDeliveryPayload:
    uuid: UUID = strawberry.field(description="UUID of the message.")
    status: MessageStatus = strawberry.field(description="Status of the message now.")
    outcome: SimulatedOutcome = strawberry.field(description="What was asked for.")
    recipients: list[SimulatedRecipient] = strawberry.field(
        description="The recipients that it happened, or is going to happen, to."
    )
    events: list[Event] = strawberry.field(
        description="Everything that happened to these recipients so far, oldest first."
    )
    applies_at: datetime | None = strawberry.field(
        description="When it is going to happen; null if it has."
    )

    @strawberry.field(
        description="How many calls to webhooks these events make. A webhook that is for one "
        "project counts if it is the message's."
    )
    async def webhook_calls(self, info: Info) -> int:
        return await count_calls_for(actor_of(info), [each.row for each in self.events])

    @strawberry.field(description="The message as it is now. Needs `messages:read`.")
    async def message(self, info: Info) -> Message | None:
        return await info.context.loaders.load(load_messages, self.uuid)


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Let sandbox mail end in a chosen way, through the states of live mail. "
        "Nothing leaves, nothing is charged, and no address is suppressed. Needs "
        "`messages:write`."
    )
    async def simulate_delivery(
        self,
        info: Info,
        input: Annotated[SimulateDeliveryInput, strawberry.argument(description="What.")],
    ) -> SimulateDeliveryPayload:
        named = None if input.message_id is None else parse_id(input.message_id, "Message")
        done = await operations.simulate_delivery(
            actor_of(info),
            operations.NewSimulation(
                message_id=named,
                message=None if input.message is None else new_message(input.message),
                outcome=input.outcome,
                recipient=input.recipient,
                code=input.smtp_code,
                reply=input.smtp_response,
                delay_seconds=input.delay_seconds,
                fire_webhooks=input.fire_webhooks,
            ),
        )
        ids = [each.id for each in done.deliveries]
        happened = await events_of_deliveries(actor_of(info), done.id, ids)
        return _payload(done, [Event(row=row) for row in happened])


def _payload(done: operations.Simulated, happened: list[Event]) -> SimulateDeliveryPayload:
    return SimulateDeliveryPayload(
        uuid=done.id,
        status=MessageStatus(done.status),
        outcome=done.outcome,
        recipients=[
            SimulatedRecipient(
                uuid=each.id,
                address=each.address,
                state=DeliveryState(each.state),
                bounce_class=BounceClass(each.bounce_class) if each.bounce_class else None,
            )
            for each in done.deliveries
        ],
        events=happened,
        applies_at=done.applies_at,
    )
