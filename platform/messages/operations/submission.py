"""What goes into accepting and what comes out of it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...core.actor import Actor
from ...core.errors import OperationError
from ..rules import CheckedMessage, Source


@dataclass(slots=True)
class ReceiptRecipient:
    """One recipient as it was when the message was accepted."""

    id: uuid.UUID
    email: str
    kind: str
    status: str
    number: int
    token: str


@dataclass(slots=True)
class Receipt:
    """What was answered when a message was accepted; a replay answers the same."""

    id: uuid.UUID
    number: int
    status: str
    header_message_id: str
    batch_id: str | None
    mode: str
    recipients: Sequence[ReceiptRecipient]
    """Nobody, where nobody is told of them."""
    accepted: int
    suppressed: int
    credits_consumed: int
    credits_remaining: int | None
    """None where credits are not counted."""
    send_at: datetime | None
    warnings: Sequence[str]
    created_at: datetime


@dataclass(slots=True)
class Submission:
    """One request: some messages of one actor that are accepted or refused together."""

    actor: Actor
    messages: Sequence[CheckedMessage | OperationError]
    """In the order of the request; a refusal stands where a message was not valid."""
    source: Source
    batch_id: str | None
    atomic: bool
    """One refused message refuses all."""
    operation: str
    key: str | None
    """Idempotency key."""
    fingerprint: bytes
    dropped: frozenset[str] = frozenset()
    """Keys of the recipients that are suppressed because a simulation says so."""
    calls_webhooks: bool = True
    names_recipients: bool = True
    """Its receipts say who the recipients are."""

    @property
    def uid(self) -> str | None:
        """The customer's name for its only message, if it has one."""
        first = self.messages[0] if len(self.messages) == 1 else None
        return first.uid if isinstance(first, CheckedMessage) else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a submission: receipts and refusals in the order of its messages."""

    results: Sequence[Receipt | OperationError]
    replayed: bool = False


def only_receipt(outcome: Outcome) -> Receipt:
    """Return the receipt of a submission of one message.

    Raises:
        OperationError: it was refused.
    """
    (result,) = outcome.results
    if isinstance(result, OperationError):
        raise result
    return result


def receipt_to_json(receipt: Receipt) -> dict[str, Any]:
    """Return *receipt* as JSON, for an idempotency record."""
    return {
        "id": str(receipt.id),
        "number": receipt.number,
        "status": receipt.status,
        "header_message_id": receipt.header_message_id,
        "batch_id": receipt.batch_id,
        "mode": receipt.mode,
        "recipients": [
            [str(r.id), r.email, r.kind, r.status, r.number, r.token] for r in receipt.recipients
        ],
        "accepted": receipt.accepted,
        "suppressed": receipt.suppressed,
        "credits_consumed": receipt.credits_consumed,
        "credits_remaining": receipt.credits_remaining,
        "send_at": receipt.send_at.isoformat() if receipt.send_at else None,
        "warnings": list(receipt.warnings),
        "created_at": receipt.created_at.isoformat(),
    }


def receipt_from_json(answer: dict[str, Any]) -> Receipt:
    """Return the receipt that `receipt_to_json` made."""
    send_at = answer["send_at"]
    return Receipt(
        **{
            **answer,
            "id": uuid.UUID(answer["id"]),
            "recipients": [
                ReceiptRecipient(uuid.UUID(recipient[0]), *recipient[1:])
                for recipient in answer["recipients"]
            ],
            "send_at": datetime.fromisoformat(send_at) if send_at else None,
            "created_at": datetime.fromisoformat(answer["created_at"]),
        }
    )
