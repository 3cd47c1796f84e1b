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

STREAMS = ("transactional", "marketing")

GIVEN_REASONS = frozenset(SuppressionReason) - {SuppressionReason.SOFT_BOUNCE_COOLING}
"""Reasons that people may say; a cooling is found by counting."""

MAX_OPEN_IMPORTS = 5
"""Files of one organization that wait or are being read."""
