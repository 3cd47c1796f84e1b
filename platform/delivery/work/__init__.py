"""What the platform does with deliveries for itself; called by jobs only.

`claims` takes due deliveries for one attempt each, `settling` writes down what became of
them, `queues` says where work is waiting, `counting` sums up what is in each queue, `capture`
keeps mail that is not sent away, and `tidying` removes what nobody may ask for any more.
"""

from .capture import Captured, keep_captured
from .claims import (
    LEASE,
    Claim,
    Content,
    claim_batch,
    read_contents,
    renew_claims,
    return_path_of,
)
from .counting import remove_old_activity, roll_up
from .flushing import go_on_flushing
from .queues import (
    DueQueue,
    QueueRoute,
    due_queues,
    find_queue,
    has_due,
    oldest_due,
    spool_bytes,
)
from .settling import Settlement, settle_batch
from .tidying import remove_old_captured, remove_old_contents

__all__ = [
    "LEASE",
    "Captured",
    "Claim",
    "Content",
    "DueQueue",
    "QueueRoute",
    "Settlement",
    "claim_batch",
    "due_queues",
    "find_queue",
    "go_on_flushing",
    "has_due",
    "keep_captured",
    "oldest_due",
    "read_contents",
    "remove_old_activity",
    "remove_old_captured",
    "remove_old_contents",
    "renew_claims",
    "return_path_of",
    "roll_up",
    "settle_batch",
    "spool_bytes",
]
