"""What a call says: the body of the standard format, by payload version."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..core.actor import OrganizationId
from ..events.rules import LOCAL, NO_WEBHOOKS, EventType
from .rules import TEST_EVENT


@dataclass(frozen=True, slots=True)
class AboutMessage:
    """What a call says of the message that an event is about, and of its recipient."""

    sender: str
    subject: str
    batch_id: str | None
    tags: Sequence[str]
    metadata: Mapping[str, str]
    stream: str
    email: str | None
    number: int | None
    """Of the delivery, as its token is."""
    token: str | None
    header_message_id: str
    envelope_sender: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as a call tells of it."""

    id: uuid.UUID
    type: str
    organization_id: OrganizationId
    occurred_at: datetime
    data: Mapping[str, Any]
    simulated: bool = False
    message_id: uuid.UUID | None = None
    delivery_id: uuid.UUID | None = None
    message: AboutMessage | None = None
    project_id: uuid.UUID | None = None
    position: int = 0


def standard_body(event: Happened, *, shaped: Any = None, is_shaped: bool = False) -> bytes:
    """Return the body of a call; *shaped* takes the place of its data if *is_shaped*."""
    return msgspec.json.encode(
        {
            "id": str(event.id),
            "type": event.type,
            "timestamp": rfc3339(event.occurred_at),
            "organization_id": str(event.organization_id),
            "data": shaped if is_shaped else data_of(event),
        }
    )


_NOT_TOLD = NO_WEBHOOKS.keys() | LOCAL.keys()
"""For ourselves, and in no version of the payload."""


def data_of(event: Happened) -> dict[str, Any]:
    """Return what belongs to an event of this type, in payload version 2026-06-01."""
    own = {name: value for name, value in event.data.items() if name not in _NOT_TOLD}
    if event.message_id is None:
        return own
    message = event.message
    return {
        "message_id": str(event.message_id),
        "recipient_id": event.delivery_id and str(event.delivery_id),
        "email": message and message.email,
        "from": message and message.sender,
        "subject": message and message.subject,
        "batch_id": message and message.batch_id,
        "tags": list(message.tags) if message else [],
        "metadata": message.metadata if message else {},
        "stream": message and message.stream,
        "simulated": event.simulated,
        **own,
    }


def happened_of(row: Mapping[str, Any]) -> Happened:
    """Return the event of a row that joins it with its message and its delivery."""
    message = None
    if row["sender"] is not None:
        message = AboutMessage(
            sender=row["sender"],
            subject=row["subject"],
            batch_id=row["batch_id"],
            tags=row["tags"],
            metadata=json.loads(row["metadata"]),
            stream=row["stream"],
            email=row["address"],
            number=row["number"],
            token=row["token"],
            header_message_id=row["header_message_id"],
            envelope_sender=row["envelope_sender"],
            created_at=row["message_created_at"],
        )
    return Happened(
        id=row["event_id"],
        type=row["event_type"],
        organization_id=row["organization_id"],
        occurred_at=row["occurred_at"],
        data=json.loads(row["data"]),
        simulated=row["simulated"],
        message_id=row["message_id"],
        delivery_id=row["delivery_id"],
        message=message,
        project_id=row["project_id"],
        position=row["position"],
    )


