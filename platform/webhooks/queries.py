"""Reading webhooks, their calls, and what is counted of them."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from piccolo.columns.combination import WhereRaw
from piccolo.query import Objects

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.counting import Total, total_of
from ..core.database import fetch
from ..core.errors import NotFound
from ..core.ids import first_id_at
from ..core.paging import Order, Page, PageRequest, by_id, fetch_page
from .matching import Recorded, matches, webhooks_of
from .postal import NAMES as POSTAL_NAMES
from .rules import CallState, median_ms
from .tables import Webhook, WebhookCall, WebhookReplay

DAY = timedelta(days=1)
MOST_PENDING = 10_000
"""Pending calls are counted up to here."""

Webhooks: TypeAlias = "Objects[Webhook]"


@dataclass(frozen=True, slots=True)
class WebhookFilter:
    """Which webhooks; None does not matter."""

    enabled: bool | None = None
    event: str | None = None
    """An event, or a pattern: those that want it, by whatever pattern."""


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls; None does not matter."""

    state: CallState | None = None
    event: str | None = None
    message_id: uuid.UUID | None = None
    test: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stats:
    """What became of the calls of one webhook in the last 24 hours."""

    delivered: int = 0
    failed: int = 0
    """Attempts."""
    dead: int = 0
    pending: int = 0
    """Now, of all times; at most `MOST_PENDING`."""
    median_ms: int | None = None
    """Of attempts that succeeded, to about a tenth."""

    @property
    def success_rate(self) -> float | None:
        """Percent of the attempts that succeeded; None of none."""
        made = self.delivered + self.failed
        return round(100 * self.delivered / made, 4) if made else None


async def get_webhook(actor: Actor, webhook_id: uuid.UUID) -> Webhook:
    """Return one webhook.

    Raises:
        NotFound: it is absent, deleted, somebody else's, or of another project than the actor.
    """
    found = (await find_webhooks(actor, [webhook_id])).get(webhook_id)
    if found is None:
        raise NotFound
    return found


async def find_webhooks(actor: Actor, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Webhook]:
    """Return those of the webhooks that the actor may see."""
    actor.require(Permission.READ_WEBHOOKS)
    if not ids:
        return {}
    rows = await visible(actor).where(Webhook.id.is_in(list(ids)))
    return {row.id: row for row in rows}


async def list_webhooks(
    actor: Actor, page: PageRequest, *, where: WebhookFilter, descending: bool = True
) -> Page[Webhook]:
    """Return webhooks in the order in which they were made."""
    actor.require(Permission.READ_WEBHOOKS)
    scope = f"webhooks/{where.enabled}/{where.event}"
    return await fetch_page(
        _filtered(actor, where), page, by_id(descending=descending), scope=scope
    )


async def count_webhooks(actor: Actor, *, where: WebhookFilter) -> int:
    """Return how many there are: at most 20."""
    actor.require(Permission.READ_WEBHOOKS)
    return len(await _filtered(actor, where))


def visible(actor: Actor) -> Webhooks:
    """Return the query for the webhooks that *actor* may see."""
    query = Webhook.objects().where(
        (Webhook.organization_id == actor.organization_id) & Webhook.deleted_at.is_null()
    )
    if actor.project_id is not None:
        query = query.where(Webhook.project_id == actor.project_id)
    return query


def _filtered(actor: Actor, where: WebhookFilter) -> Webhooks:
    query = visible(actor)
    if where.enabled is not None:
        query = query.where(Webhook.enabled == where.enabled)
    if where.event is not None:
        kind = where.event.partition(".")[0]
        query = query.where(
            WhereRaw(
                "events && ARRAY[{}, {}, {}, '*']::varchar[]",
                where.event,
                f"{kind}.*",
                POSTAL_NAMES.get(where.event, where.event),
            )
        )
    return query


async def find_calls(actor: Actor, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, WebhookCall]:
    """Return those of the calls that the actor may see."""
    actor.require(Permission.READ_WEBHOOKS)
    rows = await WebhookCall.objects().where(
        (WebhookCall.organization_id == actor.organization_id) & WebhookCall.id.is_in(list(ids))
    )
    seen = await find_webhooks(actor, {row.webhook_id for row in rows})
    return {row.id: row for row in rows if row.webhook_id in seen}


async def list_calls(
    actor: Actor,
    webhook_id: uuid.UUID,
    page: PageRequest,
    *,
    where: CallFilter,
    descending: bool = True,
) -> Page[WebhookCall]:
    """Return calls of one webhook in the order in which they were made.

    Raises:
        NotFound: there is no such webhook for the actor.
    """
    await get_webhook(actor, webhook_id)
    query = WebhookCall.objects().where(*_conditions(actor, webhook_id, where))
    order = Order("created_at", "id", lambda row: row.id, descending, unique=True)
    return await fetch_page(query, page, order, scope=f"{webhook_id}/{where}")


async def count_calls(
    actor: Actor, webhook_id: uuid.UUID, *, where: CallFilter, exact: bool = False
) -> Total:
    """Return how many calls of one webhook there are; an *exact* answer may take a while.

    Raises:
        NotFound: there is no such webhook for the actor.
    """
    await get_webhook(actor, webhook_id)
    rows = WebhookCall.select(WebhookCall.id).where(*_conditions(actor, webhook_id, where))
    return await total_of(rows, exact=exact)


