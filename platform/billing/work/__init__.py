"""What the platform does about money by itself."""

from .charges import collect_due, count_stuck
from .dunning import chase_all
from .notifications import take_notification
from .periods import begin_periods, begin_subscription, expire_checkouts
from .usage import roll_up

__all__ = [
    "begin_periods",
    "begin_subscription",
    "chase_all",
    "collect_due",
    "count_stuck",
    "expire_checkouts",
    "roll_up",
    "take_notification",
]
