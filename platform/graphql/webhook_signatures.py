"""Signatures of webhooks' calls, checked for who writes a receiver."""

from collections.abc import Sequence

import strawberry

from ..core.actor import Actor
from ..webhooks import tables
from ..webhooks.checking import Part, Received, check_call
from .enums import describe_enum

describe_enum(
    Part,
    "What is looked at when the signature of a call is checked.",
    {
        "HEADERS": "Whether there is all that a check needs.",
        "TIME": "Whether it is of now.",
        "KEY": "Whether it names the key that signs.",
        "SIGNATURE": "Whether the signature fits the body.",
    },
    name="WebhookSignaturePart",
)


@strawberry.input(description="A header as it came.")
class ReceivedHeaderInput:
    name: str = strawberry.field(description="Its name; its case does not matter.")
    value: str = strawberry.field(description="What it says.")


@strawberry.type(description="One look at a call's signature.")
class WebhookSignatureStep:
    part: Part = strawberry.field(description="What was looked at.")
    passed: bool = strawberry.field(description="It is as it should be.")
    told: str = strawberry.field(description="What was found, as a sentence.")


@strawberry.type(description="What a receiver finds that checks a call.")
class WebhookSignatureCheck:
    genuine: bool = strawberry.field(description="Every step passed.")
    steps: list[WebhookSignatureStep] = strawberry.field(
        description="In order; it ends where nothing more can be looked at."
    )


async def signature_check(
    actor: Actor, webhook: tables.Webhook, headers: Sequence[ReceivedHeaderInput], body: str
) -> WebhookSignatureCheck:
    """Return what a receiver would find."""
    received = Received(
        [(each.name, each.value) for each in headers], body.encode("utf-8", "surrogatepass")
    )
    steps = await check_call(actor, webhook, received)
    return WebhookSignatureCheck(
        genuine=all(step.passed for step in steps),
        steps=[
            WebhookSignatureStep(part=step.part, passed=step.passed, told=step.told)
            for step in steps
        ],
    )
