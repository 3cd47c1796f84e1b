"""What waits for one vMTA, by destination."""

from datetime import datetime
from typing import Annotated

import strawberry

from ..delivery import queue_overview, queue_queries
from .context import Info, actor_of
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .queues import ORDERS, Queue, QueueFilter, QueueOrder, queue_type, wanted_queues
from .vmtas import Vmta, VmtaRef, find_vmta


@strawberry.type(description="Sums over a vMTA's queues.")
class VmtaQueueTotals:
    depth: int = strawberry.field(description="Ready, deferred and on the wire.")
    ready: int = strawberry.field(description="Waiting for their first attempt.")
    deferred: int = strawberry.field(description="Waiting for another attempt.")
    in_flight: int = strawberry.field(description="On the wire.")
    held: int = strawberry.field(description="Of the depth, what is in held queues.")
    connections: int = strawberry.field(description="Connections that are open.")
    oldest_message_at: datetime | None = strawberry.field(
        description="When the oldest message that waits was accepted."
    )
    delivered_last_hour: int = strawberry.field(description="Delivered in the last hour.")


@strawberry.type(description="What waits for a vMTA.")
class VmtaQueues:
    vmta: Vmta = strawberry.field(description="The vMTA.")

    @strawberry.field(description="Sums over its queues. Needs `queues:read`.")
    async def totals(self, info: Info) -> VmtaQueueTotals:
        sums = await queue_overview.queue_overview(actor_of(info), vmta=str(self.vmta.uuid))
        return VmtaQueueTotals(
            depth=sums.queue_depth,
            ready=sums.ready,
            deferred=sums.deferred,
            in_flight=sums.in_flight,
            held=sums.held,
            connections=sums.smtp_connections,
            oldest_message_at=sums.oldest_message_at,
            delivered_last_hour=sums.delivered_last_hour,
        )

    @strawberry.field(description="Its queues. Needs `queues:read`.")
    async def queues(
        self,
        info: Info,
        filter: Annotated[
            QueueFilter | None,
            strawberry.argument(description="Only some of them; its vMTA counts for nothing."),
        ] = None,
        order_by: Annotated[
            QueueOrder, strawberry.argument(description="In which order.")
        ] = QueueOrder.DEPTH,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Queue]:
        actor, wanted = actor_of(info), wanted_queues(filter, vmta=self.vmta.uuid)
        found = await queue_queries.list_queues(
            actor,
            page_request(first, after, last, before, maximum=500),
            wanted=wanted,
            order=ORDERS[order_by],
        )
        return to_connection(
            found, queue_type, count=lambda: queue_queries.count_queues(actor, wanted=wanted)
        )


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="What waits for one vMTA, by destination. Needs `vmtas:read`.")
    async def vmta_queues(
        self,
        info: Info,
        ref: Annotated[VmtaRef, strawberry.argument(description="Which one.")],
    ) -> VmtaQueues:
        return VmtaQueues(vmta=await find_vmta(actor_of(info), ref))
