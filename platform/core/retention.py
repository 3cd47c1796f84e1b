"""How long things are kept: what the deployment says for all, and less where a plan says so."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from .settings import settings


class Kind(StrEnum):
    """What is kept for a while; the names are those of `POSTLANE_KEEP_DAYS_BY_PLAN`."""

    CONTENTS = "contents"
    MESSAGES = "messages"
    """With their recipients, attempts and events."""
    CALLS = "calls"
    """Of webhooks."""
    REQUESTS = "requests"
    """With API keys."""
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Term:
    """For how long something is kept, and of whom."""

    days: int
    organization_ids: Sequence[uuid.UUID] | None = None
    """None is everybody: nobody's is kept for longer."""

    @property
    def length(self) -> timedelta:
        return timedelta(days=self.days)


def days_for(kind: Kind, plan: str | None = None) -> int:
    """Return how many days something is kept, of an organization on *plan* if one is named."""
    found = settings()
    usual = {
        Kind.CONTENTS: found.keep_content_days,
        Kind.MESSAGES: found.keep_message_days,
        Kind.CALLS: found.keep_call_days,
        Kind.REQUESTS: found.keep_request_days,
        Kind.AUDIT: found.audit_days,
    }[kind]
    return min(usual, found.keep_days_by_plan.get((plan or "", kind.value), usual))
