"""Which webhooks want which events: a statement for all, and one more where filters ask."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.database import fetch
from ..events.rules import NO_WEBHOOKS
from . import postageapp
from .postal import NAMES, name_of
from .rules import Concerns, Filters, PayloadFormat, passes, read_filters, wants

_SUPPRESSED = tuple(NO_WEBHOOKS.items())


class Recorded(Protocol):
    """What of an event is looked at here."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def organization_id(self) -> uuid.UUID: ...
    @property
    def project_id(self) -> uuid.UUID | None: ...
    @property
    def message_id(self) -> uuid.UUID | None: ...
    @property
    def type(self) -> str: ...
    @property
    def simulated(self) -> bool: ...
    @property
    def data(self) -> str:
        """As JSON."""


@dataclass(frozen=True, slots=True)
class Wanting:
    """What decides whether a webhook wants an event."""

    id: uuid.UUID
    project_id: uuid.UUID | None
    patterns: Sequence[str]
    filters: Filters
    format: str


@dataclass(frozen=True, slots=True)
class Match:
    """An event that a webhook wants."""

    webhook_id: uuid.UUID
    event: Recorded


async def matches(
    events: Sequence[Recorded], webhooks: Mapping[uuid.UUID, Sequence[Wanting]]
) -> list[Match]:
    """Return each event with each of *webhooks* that wants it, in the order of *events*.

    Webhooks are given by their organization. What happened before one was made is nothing to it.
    """
    found = [
        (webhook, event)
        for event in events
        for webhook in webhooks.get(event.organization_id, ())
        if _fits(webhook, event)
    ]
    filtered = [event for webhook, event in found if webhook.filters]
    if not filtered:
        return [Match(webhook.id, event) for webhook, event in found]
    concerns = await _concerns(filtered)
    return [
        Match(webhook.id, event)
        for webhook, event in found
        if not webhook.filters or passes(webhook.filters, concerns[event.id])
    ]


async def webhooks_of(
    organizations: Collection[uuid.UUID], *, only: uuid.UUID | None = None
) -> Mapping[uuid.UUID, list[Wanting]]:
    """Return the webhooks of *organizations* that are switched on, by organization.

    *only* is the one that is asked about; None is all.
    """
    rows = await fetch(
        "SELECT id, organization_id, project_id, events, filters, format FROM webhooks "
        "WHERE organization_id = ANY({}::uuid[]) AND enabled AND deleted_at IS NULL "
        "AND ({}::uuid IS NULL OR id = {}) ORDER BY id",
        list(organizations),
        only,
        only,
    )
    found: dict[uuid.UUID, list[Wanting]] = {}
    for row in rows:
        found.setdefault(row["organization_id"], []).append(
            Wanting(
                row["id"],
                row["project_id"],
                row["events"],
                read_filters(json.loads(row["filters"])),
                row["format"],
            )
        )
    return found


def _fits(webhook: Wanting, event: Recorded) -> bool:
    return (
        _is_wanted(webhook, event)
        # Ids are in the order of time, so this asks which of the two was there first.
        and event.id > webhook.id
        and webhook.project_id in (None, event.project_id)
        and not _is_suppressed(event)
    )


def _is_wanted(webhook: Wanting, event: Recorded) -> bool:
    if webhook.format in postageapp.FORMATS:
        is_known = event.type in postageapp.KNOWN and wants(webhook.patterns, event.type)
        return is_known and postageapp.has_word(event.type, json.loads(event.data))
    if webhook.format != PayloadFormat.POSTAL:
        return wants(webhook.patterns, event.type)
    if event.type not in NAMES:
        return False
    name = name_of(event.type, json.loads(event.data), simulated=event.simulated)
    return name is not None and (name in webhook.patterns or wants(webhook.patterns, event.type))


def _is_suppressed(event: Recorded) -> bool:
    # Read only where it may say so: nearly no event does.
    if "fire_webhooks" not in event.data:
        return False
    data = json.loads(event.data)
    return all(data.get(name) == value for name, value in _SUPPRESSED)


async def _concerns(events: Sequence[Recorded]) -> Mapping[uuid.UUID, Concerns]:
    # The table of an area above, read as it lies: what a message says is filtered by.
    ids = {event.message_id for event in events if event.message_id}
    rows = await fetch(
        "SELECT id, sender_domain, tags, stream FROM messages WHERE id = ANY({}::uuid[])",
        list(ids),
    )
    messages = {row["id"]: row for row in rows}
    return {event.id: _of(event, messages.get(event.message_id)) for event in events}


def _of(event: Recorded, message: Mapping[str, Any] | None) -> Concerns:
    data = json.loads(event.data)
    return Concerns(
        domain=message["sender_domain"] if message else data.get("domain"),
        vmta=data.get("vmta"),
        tags=message["tags"] if message else (),
        stream=message["stream"] if message else data.get("stream"),
    )
