"""What an event is counted by, read for many events at once."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..core.database import fetch
from .counting import ENGAGEMENT, NOWHERE, UNSEEN, Mail, Place, Seen, Told, Traits, needs_history

MESSAGES = (
    "SELECT id, organization_id, project_id, created_at, send_at, sender_domain, pool, tags, "
    "batch_id, stream, api_key_id, template FROM messages WHERE id = ANY({}::uuid[])"
)
DELIVERIES = "SELECT id, domain, mx_host FROM deliveries WHERE id = ANY({}::uuid[])"
# Attempts come early among the events of a message, so that these stop soon, however often
# it is opened.
HISTORIES = """
    SELECT asked.delivery_id, attempt.position AS first_attempt, attempt.vmta, attempt.mx_host,
        deferral.position AS first_deferral,
        delivery.vmta AS delivered_by, delivery.mx_host AS delivered_to
    FROM unnest({}::uuid[], {}::uuid[]) AS asked (message_id, delivery_id)
    LEFT JOIN LATERAL (
        SELECT position, data->>'vmta' AS vmta, data->>'mx_host' AS mx_host FROM events
        WHERE message_id = asked.message_id AND delivery_id = asked.delivery_id
        AND (type IN ('message.delivered', 'message.deferred', 'message.bounced')
            OR type IN ('message.expired', 'message.cancelled') AND data ? 'attempt')
        ORDER BY position LIMIT 1) AS attempt ON true
    LEFT JOIN LATERAL (
        SELECT position FROM events
        WHERE message_id = asked.message_id AND delivery_id = asked.delivery_id
        AND type = 'message.deferred' AND attempt.position IS NOT NULL
        ORDER BY position LIMIT 1) AS deferral ON true
    LEFT JOIN LATERAL (
        SELECT data->>'vmta' AS vmta, data->>'mx_host' AS mx_host FROM events
        WHERE message_id = asked.message_id AND delivery_id = asked.delivery_id
        AND type = 'message.delivered' AND attempt.position IS NOT NULL
        ORDER BY position LIMIT 1) AS delivery ON true
"""
ENGAGED = """
    SELECT asked.position FROM unnest({}::uuid[], {}::uuid[], {}::text[], {}::bigint[])
        AS asked (message_id, delivery_id, type, position)
    WHERE EXISTS (SELECT FROM events WHERE message_id = asked.message_id
        AND delivery_id = asked.delivery_id AND type = asked.type
        AND position < asked.position)
"""


async def read_mails(events: Sequence[Told]) -> dict[tuple[uuid.UUID, uuid.UUID | None], Mail]:
    """Return what the mail of *events* is counted by, for each message and delivery.

    Of a message that was removed meanwhile there is nothing.
    """
    messages = {
        row["id"]: row
        for row in await fetch(MESSAGES, list({event.message_id for event in events}))
    }
    asked = {event.delivery_id for event in events if event.delivery_id is not None}
    deliveries = {row["id"]: row for row in await fetch(DELIVERIES, list(asked))}
    pairs = {(event.message_id, event.delivery_id) for event in events}
    return {
        (message_id, delivery_id): _mail(messages[message_id], deliveries.get(delivery_id))
        for message_id, delivery_id in pairs
        if message_id in messages
    }


def _mail(message: Mapping[str, Any], delivery: Mapping[str, Any] | None) -> Mail:
    created_at = message["created_at"]
    return Mail(
        Traits(
            message["organization_id"],
            message["project_id"],
            message["sender_domain"],
            delivery["domain"] if delivery else "",
            message["pool"] or "",
            tuple(sorted(set(message["tags"]))),
            message["batch_id"] or "",
            message["stream"],
            str(message["api_key_id"] or ""),
            message["template"] or "",
        ),
        accepted_at=created_at,
        due_at=max(created_at, message["send_at"] or created_at),
        mx_host=delivery["mx_host"] if delivery else None,
    )


async def read_histories(events: Sequence[Told]) -> dict[int, Seen]:
    """Return what happened before to the deliveries of *events*, by position.

    Of what needs no history to be counted, and of what has none, there is nothing.
    """
    asked = [event for event in events if event.delivery_id is not None and needs_history(event)]
    if not asked:
        return {}
    pairs = list({(event.message_id, event.delivery_id) for event in asked})
    rows = await fetch(HISTORIES, [message for message, _ in pairs], [each for _, each in pairs])
    seen = {row["delivery_id"]: _seen(row) for row in rows}
    engaged = await _engaged_before(asked)
    return {
        event.position: replace(
            seen.get(event.delivery_id, UNSEEN), engaged_before=event.position in engaged
        )
        for event in asked
    }


def _seen(row: Mapping[str, Any]) -> Seen:
    place = NOWHERE
    if row["delivered_by"] is not None:
        place = Place(row["delivered_by"], row["delivered_to"])
    elif row["vmta"] is not None:
        place = Place(row["vmta"], row["mx_host"])
    return Seen(row["first_attempt"], row["first_deferral"], place)


async def _engaged_before(events: Sequence[Told]) -> Collection[int]:
    first = [e for e in events if e.type in ENGAGEMENT and e.data.get("first")]
    if not first:
        return ()
    rows = await fetch(
        ENGAGED,
        [event.message_id for event in first],
        [event.delivery_id for event in first],
        [event.type for event in first],
        [event.position for event in first],
    )
    return {row["position"] for row in rows}
