"""Making events of hits, once it can be told what they were.

A hit waits a few seconds: by then those that came with it have been written down by whichever
process answered them. One worker at a time does it, so that the first open is one open.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ...accounts.work import aggregates
from ...core import clock
from ...core.actor import OrganizationId, ProjectId
from ...core.database import fetch, transaction
from ...events.operations import NewEvent, append
from ...events.rules import EventType
from ..machines import BURST, BURST_WITHIN, SOONEST, TOO_SOON, HitKind, burst_times

AFTER = timedelta(seconds=4)
"""Two seconds in which others may come that belong to it, and as much for writing them down."""
AT_ONCE = 1_000
MERGED_WITHIN = timedelta(seconds=60)
"""An open so soon after another one of the same kind is none of its own."""
MOST_EVENTS = 1_000
"""Opens and clicks that one delivery can have: whoever has a link may follow it for ever."""
LOCK = 7215
ANY_RIPE = "EXISTS (SELECT FROM tracking_hits WHERE occurred_at <= {})"

UNSETTLED = timedelta(minutes=2)
"""How long it waits for us to write down that its mail was delivered."""
HISTORY = (
    "SELECT delivery_id, "
    "count(*) FILTER (WHERE type IN ('message.opened', 'message.clicked')) AS count, "
    "min(occurred_at) FILTER (WHERE type = 'message.delivered') "
    "AS delivered_at, "
    "max(occurred_at) FILTER (WHERE type = 'message.opened' AND NOT is_machine) AS opened_at, "
    "max(occurred_at) FILTER (WHERE type = 'message.opened' AND is_machine) AS fetched_at, "
    "bool_or(type = 'message.clicked' AND NOT is_machine) AS clicked, "
    "bool_or(type = 'message.clicked' AND is_machine) AS scanned, "
    "jsonb_agg(jsonb_build_array(extract(epoch FROM occurred_at), data->'link_index')) "
    "FILTER (WHERE type = 'message.clicked' AND occurred_at > {}) AS clicks "
    "FROM (SELECT *, coalesce(data->>'machine_open', data->>'bot', 'false')::boolean "
    "AS is_machine FROM events WHERE message_id = ANY({}::uuid[])) AS event "
    "WHERE delivery_id = ANY({}::uuid[]) GROUP BY delivery_id"
)


@dataclass(slots=True)
class _History:
    """What was known of a delivery before, and what the hits at hand add to it."""

    delivered_at: datetime | None
    last_open: dict[bool, datetime | None]
    """By whether a machine opened it."""
    clicked: dict[bool, bool]
    clicks: list[tuple[float, int]] = field(default_factory=list)
    count: int = 0
    """Opens and clicks that are events."""
    bursts: frozenset[float] = frozenset()


def ripe_before(now: datetime) -> datetime:
    """Return until when a hit must have come for an event to be made of it now."""
    return now - AFTER


async def settle_hits() -> int:
    """Make events of the hits that are old enough; return how many hits that were.

    It may run twice or at the same time as itself: a hit is removed in the transaction in which
    it becomes an event.
    """
    ripe = ripe_before(clock.now())
    async with transaction() as tx:
        (turn,) = await fetch("SELECT pg_try_advisory_xact_lock({}) AS is_mine", LOCK)
        if not turn["is_mine"]:
            return 0
        # By id, which is nearly the order of time: an index more would cost more than it finds.
        found = await fetch(
            "SELECT * FROM tracking_hits WHERE occurred_at <= {} ORDER BY id LIMIT {}",
            ripe,
            AT_ONCE,
        )
        if not found:
            return 0
        hits = sorted(found, key=lambda hit: hit["occurred_at"])
        erased = await _erased(hits)
        apart = await aggregates({ProjectId(hit["project_id"]) for hit in hits})
        histories = await _read_histories(hits)
        events: list[NewEvent] = []
        done: list[uuid.UUID] = []
        for hit in hits:
            history = histories.get(hit["delivery_id"])
            if history is not None and history.delivered_at is None and _may_wait(hit):
                continue
            done.append(hit["id"])
            if history is None or hit["id"] in erased or history.count >= MOST_EVENTS:
                continue
            is_apart = hit["aggregate"] or hit["project_id"] in apart
            shown = _events(hit, history, is_apart=is_apart)
            history.count += len(shown)
            events += shown
        await fetch("DELETE FROM tracking_hits WHERE id = ANY({}::uuid[])", done)
        await append(tx, events)
    return len(done)


def _may_wait(hit: Mapping[str, Any]) -> bool:
    """Say whether we may yet learn that the mail was delivered: a worker may have died there."""
    return bool(hit["occurred_at"] > clock.now() - UNSETTLED)


async def _erased(hits: Sequence[Mapping[str, Any]]) -> set[uuid.UUID]:
    """Return those of mail that somebody got who was erased since."""
    rows = await fetch(
        "SELECT asked.id FROM unnest({}::uuid[], {}::uuid[], {}::bytea[], {}::timestamptz[]) "
        "AS asked (id, organization_id, who, made_at) JOIN erased_recipients AS found "
        "USING (organization_id, who) WHERE asked.made_at <= found.erased_at",
        [hit["id"] for hit in hits],
        [hit["organization_id"] for hit in hits],
        [hit["who"] for hit in hits],
        [hit["made_at"] for hit in hits],
    )
    return {row["id"] for row in rows}


async def _read_histories(hits: Sequence[Mapping[str, Any]]) -> dict[uuid.UUID, _History]:
    """Return what is known of each delivery; one of which nothing is known is gone."""
    if not hits:
        return {}
    deliveries = list({hit["delivery_id"] for hit in hits})
    rows = await fetch(
        HISTORY,
        hits[0]["occurred_at"] - 2 * BURST_WITHIN,
        list({hit["message_id"] for hit in hits}),
        deliveries,
    )
    found = {
        row["delivery_id"]: _History(
            row["delivered_at"],
            {False: row["opened_at"], True: row["fetched_at"]},
            {False: bool(row["clicked"]), True: bool(row["scanned"])},
            [(float(at), link or 0) for at, link in json.loads(row["clicks"] or "[]")],
            row["count"],
        )
        for row in rows
    }
    later = await fetch(
        "SELECT delivery_id, occurred_at, link_index FROM tracking_hits "
        "WHERE kind = 'click' AND occurred_at <= {} AND delivery_id = ANY({}::uuid[]) "
        "ORDER BY occurred_at LIMIT {}",
        hits[-1]["occurred_at"] + BURST_WITHIN,
        deliveries,
        10 * AT_ONCE,
    )
    for hit in later:
        if hit["delivery_id"] in found:
            click = (hit["occurred_at"].timestamp(), hit["link_index"])
            found[hit["delivery_id"]].clicks.append(click)
    for history in found.values():
        history.bursts = burst_times(history.clicks)
    return found


def _events(hit: Mapping[str, Any], history: _History, *, is_apart: bool) -> list[NewEvent]:
    """Return what a hit shows, and remember it for the next."""
    if hit["kind"] == HitKind.OPEN:
        opened = _opened(hit, history, machine=_opener(hit, history), is_apart=is_apart)
        return [] if opened is None else [opened]
    machine = hit["machine"]
    if machine is None and hit["occurred_at"].timestamp() in history.bursts:
        machine = BURST
    events = []
    is_unopened = history.last_open[False] is None
    # Where nothing is kept singly, it is not known whether there was an open.
    if machine is None and hit["implies_open"] and is_unopened and not is_apart:
        implied = _opened(hit, history, machine=None, is_apart=is_apart, implied=True)
        events = [] if implied is None else [implied]
    is_first = not history.clicked[machine is not None]
    history.clicked[machine is not None] = True
    data = {
        "url": hit["url"],
        "link_index": hit["link_index"],
        "user_agent": hit["user_agent"],
        "ip": hit["ip"],
        "bot": machine is not None,
        "first": is_first,
    }
    events.append(_event(EventType.MESSAGE_CLICKED, hit, data, machine, is_apart=is_apart))
    return events


def _opener(hit: Mapping[str, Any], history: _History) -> str | None:
    """Return which machine opened it, or None if a person may have."""
    machine: str | None = hit["machine"]
    at = history.delivered_at
    if machine is None and at is not None and hit["occurred_at"] < at + SOONEST:
        return TOO_SOON
    return machine


def _opened(
    hit: Mapping[str, Any],
    history: _History,
    *,
    machine: str | None,
    is_apart: bool,
    implied: bool = False,
) -> NewEvent | None:
    """Return the event of an open, or None if it is one with another a moment ago."""
    before = history.last_open[machine is not None]
    if before is not None and hit["occurred_at"] < before + MERGED_WITHIN:
        return None
    history.last_open[machine is not None] = hit["occurred_at"]
    data = {
        "user_agent": hit["user_agent"],
        "ip": hit["ip"],
        "machine_open": machine is not None,
        "first": before is None,
        "implied": implied,
    }
    return _event(EventType.MESSAGE_OPENED, hit, data, machine, is_apart=is_apart)


def _event(
    type: EventType,
    hit: Mapping[str, Any],
    data: Mapping[str, Any],
    machine: str | None,
    *,
    is_apart: bool,
) -> NewEvent:
    """Return the event; where nothing may be kept of single people it names no message."""
    at: datetime = hit["occurred_at"]
    if is_apart:
        nobody = {"user_agent": None, "ip": None, "first": None, "aggregate": True}
        data = {**data, **nobody}
        if "url" in data:
            # What a link says behind its path may be made for one person.
            data["url"] = str(data["url"]).partition("?")[0].partition("#")[0]
        at = at.replace(minute=0, second=0, microsecond=0)
    if machine is not None:
        data = {**data, "machine": machine}
    return NewEvent(
        organization_id=OrganizationId(hit["organization_id"]),
        project_id=ProjectId(hit["project_id"]),
        message_id=None if is_apart else hit["message_id"],
        delivery_id=None if is_apart else hit["delivery_id"],
        type=type,
        data=data,
        occurred_at=at,
    )
