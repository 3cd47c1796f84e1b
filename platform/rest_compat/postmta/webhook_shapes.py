"""What PostMTA's clients are told of webhooks and of what was delivered to them."""

from typing import Any

from ..answers import FLAG, INTEGER, NUMBER, TIME, UUID, Fixed, Leaf, Many, Out, Shape, word
from ..fields import JsonSchema
from .shapes import STREAM

STATES = ("pending", "delivered", "dead")
TEXTS = Many(Leaf({"type": "string"}))
MESSAGE_UUID = Leaf(
    {
        "type": "string",
        "format": "uuid",
        "examples": ["0197a000-0000-7000-8000-000000000301"],
    }
)
FILTER_NAMES = ("domains", "vmtas", "tags", "streams")


class Filters:
    """Filters as they were given: lists that do not matter are left out."""

    def write(self, value: Any) -> Any:
        found = {name: value[name] for name in FILTER_NAMES if value[name]}
        if "streams" in found:
            found["streams"] = [STREAM.write(each) for each in found["streams"]]
        return found

    def selection(self) -> str:
        return f"{{ {' '.join(FILTER_NAMES)} }}"

    def schema(self) -> JsonSchema:
        texts: JsonSchema = {"type": "array", "items": {"type": "string"}}
        lists = dict.fromkeys(FILTER_NAMES, texts)
        lists["streams"] = {"type": "array", "items": STREAM.schema()}
        return {"type": "object", "properties": lists}


_MADE = (Out("created_at", TIME), Out("updated_at", TIME))
_WHAT = (
    Out("id", UUID, of="uuid"),
    Out("url"),
    Out("events", TEXTS),
    Out("description", maybe=True),
    Out("enabled", FLAG),
)
_SENT_ALONG = (Out("header_names", TEXTS), Out("filters", Filters()))
_DISABLED = Out("disabled_reason", word("failing", "gone"), maybe=True)
_OVERLAP = Out("previous_secret_expires_at", TIME, maybe=True)
_LAST = Out("last_delivery_at", TIME, maybe=True)
_SECRET = Out(
    "secret",
    Leaf({"type": "string", "examples": ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]}),
    optional=True,
    about="Shown at creation and after a rotation only.",
    # It lies beside the webhook, for it belongs to the one answer and not to what is kept.
    from_whole=lambda webhook: webhook["secret"],
)

CREATED = Shape("CreatedWebhook", *_WHAT, _SECRET, *_SENT_ALONG, *_MADE)
UPDATED = Shape("UpdatedWebhook", *_WHAT, _DISABLED, _SECRET, _OVERLAP, *_SENT_ALONG, *_MADE)
STATS = Shape(
    "WebhookStats",
    Out("delivered", INTEGER),
    Out("failed_attempts", INTEGER),
    Out("dead", INTEGER),
    Out("pending", INTEGER),
    Out("median_ms", INTEGER, maybe=True),
)
WEBHOOK = Shape(
    "Webhook",
    *_WHAT,
    _DISABLED,
    *_SENT_ALONG,
    _OVERLAP,
    Out("stats_24h", STATS, of="stats"),
    _LAST,
    *_MADE,
)
SUMMARY = Shape(
    "WebhookSummary",
    *_WHAT,
    _DISABLED,
    Out(
        "success_rate_24h",
        Leaf({"type": "number"}, lambda value: value),
        maybe=True,
        from_whole=lambda webhook: _rate(webhook["stats"]["successRate"]),
    ),
    _LAST,
    Out("created_at", TIME),
    extra="stats { successRate }",
)
ATTEMPT = Shape(
    "WebhookAttempt",
    Out("attempt", INTEGER, of="number"),
    Out("at", TIME),
    Out("response_status", INTEGER, of="status", maybe=True),
    Out("response_body", of="reply", maybe=True),
    Out("error", maybe=True),
    Out("duration_ms", INTEGER),
)
DELIVERY = Shape(
    "WebhookDelivery",
    Out("id", UUID, of="uuid"),
    Out("webhook_id", UUID, of="webhookUuid"),
    Out("event_id", UUID, of="eventUuid"),
    Out("event"),
    Out("message_id", MESSAGE_UUID, of="messageUuid", maybe=True),
    Out("status", word(*STATES), of="state"),
    Out("test", FLAG),
    Out("attempt_count", INTEGER),
    Out("next_attempt_at", TIME, maybe=True),
    Out("attempts", Many(ATTEMPT)),
    Out("created_at", TIME),
    Out("delivered_at", TIME, maybe=True),
)
TESTED = Shape(
    "TestedWebhook",
    Out("delivery_id", UUID),
    Out("event_id", UUID),
    Out("event"),
    Out("success", FLAG),
    Out("response_status", INTEGER, maybe=True),
    Out("response_body", maybe=True),
    Out("error", maybe=True),
    Out("duration_ms", INTEGER),
    Out("attempted_at", TIME),
)
DELETED = Shape(
    "DeletedWebhook",
    Out("id", UUID, of="deletedUuid"),
    Out("deleted", Fixed(True, {"type": "boolean"})),
    Out("dropped_deliveries", INTEGER, of="droppedCalls"),
)


def _rate(value: float | None) -> float | None:
    return None if value is None else NUMBER.write(value)
