"""What a blocklist is, how it is asked and what its answers mean."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import idna

LISTED_FOR = timedelta(minutes=15)
"""How long it is believed that something is listed."""
NOT_LISTED_FOR = timedelta(minutes=60)
TESTED_EVERY = timedelta(hours=24)
ZONE_SECONDS = 3.0
CHECK_SECONDS = 8.0
"""For all zones of one look together."""
MOST_ZONES = 300
LONGEST_REASON = 500

LOOPBACK = IPv4Network("127.0.0.0/8")
ALWAYS_REFUSED = IPv4Network("127.255.255.0/24")
"""Errors by common usage, whichever list says so; no list uses them for anything else."""

_DOMAIN = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")


class Kind(StrEnum):
    """What is looked up in a list."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    DOMAIN = "domain"


class Severity(StrEnum):
    """How much a listing matters to receivers."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Terms(StrEnum):
    """On what terms a list may be asked."""

    FREE = "free"
    VOLUME = "volume"
    REGISTRATION = "registration"
    KEY = "key"


class Status(StrEnum):
    """What came of asking one list."""

    LISTED = "listed"
    NOT_LISTED = "not_listed"
    ERROR = "error"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"


class Fault(StrEnum):
    """Why a list is not believed."""

    SILENT = "silent"
    REFUSES = "refuses"
    LISTS_NOTHING = "lists_nothing"
    LISTS_EVERYTHING = "lists_everything"


@dataclass(frozen=True, slots=True)
class Blocklist:
    """One list."""

    zone: str
    name: str
    operator: str
    kinds: frozenset[Kind]
    severity: Severity
    terms: Terms
    note: str
    site: str
    delist_url: str
    codes: Mapping[str, str] = field(default_factory=dict)
    bits: Mapping[int, str] = field(default_factory=dict)
    refusals: tuple[IPv4Network, ...] = ()
    ignored: frozenset[str] = frozenset()
    key: str = ""
    """Of the operator's, part of every question."""

    @property
    def apex(self) -> str:
        """Below which names are looked up."""
        return f"{self.key}.{self.zone}" if self.key else self.zone


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked up: an address or a domain, in its normal form."""

    text: str
    kind: Kind

    def name_in(self, blocklist: Blocklist) -> str:
        """Return the name to look up (RFC 5782 sections 2.1, 2.4 and 2.5)."""
        if self.kind is Kind.DOMAIN:
            return f"{self.text}.{blocklist.apex}"
        reverse = ip_address(self.text).reverse_pointer
        return f"{reverse.rsplit('.', 2)[0]}.{blocklist.apex}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a list's addresses say."""

    status: Status
    codes: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    problem: str | None = None


TEST_POINTS: Mapping[Kind, tuple[Subject, Subject]] = {
    Kind.IPV4: (Subject("127.0.0.2", Kind.IPV4), Subject("127.0.0.1", Kind.IPV4)),
    Kind.IPV6: (Subject("::ffff:7f00:2", Kind.IPV6), Subject("::ffff:7f00:1", Kind.IPV6)),
    Kind.DOMAIN: (Subject("test", Kind.DOMAIN), Subject("invalid", Kind.DOMAIN)),
}
"""What every list has and what none has (RFC 5782 section 5)."""

TESTABLE = frozenset(listed.text for listed, _ in TEST_POINTS.values())


def read_address(text: str) -> Subject | None:
    """Return an address that can be looked up, None if it is none."""
    try:
        found: IPv4Address | IPv6Address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            return None
        return Subject(_compact(found), Kind.IPV6)
    return Subject(str(found), Kind.IPV4)


def _compact(address: IPv6Address) -> str:
    # Python writes an embedded IPv4 address with dots as of 3.13, and not before.
    mapped = address.ipv4_mapped
    if mapped is None:
        return str(address)
    high, low = divmod(int(mapped), 2**16)
    return f"::ffff:{high:x}:{low:x}"


def is_public(subject: Subject) -> bool:
    """Say whether lists can know the address; test points count."""
    return subject.text in TESTABLE or ip_address(subject.text).is_global


def read_domain(text: str) -> Subject | None:
    """Return a domain that can be looked up, in A-labels; None if it is none."""
    name = text.strip().rstrip(".").lower()
    if name in TESTABLE:
        return Subject(name, Kind.DOMAIN)
    try:
        encoded = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None
    # The questions of a list with a long name would be longer than names may be.
    if len(encoded) > 190 or not _DOMAIN.fullmatch(encoded) or read_address(encoded):
        return None
    return Subject(encoded, Kind.DOMAIN)


def judge(blocklist: Blocklist, codes: Sequence[str]) -> Verdict:
    """Return what the addresses mean that a list answered with; none means not listed.

    A listing is an address of 127.0.0.0/8. Any other is of a domain that somebody has parked.
    """
    if not codes:
        return Verdict(Status.NOT_LISTED)
    found = sorted({IPv4Address(code) for code in codes})
    if outside := [code for code in found if code not in LOOPBACK]:
        return Verdict(Status.ERROR, problem=f"{outside[0]} is no answer of a blocklist.")
    refusals = (*blocklist.refusals, ALWAYS_REFUSED)
    if refused := [c for c in found if any(c in net for net in refusals)]:
        return Verdict(Status.ERROR, problem=f"The list refused the question: {refused[0]}.")
    counted = [str(code) for code in found if str(code) not in blocklist.ignored]
    if not counted:
        return Verdict(Status.NOT_LISTED)
    meanings = [word for code in counted for word in _meanings(blocklist, code)]
    return Verdict(Status.LISTED, tuple(counted), tuple(dict.fromkeys(meanings)))


def _meanings(blocklist: Blocklist, code: str) -> list[str]:
    if code in blocklist.codes:
        return [blocklist.codes[code]]
    last = int(code.rpartition(".")[2])
    return [word for bit, word in sorted(blocklist.bits.items()) if last & bit]


def fault_of(listed: Verdict, unlisted: Verdict) -> Fault | None:
    """Return what is wrong with a list, by the answers to both of its test points."""
    both = (listed.status, unlisted.status)
    if Status.TIMEOUT in both:
        return Fault.SILENT
    if Status.ERROR in both:
        return Fault.REFUSES
    if unlisted.status is Status.LISTED:
        return Fault.LISTS_EVERYTHING
    return None if listed.status is Status.LISTED else Fault.LISTS_NOTHING


FAULTS: Mapping[Fault, str] = {
    Fault.SILENT: "It does not answer.",
    Fault.REFUSES: "It refuses to answer; its terms may ask for a registration or a key.",
    Fault.LISTS_NOTHING: "It does not list what every list has: it may have ended.",
    Fault.LISTS_EVERYTHING: "It lists what no list has: it lists everybody.",
}
