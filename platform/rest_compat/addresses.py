"""Addresses and domains in the form they are compared in."""

import idna


def normal_address(text: str) -> str:
    """Return an address with its domain in lower case and A-labels; the local part stays."""
    local, at, domain = text.strip().rpartition("@")
    return local + at + normal_domain(domain)


def normal_domain(text: str) -> str:
    """Return a domain in lower case and A-labels; what is none is only put in lower case."""
    lower = text.strip().rstrip(".").lower()
    if lower.isascii():
        return lower
    try:
        return idna.encode(lower, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return lower
