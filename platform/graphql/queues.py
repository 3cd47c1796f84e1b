"""Queues: what waits for which destination, and how it goes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..delivery import queue_operations, queue_overview, queue_queries
from ..delivery.isps import Isp
from ..delivery.queue_limits import queue_limits
from ..delivery.queue_queries import QueueView
from ..delivery.rules import QueueState
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .vmtas import Vmta, load_vmtas

describe_enum(
    QueueState,
    "What a queue does.",
    {
        "ACTIVE": "It delivers, or has nothing to deliver.",
        "BACKOFF": "The destination asked for less: it sends at a tenth of its rate.",
        "HELD": "Nothing is attempted, because a user or an auto-block says so.",
        "PAUSED": "Its vMTA is paused.",
    },
)


@strawberry.enum(description="An order of queues.")
class QueueOrder(Enum):
    DEPTH = strawberry.enum_value("-depth", description="The deepest first.")
    DEPTH_ASCENDING = strawberry.enum_value("depth", description="The shallowest first.")
    NAME = strawberry.enum_value("name", description="By name, from a to z.")
    NAME_DESCENDING = strawberry.enum_value("-name", description="By name, from z to a.")
    OLDEST_MESSAGE_AT = strawberry.enum_value(
        "oldest_message_at", description="Those with the oldest mail first."
    )
    OLDEST_MESSAGE_AT_DESCENDING = strawberry.enum_value(
        "-oldest_message_at", description="Those with the youngest oldest mail first."
    )


ORDERS = {
    QueueOrder.DEPTH: queue_queries.BY_DEPTH,
    QueueOrder.DEPTH_ASCENDING: queue_queries.BY_DEPTH.reversed,
    QueueOrder.NAME: queue_queries.BY_NAME,
    QueueOrder.NAME_DESCENDING: queue_queries.BY_NAME.reversed,
    QueueOrder.OLDEST_MESSAGE_AT: queue_queries.OLDEST_FIRST,
    QueueOrder.OLDEST_MESSAGE_AT_DESCENDING: queue_queries.OLDEST_FIRST.reversed,
}


@strawberry.type(description="What a queue keeps to now; null is no limit.")
class QueueLimits:
    max_connections: int | None = strawberry.field(description="Connections at a time.")
    max_messages_per_connection: int | None = strawberry.field(
        description="Messages over one connection."
    )
    max_messages_per_hour: int | None = strawberry.field(
        description="Messages in an hour; in back-off a tenth of the usual."
    )


@strawberry.type(description="The last reply of a receiver to a queue's mail.")
class QueueResponse:
    code: int | None = strawberry.field(description="SMTP code; null without a reply.")
    enhanced_code: str | None = strawberry.field(description="Enhanced status code.")
    text: str = strawberry.field(description="What it said, or what went wrong.")
    at: datetime = strawberry.field(description="When.")


@strawberry.type(description="Why nothing of a queue is attempted.")
class QueueHold:
    source: str = strawberry.field(description="`user` or `auto_block`.")
    reason: str | None = strawberry.field(description="As it was given.")
    by: UUID | None = strawberry.field(description="UUID of the user who holds it.")
    at: datetime = strawberry.field(description="Since when.")
    until: datetime | None = strawberry.field(description="Until when; null is until released.")


@strawberry.type(description="The deliveries of one vMTA to one destination domain.")
class Queue(Node):
    view: strawberry.Private[QueueView]

    @strawberry.field(description="`<domain>/<name of the vMTA>`.")
    def name(self) -> str:
        return self.view.name

    @strawberry.field(description="The vMTA that sends it.")
    async def vmta(self, info: Info) -> Vmta | None:
        return await info.context.loaders.load(load_vmtas, self.view.vmta_id)

    @strawberry.field(description="UUID of the vMTA.")
    def vmta_uuid(self) -> UUID:
        return self.view.vmta_id

    @strawberry.field(description="Name of the vMTA.")
    def vmta_name(self) -> str:
        return self.view.vmta

    @strawberry.field(description="Destination domain, A-labels.")
    def domain(self) -> str:
        return self.view.domain

    @strawberry.field(description="Who runs the mailboxes.")
    def isp(self) -> Isp:
        return self.view.isp

    @strawberry.field(
        description="First mail exchanger of the domain; null until it was looked up."
    )
    def site(self) -> str | None:
        return self.view.site

    @strawberry.field(description="What it does.")
    def state(self) -> QueueState:
        return self.view.state

    @strawberry.field(description="Deliveries that are ready, deferred or on the wire.")
    def depth(self) -> int:
        return self.view.depth

    @strawberry.field(description="Deliveries that wait for their first attempt.")
    def ready(self) -> int:
        return self.view.ready

    @strawberry.field(description="Deliveries that wait for another attempt.")
    def deferred(self) -> int:
        return self.view.deferred

    @strawberry.field(description="Deliveries on the wire.")
    def in_flight(self) -> int:
        return self.view.in_flight

    @strawberry.field(description="Deliveries that wait for the time they are to be sent at.")
    def scheduled(self) -> int:
        return self.view.scheduled

    @strawberry.field(description="Connections that are open for it.")
    async def connections(self, info: Info) -> int:
        return await info.context.loaders.load(load_connections, self.view.id) or 0

    @strawberry.field(description="What it keeps to now.")
    async def limits(self, info: Info) -> QueueLimits:
        found = await info.context.loaders.load(load_limits, self.view)
        assert found is not None
        return found

    @strawberry.field(description="Delivered in the last hour, to five minutes.")
    async def delivered_last_hour(self, info: Info) -> int:
        return await info.context.loaders.load(load_delivered, self.view.id) or 0

    @strawberry.field(description="When its oldest message was accepted.")
    def oldest_message_at(self) -> datetime | None:
        return self.view.oldest_message_at

    @strawberry.field(description="When its next attempt is due.")
    async def next_attempt_at(self, info: Info) -> datetime | None:
        return await info.context.loaders.load(load_next_attempts, self.view.id)

    @strawberry.field(description="The last reply to it.")
    def last_response(self) -> QueueResponse | None:
        last = self.view.last_reply
        if last is None:
            return None
        return QueueResponse(
            code=last.code, enhanced_code=last.enhanced_code, text=last.text, at=last.at
        )

    @strawberry.field(description="Why nothing is attempted; null unless it is held.")
    def hold(self) -> QueueHold | None:
        hold = self.view.hold
        if hold is None:
            return None
        return QueueHold(
            source=hold.source, reason=hold.reason, by=hold.by, at=hold.at, until=hold.until
        )


def queue_type(view: QueueView) -> Queue:
    """Return *view* as the schema shows it."""
    return Queue(uuid=view.id, view=view)


async def load_queues(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Queue]:
    """Return those of the queues that the organization has."""
    found = await queue_queries.find_queues(actor, ids)
    return {id: queue_type(view) for id, view in found.items()}


async def load_connections(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return the open connections of each queue."""
    return await queue_queries.open_connections(actor, ids)


