"""What the platform does with webhooks for itself: called by jobs only."""

from .claims import ANY_DUE, LEASE, DueCall, Lane, claim_webhooks, due_calls, release, renew
from .counting import calls_between, count_all_attempts
from .fanning import fan_out
from .replaying import ANY_REPLAYING, go_on_replaying
from .settling import Settlement, settle, switch_off
from .tidying import find_forgotten, remove_old_calls

__all__ = [
    "ANY_DUE",
    "ANY_REPLAYING",
    "LEASE",
    "DueCall",
    "Lane",
    "Settlement",
    "calls_between",
    "claim_webhooks",
    "count_all_attempts",
    "due_calls",
    "fan_out",
    "find_forgotten",
    "go_on_replaying",
    "release",
    "remove_old_calls",
    "renew",
    "settle",
    "switch_off",
]
