"""What the platform does about tracking for itself.

`unsubscribing` is what recipients ask for, `choices` are what was decided for them, `linking`
makes the links of a delivery, `recording` writes hits down and `settling` makes events of them,
`erasing` lets nothing more be recorded of somebody.
"""

from .unsubscribing import (
    BY_PAGE,
    ONE_CLICK,
    PATH,
    UNSUBSCRIBE,
    leave,
    unsubscribe,
    unsubscribe_headers,
)

__all__ = [
    "BY_PAGE",
    "ONE_CLICK",
    "PATH",
    "UNSUBSCRIBE",
    "leave",
    "unsubscribe",
    "unsubscribe_headers",
]
