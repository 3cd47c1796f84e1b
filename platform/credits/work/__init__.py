"""What the platform does with credits for itself."""

from .alerts import look_at_alerts
from .expiry import end_lots
from .reconciliation import Disagreement, reconcile
from .totals import all_consumed_credits, forget_references

__all__ = [
    "Disagreement",
    "all_consumed_credits",
    "end_lots",
    "forget_references",
    "look_at_alerts",
    "reconcile",
]
