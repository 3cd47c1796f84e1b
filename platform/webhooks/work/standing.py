"""How webhooks of all organizations stand, for whoever looks after the deployment."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ...core import clock
from ...core.database import fetch

LOOKED_AT = 10_000
"""Webhooks that are looked at: those whose next call was due first."""

WAITING = """
    SELECT progress.webhook_id, progress.organization_id, oldest.due_at,
        coalesce(progress.leased_until > {}, false) AS is_served
    FROM (SELECT webhook_id, organization_id, leased_until FROM webhook_progress
        WHERE EXISTS (SELECT FROM webhooks WHERE id = webhook_progress.webhook_id
            AND enabled AND deleted_at IS NULL)
        ORDER BY next_due_at NULLS LAST LIMIT {}) AS progress
    CROSS JOIN LATERAL (SELECT due_at FROM webhook_calls
        WHERE webhook_id = progress.webhook_id AND state = 'pending' AND due_at < {}
        ORDER BY due_at LIMIT 1) AS oldest
    ORDER BY oldest.due_at LIMIT 100
"""
OFF = """
    SELECT count(*) AS webhooks, count(DISTINCT organization_id) AS organizations,
        count(*) FILTER (WHERE updated_at > {}) AS lately
    FROM webhooks WHERE NOT enabled AND disabled_reason IS NOT NULL AND deleted_at IS NULL
"""
LATELY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class LateWebhook:
    """A webhook with a call that should have been made."""

    webhook_id: UUID
    organization_id: UUID
    due_at: datetime
    """Of the call that waits longest."""
    is_served: bool
    """Some worker is sending for it; it does not get through."""


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """How many webhooks the platform has switched off, and nobody on again."""

    webhooks: int
    organizations: int
    lately: int
    """Of them, within a week."""


async def late_webhooks(*, than: timedelta) -> list[LateWebhook]:
    """Return webhooks whose oldest due call is later than that, the latest first, at most 100."""
    now = clock.now()
    rows = await fetch(WAITING, now, LOOKED_AT, now - than)
    return [LateWebhook(**row) for row in rows]


async def switched_off() -> SwitchedOff:
    """Return how many webhooks the platform has switched off."""
    (row,) = await fetch(OFF, clock.now() - LATELY)
    return SwitchedOff(**row)
