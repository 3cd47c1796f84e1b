"""Reading mail that was captured, for an actor."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.errors import NotFound
from ..core.paging import Page, PageRequest, by_id, decode_cursor, encode_cursor

HEAD_BYTES = 8_192
"""Of a message in a list: enough for whom it is from and what it is about."""

# Never the whole column: a page of large messages would be gigabytes.
_COLUMNS = (
    "SELECT c.id, c.delivery_id, c.envelope_from, c.envelope_to, c.created_at, "
    f"octet_length(c.data) AS size_bytes, substring(c.data for {HEAD_BYTES}) AS head "
)
_THEIRS = (
    "FROM captured_messages c LEFT JOIN deliveries d ON d.id = c.delivery_id "
    "WHERE c.organization_id = {} AND ({}::uuid IS NULL OR d.project_id = {}) "
)


@dataclass(frozen=True, slots=True)
class Captured:
    """A captured message, and the beginning of what it says."""

    id: uuid.UUID
    delivery_id: uuid.UUID | None
    envelope_from: str
    envelope_to: str
    created_at: datetime
    size_bytes: int
    head: bytes


async def list_captured(
    actor: Actor, request: PageRequest, *, recipient: str | None = None
) -> Page[Captured]:
    """Return a page of what was captured, the newest first."""
    actor.require(Permission.READ_MESSAGES)
    order, scope = by_id(), recipient or ""
    start = request.before if request.backwards else request.after
    beyond = None if start is None else decode_cursor(start, order, scope=scope)[1]
    sign, direction = (">", "ASC") if request.backwards else ("<", "DESC")
    rows = await fetch(
        _COLUMNS
        + _THEIRS
        + f"AND ({{}}::uuid IS NULL OR c.id {sign} {{}}) "
        + "AND ({}::text IS NULL OR strpos(lower(c.envelope_to), {}) > 0) "
        + f"ORDER BY c.id {direction} LIMIT {{}}",
        actor.organization_id,
        actor.project_id,
        actor.project_id,
        beyond,
        beyond,
        recipient,
        (recipient or "").lower(),
        request.size + 1,
    )
    more, found = len(rows) > request.size, [_captured(row) for row in rows[: request.size]]
    if request.backwards:
        found.reverse()
    return Page(
        items=found,
        cursors=[encode_cursor(order, each, scope=scope) for each in found],
        has_next=start is not None if request.backwards else more,
        has_previous=more if request.backwards else start is not None,
    )


async def get_captured(actor: Actor, captured_id: uuid.UUID) -> tuple[Captured, bytes]:
    """Return one captured message, and all of it.

    Raises:
        NotFound: there is none, or it is not the actor's.
    """
    actor.require(Permission.READ_MESSAGES)
    rows = await fetch(
        _COLUMNS + ", c.data " + _THEIRS + "AND c.id = {}",
        actor.organization_id,
        actor.project_id,
        actor.project_id,
        captured_id,
    )
    if not rows:
        raise NotFound("There is no such captured message in this organization.")
    return _captured(rows[0]), bytes(rows[0]["data"])


def _captured(row: dict[str, Any]) -> Captured:
    return Captured(
        row["id"],
        row["delivery_id"],
        row["envelope_from"],
        row["envelope_to"],
        row["created_at"],
        row["size_bytes"],
        bytes(row["head"]),
    )