def rfc3339(at: datetime) -> str:
    """Return a time in UTC with milliseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sample(
    event_type: str, *, id: uuid.UUID, organization_id: OrganizationId, now: datetime
) -> Happened:
    """Return an event that did not happen, to try a webhook with."""
    data: Mapping[str, Any] = {"simulated": True, **_SAMPLES[event_type]}
    if not event_type.startswith("message."):
        return Happened(id, event_type, organization_id, now, data, simulated=True)
    return Happened(
        id,
        event_type,
        organization_id,
        now,
        _SAMPLES[event_type],
        simulated=True,
        message_id=uuid.UUID(int=0),
        delivery_id=uuid.UUID(int=0),
        message=AboutMessage(
            sender="noreply@example.com",
            subject="A test",
            batch_id=None,
            tags=["test"],
            metadata={},
            stream="transactional",
            email="ada@example.net",
            number=1,
            token="TestTestTestTest",
            header_message_id="test@example.com",
            envelope_sender=None,
            created_at=now,
        ),
    )


_SERVER = {"vmta": "tx-1", "mx_host": "mx1.example.net"}
_REPLY = {**_SERVER, "tls": "TLSv1.3", "attempt": 1, "duration_ms": 320}
_DELIVERED = {**_REPLY, "smtp_code": 250, "smtp_response": "250 2.0.0 OK"}
_DEFERRED = {
    **_REPLY,
    "smtp_code": 451,
    "smtp_response": "451 4.7.1 Try again later",
    "bounce_class": "temporary_failure",
    "next_attempt_at": "2026-06-01T12:05:00.000Z",
}
_BOUNCED = {
    **_REPLY,
    "smtp_code": 550,
    "smtp_response": "550 5.1.1 No such user",
    "bounce_class": "invalid_recipient",
    "bounce_type": "hard",
    "enhanced_code": "5.1.1",
    "source": "session",
}
_BROWSER = {"user_agent": "Mozilla/5.0", "ip": "198.51.100.0", "first": True}
_DOMAIN = {"domain_id": str(uuid.UUID(int=0)), "domain": "example.com"}
_CHECKED = {**_DOMAIN, "records": []}
_VMTA = {"vmta": "tx-1", "reason": "A test", "by": None}
_WARMUP = {"vmta": "tx-1", "day": 3, "daily_limit": 500, "reason": None}
_BALANCE = {"type": "email", "balance": 900, "threshold": 1000, "unit": "credits"}
_SUPPRESSION = {
    "suppression_id": str(uuid.UUID(int=0)),
    "email": "ada@example.net",
    "reason": "manual",
    "stream": None,
    "description": "A test",
    "expires_at": None,
}
_INVOICE = {
    "invoice": {"number": "TEST", "status": "open", "total": {"amount": 4900, "currency": "USD"}}
}

_LISTED = {
    "ip": "203.0.113.10",
    "zone": "zen.spamhaus.org",
    "codes": ["127.0.0.3"],
    "vmta": "tx-1",
}

_BLOCK = {
    "id": str(uuid.UUID(int=0)),
    "rule": {"id": str(uuid.UUID(int=0)), "key": "high_bounce_rate"},
    "scope": "domain",
    "target": {"id": str(uuid.UUID(int=0)), "name": "example.com"},
    "action": "block_sending",
    "status": "active",
    "metric_value": 8.2,
    "threshold": 5.0,
    "sample_size": 610,
    "reason": "Hard bounce rate 8.2 % over 1 hour (threshold 5 %).",
    "triggered_at": "2026-06-01T11:40:00.000Z",
    "expires_at": "2026-06-01T15:40:00.000Z",
    "resolved_at": None,
    "resolved_by": None,
}

_SAMPLES: Mapping[str, Mapping[str, Any]] = {
    TEST_EVENT: {"message": "This is a test. Nothing has happened."},
    EventType.MESSAGE_QUEUED: {"scheduled_at": None},
    EventType.MESSAGE_SENT: _SERVER,
    EventType.MESSAGE_DELIVERED: _DELIVERED,
    EventType.MESSAGE_DEFERRED: _DEFERRED,
    EventType.MESSAGE_BOUNCED: _BOUNCED,
    EventType.MESSAGE_EXPIRED: {
        "bounce_class": "temporary_failure",
        "smtp_response": "451 4.7.1 Try again later",
    },
    EventType.MESSAGE_SUPPRESSED: {"reason": "hard_bounce"},
    EventType.MESSAGE_CANCELLED: {"cancelled_by": None},
    EventType.MESSAGE_COMPLAINED: {"provider": "example.net", "feedback_type": "abuse"},
    EventType.MESSAGE_OPENED: {**_BROWSER, "machine_open": False, "implied": False},
    EventType.MESSAGE_CLICKED: {
        **_BROWSER,
        "url": "https://example.com/",
        "link_index": 0,
        "bot": False,
    },
    EventType.MESSAGE_UNSUBSCRIBED: {"method": "one_click"},
    EventType.DOMAIN_VERIFIED: {**_CHECKED, "status": "verified"},
    EventType.DOMAIN_DEGRADED: {**_CHECKED, "status": "degraded"},
    EventType.DOMAIN_FAILED: {**_CHECKED, "status": "failed"},
    EventType.SECURITY_AUTO_BLOCK_TRIGGERED: _BLOCK,
    EventType.SECURITY_AUTO_BLOCK_RESOLVED: {**_BLOCK, "status": "expired"},
    EventType.SECURITY_DNSBL_LISTED: _LISTED,
    EventType.SECURITY_DNSBL_DELISTED: _LISTED,
    EventType.DOMAIN_DKIM_ROTATED: {**_DOMAIN, "selector": "pmta2", "previous_selector": "pmta"},
    EventType.VMTA_PAUSED: _VMTA,
    EventType.VMTA_RESUMED: _VMTA,
    EventType.VMTA_WARMUP_ADVANCED: _WARMUP,
    EventType.VMTA_WARMUP_ADJUSTED: _WARMUP,
    EventType.VMTA_WARMUP_COMPLETED: _WARMUP,
    EventType.CREDITS_LOW: _BALANCE,
    EventType.CREDITS_DEPLETED: {**_BALANCE, "balance": 0},
    EventType.BILLING_PLAN_CHANGED: {"plan": "professional"},
    EventType.BILLING_INVOICE_CREATED: _INVOICE,
    EventType.BILLING_PAYMENT_FAILED: _INVOICE,
    EventType.SUPPRESSION_CREATED: _SUPPRESSION,
    EventType.SUPPRESSION_REMOVED: _SUPPRESSION,
}
