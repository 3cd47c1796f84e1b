"""What the platform does with credits for itself."""

from .alerts import look_at_alerts
from .expiry import end_lots
from .periods import included_between, used_between
from .reconciliation import Disagreement, reconcile
from .retention import forget_entries
from .totals import all_consumed_credits, forget_references

__all__ = [
    "Disagreement",
    "all_consumed_credits",
    "end_lots",
    "forget_entries",
    "forget_references",
    "included_between",
    "look_at_alerts",
    "reconcile",
    "used_between",
]