async def load_delivered(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return what of each queue was delivered in the last hour."""
    return await queue_queries.delivered_last_hour(actor, ids)


async def load_next_attempts(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, datetime]:
    """Return when each queue's next attempt is due."""
    return await queue_queries.next_attempts(actor, ids)


async def load_limits(actor: Actor, views: Sequence[QueueView]) -> Mapping[QueueView, QueueLimits]:
    """Return what each queue keeps to."""
    found = await queue_limits(actor, views)
    return {
        view: QueueLimits(
            max_connections=limits.connections,
            max_messages_per_connection=limits.messages_per_connection,
            max_messages_per_hour=limits.messages_per_hour,
        )
        for view, limits in found.items()
    }


register(Queue, load_queues)


@strawberry.type(description="One of the domains that most mail waits for.")
class QueueDestination:
    domain: str = strawberry.field(description="The domain, A-labels.")
    depth: int = strawberry.field(description="Deliveries to it.")
    state: QueueState = strawberry.field(description="What its deepest queue does.")


@strawberry.type(description="How many queues are in each state.")
class QueueCounts:
    total: int = strawberry.field(description="All that are listed.")
    active: int = strawberry.field(description="Delivering or idle.")
    backoff: int = strawberry.field(description="At a tenth of their rate.")
    held: int = strawberry.field(description="Held.")
    paused: int = strawberry.field(description="With a paused vMTA.")


@strawberry.type(description="All queues in one glance; rates are percentages of the last hour.")
class QueueOverview:
    queue_depth: int = strawberry.field(description="Ready, deferred and on the wire.")
    ready: int = strawberry.field(description="Waiting for their first attempt.")
    deferred: int = strawberry.field(description="Waiting for another attempt.")
    in_flight: int = strawberry.field(description="On the wire.")
    scheduled: int = strawberry.field(description="Waiting for their time.")
    held: int = strawberry.field(description="Of the depth, what is in held queues.")
    queues: QueueCounts = strawberry.field(description="Queues by state.")
    oldest_message_at: datetime | None = strawberry.field(
        description="When the oldest message that waits was accepted."
    )
    delivery_rate: float | None = strawberry.field(
        description="Delivered of what ended; null if nothing did."
    )
    bounce_rate: float | None = strawberry.field(
        description="Bounced of what ended; null if nothing did."
    )
    complaint_rate: float | None = strawberry.field(
        description="Complaints per delivery; null if nothing was delivered, and where one vMTA "
        "or pool is asked for."
    )
    sending_velocity: int = strawberry.field(description="Deliveries a minute over the last five.")
    smtp_connections: int = strawberry.field(description="Connections that are open.")
    top_destinations: list[QueueDestination] = strawberry.field(
        description="The ten domains that most waits for."
    )
    updated_at: datetime = strawberry.field(description="When this was put together.")


@strawberry.input(description="Which queues to list.")
class QueueFilter:
    vmta: str | None = strawberry.field(
        default=None, description="Only those of this vMTA, by name or UUID."
    )
    pool: str | None = strawberry.field(default=None, description="Only of vMTAs in this pool.")
    domain: str | None = strawberry.field(default=None, description="Only to this domain.")
    isp: Isp | None = strawberry.field(default=None, description="Only to this provider.")
    states: list[QueueState] | None = strawberry.field(
        default=None, description="Only those in one of these states."
    )
    min_depth: int | None = strawberry.field(default=None, description="Only as deep or deeper.")


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="The queues that hold mail, or did in the last hour. Needs `queues:read`."
    )
    async def queues(
        self,
        info: Info,
        filter: Annotated[
            QueueFilter | None, strawberry.argument(description="Only some of them.")
        ] = None,
        order_by: Annotated[
            QueueOrder, strawberry.argument(description="In which order.")
        ] = QueueOrder.DEPTH,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Queue]:
        actor, wanted = actor_of(info), wanted_queues(filter)
        found = await queue_queries.list_queues(
            actor,
            page_request(first, after, last, before, maximum=500),
            wanted=wanted,
            order=ORDERS[order_by],
        )
        return to_connection(
            found, queue_type, count=lambda: queue_queries.count_queues(actor, wanted=wanted)
        )

    @strawberry.field(description="One queue. Needs `queues:read`.")
    async def queue(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Global id or UUID.")],
    ) -> Queue:
        return queue_type(await queue_queries.get_queue(actor_of(info), parse_id(id, "Queue")))

    @strawberry.field(description="All queues in one glance. Needs `queues:read`.")
    async def queue_overview(
        self,
        info: Info,
        vmta: Annotated[
            str | None, strawberry.argument(description="Only of this vMTA, by name or UUID.")
        ] = None,
        pool: Annotated[
            str | None, strawberry.argument(description="Only of vMTAs in this pool.")
        ] = None,
    ) -> QueueOverview:
        found = await queue_overview.queue_overview(actor_of(info), vmta=vmta, pool=pool)
        return _overview_type(found)


