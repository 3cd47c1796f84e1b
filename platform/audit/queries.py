"""Reading the audit log."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from piccolo.query import Objects

from ..core.actor import Actor, ApiKeyId, Permission, UserId
from ..core.paging import Page, PageRequest, by_id, fetch_page
from .tables import AuditEntry


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries are asked for; None is any."""

    action: str | None = None
    target_type: str | None = None
    target_id: str | None = None
    user_id: UserId | None = None
    api_key_id: ApiKeyId | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is not asked for any more."""


async def list_entries(
    actor: Actor, request: PageRequest, *, where: EntryFilter
) -> Page[AuditEntry]:
    """Return a page of the organization's log, newest first."""
    actor.require(Permission.READ_AUDIT)
    query = _entries(actor)
    for field in ("action", "target_type", "target_id", "user_id", "api_key_id"):
        value = getattr(where, field)
        if value is not None:
            query = query.where(getattr(AuditEntry, field) == _storable(value))
    if where.since is not None:
        query = query.where(AuditEntry.created_at >= where.since)
    if where.until is not None:
        query = query.where(AuditEntry.created_at < where.until)
    scope = "/".join(str(getattr(where, field.name)) for field in fields(where))
    return await fetch_page(query, request, by_id(), scope=scope)


async def find_entries(
    actor: Actor, entry_ids: Sequence[uuid.UUID]
) -> Mapping[uuid.UUID, AuditEntry]:
    """Return those of *entry_ids* that belong to the actor's organization."""
    actor.require(Permission.READ_AUDIT)
    rows = await _entries(actor).where(AuditEntry.id.is_in(list(entry_ids)))
    return {row.id: row for row in rows}


def changes_of(row: AuditEntry) -> dict[str, Any]:
    """Return the changed fields of an entry."""
    found: dict[str, Any] = json.loads(row.changes) if isinstance(row.changes, str) else row.changes
    return found


def _entries(actor: Actor) -> "Objects[AuditEntry]":
    return AuditEntry.objects().where(AuditEntry.organization_id == actor.organization_id)


def _storable(value: Any) -> Any:
    # No entry holds what the database cannot store, so such a text finds nothing.
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode(errors="replace").decode()
    return value
