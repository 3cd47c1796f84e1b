"""How much of a list is done, told by time: nobody has counted it."""

from datetime import datetime


def share_of(newest: datetime, oldest: datetime, here: datetime) -> float:
    """Return which share of a list lies behind *here*, as far as time tells; 0 to 1."""
    whole = (newest - oldest).total_seconds()
    if whole <= 0:
        return 1.0
    return min(1.0, max(0.0, (newest - here).total_seconds() / whole))
