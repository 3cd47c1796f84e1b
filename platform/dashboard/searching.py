"""What somebody types to find messages, as a filter of the schema.

ada@example.com            the recipient
subject words              in the subject
from:shop@acme.example status:bounced tag:welcome to:example.com "two words"
"""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LONGEST = 300
PIECE = re.compile(r'([a-z]+):(?:"([^"]*)"|(\S+))|"([^"]*)"|(\S+)')
STATUSES = (
    "scheduled",
    "queued",
    "sending",
    "deferred",
    "delivered",
    "bounced",
    "expired",
    "suppressed",
    "cancelled",
    "partial",
)


@dataclass(slots=True)
class Search:
    """What was understood, and what was not."""

    filter: dict[str, Any] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    message_id: str | None = None
    """The text is the id of one message."""


def read_search(text: str) -> Search:
    """Return what *text* asks for."""
    found = Search()
    words: list[str] = []
    for name, quoted, plain, phrase, word in PIECE.findall(text[:LONGEST]):
        if name:
            _read_operator(name, quoted or plain, found)
        elif "@" in word:
            found.filter["recipient"] = word
        elif phrase or word:
            words.append(phrase or word)
    if len(words) == 1 and not found.filter and _is_id(words[0]):
        found.message_id = words[0]
    elif words:
        found.filter["subject"] = " ".join(words)
    return found


def _is_id(word: str) -> bool:
    try:
        uuid.UUID(word)
    except ValueError:
        return False
    return True


def _read_operator(name: str, value: str, found: Search) -> None:
    reads = _OPERATORS.get(name)
    if reads is None or not value or not reads(value, found.filter):
        found.unknown.append(f"{name}:{value}")


def _status(value: str, filter_: dict[str, Any]) -> bool:
    asked = [each for each in value.lower().split(",") if each]
    if not asked or not set(asked) <= set(STATUSES):
        return False
    filter_["statuses"] = [each.upper() for each in asked]
    return True


def _recipient(value: str, filter_: dict[str, Any]) -> bool:
    filter_["recipient" if "@" in value else "recipientDomain"] = value
    return True


def _sender(value: str, filter_: dict[str, Any]) -> bool:
    filter_["sender" if "@" in value else "senderDomain"] = value
    return True


def _as(name: str, *, among: tuple[str, ...] = ()) -> Callable[[str, dict[str, Any]], bool]:
    def read(value: str, filter_: dict[str, Any]) -> bool:
        if among and value.upper() not in among:
            return False
        filter_[name] = value.upper() if among else value
        return True

    return read


_OPERATORS: dict[str, Callable[[str, dict[str, Any]], bool]] = {
    "status": _status,
    "to": _recipient,
    "from": _sender,
    "tag": _as("tag"),
    "batch": _as("batchId"),
    "subject": _as("subject"),
    "pool": _as("pool"),
    "vmta": _as("vmta"),
    "id": _as("messageId"),
    "mode": _as("mode", among=("LIVE", "SANDBOX")),
    "stream": _as("stream", among=("TRANSACTIONAL", "MARKETING")),
}
OPERATORS = tuple(_OPERATORS)
