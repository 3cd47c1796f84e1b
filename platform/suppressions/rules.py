"""Why an address gets no mail, and which mail that is."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial

from ..core.actor import OrganizationId
from ..core.crypto import digesters


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
    return [erase(address_key) for erase in erasers(organization_id)]


def erasers(organization_id: OrganizationId) -> list[Callable[[str], str]]:
    """Return what makes `erased_keys` of many addresses, one for each secret key."""
    found = digesters(f"{organization_id.hex}:", purpose="erased-address")
    return [partial(_erased, digest_of) for digest_of in found]


def _erased(digest_of: Callable[[str], bytes], address_key: str) -> str:
    return "#" + digest_of(address_key)[:16].hex()


def stand_in_for(key: str) -> str:
    """Return what is shown in place of an address that was erased; mail to it goes nowhere."""
    return f"{key.removeprefix('#')}@erased.invalid"
