"""Postal's words ↔ ours: a message of theirs is a delivery of ours, a delivery an attempt."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...core.wording import counted
from ...mail.lenient import bare_address
from ..answers import FLAG, INTEGER, TEXT, Fixed, Leaf, Many, Out, Shape, Written

SOURCE = "https://docs.postalserver.io/developer/api"
NUMBER = Leaf({"type": "number"})
OBJECT = Leaf({"type": "object"})
LONGEST_TEXT = 250
"""Characters of what is said about an attempt."""
LONGEST_SUBJECT = 200
ATTEMPTS = 1_000
"""More attempts than one delivery has, so that each has a number of its own."""

STATES = {
    "SCHEDULED": "Pending",
    "QUEUED": "Pending",
    "SENDING": "Pending",
    "DEFERRED": "SoftFail",
    "DELIVERED": "Sent",
    "BOUNCED": "HardFail",
    "EXPIRED": "HardFail",
    "SUPPRESSED": "Held",
    "CANCELLED": "HoldCancelled",
}
_VERDICTS = {"DELIVERED": "Sent", "DEFERRED": "SoftFail", "BOUNCED": "HardFail"}

RECEIPT = Shape(
    "PostalReceipt",
    Out("message_id", maybe=True),
    Out("messages", OBJECT, from_whole=lambda receipt: receipt["messages"]),
)
"""What is answered to sending; keys of `messages` are recipients."""
RECEIPT_SELECTION = "{ messageId recipients { number token } }"


def sent(receipt: Mapping[str, Any] | None, keys: Sequence[str]) -> dict[str, Any]:
    """Return what is answered to sending: of a recipient who was named twice, the last."""
    if receipt is None:
        return {"message_id": None, "messages": {}}
    messages = {
        key: {"id": recipient["number"], "token": recipient["token"]}
        for key, recipient in zip(keys, receipt["recipients"], strict=True)
    }
    return RECEIPT.write({"messageId": receipt["messageId"] or None, "messages": messages})


def recipient_keys(*lists: Sequence[str]) -> list[str]:
    """Return recipients as the answer calls them, in their order."""
    return [bare_address(text) for texts in lists for text in texts]


def unix(text: str | None) -> float | None:
    """Return a time of ours in Unix seconds."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


def wrapped(content: str) -> str:
    """Return base64 in lines of 60 characters, each with its line feed."""
    # What is left after purging is an empty line in Postal, too.
    lines = (content[start : start + 60] for start in range(0, len(content), 60))
    return "".join(f"{line}\n" for line in lines)


def is_in_sandbox(delivery: Mapping[str, Any]) -> bool:
    """Say whether it is kept because its key or project is in the sandbox."""
    is_waiting = delivery["state"] in ("SCHEDULED", "QUEUED")
    return is_waiting and delivery["message"]["mode"] == "SANDBOX"


def status_of(delivery: Mapping[str, Any]) -> str:
    """Return how far a delivery is, in Postal's words."""
    if is_in_sandbox(delivery):
        return "Held"
    if delivery["state"] == "BOUNCED" and delivery["deliveredAt"] is not None:
        return "Bounced"
    return STATES[delivery["state"]]


STATE_SELECTION = (
    "number state address attemptCount lastAttemptAt deliveredAt settledAt expiresAt createdAt "
    "message { mode }"
)


def _status(delivery: Mapping[str, Any]) -> dict[str, Any]:
    status = status_of(delivery)
    said = last_word(delivery, number=0)
    expiry = delivery["expiresAt"] if is_in_sandbox(delivery) else None
    return {
        "status": status,
        "last_delivery_attempt": said["timestamp"] if said else unix(delivery["lastAttemptAt"]),
        "held": status == "Held",
        "hold_expiry": unix(expiry),
    }


def last_word(delivery: Mapping[str, Any], *, number: int) -> dict[str, Any] | None:
    """Return what ended or stopped a delivery without anybody being asked, as an entry."""
    state, address = delivery["state"], delivery["address"]
    at, details = delivery["settledAt"], None
    if is_in_sandbox(delivery):
        at, details = delivery["createdAt"], "The API key or its project is in the sandbox."
    elif state == "SUPPRESSED":
        details = f"{address} is on the suppression list."
    elif state == "CANCELLED":
        details = "The message was cancelled."
    elif state == "EXPIRED":
        details = f"Given up after {counted(delivery['attemptCount'], 'attempt')}."
    elif status_of(delivery) == "Bounced":
        details = f"A bounce of the message to {address} came back."
    if details is None or at is None:
        return None
    return {
        "id": delivery["number"] * ATTEMPTS + number,
        "status": status_of(delivery),
        "details": details[:LONGEST_TEXT],
        "output": None,
        "sent_with_ssl": False,
        "log_id": None,
        "time": None,
        "timestamp": unix(at),
    }


