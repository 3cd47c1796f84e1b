"""DMARC as receivers read it: which record counts, what it says, and what agrees with it.

Source: RFC 7489 sections 3.1, 6.3 and 6.6.3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..mail.dns import LookupStatus, Resolver
from .rules import organizational_domain

_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(;|\Z)")
_PERCENT = re.compile("[0-9]{1,3}")
_REPORT_URI = re.compile(r"[a-z][a-z0-9+.-]*:[^\s,;!]+(?:![0-9]+[kmgt]?)?", re.I)


class DmarcPolicy(StrEnum):
    """What a domain asks receivers to do with mail that proves nothing."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """What a record says, with the defaults that receivers put in."""

    policy: DmarcPolicy
    subdomain_policy: DmarcPolicy
    percent: int = 100
    strict_dkim: bool = False
    strict_spf: bool = False
    ignored: tuple[str, ...] = ()
    """Tags that are malformed, so that receivers take the default instead."""

    @property
    def is_enforced(self) -> bool:
        """Mail that proves nothing is kept from inboxes, of sub-domains too: what BIMI needs."""
        if DmarcPolicy.NONE in (self.policy, self.subdomain_policy):
            return False
        return self.policy is DmarcPolicy.REJECT or self.percent == 100


@dataclass(frozen=True, slots=True)
class DmarcFinding:
    """What was found for a domain: the records where the look-up ended, and one that counts."""

    name: str
    """Where that was."""
    status: LookupStatus
    records: tuple[str, ...] = ()
    record: DmarcRecord | None = None


def read_dmarc(text: str) -> DmarcRecord | None:
    """Return what a TXT value says as a DMARC record, or None if it is none that counts."""
    if not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for item in text.split(";")[1:]:
        name, equals, value = item.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    policy = _policy(tags.get("p"))
    if policy is None:
        return None
    percent = tags.get("pct", "100")
    has_percent = _PERCENT.fullmatch(percent) is not None and int(percent) <= 100
    return DmarcRecord(
        policy=policy,
        subdomain_policy=_policy(tags.get("sp")) or policy,
        percent=int(percent) if has_percent else 100,
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
        ignored=tuple(name for name in tags if not _is_well_formed(name, tags)),
    )


async def find_dmarc(resolver: Resolver, domain: str) -> DmarcFinding:
    """Look for the record of *domain*: there, or else at its organizational domain."""
    names = dict.fromkeys((f"_dmarc.{domain}", f"_dmarc.{organizational_domain(domain)}"))
    found = DmarcFinding("", LookupStatus.NO_NAME)
    for name in names:
        answer = await resolver.txt(name, fresh=True)
        records = tuple(value for value in answer.values if _VERSION.match(value))
        record = read_dmarc(records[0]) if len(records) == 1 else None
        found = DmarcFinding(name, answer.status, records, record)
        if records or answer.status is LookupStatus.FAILED:
            return found
    return found


def is_aligned(authenticated: str, *, header_from: str, strict: bool) -> bool:
    """Return whether what was authenticated speaks for the domain in From.

    >>> is_aligned("bounce.example.com", header_from="example.com", strict=False)
    True
    >>> is_aligned("bounce.example.com", header_from="example.com", strict=True)
    False
    """
    if authenticated == header_from:
        return True
    same = organizational_domain(authenticated) == organizational_domain(header_from)
    return same and not strict


def _policy(text: str | None) -> DmarcPolicy | None:
    try:
        return DmarcPolicy((text or "").lower())
    except ValueError:
        return None


def _is_well_formed(name: str, tags: Mapping[str, str]) -> bool:
    value = tags[name]
    if name == "sp":
        return _policy(value) is not None
    if name in ("adkim", "aspf"):
        return value.lower() in ("r", "s")
    if name == "pct":
        return _PERCENT.fullmatch(value) is not None and int(value) <= 100
    if name in ("rua", "ruf"):
        return all(_REPORT_URI.fullmatch(uri.strip()) for uri in value.split(","))
    return True
