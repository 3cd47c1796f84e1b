"""Sending again what did not arrive."""

from typing import Annotated

import strawberry

from ..messages import operations
from .context import Info, actor_of
from .nodes import parse_id
from .sending import SendMessagePayload, receipt_type


@strawberry.input(description="Which message to send again.")
class ResendMessageInput:
    id: strawberry.ID = strawberry.field(description="Its id or UUID.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="Repeated with it, the message is sent once."
    )


@strawberry.type(description="A message that says what another one said.")
class ResendMessagePayload(SendMessagePayload): ...


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Send a message again to those who did not get it: a new message, with a "
        "delivery and a credit for each of them. What is another for each recipient is not sent "
        "again. Needs `messages:read` and `messages:send`."
    )
    async def resend_message(
        self,
        info: Info,
        input: Annotated[ResendMessageInput, strawberry.argument(description="Which.")],
    ) -> ResendMessagePayload:
        receipt = await operations.resend_message(
            actor_of(info),
            parse_id(input.id, "Message"),
            key=input.idempotency_key or info.context.idempotency_key,
        )
        return ResendMessagePayload(receipt=receipt_type(receipt))
