"""Cancelling what has not left yet."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import Tx, fetch, transaction
from ...core.errors import Detail, DetailCode, InvalidInput, NotFound
from ...credits import lots as credits
from ...delivery.operations import CancelledDeliveries, cancel_deliveries
from ...events.operations import NewEvent, append
from ...events.rules import EventType
from ..errors import NotCancellable

MAX_REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What cancelling did."""

    id: uuid.UUID
    status: str
    cancelled: int
    in_progress: int
    already_final: int
    credits_refunded: int
    cancelled_at: datetime


async def cancel_message(
    actor: Actor,
    message_id: uuid.UUID,
    *,
    reason: str | None = None,
    only: Collection[uuid.UUID] | None = None,
) -> Cancellation:
    """Cancel every recipient that is not final; those on the wire end as they will.

    With *only*, of those that are these deliveries; what is counted is of them, too.

    Recipients without an attempt are paid back; one that a worker has now is paid back later,
    if that worker makes none. Cancelling a cancelled message again does nothing and answers
    the same.

    Raises:
        NotFound: there is no such message.
        NotCancellable: every recipient that is meant is final for another reason.
    """
    actor.require(Permission.WRITE_MESSAGES)
    async with transaction() as tx:
        rows = await fetch(
            "SELECT id, project_id, mode, credits, credit_entry_id FROM messages "
            "WHERE id = {} AND organization_id = {} AND ({}::uuid IS NULL OR project_id = {})",
            message_id,
            actor.organization_id,
            actor.project_id,
            actor.project_id,
        )
        if not rows:
            raise NotFound("There is no such message in this organization.")
        if reason and len(reason) > MAX_REASON_CHARACTERS:
            raise InvalidInput(
                "A reason has at most 200 characters.",
                details=[Detail("reason", DetailCode.TOO_LONG, "At most 200 characters.")],
            )
        done, refunded = await cancel_in(tx, actor, rows[0], reason=reason, only=only)
        if not done.cancelled and not done.in_progress and not done.already_cancelled:
            raise NotCancellable
    return Cancellation(
        id=message_id,
        status=done.status,
        cancelled=len(done.cancelled),
        in_progress=done.in_progress,
        already_final=done.final,
        credits_refunded=refunded,
        cancelled_at=clock.now(),
    )


async def cancel_in(
    tx: Tx,
    actor: Actor,
    message: Mapping[str, Any],
    *,
    reason: str | None,
    only: Collection[uuid.UUID] | None = None,
) -> tuple[CancelledDeliveries, int]:
    """Cancel what can be cancelled of a message; return what was, and the credits paid back.

    *message* is its row's id, project_id, mode, credits and credit_entry_id; *only* names
    deliveries, if not all of them are meant.
    """
    message_id: uuid.UUID = message["id"]
    entry_id = message["credit_entry_id"] if message["credits"] else None
    done = await cancel_deliveries(
        tx,
        message_id,
        cancelled_by=actor.api_key_id or actor.user_id,
        refund_entry_id=entry_id,
        only=only,
    )
    refunded = 0
    if entry_id and done.unattempted:
        refunded = done.unattempted
        await credits.refund(tx, entry_id, amount=refunded, reference=str(message_id))
    if done.cancelled or done.in_progress:
        await append(tx, _events(actor, message_id, message, done))
        await audit.record(
            tx,
            actor,
            action="message.cancelled",
            target_type="message",
            target_id=message_id,
            changes={"reason": reason} if reason else {},
        )
    return done, refunded


def _events(
    actor: Actor, message_id: uuid.UUID, message: Mapping[str, Any], done: CancelledDeliveries
) -> list[NewEvent]:
    by = str(actor.api_key_id or actor.user_id)
    return [
        NewEvent(
            organization_id=actor.organization_id,
            project_id=message["project_id"],
            message_id=message_id,
            delivery_id=delivery_id,
            type=EventType.MESSAGE_CANCELLED,
            data={"cancelled_by": by},
            occurred_at=clock.now(),
            simulated=message["mode"] == "sandbox",
            vmta_id=vmta_id,
        )
        for delivery_id, vmta_id in done.cancelled.items()
    ]
