"""Why deliveries are not attempted at this moment."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from ..core import clock
from ..core.actor import Actor
from ..delivery import queries, tables
from ..delivery.rules import DeliveryState
from ..delivery.waiting import ProjectHeld, QueueFacts, WaitReason, waits
from .context import Info
from .enums import describe_enum

describe_enum(
    WaitReason,
    "What a delivery waits for.",
    {
        "SIMULATION": "It is sandbox mail: somebody has to say what becomes of it.",
        "SCHEDULE": "The time that it is to be sent at.",
        "HOLD": "Its queue is held.",
        "PROJECT_HOLD": "An auto-block holds its project: resolve the block, or let it end.",
        "PAUSE": "Its vMTA is paused.",
        "RETRY": "Its last attempt failed for the moment; this is until the next.",
        "SUSPENSION": "The receivers want nothing from this address for a while.",
        "WARMUP": "The warm-up of its vMTA allows no more today, or this hour.",
        "LIMIT": "A limit of messages at the destination, or of the vMTA, is reached.",
        "NO_ADDRESS": "No worker that looked has the address of its vMTA.",
        "BACKOFF": "The receivers asked for less: its queue sends at a tenth of its rate.",
        "TURN": "Nothing but its turn: it is due, and others are before it.",
    },
)


@strawberry.type(description="One thing that keeps a delivery from being attempted now.")
class DeliveryWait:
    reason: WaitReason = strawberry.field(description="What it waits for.")
    until: datetime | None = strawberry.field(
        description="Until when; null where nobody knows, or somebody has to end it."
    )
    detail: str | None = strawberry.field(
        description="What a receiver or a person said about it, or the address that is missing."
    )


async def waits_of(info: Info, row: tables.Delivery) -> list[DeliveryWait]:
    """Return all that keeps a delivery from being attempted now."""
    facts = await info.context.loaders.load(load_queue_facts, row.queue_id)
    found = waits(
        DeliveryState(row.state),
        due_at=row.due_at,
        last_reply=row.reply,
        queue=facts or QueueFacts(),
        project=await info.context.loaders.load(load_project_holds, row.project_id),
        now=clock.now(),
    )
    return [DeliveryWait(reason=w.reason, until=w.until, detail=w.detail) for w in found]


async def load_queue_facts(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, QueueFacts]:
    """Return what decides whether the mail of each queue is attempted."""
    return await queries.facts_of_queues(actor, ids)


async def load_project_holds(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, ProjectHeld]:
    """Return why those of the projects that auto-blocks hold are held."""
    return await queries.holds_of_projects(actor, ids)
