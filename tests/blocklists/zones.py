"""Blocklists of the tests: zones on the local DNS server."""

import secrets
from ipaddress import IPv4Address

from postlane.blocklists.catalogue import known_lists
from postlane.blocklists.rules import TEST_POINTS, Subject, read_address, read_domain
from tests.dns_server import DnsServer

ZONES = ("zen.spamhaus.org", "bl.spamcop.net")


def public_address() -> str:
    """Return a public address that no other test has; nothing is ever sent from it."""
    return str(IPv4Address("11.0.0.0") + secrets.randbits(24))


def subject_of(text: str) -> Subject:
    """Return what is looked up for an address or a domain."""
    found = read_address(text) or read_domain(text)
    assert found is not None
    return found


def list_subject(dns: DnsServer, text: str, zone: str, *codes: str, reason: str = "") -> None:
    """Put an address or a domain on a list; without codes take it off."""
    name = subject_of(text).name_in(known_lists()[zone])
    dns.set(name, "A", *codes)
    dns.set(name, "TXT", *([reason] if reason and codes else []))


def publish_test_points(dns: DnsServer, zone: str) -> None:
    """Let a list have what every list has."""
    known = known_lists()[zone]
    for kind in known.kinds:
        dns.set(TEST_POINTS[kind][0].name_in(known), "A", "127.0.0.2")
