"""What is due of ingress mailboxes, and telling workers of it."""

import logging
import uuid
from dataclasses import dataclass
from typing import LiteralString

from ...core.actor import OrganizationId
from ...core.database import fetch

log = logging.getLogger(__name__)

CHANNEL = "postlane_ingress"
"""Tells workers that something may be due."""

ANY_DUE: LiteralString = (
    "(EXISTS (SELECT FROM ingress_mails WHERE state = 'pending' AND due_at <= {}) "
    "OR EXISTS (SELECT FROM ingress_mailboxes WHERE next_look_at <= {} "
    "AND coalesce(looking_until, '-infinity') <= {}))"
)
"""SQL that says whether there is anything to look into or to post; each gap is the time."""


@dataclass(frozen=True, slots=True)
class Due:
    """A mailbox to look into, or a mail to post, if nobody else does."""

    id: uuid.UUID
    organization_id: OrganizationId
    size_bytes: int = 0


async def tell() -> None:
    """Have workers look at once for what is due; it is a hint, while the rows are the truth."""
    try:
        await fetch("SELECT pg_notify({}, '')", CHANNEL)
    except Exception:  # an edge: they look by themselves, only later
        log.debug("workers could not be told", exc_info=True)
