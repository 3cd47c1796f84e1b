"""PostMTA's simulated deliveries."""

from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import INTEGER, TIME, UUID, Fixed, Many, Out, Shape, word
from ...fields import UUID_TEXT, Field, Fields, Flag, Integer, Object, Text, choice
from ...route import MIB, Call, CompatRoute
from ..shapes import BOUNCE_CLASS, EVENT_TYPES, MESSAGE_STATUS, RECIPIENT_STATUS, SOURCE
from .sending import MESSAGE, by_their_names, sent

OUTCOMES = (
    "delivered",
    "deferred",
    "hard_bounce",
    "soft_bounce",
    "blocked",
    "expired",
    "suppressed",
    "complained",
    "opened",
    "clicked",
)
BODY = Fields(
    Field("message_id", UUID_TEXT, "Id of a sandbox message; it or `message` is required."),
    Field("message", Object(MESSAGE), "A message to put into the sandbox."),
    Field("outcome", choice(*OUTCOMES), "What becomes of it.", default="delivered"),
    Field("recipient", Text(longest=320), "Address or id; without it, every open recipient."),
    Field("smtp_code", Integer(200, 599), "A reply code that fits the outcome."),
    Field("smtp_response", Text(longest=512), "What the server replies; no line breaks."),
    Field("delay_seconds", Integer(0, 3600), "It happens so much later.", default=0),
    Field("fire_webhooks", Flag(), "Whether webhooks are called.", default=True),
    name="NewSimulation",
)
RECIPIENT = Shape(
    "SimulatedRecipient",
    Out("id", UUID, of="uuid"),
    Out("email", of="address"),
    Out("status", RECIPIENT_STATUS, of="state"),
    Out("bounce_class", BOUNCE_CLASS, maybe=True),
)
EVENT = Shape(
    "SimulatedEvent",
    Out("id", UUID, of="uuid"),
    Out("type", word(*EVENT_TYPES)),
    Out("timestamp", TIME, of="occurredAt"),
)


SIMULATION = Shape(
    "Simulation",
    Out("id", UUID, of="uuid"),
    Out("status", MESSAGE_STATUS),
    Out("outcome", word(*OUTCOMES)),
    Out("simulated", Fixed(True, {"type": "boolean"})),
    Out("recipients", Many(RECIPIENT)),
    Out("events", Many(EVENT)),
    Out("webhook_deliveries", INTEGER, of="webhookCalls"),
)


def _variables(call: Call) -> dict[str, Any]:
    body = dict(call.body)
    if body.get("message") is not None:
        body["message"] = sent(body["message"])
    return {"input": body}


SIMULATE = CompatRoute(
    method="POST",
    path="/api/v1/messages/simulate-delivery",
    source=SOURCE,
    summary="Simulate delivery for testing",
    permission=Permission.WRITE_MESSAGES,
    body=BODY,
    body_limit_bytes=35 * MIB,
    document=Document(
        "mutation Simulate($input: SimulateDeliveryInput!) "
        f"{{ simulateDelivery(input: $input) {SIMULATION.selection()} }}"
    ),
    variables=_variables,
    refused=by_their_names,
    answer=lambda data, call: SIMULATION.write(data["simulateDelivery"]),
    shape=SIMULATION,
    refusals=(
        ErrorCode.NOT_FOUND,
        ErrorCode.MESSAGE_NOT_SANDBOX,
        ErrorCode.ALREADY_FINAL,
        ErrorCode.DOMAIN_NOT_ALLOWED,
        ErrorCode.MESSAGE_TOO_LARGE,
    ),
)