ATTEMPT_SELECTION = (
    "attempts { uuid number verdict code reply mxHost mxAddress tlsVersion startedAt durationMs }"
)


def deliveries_of(delivery: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the attempts of a delivery and what ended it, oldest first."""
    attempts = delivery["attempts"]
    for attempt in attempts:
        yield _attempt(attempt, delivery)
    said = last_word(delivery, number=len(attempts) + 1)
    if said is not None:
        yield said


def _attempt(attempt: Mapping[str, Any], delivery: Mapping[str, Any]) -> dict[str, Any]:
    code, took = attempt["code"], attempt["durationMs"]
    answered = f"{code} {attempt['reply']}".strip()[:LONGEST_TEXT] if code is not None else None
    began = unix(attempt["startedAt"])
    assert began is not None
    return {
        "id": delivery["number"] * ATTEMPTS + attempt["number"],
        "status": _VERDICTS[attempt["verdict"]],
        "details": _details(attempt, delivery)[:LONGEST_TEXT],
        "output": answered,
        "sent_with_ssl": attempt["tlsVersion"] is not None,
        "log_id": _log_id(attempt["uuid"]),
        "time": None if code is None else round(took / 1000, 2),
        "timestamp": round(began + took / 1000, 3),
    }


def _details(attempt: Mapping[str, Any], delivery: Mapping[str, Any]) -> str:
    if attempt["code"] is None:
        return f"No server took the message to {delivery['address']}: {attempt['reply']}"
    where = f"{attempt['mxHost']} ({attempt['mxAddress']})"
    if attempt["verdict"] == "DELIVERED":
        return f"The message to {delivery['address']} was accepted by {where}."
    how = "for the moment" if attempt["verdict"] == "DEFERRED" else "for good"
    return f"{where} refused the message to {delivery['address']} {how}."


def _log_id(uuid: str) -> str:
    """Return eight capitals and digits that name an attempt."""
    return base64.b32encode(hashlib.sha256(uuid.encode()).digest()[:5]).decode()


DELIVERY = Shape(
    "PostalDelivery",
    Out("id", INTEGER, about="Of the attempt."),
    Out("status", about="Of the attempt."),
    Out("details", about="At most 250 characters."),
    Out("output", maybe=True, about="What the server said."),
    Out("sent_with_ssl", FLAG, about="Whether it was encrypted."),
    Out("log_id", maybe=True, about="Eight capitals and digits."),
    Out("time", NUMBER, maybe=True, about="Seconds it took."),
    Out("timestamp", NUMBER, about="Unix seconds."),
)
STATUS = Shape(
    "PostalStatus",
    Out("status"),
    Out("last_delivery_attempt", NUMBER, maybe=True),
    Out("held", FLAG),
    Out("hold_expiry", NUMBER, maybe=True),
)


def _details_of(delivery: Mapping[str, Any]) -> dict[str, Any]:
    message = delivery["message"]
    return DETAILS.write({**message, "address": delivery["address"]})


def _size(message: Mapping[str, Any]) -> str | None:
    size = message["mailSizeBytes"]
    return None if size is None else str(size)


def _tag(message: Mapping[str, Any]) -> str | None:
    return message["tags"][0] if message["tags"] else None


DETAILS = Shape(
    "PostalDetails",
    Out("rcpt_to", from_whole=lambda m: m["address"]),
    Out("mail_from", from_whole=lambda m: m["envelopeSender"] or m["sender"], maybe=True),
    Out("subject", from_whole=lambda m: m["subject"][:LONGEST_SUBJECT] or None, maybe=True),
    Out("message_id", from_whole=lambda m: m["messageId"] or None, maybe=True),
    Out("timestamp", NUMBER, from_whole=lambda m: unix(m["createdAt"])),
    Out("direction", Fixed("outgoing", {"type": "string"})),
    Out("size", from_whole=_size, maybe=True),
    Out("bounce", FLAG, from_whole=lambda m: m["nullSender"]),
    Out("bounce_for_id", Fixed(0, {"type": "integer"})),
    Out("tag", from_whole=_tag, maybe=True),
    Out(
        "received_with_ssl",
        FLAG,
        from_whole=lambda m: None if m["source"] == "SMTP" else True,
        maybe=True,
    ),
)
DETAILS_SELECTION = (
    "message { subject messageId sender envelopeSender nullSender tags source createdAt "
    "mailSizeBytes }"
)
INSPECTION = Shape(
    "PostalInspection",
    Out("inspected", Fixed(False, {"type": "boolean"})),
    Out("spam", Fixed(False, {"type": "boolean"})),
    Out("spam_score", Fixed(0.0, {"type": "number"})),
    Out("threat", Fixed(False, {"type": "boolean"})),
    Out("threat_details", Fixed(None, {"type": "null"})),
)
"""Of mail that nobody inspected, as all outgoing mail is."""
ATTACHMENT = Shape(
    "PostalAttachment",
    Out("filename"),
    Out("content_type"),
    Out("data", Leaf({"type": "string"}, wrapped), of="content"),
    Out("size", INTEGER, of="sizeBytes"),
    Out("hash", of="sha1"),
)
LOAD = Shape(
    "PostalLoad",
    Out("ip_address", from_whole=lambda e: e["data"].get("ip"), maybe=True),
    Out("user_agent", from_whole=lambda e: e["data"].get("user_agent"), maybe=True),
    Out("timestamp", of="occurredAt"),
)
CLICK = Shape(
    "PostalClick",
    Out("url", from_whole=lambda e: e["data"].get("url")),
    *LOAD.fields,
)
EVENT_SELECTION = "events(types: [MESSAGE_OPENED, MESSAGE_CLICKED]) { type data occurredAt }"


def _activity(delivery: Mapping[str, Any]) -> dict[str, Any]:
    events = delivery["events"]
    return {
        "loads": [
            LOAD.write(each)
            for each in events
            # A click shows that it was opened, which nobody has seen.
            if each["type"] == "MESSAGE_OPENED" and not each["data"].get("implied")
        ],
        "clicks": [CLICK.write(each) for each in events if each["type"] == "MESSAGE_CLICKED"],
    }


def _view(delivery: Mapping[str, Any]) -> Mapping[str, Any]:
    content = delivery["message"]["content"]
    return NO_VIEW if content is None else content["view"]


NO_VIEW: Mapping[str, Any] = {"text": None, "html": None, "files": [], "headers": []}
"""What is left of a message whose content is no longer kept."""
NO_MESSAGE = "DQoNCg==\n"


def _headers(delivery: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for field in _view(delivery)["headers"]:
        found.setdefault(field["name"].lower(), []).append(field["value"])
    return found


def _raw(delivery: Mapping[str, Any]) -> str:
    content = delivery["message"]["content"]
    return NO_MESSAGE if content is None else wrapped(content["source"])


def _expansion(name: str, type: Written, write: Any, *, maybe: bool = False) -> Out:
    return Out(name, type, from_whole=write, maybe=maybe, optional=True)


EXPANSIONS = (
    _expansion("status", STATUS, _status),
    _expansion("details", DETAILS, _details_of),
    _expansion("inspection", INSPECTION, INSPECTION.write),
    _expansion("plain_body", TEXT, lambda d: _view(d)["text"], maybe=True),
    _expansion("html_body", TEXT, lambda d: _view(d)["html"], maybe=True),
    _expansion(
        "attachments",
        Many(ATTACHMENT),
        lambda d: [ATTACHMENT.write(file) for file in _view(d)["files"]],
    ),
    _expansion("headers", OBJECT, _headers),
    _expansion("raw_message", TEXT, _raw),
    _expansion("activity_entries", OBJECT, _activity),
)
"""In the order in which they are answered."""
MESSAGE = Shape("PostalMessage", Out("id", INTEGER, of="number"), Out("token"), *EXPANSIONS)
OF_CONTENT = frozenset({"plain_body", "html_body", "attachments", "headers"})
"""Expansions that need the message to be read."""


def message(delivery: Mapping[str, Any], asked: Sequence[str]) -> dict[str, Any]:
    """Return a message with the expansions that were asked for."""
    found = {"id": delivery["number"], "token": delivery["token"]}
    for each in EXPANSIONS:
        if each.name in asked and each.from_whole is not None:
            found[each.name] = each.from_whole(delivery)
    return found
