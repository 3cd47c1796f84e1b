"""Addresses that vMTAs of tests may have."""

import secrets
from ipaddress import IPv6Address

INVENTORY = "2001:db8:7::/48"
"""Of the range for documentation: nothing is ever sent from it."""


def unused_address() -> str:
    """Return an address of the inventory that no other test has."""
    prefix = int(IPv6Address("2001:db8:7::"))
    return str(IPv6Address(prefix + secrets.randbits(79) + 1))
