"""What a call says in Postal's format: the envelope, and a payload for each kind of event.

What Postal calls a message is a delivery here. An event that it does not know makes no call.

Source: https://docs.postalserver.io/developer/webhooks, and postal-api sections 5.2 to 5.5 and 5.7.
"""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core.markup import encode_json
from ..events.rules import EventType

WAITS = tuple(timedelta(minutes=minutes) for minutes in (2, 3, 6, 10, 15))
"""Before the 2nd, 3rd, ... attempt; the sixth is the last."""
TIMEOUT = timedelta(seconds=5)
"""For the whole exchange."""
LONGEST_TEXT = 250
"""Characters of what is said about an attempt."""

NAMES: Mapping[str, str] = {
    EventType.MESSAGE_DELIVERED: "MessageSent",
    EventType.MESSAGE_DEFERRED: "MessageDelayed",
    EventType.MESSAGE_BOUNCED: "MessageDeliveryFailed",
    EventType.MESSAGE_EXPIRED: "MessageDeliveryFailed",
    EventType.MESSAGE_QUEUED: "MessageHeld",
    EventType.MESSAGE_SUPPRESSED: "MessageHeld",
    EventType.MESSAGE_CLICKED: "MessageLinkClicked",
    EventType.MESSAGE_OPENED: "MessageLoaded",
    EventType.DOMAIN_DEGRADED: "DomainDNSError",
    EventType.DOMAIN_FAILED: "DomainDNSError",
}
"""What Postal calls an event by its type, where it may have a word for it; `name_of` knows all."""
CHOOSABLE = (*dict.fromkeys(NAMES.values()), "MessageBounced")
"""What a webhook of Postal's may be for."""


@dataclass(frozen=True, slots=True)
class PostalMessage:
    """What every payload says of the delivery that it is about."""

    number: int
    token: str
    message_id: str | None
    recipient: str
    sender: str | None
    subject: str | None
    created_at: datetime
    tag: str | None


@dataclass(frozen=True, slots=True)
class PostalServer:
    """What payloads about domains say of the project, or of the organization where it has none."""

    uuid: uuid.UUID
    name: str
    permalink: str
    organization: str
    """Its slug."""


@dataclass(frozen=True, slots=True)
class PostalEvent:
    """An event in Postal's terms."""

    name: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What happened, as payloads are made of it."""

    type: str
    data: Mapping[str, Any]
    occurred_at: datetime
    simulated: bool
    message: PostalMessage | None
    server: PostalServer | None
    """Events of domains need it."""


def postal_body(event: PostalEvent, *, id: uuid.UUID, queued_at: datetime) -> bytes:
    """Return the bytes to send and to sign, the same at every attempt of the call *id*."""
    return encode_json(
        {
            "event": event.name,
            "timestamp": queued_at.timestamp(),
            "payload": event.payload,
            "uuid": str(id),
        }
    )


def name_of(type: str, data: Mapping[str, Any], *, simulated: bool) -> str | None:
    """Return what Postal calls such an event, or None if it has no word for it."""
    if type == EventType.MESSAGE_QUEUED and not simulated:
        return None
    if type == EventType.MESSAGE_OPENED and data.get("implied"):
        # Nobody asked for the pixel; a click shows that somebody must have seen it.
        return None
    if type == EventType.MESSAGE_BOUNCED and data.get("source") == "dsn":
        return "MessageBounced"
    return NAMES.get(type)


def postal_event(told: Told) -> PostalEvent | None:
    """Return what happened in Postal's terms, or None for what it has no word for."""
    name = name_of(told.type, told.data, simulated=told.simulated)
    if name is None:
        return None
    if told.type in _OF_DOMAINS:
        return None if told.server is None else PostalEvent(name, _dns(told, told.server))
    if told.message is None:
        return None
    return PostalEvent(name, _OF_MESSAGES[told.type](told, told.message))


def message_object(message: PostalMessage) -> dict[str, Any]:
    """Return a delivery as payloads show it."""
    return {
        "id": message.number,
        "token": message.token,
        "direction": "outgoing",
        "message_id": message.message_id,
        "to": message.recipient,
        "from": message.sender,
        "subject": message.subject,
        "timestamp": message.created_at.timestamp(),
        "spam_status": "NotChecked",
        "tag": message.tag,
    }


def _delivery(told: Told, message: PostalMessage, status: str, details: str) -> dict[str, Any]:
    """Return the payload of the events that tell how a delivery goes."""
    data = told.data
    is_contacted = data.get("smtp_code") is not None
    took = data.get("duration_ms")
    return {
        "message": message_object(message),
        "status": status,
        "details": details[:LONGEST_TEXT],
        "output": (data.get("smtp_response") or "")[:LONGEST_TEXT] if is_contacted else "",
        "sent_with_ssl": data.get("tls") is not None if is_contacted else None,
        "timestamp": told.occurred_at.timestamp(),
        "time": round(took / 1000, 2) if is_contacted and took is not None else None,
    }


