"""Erasing one person: from messages, the spool, events, suppressions and the audit log.

It goes on where it was left, and nothing of it may be done halfway: what is done to a batch of
deliveries is one transaction. What is left is a keyed hash, by which mail to them stays stopped.
"""

import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ...audit import work as audit
from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...core.queue import JobName, enqueue
from ...credits import lots as credits
from ...delivery.operations import cancel_deliveries
from ...delivery.work.erasing import (
    Addressed,
    count_addressed,
    erase_contents,
    erase_deliveries,
    list_addressed,
)
from ...events import work as events
from ...events.operations import NewEvent, append
from ...events.rules import EventType
from ...suppressions import work as suppressions
from ...suppressions.rules import stand_in_for

DELIVERIES_AT_ONCE = 200
TURN_SECONDS = 600.0
"""How long one job erases; then others have their turn, and the sweep asks for the next."""
BY_ERASURE = "erasure"

EraseElsewhere = Callable[[OrganizationId, str], Awaitable[None]]
"""Takes an address, in lower case, out of what an area above this one keeps."""


async def ask_for_erasure(id: uuid.UUID) -> None:
    """Ask for the job that goes on with an erasure."""
    await enqueue(JobName.ERASE_RECIPIENT, key=f"erase:{id}", erasure_id=str(id))


_OPEN = "SELECT id FROM erasures WHERE completed_at IS NULL"
ANY_OPEN_ERASURE = f"EXISTS ({_OPEN})"


async def ask_for_open_erasures(*, limit: int) -> None:
    """Ask for the jobs of those that are not done: they wait for others' mail, or were lost."""
    rows = await fetch(f"{_OPEN} ORDER BY created_at LIMIT {{}}", limit)
    for row in rows:
        await ask_for_erasure(row["id"])


async def run_erasure(id: uuid.UUID, elsewhere: Sequence[EraseElsewhere] = ()) -> None:
    """Erase what can be erased in ten minutes, and *elsewhere* after all else; it is done when
    none waits for anybody else."""
    ends_at = time.monotonic() + TURN_SECONDS
    while await _erase_some(id):
        if time.monotonic() >= ends_at:
            return
    async with transaction() as tx:
        row = await _lock(tx, id)
        if row is None:
            return
        organization_id, address = OrganizationId(row["organization_id"]), row["address"]
        stand_in = stand_in_for(row["key"])
        kept = await suppressions.erase_address(tx, organization_id, address)
        told = await events.erase_address(organization_id, address, stand_in=stand_in)
        await audit.erase_address(organization_id, address, stand_in=stand_in)
        for erase in elsewhere:
            await erase(organization_id, address)
        waiting = await erase_contents(organization_id, row["key"])
        waiting += await count_addressed(organization_id, address)
        await fetch(
            "UPDATE erasures SET suppressions = suppressions + {}, events = events + {}, "
            "waiting = {}, completed_at = {}, address = {} WHERE id = {}",
            kept,
            told,
            waiting,
            None if waiting else clock.now(),
            address if waiting else None,
            id,
        )


async def _erase_some(id: uuid.UUID) -> bool:
    """Erase some deliveries; say whether there may be more."""
    async with transaction() as tx:
        row = await _lock(tx, id)
        if row is None:
            return False
        organization_id = OrganizationId(row["organization_id"])
        found = await list_addressed(organization_id, row["address"], limit=DELIVERIES_AT_ONCE)
        if not found:
            return False
        await _cancel(tx, organization_id, found)
        stand_in = stand_in_for(row["key"])
        ended = [delivery for delivery in found if not delivery.is_sending]
        ids = [delivery.id for delivery in ended]
        taken = await events.erase_person(ids)
        await erase_deliveries(tx, ids, key=row["key"], stand_in=stand_in)
        await _erase_messages(row["address"], stand_in, ended)
        await fetch(
            "UPDATE erasures SET deliveries = deliveries + {}, events = events + {} WHERE id = {}",
            len(ended),
            taken,
            id,
        )
    return True


async def _lock(tx: Tx, id: uuid.UUID) -> Mapping[str, Any] | None:
    """Return an erasure that is not done, which nobody else goes on with meanwhile."""
    rows = await fetch(
        "SELECT * FROM erasures WHERE id = {} AND completed_at IS NULL FOR NO KEY UPDATE", id
    )
    return rows[0] if rows else None


async def _cancel(tx: Tx, organization_id: OrganizationId, found: Sequence[Addressed]) -> None:
    """Cancel those that have not left, and pay for those that nobody tried to send."""
    by_message: dict[uuid.UUID, set[uuid.UUID]] = {}
    for delivery in found:
        by_message.setdefault(delivery.message_id, set()).add(delivery.id)
    rows = await fetch(
        "SELECT id, project_id, mode, credits, credit_entry_id FROM messages "
        "WHERE id = ANY({}::uuid[]) ORDER BY id",
        list(by_message),
    )
    for message in rows:
        entry_id = message["credit_entry_id"] if message["credits"] else None
        done = await cancel_deliveries(
            tx, message["id"], refund_entry_id=entry_id, only=by_message[message["id"]]
        )
        if entry_id and done.unattempted:
            await credits.refund(
                tx, entry_id, amount=done.unattempted, reference=str(message["id"])
            )
        await append(
            tx,
            [
                NewEvent(
                    organization_id=organization_id,
                    project_id=message["project_id"],
                    message_id=message["id"],
                    delivery_id=delivery_id,
                    type=EventType.MESSAGE_CANCELLED,
                    data={"cancelled_by": BY_ERASURE},
                    occurred_at=clock.now(),
                    simulated=message["mode"] == "sandbox",
                    vmta_id=vmta_id,
                )
                for delivery_id, vmta_id in done.cancelled.items()
            ],
        )


async def _erase_messages(address: str, stand_in: str, found: Sequence[Addressed]) -> None:
    """Take the address out of messages; of those that nobody else got, all that they say."""
    await fetch(
        "UPDATE messages SET recipients = (SELECT jsonb_object_agg(kind, "
        "(SELECT coalesce(jsonb_agg(CASE WHEN lower(each) = {} THEN {} ELSE each END), '[]') "
        "FROM jsonb_array_elements_text(addresses) AS each)) "
        "FROM jsonb_each(recipients) AS fields (kind, addresses)) WHERE id = ANY({}::uuid[])",
        address,
        stand_in,
        [delivery.message_id for delivery in found],
    )
    await fetch(
        "UPDATE messages SET subject = '', metadata = jsonb_build_object() "
        "WHERE id = ANY({}::uuid[])",
        [delivery.message_id for delivery in found if delivery.is_alone],
    )
