"""The log of a call: one entry for each attempt, as it is stored and read again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .calling import Tried
from .tables import WebhookCall


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a call; 1 is the first."""

    number: int
    at: datetime
    status: int | None
    reply: str | None
    error: str | None
    duration_ms: int


def entry_of(tried: Tried) -> Mapping[str, Any]:
    """Return what the log keeps of an attempt."""
    return {
        "at": tried.at.isoformat(),
        "status": tried.status,
        "reply": tried.reply,
        "error": tried.error,
        "duration_ms": tried.duration_ms,
    }


def attempts_of(call: WebhookCall) -> list[Attempt]:
    """Return every attempt of a call, in order."""
    return [
        Attempt(
            number=nth,
            at=datetime.fromisoformat(entry["at"]),
            status=entry["status"],
            reply=entry["reply"],
            error=entry["error"],
            duration_ms=entry["duration_ms"],
        )
        for nth, entry in enumerate(json.loads(call.log), start=1)
    ]
