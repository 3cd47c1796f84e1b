"""Deliveries of messages that a search found, as far as the search asks about recipients."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from .isps import isp_sql
from .rules import DeliveryState, MessageStatus


@dataclass(frozen=True, slots=True)
class AskedOfDeliveries:
    """What a search says of recipients; what is None or empty does not matter."""

    statuses: Collection[str] = ()
    """Of messages: of one with several recipients those are meant that make it so."""
    address_key: str | None = None
    domain: str | None = None
    bounce_class: str | None = None
    isp: str | None = None

    @property
    def is_everybody(self) -> bool:
        """Say whether every recipient of a message that is found is meant."""
        return not (
            self.statuses or self.address_key or self.domain or self.bounce_class or self.isp
        )

    @property
    def states(self) -> list[str]:
        """The states of deliveries that the statuses come to; any if they are empty."""
        if not self.statuses or MessageStatus.PARTIAL in self.statuses:
            return [state.value for state in DeliveryState]
        return [state.value for state in DeliveryState if state.value in self.statuses]


@dataclass(frozen=True, slots=True)
class MatchingDelivery:
    """One recipient that a search is about."""

    id: uuid.UUID
    message_id: uuid.UUID
    kind: str
    address: str
    state: DeliveryState


_ISP = isp_sql("d.domain", "d.mx_host")


async def matching_deliveries(
    organization_id: OrganizationId,
    message_ids: Collection[uuid.UUID],
    asked: AskedOfDeliveries,
    *,
    states: Collection[DeliveryState] = tuple(DeliveryState),
) -> list[MatchingDelivery]:
    """Return those of the messages' deliveries that fit and are in one of *states*.

    Whoever was erased is left out. They are as many as the messages have recipients, which the
    caller keeps within bounds; see `recipient_counts`.
    """
    rows = await fetch(
        "SELECT d.id, d.message_id, d.kind, d.address, d.state FROM deliveries d "
        "WHERE d.message_id = ANY({}::uuid[]) AND d.organization_id = {} "
        # What stands for somebody who was erased is no address.
        "AND left(d.address_key, 1) <> '#' AND d.state = ANY({}::text[]) "
        "AND ({}::text IS NULL OR d.address_key = {}) "
        "AND ({}::text IS NULL OR d.domain = {}) "
        "AND ({}::text IS NULL OR d.bounce_class = {}) "
        f"AND ({{}}::text IS NULL OR {_ISP} = {{}}) ORDER BY d.id",
        list(message_ids),
        organization_id,
        [state for state in asked.states if state in states],
        asked.address_key,
        asked.address_key,
        asked.domain,
        asked.domain,
        asked.bounce_class,
        asked.bounce_class,
        asked.isp,
        asked.isp,
    )
    return [
        MatchingDelivery(**{**row, "state": DeliveryState(row["state"])}) for row in map(dict, rows)
    ]


async def recipient_counts(
    organization_id: OrganizationId, message_ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, int]:
    """Return how many recipients each of the messages has."""
    rows = await fetch(
        "SELECT id, recipient_count FROM spooled_messages "
        "WHERE id = ANY({}::uuid[]) AND organization_id = {}",
        list(message_ids),
        organization_id,
    )
    return {row["id"]: row["recipient_count"] for row in rows}


async def hasten_deliveries(
    tx: Tx, ids: Collection[uuid.UUID]
) -> tuple[int, Collection[uuid.UUID]]:
    """Make those that were refused for now due now; return how many, and their queues.

    The caller rings for the queues after the commit. One that somebody is at work on keeps its
    time.
    """
    now = clock.now()
    rows = await fetch(
        "WITH hastened AS (SELECT id FROM deliveries WHERE id = ANY({}::uuid[]) "
        "AND state = 'deferred' AND due_at > {} ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) "
        "UPDATE deliveries SET due_at = {} FROM hastened WHERE deliveries.id = hastened.id "
        "RETURNING deliveries.queue_id",
        list(ids),
        now,
        now,
    )
    queues = sorted({row["queue_id"] for row in rows})
    # Deliveries before their queues, as settling does, so that the two never deadlock.
    await fetch(
        "UPDATE queues SET next_due_at = least(next_due_at, {}) WHERE id = ANY("
        "ARRAY(SELECT id FROM queues WHERE id = ANY({}::uuid[]) AND next_due_at IS NOT NULL "
        "ORDER BY id FOR NO KEY UPDATE))",
        now,
        queues,
    )
    return len(rows), queues
