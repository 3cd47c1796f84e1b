"""What the platform does with deliveries for itself; called by jobs only.

`claims` takes due deliveries for one attempt each, `settling` writes down what became of
them, `queues` says where work is waiting, `counting` sums up what is in each queue, `capture`
keeps mail that is not sent away, `holding` sets aside what is of a held project, `expiring` gives
up what waits where nothing is sent, `simulating` makes up what becomes of sandbox mail, `policies`
are what domains demand of whoever sends to them, `returning` takes in what receivers say later,
and `tidying` removes what nobody may ask for any more.
"""

from .activity import attempts_today, sum_up_activity
from .capture import Captured, keep_captured
from .claims import (
    LEASE,
    Claim,
    Content,
    claim_batch,
    delivery_named_by,
    leave_address_of,
    read_contents,
    read_personal,
    renew_claims,
    return_path_of,
)
from .counting import remove_old_activity, roll_up
from .expiring import expire_waiting
from .flushing import go_on_flushing
from .holding import go_on_releasing
from .leases import (
    CONNECTION_LEASE,
    Leased,
    ScopeKey,
    Taken,
    Wish,
    end_leases,
    ensure_scopes,
    give_back_messages,
    lease_connections,
    remove_old_scopes,
    rest_queue,
    suspend,
    take_messages,
    wanted_by_others,
)
from .overflow import overflow
from .policies import KeptPolicy, find_policy, keep_policy, remove_expired_policies
from .queues import (
    ANY_WAITING,
    DueQueue,
    QueueNote,
    QueueRoute,
    due_queues,
    find_queue,
    has_due,
    note_queues,
    oldest_due,
    spool_bytes,
    waiting_at,
)
from .returning import (
    Addressee,
    FromOutside,
    Reception,
    find_addressee,
    keep_report,
    named_in,
    take_complaint,
    take_report,
)
from .settlements import Settlement
from .settling import settle_batch
from .tending import ANY_TO_TEND, tend_vmtas
from .tidying import (
    remove_old_captured,
    remove_old_contents,
    remove_old_reports,
    remove_unused_sandbox_mail,
)

__all__ = [
    "ANY_TO_TEND",
    "ANY_WAITING",
    "CONNECTION_LEASE",
    "LEASE",
    "Addressee",
    "Captured",
    "Claim",
    "Content",
    "DueQueue",
    "FromOutside",
    "KeptPolicy",
    "Leased",
    "QueueNote",
    "QueueRoute",
    "Reception",
    "ScopeKey",
    "Settlement",
    "Taken",
    "Wish",
    "attempts_today",
    "claim_batch",
    "delivery_named_by",
    "due_queues",
    "end_leases",
    "ensure_scopes",
    "expire_waiting",
    "find_addressee",
    "find_policy",
    "find_queue",
    "give_back_messages",
    "go_on_flushing",
    "go_on_releasing",
    "has_due",
    "keep_captured",
    "keep_policy",
    "keep_report",
    "lease_connections",
    "leave_address_of",
    "named_in",
    "note_queues",
    "oldest_due",
    "overflow",
    "read_contents",
    "read_personal",
    "remove_expired_policies",
    "remove_old_activity",
    "remove_old_captured",
    "remove_old_contents",
    "remove_old_reports",
    "remove_old_scopes",
    "remove_unused_sandbox_mail",
    "renew_claims",
    "rest_queue",
    "return_path_of",
    "roll_up",
    "settle_batch",
    "spool_bytes",
    "sum_up_activity",
    "suspend",
    "take_complaint",
    "take_messages",
    "take_report",
    "tend_vmtas",
    "waiting_at",
    "wanted_by_others",
]
