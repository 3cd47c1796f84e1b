"""What queues keep to, for an actor."""

from collections.abc import Sequence

from ..core.actor import Actor, Permission
from ..vmtas.limits import limits_of
from .limits import SiteLimits, limits_at, throttled
from .queue_queries import QueueView
from .rules import QueueState


async def queue_limits(actor: Actor, queues: Sequence[QueueView]) -> dict[QueueView, SiteLimits]:
    """Return what each queue keeps to now; in back-off a tenth of its usual rate."""
    actor.require(Permission.READ_QUEUES)
    found = await limits_of({queue.vmta_id for queue in queues})
    limits = {
        queue: limits_at(found[queue.vmta_id], isp=queue.isp, domain=queue.domain)
        for queue in queues
    }
    return {
        queue: throttled(each) if queue.state is QueueState.BACKOFF else each
        for queue, each in limits.items()
    }
