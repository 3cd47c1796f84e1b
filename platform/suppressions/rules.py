"""Why an address gets no mail, and which mail that is."""

from enum import StrEnum


class SuppressionReason(StrEnum):
    """Why; the order is the order of weight when several hold."""

    COMPLAINT = "complaint"
    HARD_BOUNCE = "hard_bounce"
    MANUAL = "manual"
    UNSUBSCRIBE = "unsubscribe"
    SOFT_BOUNCE_COOLING = "soft_bounce_cooling"


MARKETING = "marketing"
"""The stream that `unsubscribe` stops; every other reason stops all mail."""

MAX_DESCRIPTION = 200
