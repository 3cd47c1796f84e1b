"""Why an address gets no mail, and which mail that is."""

from enum import StrEnum

from ..core.actor import OrganizationId
from ..core.crypto import digests


class SuppressionReason(StrEnum):
    """Why; the order is the order of weight when several hold."""

    COMPLAINT = "complaint"
    HARD_BOUNCE = "hard_bounce"
    MANUAL = "manual"
    UNSUBSCRIBE = "unsubscribe"
    SOFT_BOUNCE_COOLING = "soft_bounce_cooling"
    ERASED = "erased"


MARKETING = "marketing"
"""The stream that `unsubscribe` stops; every other reason stops all mail."""

MAX_DESCRIPTION = 200

STREAMS = ("transactional", "marketing")

GIVEN_REASONS = frozenset(SuppressionReason) - {
    SuppressionReason.SOFT_BOUNCE_COOLING,
    SuppressionReason.ERASED,
}
"""Reasons that people may say; a cooling is found by counting, erasing is an operation."""

MAX_OPEN_IMPORTS = 5
"""Files of one organization that wait or are being read."""


def erased_key(organization_id: OrganizationId, address_key: str) -> str:
    """Return what stands for an address that was erased: it can be compared, and not read.

    It is a keyed hash, so that whoever has the database alone cannot try addresses either.
    """
    return erased_keys(organization_id, address_key)[0]


def erased_keys(organization_id: OrganizationId, address_key: str) -> list[str]:
    """Return what may stand for it: the key of now, and one for each old secret key."""
    found = digests(f"{organization_id.hex}:{address_key}", purpose="erased-address")
    return ["#" + each[:16].hex() for each in found]


def stand_in_for(key: str) -> str:
    """Return what is shown in place of an address that was erased; mail to it goes nowhere."""
    return f"{key.removeprefix('#')}@erased.invalid"
