"""Whom a request came from, when proxies stand in between."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from ..core.settings import Network

LONGEST_CHAIN = 50
"""Entries of `X-Forwarded-For` that are looked at."""
UNKNOWN = IPv6Address("::")
"""Whoever a proxy of ours names in a way that is no address: nobody's machine, and all such
together are limited as one."""


def client_address(
    peer: str | None, forwarded: Sequence[str], *, trusted: Sequence[Network]
) -> str | None:
    """Return the address of the nearest machine that is not one of our proxies.

    *peer* is the other end of the connection, *forwarded* the values of every
    `X-Forwarded-For` header in order. They are read from the right, since each proxy adds
    to the right: what stands left of the first address we do not trust may be invented.
    An entry of a proxy of ours that is no address is not that proxy's own request.
    """
    if peer is None or not forwarded:
        return _written(peer)
    found = _address(peer)
    if found is None:
        return None
    entries = (entry.strip() for value in forwarded for entry in value.split(","))
    # RFC 9110 section 5.6.1: empty elements of a list do not count.
    chain = [entry for entry in entries if entry][-LONGEST_CHAIN:]
    while chain and _is_trusted(found, trusted):
        found = _address(chain.pop()) or UNKNOWN
    return str(found)


@lru_cache(maxsize=1024)
def _written(peer: str | None) -> str | None:
    """Return the one way in which an address is written; who asks, asks often."""
    found = _address(peer)
    return None if found is None else str(found)


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    if not text:
        return None
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # One machine has one name here, however the socket was opened.
    return getattr(found, "ipv4_mapped", None) or found


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)
