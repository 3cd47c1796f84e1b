"""What a domain is and may do; no clock, no tables."""

from enum import StrEnum


class DomainStatus(StrEnum):
    """How far a domain is."""

    PENDING = "pending"
    VERIFIED = "verified"
    DEGRADED = "degraded"
    FAILED = "failed"


CAN_SEND = frozenset({DomainStatus.VERIFIED, DomainStatus.DEGRADED})


class KeyState(StrEnum):
    """The life of a DKIM key; it signs while it is active only."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


KEY_PURPOSE = "dkim"
"""What private keys are sealed for."""


def covering_names(name: str) -> list[str]:
    """Return the domains whose verification covers *name*: itself, then its parents.

    >>> covering_names("a.b.example.com")
    ['a.b.example.com', 'b.example.com', 'example.com']
    """
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(max(len(labels) - 1, 1))]
