"""Postal's four actions, each by four methods."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...core.actor import Permission
from ...core.errors import DetailCode, ErrorCode
from ...graphql.execute import Document
from ..fields import Field, Fields
from ..route import MIB, Call, CompatRoute, Refused
from .dialect import NOT_AUTHORISED, PostalError
from .fields import (
    LARGEST_NUMBER,
    AddressArray,
    Addresses,
    Expansions,
    Files,
    Headers,
    Line,
    Number,
    Strict,
    Truth,
)
from .shapes import (
    ATTACHMENT,
    ATTEMPT_SELECTION,
    DELIVERY,
    DETAILS_SELECTION,
    EVENT_SELECTION,
    EXPANSIONS,
    MESSAGE,
    OF_CONTENT,
    RECEIPT,
    RECEIPT_SELECTION,
    SOURCE,
    STATE_SELECTION,
    deliveries_of,
    message,
    recipient_keys,
    sent,
)

METHODS = ("POST", "GET", "PUT", "PATCH")
MOST_OF_KIND = 50
MOST_OF_RAW = 1_000

ADDRESSES = Addresses(MOST_OF_KIND)
MESSAGE_FIELDS = Fields(
    Field("to", ADDRESSES, "Up to 50 addresses; one text is split at its commas."),
    Field("cc", ADDRESSES, "Up to 50 addresses, counted by themselves."),
    Field("bcc", ADDRESSES, "Up to 50 addresses that no recipient sees."),
    Field("from", Strict(), "One mailbox; its domain must be a verified one of its own name."),
    Field("sender", Line(), "The field Sender.", ours="submitter"),
    Field("subject", Line(), "The subject; may be left out."),
    Field("reply_to", Line(), "The field Reply-To."),
    Field("plain_body", Line(), "Plain text; it or `html_body` is required.", ours="text"),
    Field("html_body", Line(), "HTML; it or `plain_body` is required.", ours="html"),
    Field("tag", Line(), "A text to find it by."),
    Field("bounce", Truth(), "Whether it is a bounce itself.", ours="nullSender"),
    Field("headers", Headers(), "Further header fields."),
    Field("attachments", Files(), "Objects with `name`, `content_type` and `data` in base64."),
)
RAW_FIELDS = Fields(
    Field(
        "rcpt_to",
        AddressArray(MOST_OF_RAW),
        "Addresses; repeats are passed over, and none is allowed.",
        required=True,
        ours="recipients",
    ),
    Field("mail_from", Line(), "A sender to be shown.", required=True, ours="envelopeSender"),
    Field("data", Strict(), "The whole message in base64.", required=True),
    Field("bounce", Truth(), "Whether it is a bounce itself.", ours="nullSender"),
)
ID = Field("id", Number(), "The number of the message.", required=True, ours="number")
MESSAGE_READ = Fields(
    ID,
    Field(
        "_expansions",
        Expansions(),
        "`true` for all, or any of " + ", ".join(f"`{each.name}`" for each in EXPANSIONS) + ".",
        ours="expansions",
    ),
)

_TOO_MANY = "The maximum number of {} addresses has been reached (maximum 50)"
REFUSALS: dict[tuple[str, DetailCode], tuple[str, str]] = {
    ("to", DetailCode.REQUIRED): (
        "NoRecipients",
        "There are no recipients defined to receive this message",
    ),
    ("to", DetailCode.TOO_MANY): ("TooManyToAddresses", _TOO_MANY.format("To")),
    ("cc", DetailCode.TOO_MANY): ("TooManyCCAddresses", _TOO_MANY.format("CC")),
    ("bcc", DetailCode.TOO_MANY): ("TooManyBCCAddresses", _TOO_MANY.format("BCC")),
    ("text", DetailCode.REQUIRED): (
        "NoContent",
        "There is no content defined for this e-mail",
    ),
    ("from", DetailCode.REQUIRED): (
        "FromAddressMissing",
        "The From address is missing and is required",
    ),
    ("filename", DetailCode.REQUIRED): (
        "AttachmentMissingName",
        "An attachment is missing a name",
    ),
    ("content", DetailCode.REQUIRED): (
        "AttachmentMissingData",
        "An attachment is missing data",
    ),
}
"""Code and sentence of what is wrong with a field of our input."""
NO_MESSAGE_FOUND = "No message found matching provided ID"
_NOT_OURS = frozenset({ErrorCode.DOMAIN_NOT_VERIFIED, ErrorCode.DOMAIN_NOT_ALLOWED})


def _not_sent(refused: Refused, call: Call) -> Refused:
    if refused.code in _NOT_OURS:
        return PostalError(*NOT_AUTHORISED)
    for detail in refused.details:
        told = REFUSALS.get((detail.field.rpartition(".")[2], detail.code))
        if told is not None:
            return PostalError(*told)
    return refused


def _raw_not_sent(refused: Refused, call: Call) -> Refused:
    return PostalError(NOT_AUTHORISED[0], None) if refused.code in _NOT_OURS else refused


def _not_found(refused: Refused, call: Call) -> Refused:
    if refused.code is not ErrorCode.NOT_FOUND:
        return refused
    return PostalError("MessageNotFound", NO_MESSAGE_FOUND, {"id": call.given["id"]})


def _number(call: Call) -> int:
    number: int = call.body["number"]
    if not 0 < number <= LARGEST_NUMBER:
        raise _not_found(Refused(ErrorCode.NOT_FOUND, ""), call)
    return number


def _raw_variables(call: Call) -> dict[str, Any]:
    # Where two are the same text, the second is passed over.
    call.body["recipients"] = list(dict.fromkeys(call.body["recipients"]))
    return {"input": {**call.body, "tagHeader": "X-Postal-Tag"}}


def _sent_to(call: Call) -> list[str]:
    return recipient_keys(*(call.body.get(kind, []) for kind in ("to", "cc", "bcc")))


def _asked(call: Call) -> Sequence[str]:
    asked = call.body.get("expansions", [])
    names = [each.name for each in EXPANSIONS]
    return names if asked is True else [name for name in names if name in asked]


def _message_variables(call: Call) -> dict[str, Any]:
    asked = set(_asked(call))
    return {
        "number": _number(call),
        "status": "status" in asked,
        "details": "details" in asked,
        "view": bool(asked & OF_CONTENT),
        "raw": "raw_message" in asked,
        "content": bool(asked & OF_CONTENT) or "raw_message" in asked,
        "activity": "activity_entries" in asked,
    }


READ = Document(
    "query PostalMessage($number: BigInt!, $status: Boolean!, $details: Boolean!, "
    "$content: Boolean!, $view: Boolean!, $raw: Boolean!, $activity: Boolean!) "
    "{ organization { deliveryByNumber(number: $number) { number token "
    f"... @include(if: $status) {{ {STATE_SELECTION} }} "
    f"... @include(if: $details) {{ address {DETAILS_SELECTION} }} "
    "... @include(if: $content) { message { content { source @include(if: $raw) "
    "view @include(if: $view) { text html headers { name value } "
    f"files {ATTACHMENT.selection()} }} }} }} }} "
    f"... @include(if: $activity) {{ {EVENT_SELECTION} }} "
    "} } }"
)

_ACTIONS = (
    CompatRoute(
        method="POST",
        path="/api/v1/send/message",
        source=SOURCE,
        summary="Send a message",
        permission=Permission.SEND_MESSAGES,
        is_closed_while_suspended=True,
        body=MESSAGE_FIELDS,
        body_limit_bytes=35 * MIB,
        document=Document(
            "mutation PostalSend($input: SendLenientMessageInput!) "
            f"{{ sendLenientMessage(input: $input) {{ receipt {RECEIPT_SELECTION} }} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: sent(data["sendLenientMessage"]["receipt"], _sent_to(call)),
        shape=RECEIPT,
        refused=_not_sent,
        differences=(
            "`message_id` ends in the sender's domain instead of the installation's, as all mail "
            "here does, so that it shows nobody's platform; and its UUID is of version 7.",
            "The field Received names no client, as in Postal's privacy mode: where a program runs "
            "is none of a recipient's business. The mail has only as many levels of parts as it "
            "needs, because some programs show a mail of one text in a multipart as an attachment.",
            "There is no permission to be let in by `sender` or by a domain for any sender: From "
            "is what people see, and what DMARC judges.",
            "Recipients that are no addresses are not in To and Cc, where receivers refuse them.",
            "Header fields that Postal would write twice or wrongly are left out: `Content-*`, "
            "`MIME-Version`, `Received`, `Return-Path`, `DKIM-Signature`, `ARC-*`, "
            "`BIMI-Selector`, and names that are none. Line breaks in values become spaces, so "
            "that nobody adds fields by them.",
            "A `Date` of one's own is kept in UTC, in which all times are kept.",
            "A tag is cut at 64 characters, and a subject at 998, because they stand in lines "
            "and indexes.",
            "Together with its files a message has at most 25 MiB: beyond, `MessageTooLarge`; "
            "there are at most 200 header fields of 64 KiB. Most receivers take no more.",
            "Where credits are used up, sending is refused as `InsufficientCredits` instead of "
            "being held, so that the program hears of it.",
        ),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/send/raw",
        source=SOURCE,
        summary="Send a raw RFC 2822 message",
        permission=Permission.SEND_MESSAGES,
        is_closed_while_suspended=True,
        body=RAW_FIELDS,
        body_limit_bytes=35 * MIB,
        document=Document(
            "mutation PostalSendRaw($input: SendLenientRawMessageInput!) "
            f"{{ sendLenientRawMessage(input: $input) {{ receipt {RECEIPT_SELECTION} }} }}"
        ),
        variables=_raw_variables,
        answer=lambda data, call: sent(
            data["sendLenientRawMessage"]["receipt"], call.body["recipients"]
        ),
        shape=RECEIPT,
        refused=_raw_not_sent,
        differences=(
            "Bcc and Return-Path are taken out of the message, because recipients would read "
            "them, and its lines end in CRLF, as SMTP asks.",
            "A message that cannot be sent safely is refused as `parameter-error`: with a NUL, a "
            "carriage return alone, a line over 998 octets, one field twice, a multipart type "
            "without its parts, or more than 100 parts within parts. Servers on the way read such "
            "mail in different ways, which lets senders smuggle.",
            "From has exactly one address, as DMARC demands.",
            "There are at most 1,000 recipients, and 25 MiB, for one request is one transaction.",
        ),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/messages/message",
        source=SOURCE,
        summary="Return a message",
        permission=Permission.READ_MESSAGES,
        is_closed_while_suspended=True,
        body=MESSAGE_READ,
        document=READ,
        variables=_message_variables,
        answer=lambda data, call: message(data["organization"]["deliveryByNumber"], _asked(call)),
        shape=MESSAGE,
        refused=_not_found,
        differences=(
            "Bodies, header fields, files and `raw_message` need a key with `messages:write`, "
            "and each reading is noted in the audit log, because they are people's letters.",
            "They are the message as it was handed in, which is what is kept: without signature, "
            "links and pixel.",
            "Mail that goes out is not inspected: `inspection` says so, as it does in Postal "
            "unless that is switched on.",
            "`hold_expiry` is null for recipients on the suppression list, whose hold does not "
            "end by itself.",
            "Mail that came in is no part of it, because none is kept.",
        ),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/messages/deliveries",
        source=SOURCE,
        summary="Return the deliveries of a message",
        permission=Permission.READ_MESSAGES,
        is_closed_while_suspended=True,
        body=Fields(ID),
        document=Document(
            "query PostalDeliveries($number: BigInt!) { organization "
            f"{{ deliveryByNumber(number: $number) {{ {STATE_SELECTION} {ATTEMPT_SELECTION} }} "
            "} }"
        ),
        variables=lambda call: {"number": _number(call)},
        answer=lambda data, call: list(deliveries_of(data["organization"]["deliveryByNumber"])),
        shape=DELIVERY,
        is_list=True,
        refused=_not_found,
        differences=(
            "`details` are sentences of ours; Postal's are its own, and may change.",
            "There are other intervals between attempts, and mail is given up after three days, "
            "by the schedule that holds for all mail here.",
        ),
    ),
)
ROUTES = tuple(replace(action, method=method) for action in _ACTIONS for method in METHODS)
"""Every action by every method, which makes no difference."""
