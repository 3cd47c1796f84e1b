"""PostMTA's messages: the list, one of them, and cancelling."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ....core import clock
from ....core.actor import Permission
from ....core.errors import DetailCode, ErrorCode
from ....graphql.execute import Document
from ...addresses import normal_address, normal_domain
from ...answers import (
    FLAG,
    FREE,
    INTEGER,
    TEXT_MAP,
    TIME,
    UUID,
    Leaf,
    Many,
    Out,
    Shape,
    word,
)
from ...fields import (
    TEXT,
    UUID_PATTERN,
    UUID_TEXT,
    Field,
    Fields,
    Findings,
    JsonSchema,
    Text,
    Time,
    choice,
)
from ...parameters import Param, Params
from ...route import Call, CompatRoute, IdForm
from ...times import read_time, restyle_time, write_time
from ..cursors import invalid_cursor, open_cursor, seal_cursor
from ..lists import list_document, list_params, list_variables, page_answer
from ..shapes import (
    BOUNCE_CLASS,
    BOUNCE_CLASSES,
    EVENT_TYPES,
    ISP,
    ISPS,
    MESSAGE_STATUS,
    MESSAGE_STATUSES,
    MODE,
    MODES,
    RECIPIENT_KIND,
    RECIPIENT_STATUS,
    SOURCE,
    STREAM,
    STREAMS,
    bracketed,
)

USUAL_WINDOW = timedelta(days=7)
LONGEST_WINDOW = timedelta(days=30)
"""How long messages are kept; asked for more, a list says since when it shows them."""
"""How far back the list goes unless it is told."""

TEXTS = Many(Leaf({"type": "string"}))
SUMMARY = Shape(
    "MessageSummary",
    Out("id", UUID, of="uuid"),
    Out("status", MESSAGE_STATUS),
    Out("from", of="sender"),
    Out("to", TEXTS),
    Out("recipient_count", INTEGER),
    Out("subject"),
    Out("batch_id", maybe=True),
    Out("tags", TEXTS),
    Out("stream", STREAM),
    Out("mode", MODE),
    Out("opens", INTEGER),
    Out("clicks", INTEGER),
    Out("created_at", TIME),
    Out("completed_at", TIME, maybe=True),
)
ATTACHMENT = Shape(
    "Attachment",
    Out("filename"),
    Out("content_type"),
    Out("size_bytes", INTEGER),
    Out("disposition", word("attachment", "inline")),
    Out("content_id", maybe=True),
)
LAST_RESPONSE = Leaf(
    {
        "type": ["object", "null"],
        "description": "What the receiving server said last; null before the first attempt.",
        "required": ["code", "enhanced_code", "text", "mx_host", "at"],
        "properties": {
            "code": {"type": ["integer", "null"]},
            "enhanced_code": {"type": ["string", "null"]},
            "text": {"type": ["string", "null"]},
            "mx_host": {"type": ["string", "null"]},
            "at": {"type": "string", "format": "date-time"},
        },
    }
)


def _last_response(delivery: Mapping[str, Any]) -> dict[str, Any] | None:
    at = delivery["lastAttemptAt"]
    if at is None:
        return None
    return {
        "code": delivery["code"],
        "enhanced_code": delivery["enhancedCode"],
        "text": delivery["reply"],
        "mx_host": delivery["mxHost"],
        "at": restyle_time(at),
    }


def _named(pairs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {pair["name"]: pair["value"] for pair in pairs}


HEADERS = Leaf({"type": "object", "additionalProperties": {"type": "string"}}, _named)


def _outline(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return message["outline"] or NOTHING


NOTHING: Mapping[str, Any] = {"replyTo": [], "headers": [], "attachments": []}
"""What is left of a message whose content is no longer kept."""


RECIPIENT = Shape(
    "Recipient",
    Out("id", UUID, of="uuid"),
    Out("email", of="address"),
    Out("kind", RECIPIENT_KIND),
    Out("status", RECIPIENT_STATUS, of="state"),
    Out("isp", ISP),
    Out("vmta", of="vmtaName", maybe=True),
    Out("queue_id", UUID, of="queueUuid"),
    Out("attempts", INTEGER, of="attemptCount"),
    Out("last_response", LAST_RESPONSE, from_whole=_last_response),
    Out("bounce_class", BOUNCE_CLASS, maybe=True),
    Out("next_attempt_at", TIME, maybe=True),
    Out("delivered_at", TIME, maybe=True),
    Out("first_opened_at", TIME, maybe=True),
    Out("opens", INTEGER),
    Out("clicks", INTEGER),
    extra="code enhancedCode reply mxHost lastAttemptAt",
)
EVENT = Shape(
    "Event",
    Out("id", UUID, of="uuid"),
    Out("type", word(*EVENT_TYPES)),
    Out("recipient_id", UUID, of="deliveryUuid", maybe=True),
    Out("timestamp", TIME, of="occurredAt"),
    Out("data", FREE),
)
CONTENT = Shape(
    "Content",
    Out("html", maybe=True),
    Out("text", maybe=True),
    Out("headers", HEADERS, of="headers { name value }"),
)
MESSAGE = Shape(
    "Message",
    Out("id", UUID, of="uuid"),
    Out("status", MESSAGE_STATUS),
    Out("message_id", bracketed()),
    Out("from", of="sender"),
    Out("reply_to", TEXTS, from_whole=lambda m: list(_outline(m)["replyTo"])),
    Out("subject"),
    Out("headers", HEADERS, from_whole=lambda m: _named(_outline(m)["headers"])),
    Out("batch_id", maybe=True),
    Out("tags", TEXTS),
    Out("metadata", TEXT_MAP),
    Out("stream", STREAM),
    Out("mode", MODE),
    Out("track_opens", FLAG),
    Out("track_clicks", FLAG),
    Out("size_bytes", INTEGER),
    Out(
        "attachments",
        Many(ATTACHMENT),
        from_whole=lambda m: [ATTACHMENT.write(file) for file in _outline(m)["attachments"]],
    ),
    Out("pool", maybe=True),
    Out("vmta", of="vmtaName", maybe=True),
    Out("send_at", TIME, maybe=True),
    Out("expires_at", TIME),
    Out("recipients", Many(RECIPIENT), of="deliveries"),
    Out("events", Many(EVENT), of="events @include(if: $events)", optional=True),
    Out("content", CONTENT, of="content @include(if: $content)", optional=True, maybe=True),
    Out("created_at", TIME),
    Out("completed_at", TIME, maybe=True),
    extra=f"outline {{ replyTo headers {{ name value }} attachments {ATTACHMENT.selection()} }}",
)
CANCELLATION = Shape(
    "Cancellation",
    Out("id", UUID, of="uuid"),
    Out("status", MESSAGE_STATUS),
    Out("cancelled", INTEGER),
    Out("in_progress", INTEGER),
    Out("already_final", INTEGER),
    Out("credits_refunded", INTEGER),
    Out("cancelled_at", TIME),
)
MESSAGE_EXISTS = Document("query Message($id: ID!) { organization { message(id: $id) { uuid } } }")
FILTERS = (
    Param("status", choice(*MESSAGE_STATUSES), "Any of these.", ours="statuses", many=True),
    Param("from", TEXT, "Address of From.", ours="sender", normal=normal_address),
    Param("to", TEXT, "Address of any recipient.", ours="recipient", normal=normal_address),
    Param("domain", TEXT, "Sending domain, by id or name.", normal=normal_domain),
    Param("recipient_domain", TEXT, "Domain of any recipient.", normal=normal_domain),
    Param("isp", choice(*ISPS), "Mailbox provider of any recipient."),
    Param("batch_id", TEXT, "Batch."),
    Param("tag", TEXT, "Tag."),
    Param("stream", choice(*STREAMS), "Kind of mail."),
    Param("vmta", TEXT, "The vMTA that was asked for, by id or name."),
    Param("pool", TEXT, "The pool that was asked for."),
    Param("mode", choice(*MODES), "Live or sandbox."),
    Param("api_key_id", UUID_TEXT, "The API key it was sent with.", ours="apiKey"),
    Param("bounce_class", choice(*BOUNCE_CLASSES), "Why a recipient failed."),
    Param("message_id", TEXT, "Message-ID.", normal=lambda text: text.strip("<> ")),
    Param("metadata", TEXT, "Exact value of a key, as `metadata[key]`.", keyed=True),
    Param("q", TEXT, "Words in the subject.", ours="subject"),
    Param(
        "created_after",
        Time(),
        "Accepted then or later; seven days ago without it, and at most 30.",
    ),
    Param("created_before", Time(), "Accepted before then."),
)
LIST_PARAMS = list_params(
    *FILTERS, sorts={"-created_at": False, "created_at": True}, usual="-created_at"
)
_page = page_answer(SUMMARY)


def _list_variables(call: Call) -> dict[str, Any]:
    variables = list_variables(call, usual=False)
    window = None
    if variables["after"] is not None:
        variables["after"], window = open_cursor(variables["after"])
        if window is not None and read_time(window) is None:
            raise invalid_cursor()
    asked = call.given.get("created_after")
    earliest = write_time(clock.now() - (USUAL_WINDOW if asked is None else LONGEST_WINDOW))
    if asked is None or asked < earliest:
        window = window or earliest
        variables["filter"]["createdAfter"] = window
        call.given["created_after"] = window
        call.query["window"] = window
    domain = variables["filter"].pop("domain", None)
    if domain is not None:
        name = "domain" if UUID_PATTERN.fullmatch(domain) else "senderDomain"
        variables["filter"][name] = domain
    return variables


def _list_answer(data: Any, call: Call) -> dict[str, Any]:
    body = _page(data, call)
    pagination = body["pagination"]
    if pagination["next_cursor"] is not None:
        pagination["next_cursor"] = seal_cursor(pagination["next_cursor"], call.query.get("window"))
    return body


class Includes:
    """Which parts come along."""

    parts = None
    words = ("events", "content", "none")

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if value not in self.words:
            found.add(at, DetailCode.NOT_ALLOWED, "Choose of events, content, none.")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "string", "enum": list(self.words)}


def _one_variables(call: Call) -> dict[str, Any]:
    included = call.query.get("include", ["events"])
    return {
        "id": call.path["id"],
        "events": "events" in included,
        "content": "content" in included,
    }


ROUTES = (
    CompatRoute(
        method="GET",
        path="/api/v1/messages",
        source=SOURCE,
        summary="List messages with pagination and filters",
        permission=Permission.READ_MESSAGES,
        query=LIST_PARAMS,
        document=list_document(
            "messages",
            SUMMARY,
            declared="$filter: MessageFilter, $order: Boolean!",
            passed="filter: $filter, oldestFirst: $order",
        ),
        variables=_list_variables,
        answer=_list_answer,
        shape=SUMMARY,
        is_list=True,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/messages/{id}",
        source=SOURCE,
        summary="Get a message by id",
        permission=Permission.READ_MESSAGES,
        ids={"id": IdForm.UUID},
        query=Params(
            Param(
                "include",
                Includes(),
                "`events` (up to 200, oldest first), `content` (needs the role `developer` or "
                "the scope `messages:write`, and is audited), or `none`.",
                many=True,
                default=["events"],
            )
        ),
        document=Document(
            "query Message($id: ID!, $events: Boolean!, $content: Boolean!) "
            f"{{ organization {{ message(id: $id) {MESSAGE.selection()} }} }}"
        ),
        variables=_one_variables,
        answer=lambda data, call: MESSAGE.write(data["organization"]["message"]),
        shape=MESSAGE,
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/messages/{id}/cancel",
        source=SOURCE,
        summary="Cancel a queued message",
        permission=Permission.WRITE_MESSAGES,
        ids={"id": IdForm.UUID},
        target=MESSAGE_EXISTS,
        body=Fields(Field("reason", Text(longest=200), "For the audit log.")),
        body_is_optional=True,
        document=Document(
            "mutation Cancel($input: CancelMessageInput!) "
            f"{{ cancelMessage(input: $input) {CANCELLATION.selection()} }}"
        ),
        variables=lambda call: {"input": {"id": call.path["id"], **call.body}},
        answer=lambda data, call: CANCELLATION.write(data["cancelMessage"]),
        shape=CANCELLATION,
        refusals=(ErrorCode.NOT_CANCELLABLE,),
    ),
)
