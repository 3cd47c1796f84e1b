"""PostMTA's sending of one message, and what a message may say."""

import re
from dataclasses import replace
from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import INTEGER, TIME, UUID, Leaf, Many, Out, Shape
from ...fields import (
    TEXT,
    Field,
    Fields,
    Flag,
    FreeObject,
    Integer,
    ListOf,
    Object,
    Text,
    TextMap,
    Time,
    choice,
)
from ...route import MIB, Call, CompatRoute, Refused
from ..shapes import MESSAGE_STATUS, MODE, RECIPIENT_KIND, RECIPIENT_STATUS, SOURCE, bracketed

MAILBOX = Text(longest=1_100)
"""One mailbox with its display name."""
MAILBOXES = ListOf(MAILBOX, lone=True)


ATTACHMENT = Fields(
    Field("filename", Text(1, 255), "Its name, without a path.", required=True),
    Field("content", Text(format="base64"), "Its bytes in base64.", required=True),
    Field("content_type", TEXT, "Such as `image/png`; without it, it follows from the name."),
    Field(
        "disposition",
        choice("attachment", "inline"),
        "Beside the text, or within it.",
        default="attachment",
    ),
    Field("content_id", TEXT, "How the HTML refers to it; required for an inline file."),
    name="NewAttachment",
)
MESSAGE_FIELDS = (
    Field(
        "from",
        MAILBOX,
        "One mailbox; its domain is a sending domain of the organization or below one.",
        required=True,
        example="sender@yourdomain.com",
    ),
    Field(
        "to",
        MAILBOXES,
        "Mailboxes; with `cc` and `bcc` at most 50, none of them twice.",
        required=True,
        example=["recipient@example.com"],
    ),
    Field("cc", MAILBOXES, "Mailboxes.", default=[]),
    Field("bcc", MAILBOXES, "Mailboxes that no recipient sees.", default=[]),
    Field("reply_to", MAILBOXES, "Up to 5 mailboxes that answers go to."),
    Field("subject", Text(1, 998), "No line breaks; required.", example="Hello"),
    Field("html", TEXT, "At most 5 MiB; it or `text` is required.", example="<p>Hello!</p>"),
    Field("text", TEXT, "At most 5 MiB; made from `html` when absent."),
    Field("headers", TextMap(50, pairs=True), "Further header fields, 8 KiB in all.", default={}),
    Field("attachments", ListOf(Object(ATTACHMENT), most=20), "Files.", default=[]),
    Field("tags", ListOf(Text(1, 64, r"^[A-Za-z0-9._:-]+$"), most=10), "Words.", default=[]),
    Field(
        "metadata",
        TextMap(20, longest_key=40, longest=256),
        "Keys and values of yours; webhooks show them.",
        default={},
    ),
    Field("track_opens", Flag(), "Track opens; without it, the domain decides.", example=True),
    Field("track_clicks", Flag(), "Track clicks; without it, the domain decides.", example=True),
    Field("send_at", Time(), "Not before this time; up to 30 days ahead."),
    Field(
        "stream",
        choice("transactional", "marketing"),
        "Decides priority, suppression and required headers.",
        default="transactional",
    ),
    Field("vmta", TEXT, "Id or name of a vMTA; not together with `pool`."),
    Field("pool", TEXT, "Name of a pool; without it, the domain's."),
    Field(
        "template_id",
        TEXT,
        "UUID or slug of a published template, which fills what the message does not say; not "
        "together with `html` or `text`.",
    ),
    Field(
        "template_data",
        FreeObject(),
        "What the template is filled with, and `locale`; 64 KiB at the most.",
        default={},
    ),
    Field("batch_id", Text(1, 128, r"^[A-Za-z0-9._:-]+$"), "Your name for its batch."),
    Field(
        "max_lifetime_seconds",
        Integer(300, 432_000),
        "How long it is tried.",
        default=259_200,
    ),
)
MESSAGE = Fields(*MESSAGE_FIELDS, name="NewMessage")

RECIPIENT = Shape(
    "ReceiptRecipient",
    Out("id", UUID, of="uuid"),
    Out("email", of="address"),
    Out("kind", RECIPIENT_KIND),
    Out("status", RECIPIENT_STATUS, of="state"),
)
RECEIPT = Shape(
    "SendReceipt",
    Out("id", UUID, of="uuid"),
    Out("status", MESSAGE_STATUS),
    Out("message_id", bracketed()),
    Out("batch_id", maybe=True),
    Out("mode", MODE),
    Out("recipients", Many(RECIPIENT)),
    Out("accepted", INTEGER),
    Out("suppressed", INTEGER),
    Out("credits_consumed", INTEGER),
    Out("credits_remaining", INTEGER, maybe=True, about="Null when unlimited."),
    Out("send_at", TIME, maybe=True),
    Out("warnings", Many(Leaf({"type": "string"}))),
    Out("created_at", TIME),
)


def sent(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message that was read as our schema takes it."""
    found = dict(message)
    template, values = found.pop("templateId", None), found.pop("templateData", None) or {}
    if template is not None:
        locale = values.get("locale")
        found["template"] = {
            "template": template,
            "variables": values,
            "locale": locale if isinstance(locale, str) else None,
        }
    return found


_OF_TEMPLATE = re.compile(r"\btemplate(\.variables\b)?(\.(?:template|subject|html|text)\b)?")


def of_template(path: str) -> str:
    """Return a path of our input by which the client's fields of a template can be found."""
    return _OF_TEMPLATE.sub(lambda m: "templateData" if m[1] else "templateId", path, count=1)


def by_their_names(refused: Refused, call: Call) -> Refused:
    """Return a refusal that names the fields of a template as the client does."""
    details = [replace(detail, field=of_template(detail.field)) for detail in refused.details]
    return Refused(
        refused.code,
        refused.message,
        details=details,
        retry_after_seconds=refused.retry_after_seconds,
        in_our_words=refused.in_our_words,
    )


SEND = CompatRoute(
    method="POST",
    path="/api/v1/messages/send",
    source=SOURCE,
    summary="Send a single email message",
    permission=Permission.SEND_MESSAGES,
    body=MESSAGE,
    body_limit_bytes=35 * MIB,
    is_idempotent=True,
    document=Document(
        "mutation Send($input: SendMessageInput!) { sendMessage(input: $input) "
        f"{{ receipt {RECEIPT.selection()} }} }}"
    ),
    variables=lambda call: {"input": sent(call.body)},
    answer=lambda data, call: RECEIPT.write(data["sendMessage"]["receipt"]),
    shape=RECEIPT,
    status=202,
    refusals=(
        ErrorCode.INSUFFICIENT_CREDITS,
        ErrorCode.DOMAIN_NOT_VERIFIED,
        ErrorCode.DOMAIN_NOT_ALLOWED,
        ErrorCode.MESSAGE_TOO_LARGE,
    ),
    refused=by_their_names,
    differences=(
        "`template_id` takes a slug, too; templates are written in Jinja or as `{{name}}`. "
        "`locale` in `template_data` chooses the language.",
    ),
)
