"""Which addresses mail may leave from: those the operator named, else those of this machine."""

import socket
from ipaddress import ip_address

from ..core.settings import settings


def is_in_inventory(address: str) -> bool:
    """Say whether a vMTA may have the address.

    Without a list of the operator's, it is one of this machine's that others can answer to: a
    private one counts, for behind NAT there is no other.
    """
    wanted = ip_address(address)
    listed = settings().source_addresses
    if listed:
        return any(wanted in network for network in listed)
    if wanted.is_loopback or wanted.is_link_local or wanted.is_multicast or wanted.is_unspecified:
        return False
    return is_on_this_machine(address)


def is_on_this_machine(address: str) -> bool:
    """Say whether a connection can be opened from the address here."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
