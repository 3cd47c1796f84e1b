"""Claiming: webhooks with due calls, each for one worker, under a lease.

It is the webhook that is leased and not the call. So there is one place where its calls are
kept in order, where it is known how it answers, and where connections to it are kept.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import fetch, transaction
from ..payloads import Happened, happened_of
from ..tables import Webhook

LEASE = timedelta(seconds=30)
"""How long a claim holds unless it is renewed; so late a call gets if its worker is killed."""
CANDIDATES = 500


ANY_DUE = (
    "EXISTS (SELECT FROM webhook_progress WHERE next_due_at <= {} "
    "AND coalesce(leased_until, '-infinity') <= {})"
)


@dataclass(frozen=True, slots=True)
class Lane:
    """A webhook that this worker sends for."""

    webhook: Webhook
    is_failing: bool
    """Its last attempts failed, all of them."""

    @property
    def organization_id(self) -> OrganizationId:
        return OrganizationId(self.webhook.organization_id)


@dataclass(frozen=True, slots=True)
class DueCall:
    """A call to make now, or to look at in its turn."""

    id: uuid.UUID
    webhook_id: uuid.UUID
    organization_id: OrganizationId
    attempt: int
    """The number of the attempt to make; 1 is the first."""
    is_due: bool
    created_at: datetime
    event: Happened | None
    """None: the event is no longer kept."""


async def claim_webhooks(
    worker_id: uuid.UUID, *, limit: int, lease: timedelta = LEASE
) -> list[Lane]:
    """Take up to *limit* webhooks that have something due and that nobody sends for.

    Organizations take turns, and webhooks that answer go before those that fail: many that
    are dead do not keep others waiting.
    """
    now = clock.now()
    rows = await fetch(
        "WITH due AS (SELECT webhook_id, next_due_at, failing_since, row_number() OVER ("
        "PARTITION BY organization_id ORDER BY failing_since NULLS FIRST, next_due_at) AS nth "
        "FROM (SELECT * FROM webhook_progress WHERE next_due_at <= {} "
        "AND coalesce(leased_until, '-infinity') <= {} ORDER BY next_due_at LIMIT {}) AS candidates"
        "), picked AS (SELECT webhook_id FROM webhook_progress WHERE webhook_id = ANY(ARRAY("
        "SELECT webhook_id FROM due ORDER BY failing_since IS NOT NULL, nth, next_due_at LIMIT {}"
        ")) AND coalesce(leased_until, '-infinity') <= {} "
        "ORDER BY webhook_id FOR NO KEY UPDATE SKIP LOCKED"
        "), claimed AS (UPDATE webhook_progress SET leased_until = {}, worker_id = {} "
        "WHERE webhook_id = ANY(ARRAY(SELECT webhook_id FROM picked)) "
        "RETURNING webhook_id, failing_since) "
        "SELECT claimed.failing_since, webhooks.* FROM claimed "
        "JOIN webhooks ON webhooks.id = claimed.webhook_id",
        now,
        now,
        CANDIDATES,
        limit,
        now,
        now + lease,
        worker_id,
    )
    return [_lane(dict(row)) for row in rows]


def _lane(row: dict[str, Any]) -> Lane:
    is_failing = row.pop("failing_since") is not None
    return Lane(Webhook(_exists_in_db=True, **row), is_failing)


async def renew(
    worker_id: uuid.UUID, webhook_ids: Collection[uuid.UUID], *, lease: timedelta = LEASE
) -> Mapping[uuid.UUID, Webhook]:
    """Begin the leases anew and return those that are still held, as the webhooks are now.

    One that is missing was taken over, deleted, or switched off: nothing more is sent for it.
    """
    if not webhook_ids:
        return {}
    rows = await fetch(
        "WITH renewed AS (UPDATE webhook_progress SET leased_until = {} "
        "WHERE webhook_id = ANY(ARRAY(SELECT webhook_id FROM webhook_progress "
        "WHERE webhook_id = ANY({}::uuid[]) AND worker_id = {} AND leased_until > {} "
        "ORDER BY webhook_id FOR NO KEY UPDATE)) RETURNING webhook_id) "
        "SELECT webhooks.* FROM renewed JOIN webhooks ON webhooks.id = renewed.webhook_id "
        "WHERE webhooks.enabled",
        clock.now() + lease,
        list(webhook_ids),
        worker_id,
        clock.now(),
    )
    return {row["id"]: Webhook(_exists_in_db=True, **row) for row in rows}


async def due_calls(
    webhooks: Sequence[Webhook], *, each: int, without: Collection[uuid.UUID] = ()
) -> dict[uuid.UUID, list[DueCall]]:
    """Return up to *each* calls of each webhook, with their events, as they are to be made.

    Those that are due, the longest first; of a webhook in order simply the next, due or not.
    *without* are calls that are being made.
    """
    now = clock.now()
    # The message and its recipient lie in areas beside and above: read where they are.
    rows = await fetch(
        "SELECT c.id, c.webhook_id, c.attempts, c.due_at, c.event_id, c.event_type, "
        "c.created_at, c.organization_id, e.id IS NOT NULL AS is_kept, e.position, e.project_id, "
        "e.message_id, e.delivery_id, e.data, e.simulated, e.occurred_at, d.address, "
        "d.number, d.token, m.sender, m.subject, m.batch_id, m.tags, m.metadata, m.stream, "
        "m.header_message_id, m.envelope_sender, m.created_at AS message_created_at "
        "FROM unnest({}::uuid[], {}::boolean[]) AS w (id, in_order) CROSS JOIN LATERAL ("
        "(SELECT * FROM webhook_calls WHERE NOT w.in_order AND webhook_id = w.id "
        "AND state = 'pending' AND due_at <= {} AND id <> ALL({}::uuid[]) "
        "ORDER BY due_at, number LIMIT {}) UNION ALL "
        "(SELECT * FROM webhook_calls WHERE w.in_order AND webhook_id = w.id "
        "AND state = 'pending' AND id <> ALL({}::uuid[]) ORDER BY number LIMIT {})) AS c "
        "LEFT JOIN events AS e ON e.id = c.event_id "
        "LEFT JOIN messages AS m ON m.id = e.message_id "
        "LEFT JOIN deliveries AS d ON d.id = e.delivery_id "
        "ORDER BY CASE WHEN w.in_order THEN c.number END, c.due_at, c.number",
        [webhook.id for webhook in webhooks],
        [webhook.in_order for webhook in webhooks],
        now,
        list(without),
        each,
        list(without),
        each,
    )
    found: dict[uuid.UUID, list[DueCall]] = {}
    for row in rows:
        found.setdefault(row["webhook_id"], []).append(
            DueCall(
                id=row["id"],
                webhook_id=row["webhook_id"],
                organization_id=row["organization_id"],
                attempt=row["attempts"] + 1,
                is_due=row["due_at"] <= now,
                created_at=row["created_at"],
                event=happened_of(row) if row["is_kept"] else None,
            )
        )
    return found


async def release(worker_id: uuid.UUID, webhook_ids: Collection[uuid.UUID]) -> bool:
    """Let go of webhooks, and note when each has something due; say whether one has it now."""
    if not webhook_ids:
        return False
    async with transaction():
        # Locked by itself, so that the next statement sees the calls of whoever had the rows.
        held = await fetch(
            "SELECT webhook_id FROM webhook_progress WHERE webhook_id = ANY({}::uuid[]) "
            "AND worker_id = {} ORDER BY webhook_id FOR NO KEY UPDATE",
            list(webhook_ids),
            worker_id,
        )
        rows = await fetch(
            "UPDATE webhook_progress AS progress SET leased_until = NULL, worker_id = NULL, "
            f"next_due_at = CASE WHEN webhooks.enabled THEN {NEXT_DUE} END "
            "FROM webhooks WHERE webhooks.id = progress.webhook_id "
            "AND progress.webhook_id = ANY({}::uuid[]) RETURNING next_due_at",
            [row["webhook_id"] for row in held],
        )
    now = clock.now()
    return any(row["next_due_at"] is not None and row["next_due_at"] <= now for row in rows)


NEXT_DUE = (
    "CASE WHEN webhooks.in_order THEN (SELECT due_at FROM webhook_calls "
    "WHERE webhook_id = webhooks.id AND state = 'pending' ORDER BY number LIMIT 1) "
    "ELSE (SELECT min(due_at) FROM webhook_calls "
    "WHERE webhook_id = webhooks.id AND state = 'pending') END"
)
"""When the next call of a webhook can be made; null if none waits."""
