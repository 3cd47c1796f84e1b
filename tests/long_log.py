"""A log of messages as long as that of a busy organization, made by the database itself."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from postlane.core import clock
from postlane.core.database import fetch

SPACING = timedelta(seconds=30)
"""Between two messages: a hundred thousand cover some five weeks."""

# Ids are of version 7, in the order of the times, as those that the product makes.
_NUMBERED = """
    SELECT n, at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || lpad(to_hex(n % 4096), 3, '0') || '8' || substr(md5(n::text || {}), 1, 15))::uuid AS id
    FROM (SELECT n, {}::timestamptz - n * {}::interval AS at FROM generate_series(1, {}) n) line
"""
_MESSAGES = """
    INSERT INTO messages (id, organization_id, project_id, content_id, header_message_id, sender,
        sender_name, sender_key, sender_domain, recipients, subject, batch_id, tags, metadata,
        stream, mode, source, track_opens, track_clicks, pool, size_bytes, credits, expires_at,
        created_at)
    SELECT id, {}, {}, id, id || '@example.com', 'shop@example.com', 'Shop', 'shop@example.com',
        'example.com', jsonb_build_object('to', jsonb_build_array('ada@example.net')),
        'Message ' || n, {}, ARRAY[]::text[], jsonb_build_object(),
        'transactional', 'live', 'api', false, false, 'default', 2000, 1, at + interval '3 days', at
    FROM (%s) line
"""
_SPOOLED = """
    INSERT INTO spooled_messages
        (id, organization_id, content_id, status, recipient_count, open_count, completed_at,
         return_path_domain)
    SELECT id, organization_id, id, 'delivered', 1, 0, created_at, 'bounce.example.com'
    FROM messages WHERE organization_id = {} AND batch_id = {}
"""
_DELIVERIES = """
    INSERT INTO deliveries (id, token, organization_id, project_id, message_id, queue_id, kind,
        address, address_key, domain, priority, state, attempts, expires_at, cancel_requested,
        code, delivered_at, settled_at, created_at)
    SELECT id, substr(md5(id::text), 1, 16), organization_id, project_id, id, {}, 'to',
        'ada@example.net', 'ada@example.net', 'example.net', 0, 'delivered', 1, expires_at, false,
        250, created_at, created_at, created_at
    FROM messages WHERE organization_id = {} AND batch_id = {}
"""
_ATTEMPTS = """
    INSERT INTO attempts (id, organization_id, delivery_id, number, verdict, code, reply,
        transcript, started_at, duration_ms)
    SELECT id, organization_id, id, 1, 'delivered', 250, 'OK', '[]', created_at, 12
    FROM messages WHERE organization_id = {} AND batch_id = {}
"""


async def make_long_log(
    organization_id: Any, project_id: Any, *, count: int, before: datetime | None = None
) -> None:
    """Give the organization *count* delivered messages, the newest one just before *before*."""
    newest = before or clock.now()
    batch = uuid.uuid4().hex
    line = (batch, newest, SPACING, count)
    await fetch(_MESSAGES % _NUMBERED, organization_id, project_id, batch, *line)
    await fetch(_SPOOLED, organization_id, batch)
    await fetch(_DELIVERIES, uuid.uuid4(), organization_id, batch)
    await fetch(_ATTEMPTS, organization_id, batch)
    for table in ("messages", "spooled_messages", "deliveries", "attempts"):
        await fetch(f"VACUUM ANALYZE {table}")  # type: ignore[arg-type]