def _conditions(actor: Actor, webhook_id: uuid.UUID, where: CallFilter) -> list[Any]:
    found: list[Any] = [WebhookCall.webhook_id == webhook_id]
    if where.state is not None:
        found.append(WebhookCall.state == where.state.value)
    if where.event is not None:
        found.append(WebhookCall.event_type == where.event)
    if where.test is not None:
        found.append(WebhookCall.test == where.test)
    if where.message_id is not None:
        # By the index of the message's events, and that of a webhook's calls by event.
        found.append(
            WhereRaw(
                "event_id = ANY(ARRAY(SELECT id FROM events WHERE message_id = {} "
                "AND organization_id = {}))",
                where.message_id,
                actor.organization_id,
            )
        )
    if where.since is not None:
        found.append(WebhookCall.id >= first_id_at(where.since))
    if where.until is not None:
        found.append(WebhookCall.id < first_id_at(where.until))
    return found


async def stats_of(actor: Actor, webhook_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Stats]:
    """Return what became of the calls of each webhook; three statements for all."""
    seen = list(await find_webhooks(actor, webhook_ids))
    now = clock.now()
    counted = await fetch(
        "SELECT webhook_id, sum(delivered)::bigint AS delivered, sum(failed)::bigint AS failed, "
        "sum(dead)::bigint AS dead FROM webhook_hours "
        "WHERE webhook_id = ANY({}::uuid[]) AND hour > {} GROUP BY webhook_id",
        seen,
        now - DAY,
    )
    took = await fetch(
        "SELECT webhook_id, nth, sum(count)::bigint AS count FROM webhook_hours "
        "CROSS JOIN LATERAL unnest(durations) WITH ORDINALITY AS class (count, nth) "
        "WHERE webhook_id = ANY({}::uuid[]) AND hour > {} GROUP BY 1, 2 ORDER BY 1, 2",
        seen,
        now - DAY,
    )
    pending = await fetch(
        "SELECT webhook_id, counted.pending FROM unnest({}::uuid[]) AS asked (webhook_id) "
        "CROSS JOIN LATERAL (SELECT count(*) AS pending FROM (SELECT FROM webhook_calls "
        "WHERE webhook_id = asked.webhook_id AND state = 'pending' LIMIT {}) AS some_calls) "
        "AS counted",
        seen,
        MOST_PENDING,
    )
    durations: dict[uuid.UUID, list[int]] = {}
    for row in took:
        durations.setdefault(row["webhook_id"], []).append(row["count"])
    sums = {row["webhook_id"]: row for row in counted}
    return {
        row["webhook_id"]: Stats(
            delivered=sums[row["webhook_id"]]["delivered"] if row["webhook_id"] in sums else 0,
            failed=sums[row["webhook_id"]]["failed"] if row["webhook_id"] in sums else 0,
            dead=sums[row["webhook_id"]]["dead"] if row["webhook_id"] in sums else 0,
            pending=row["pending"],
            median_ms=median_ms(durations.get(row["webhook_id"], [])),
        )
        for row in pending
    }


async def last_deliveries(
    actor: Actor, webhook_ids: Sequence[uuid.UUID]
) -> Mapping[uuid.UUID, datetime]:
    """Return when each webhook took a call for the last time, where one ever did."""
    actor.require(Permission.READ_WEBHOOKS)
    rows = await fetch(
        "SELECT webhook_id, last_delivered_at FROM webhook_progress "
        "WHERE webhook_id = ANY({}::uuid[]) AND organization_id = {} "
        "AND last_delivered_at IS NOT NULL",
        list(webhook_ids),
        actor.organization_id,
    )
    return {row["webhook_id"]: row["last_delivered_at"] for row in rows}


async def list_replays(
    actor: Actor, webhook_id: uuid.UUID, page: PageRequest
) -> Page[WebhookReplay]:
    """Return what was asked to be replayed of one webhook, newest first."""
    await get_webhook(actor, webhook_id)
    query = WebhookReplay.objects().where(WebhookReplay.webhook_id == webhook_id)
    return await fetch_page(query, page, by_id(), scope=f"replays/{webhook_id}")


async def find_replays(
    actor: Actor, ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, WebhookReplay]:
    """Return those of the replays that the actor may see."""
    actor.require(Permission.READ_WEBHOOKS)
    rows = await WebhookReplay.objects().where(
        (WebhookReplay.organization_id == actor.organization_id) & WebhookReplay.id.is_in(list(ids))
    )
    seen = await find_webhooks(actor, {row.webhook_id for row in rows})
    return {row.id: row for row in rows if row.webhook_id in seen}


async def count_attempts(actor: Actor) -> Mapping[str, int]:
    """Return how many attempts of the organization there ever were, by result."""
    actor.require(Permission.READ_METRICS)
    rows = await fetch(
        "SELECT result, attempts FROM webhook_counts WHERE organization_id = {}",
        actor.organization_id,
    )
    return {row["result"]: row["attempts"] for row in rows}


async def count_calls_for(actor: Actor, events: Sequence[Recorded]) -> int:
    """Return how many calls these events of the organization make."""
    own = [event for event in events if event.organization_id == actor.organization_id]
    webhooks = await webhooks_of([actor.organization_id]) if own else {}
    return len(await matches(own, webhooks))
