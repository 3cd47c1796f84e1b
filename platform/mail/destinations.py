"""Which addresses strangers may make us connect to: public ones, and those the operator allows."""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = ip_network("64:ff9b::/96")
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in "192.0.0.0/24 64:ff9b:1::/48 2001::/23 3fff::/20 5f00::/16 fec0::/10".split()
)
"""What `ipaddress` calls global in one of the versions of Python that we run on, and is not."""


def is_allowed(text: str, *, allowed: Collection[Network] = ()) -> bool:
    """Return whether *text* is an address on the public Internet, or in one of *allowed*.

    An IPv6 address that stands for an IPv4 one is judged as both. What is no address is not
    allowed.
    Source: the IANA special-purpose address registries (RFC 6890), as `ipaddress` knows them.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    carried = _carried(address)
    judged = [address] if carried is None else [carried]
    if any(one in network for one in (address, *judged) for network in allowed):
        return True
    return all(_is_public(one) for one in judged)


def _carried(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address.scope_id:
        return False
    if any(address in network for network in _NOT_PUBLIC):
        return False
    # Multicast is global, and so is what is reserved for later, such as ::127.0.0.1.
    return address.is_global and not address.is_multicast and not address.is_reserved