def _delivered(told: Told, message: PostalMessage) -> dict[str, Any]:
    details = f"The message to {message.recipient} was accepted by {told.data.get('mx_host')}."
    return _delivery(told, message, "Sent", details)


def _deferred(told: Told, message: PostalMessage) -> dict[str, Any]:
    return _delivery(told, message, "SoftFail", _refused(told, message, "for the moment"))


def _bounced(told: Told, message: PostalMessage) -> dict[str, Any]:
    if told.data.get("source") == "dsn":
        return {"original_message": message_object(message), "bounce": _report(told, message)}
    return _delivery(told, message, "HardFail", _refused(told, message, "for good"))


def _refused(told: Told, message: PostalMessage, how: str) -> str:
    if told.data.get("smtp_code") is None:
        said = told.data.get("smtp_response") or "no server was reached"
        return f"No server took the message to {message.recipient}: {said}"
    return f"{told.data.get('mx_host')} refused the message to {message.recipient} {how}."


def _report(told: Told, message: PostalMessage) -> dict[str, Any]:
    """Return the mail that told of a bounce, as far as there is anything left of it."""
    bounce = PostalMessage(0, "", None, message.sender or "", None, None, told.occurred_at, None)
    return {**message_object(bounce), "direction": "incoming"}


def _expired(told: Told, message: PostalMessage) -> dict[str, Any]:
    details = f"The message to {message.recipient} was given up after temporary failures."
    return _delivery(told, message, "HardFail", details)


def _suppressed(told: Told, message: PostalMessage) -> dict[str, Any]:
    return _delivery(told, message, "Held", f"{message.recipient} is on the suppression list.")


def _held_back(told: Told, message: PostalMessage) -> dict[str, Any]:
    return _delivery(told, message, "Held", "The API key or its project is in the sandbox.")


def _opened(told: Told, message: PostalMessage) -> dict[str, Any]:
    return {"message": message_object(message), **_browser(told)}


def _clicked(told: Told, message: PostalMessage) -> dict[str, Any]:
    return {
        "message": message_object(message),
        "url": told.data.get("url"),
        "token": _link_token(message, told.data.get("link_index")),
        **_browser(told),
    }


def _browser(told: Told) -> dict[str, Any]:
    return {"ip_address": told.data.get("ip"), "user_agent": told.data.get("user_agent")}


def _link_token(message: PostalMessage, index: object) -> str:
    """Return sixteen letters and digits that name one link of one delivery."""
    octets = hashlib.sha256(f"{message.token}/{index}".encode()).digest()
    return base64.b32encode(octets).decode()[:16]


_OF_MESSAGES: Mapping[str, Callable[[Told, PostalMessage], dict[str, Any]]] = {
    EventType.MESSAGE_QUEUED: _held_back,
    EventType.MESSAGE_DELIVERED: _delivered,
    EventType.MESSAGE_DEFERRED: _deferred,
    EventType.MESSAGE_BOUNCED: _bounced,
    EventType.MESSAGE_EXPIRED: _expired,
    EventType.MESSAGE_SUPPRESSED: _suppressed,
    EventType.MESSAGE_OPENED: _opened,
    EventType.MESSAGE_CLICKED: _clicked,
}
_OF_DOMAINS = frozenset({EventType.DOMAIN_DEGRADED, EventType.DOMAIN_FAILED})

_DNS_STATUSES = {"verified": "OK", "pending": "Missing", "mismatch": "Invalid", "error": "Invalid"}
_CHECKED = (("spf", "spf"), ("dkim", "dkim"), ("mx", "mx"), ("return_path", "return_path"))
"""What Postal looks at, and the purpose of our record for it."""


def _dns(told: Told, server: PostalServer) -> dict[str, Any]:
    data = told.data
    payload: dict[str, Any] = {
        "server": {
            "uuid": str(server.uuid),
            "name": server.name,
            "permalink": server.permalink,
            "organization": server.organization,
        },
        "domain": data.get("domain"),
        "uuid": data.get("domain_id"),
        "dns_checked_at": told.occurred_at.timestamp(),
    }
    records: Iterable[Mapping[str, Any]] = data.get("records") or ()
    # Of several, the best counts: while keys are rotated, one of two may not be there yet.
    best = {
        each["purpose"]: each for each in sorted(records, key=lambda r: r["status"] == "verified")
    }
    for name, purpose in _CHECKED:
        record = best.get(purpose)
        status = _DNS_STATUSES[record["status"]] if record is not None else "Missing"
        payload[f"{name}_status"] = status
        payload[f"{name}_error"] = _dns_error(status, record)
    return payload


def _dns_error(status: str, record: Mapping[str, Any] | None) -> str | None:
    if status == "OK" or record is None:
        return None
    found = "was not found" if status == "Missing" else "is not as it should be"
    return f"The {record['type']} record at {record['name']} {found}."