@strawberry.input(description="A queue to flush.")
class FlushQueueInput:
    queue: strawberry.ID = strawberry.field(description="Global id or UUID of the queue.")
    reason: str | None = strawberry.field(
        default=None, description="For the audit log; at most 200 characters."
    )


@strawberry.input(description="A queue to hold.")
class HoldQueueInput:
    queue: strawberry.ID = strawberry.field(description="Global id or UUID of the queue.")
    reason: str | None = strawberry.field(
        default=None, description="Shown with the queue; at most 200 characters."
    )
    duration_seconds: int | None = strawberry.field(
        default=None, description="60 to 604800; left out, until it is released."
    )


@strawberry.input(description="A queue to release.")
class ReleaseQueueInput:
    queue: strawberry.ID = strawberry.field(description="Global id or UUID of the queue.")
    reason: str | None = strawberry.field(
        default=None, description="For the audit log; at most 200 characters."
    )


@strawberry.type(description="A queue that was flushed.")
class FlushQueuePayload:
    queue: Queue = strawberry.field(description="The queue as it is now.")
    affected: int = strawberry.field(description="Deliveries that became due.")


@strawberry.type(description="A queue that is held.")
class HoldQueuePayload:
    queue: Queue = strawberry.field(description="The queue as it is now.")
    affected: int = strawberry.field(description="Deliveries that wait in it.")


@strawberry.type(description="A queue that is not held any more.")
class ReleaseQueuePayload:
    queue: Queue = strawberry.field(description="The queue as it is now.")
    affected: int = strawberry.field(description="Deliveries that were held; 0 if it was not.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Make everything deferred in a queue due now; limits still hold. "
        "Needs `queues:write`."
    )
    async def flush_queue(
        self,
        info: Info,
        input: Annotated[FlushQueueInput, strawberry.argument(description="Which queue.")],
    ) -> FlushQueuePayload:
        done = await queue_operations.flush_queue(
            actor_of(info), parse_id(input.queue, "Queue"), reason=input.reason
        )
        return FlushQueuePayload(queue=queue_type(done.queue), affected=done.affected)

    @strawberry.mutation(
        description="Begin no more attempts of a queue; mail is still accepted into it. Holding "
        "it again changes reason and duration. Needs `queues:write`."
    )
    async def hold_queue(
        self,
        info: Info,
        input: Annotated[HoldQueueInput, strawberry.argument(description="Which queue.")],
    ) -> HoldQueuePayload:
        done = await queue_operations.hold_queue(
            actor_of(info),
            parse_id(input.queue, "Queue"),
            reason=input.reason,
            duration_seconds=input.duration_seconds,
        )
        return HoldQueuePayload(queue=queue_type(done.queue), affected=done.affected)

    @strawberry.mutation(description="End the hold of a queue. Needs `queues:write`.")
    async def release_queue(
        self,
        info: Info,
        input: Annotated[ReleaseQueueInput, strawberry.argument(description="Which queue.")],
    ) -> ReleaseQueuePayload:
        done = await queue_operations.release_queue(
            actor_of(info), parse_id(input.queue, "Queue"), reason=input.reason
        )
        return ReleaseQueuePayload(queue=queue_type(done.queue), affected=done.affected)


def wanted_queues(
    filter: QueueFilter | None, *, vmta: UUID | None = None
) -> queue_queries.QueueFilter:
    """Return what a filter asks for; of one *vmta* whatever it says of that."""
    if filter is None:
        return queue_queries.QueueFilter(vmta=str(vmta) if vmta else None)
    return queue_queries.QueueFilter(
        vmta=str(vmta) if vmta else filter.vmta,
        pool=filter.pool,
        domain=filter.domain.lower() if filter.domain else None,
        isp=filter.isp,
        states=tuple(filter.states or ()),
        min_depth=filter.min_depth,
    )


def _overview_type(found: queue_overview.Overview) -> QueueOverview:
    return QueueOverview(
        queue_depth=found.queue_depth,
        ready=found.ready,
        deferred=found.deferred,
        in_flight=found.in_flight,
        scheduled=found.scheduled,
        held=found.held,
        queues=QueueCounts(
            total=sum(found.queues.values()),
            **{state.value: count for state, count in found.queues.items()},
        ),
        oldest_message_at=found.oldest_message_at,
        delivery_rate=found.delivery_rate,
        bounce_rate=found.bounce_rate,
        complaint_rate=found.complaint_rate,
        sending_velocity=found.sending_velocity,
        smtp_connections=found.smtp_connections,
        top_destinations=[
            QueueDestination(domain=each.domain, depth=each.depth, state=each.state)
            for each in found.top_destinations
        ],
        updated_at=found.updated_at,
    )
