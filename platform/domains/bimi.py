"""BIMI: which logo a domain publishes, and whether mailboxes would show it.

What is wrong is told, not refused: a customer sets the logo up first and mends it then.
Source: draft-brand-indicators-for-message-identification.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ..core import clock
from ..core.errors import Detail, DetailCode, InvalidInput
from ..core.settings import settings
from ..mail.dns import LookupStatus, Resolver
from ..mail.fetching import LONGEST_URL, Fetcher, NoReply, Request, names_private_address, parse_url
from .dmarc import find_dmarc
from .logo import MAX_BYTES, BimiIssue, BimiIssueCode, issues_of_logo
from .mark import Mark, judge_mark
from .records import Logo, RecordStatus
from .rules import ABSENT, MAX_NAME, Absent

DEFAULT_SELECTOR = "default"
FETCHED_WITHIN = timedelta(seconds=5)
MAX_MARK_BYTES = 262_144
MAX_REDIRECTS = 3
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_URL_CHARACTERS = re.compile(r"[!-~]+")
_PEM_TYPES = frozenset({"application/pem-certificate-chain", "application/x-pem-file"})


class BimiStatus(StrEnum):
    """Whether mailboxes would show a domain's logo."""

    DISABLED = "disabled"
    VALID = "valid"
    VALID_WITHOUT_VMC = "valid_without_vmc"
    INVALID = "invalid"
    PENDING_DNS = "pending_dns"


@dataclass(frozen=True, slots=True)
class BimiChanges:
    """What of a domain's logo is to change; None clears, where there is something to clear."""

    enabled: bool | Absent | None = ABSENT
    selector: str | Absent | None = ABSENT
    logo_url: str | Absent | None = ABSENT
    vmc_url: str | Absent | None = ABSENT


@dataclass(frozen=True, slots=True)
class BimiSettings:
    """Which logo a domain has."""

    enabled: bool = True
    selector: str = DEFAULT_SELECTOR
    logo_url: str | None = None
    vmc_url: str | None = None

    @property
    def logo(self) -> Logo | None:
        """What its record says; None if it has none."""
        if not self.enabled or self.logo_url is None:
            return None
        return Logo(self.selector, self.logo_url, self.vmc_url)


@dataclass(frozen=True, slots=True)
class BimiVerdict:
    """What is wrong, and until when the mark certificate holds."""

    issues: tuple[BimiIssue, ...] = ()
    vmc_expires_at: datetime | None = None


def changed_bimi(before: BimiSettings, changes: BimiChanges, *, domain: str) -> BimiSettings:
    """Return what a domain's logo is after *changes*.

    Raises:
        InvalidInput: names every field that breaks a rule.
    """
    problems: list[Detail] = []
    enabled = before.enabled if changes.enabled is ABSENT else changes.enabled
    selector = before.selector if changes.selector is ABSENT else changes.selector
    logo_url = before.logo_url if changes.logo_url is ABSENT else changes.logo_url
    vmc_url = before.vmc_url if changes.vmc_url is ABSENT else changes.vmc_url
    for field, value in (("enabled", enabled), ("selector", selector)):
        if value is None:
            message = "It can be changed, but not taken away."
            problems.append(Detail(field, DetailCode.REQUIRED, message))
    if isinstance(selector, str):
        selector = selector.strip().lower()
        problems += _selector_problems(selector, domain)
    if isinstance(logo_url, str) and changes.logo_url is not ABSENT:
        problems += _url_problems("logoUrl", logo_url, suffix=".svg")
    if isinstance(vmc_url, str) and changes.vmc_url is not ABSENT:
        problems += _url_problems("vmcUrl", vmc_url)
    if enabled and not logo_url:
        problems.append(Detail("logoUrl", DetailCode.REQUIRED, "A logo needs its address."))
    if problems:
        raise InvalidInput.all(problems)
    return BimiSettings(bool(enabled), str(selector), _text(logo_url), _text(vmc_url))


def bimi_status(
    bimi: BimiSettings | None, *, issues: Sequence[BimiIssue], record: RecordStatus | None
) -> BimiStatus:
    """Return whether mailboxes would show the logo; *record* is what was found in the DNS."""
    if bimi is None or not bimi.enabled:
        return BimiStatus.DISABLED
    if issues:
        return BimiStatus.INVALID
    if record is not RecordStatus.VERIFIED:
        return BimiStatus.PENDING_DNS
    return BimiStatus.VALID if bimi.vmc_url else BimiStatus.VALID_WITHOUT_VMC


async def judge_bimi(
    bimi: BimiSettings, *, domain: str, resolver: Resolver, fetcher: Fetcher
) -> BimiVerdict:
    """Return what mailboxes would find wrong; it fetches the logo and the certificate."""
    if bimi.logo is None:
        return BimiVerdict()
    dmarc, (logo, wrong), fetched = await asyncio.gather(
        _dmarc_issues(resolver, domain),
        _fetch_logo(fetcher, bimi.logo.logo_url),
        _fetch_mark(fetcher, bimi.vmc_url),
    )
    mark = Mark(())
    if isinstance(fetched, BimiIssue):
        mark = Mark((fetched,))
    elif fetched is not None:
        # RSA signatures and unpacking: some milliseconds that the event loop does not wait.
        mark = await asyncio.to_thread(
            judge_mark,
            fetched,
            domain=domain,
            selector=bimi.selector,
            logo=logo,
            now=clock.now(),
        )
    return BimiVerdict((*dmarc, *wrong, *mark.issues), mark.expires_at)


async def _dmarc_issues(resolver: Resolver, domain: str) -> list[BimiIssue]:
    found = await find_dmarc(resolver, domain)
    if found.record is not None and found.record.is_enforced:
        return []
    if found.record is None:
        silent = found.status is LookupStatus.FAILED
        said = "The DNS did not answer" if silent else "There is no valid DMARC record"
        message = f"{said}; BIMI needs a policy of quarantine or reject."
    elif found.record.policy.value == "none":
        message = "DMARC policy is p=none; BIMI needs quarantine or reject."
    elif found.record.subdomain_policy.value == "none":
        message = "DMARC policy is sp=none; BIMI needs quarantine or reject for subdomains too."
    else:
        message = "DMARC policy is for a part of the mail; with quarantine BIMI needs pct=100."
    return [BimiIssue(BimiIssueCode.DMARC_NOT_ENFORCED, message)]


async def _fetch_logo(fetcher: Fetcher, url: str) -> tuple[bytes | None, list[BimiIssue]]:
    reply = await fetcher.fetch(
        Request(
            url,
            within=FETCHED_WITHIN,
            max_bytes=MAX_BYTES,
            headers={"Accept": "image/svg+xml"},
            redirects=MAX_REDIRECTS,
        )
    )
    if isinstance(reply, NoReply):
        return None, [BimiIssue(BimiIssueCode.LOGO_UNREACHABLE, f"The logo: {reply.message}")]
    if reply.status != 200 or reply.headers.get("content-encoding", "identity") != "identity":
        message = f"The logo's server answered with status {reply.status}."
        if reply.status == 200:
            message = "The logo's server packed it though it was asked not to."
        return None, [BimiIssue(BimiIssueCode.LOGO_UNREACHABLE, message)]
    issues = []
    if reply.content_type != "image/svg+xml":
        message = "The logo's server does not say that it is image/svg+xml."
        issues.append(BimiIssue(BimiIssueCode.LOGO_WRONG_TYPE, message))
    if not reply.is_whole:
        message = f"The logo is larger than {MAX_BYTES // 1024} KiB."
        return None, [*issues, BimiIssue(BimiIssueCode.LOGO_TOO_LARGE, message)]
    return reply.body, issues + await asyncio.to_thread(issues_of_logo, reply.body)


async def _fetch_mark(fetcher: Fetcher, url: str | None) -> bytes | BimiIssue | None:
    if url is None:
        return None
    reply = await fetcher.fetch(
        Request(
            url,
            within=FETCHED_WITHIN,
            max_bytes=MAX_MARK_BYTES,
            headers={"Accept": ", ".join(sorted(_PEM_TYPES))},
            redirects=MAX_REDIRECTS,
        )
    )
    if isinstance(reply, NoReply):
        return BimiIssue(BimiIssueCode.VMC_UNREACHABLE, f"The certificate: {reply.message}")
    if reply.status != 200 or not reply.is_whole:
        message = f"The certificate's server answered with status {reply.status}."
        if reply.status == 200:
            message = f"The certificate is larger than {MAX_MARK_BYTES // 1024} KiB."
        return BimiIssue(BimiIssueCode.VMC_UNREACHABLE, message)
    return reply.body


def _selector_problems(selector: str, domain: str) -> list[Detail]:
    if not _LABEL.fullmatch(selector):
        message = "A selector is one DNS label of a-z, 0-9 and inner hyphens."
        return [Detail("selector", DetailCode.INVALID_FORMAT, message)]
    if len(f"{selector}._bimi.{domain}") > MAX_NAME:
        message = "The selector is too long for this domain."
        return [Detail("selector", DetailCode.TOO_LONG, message)]
    return []


def _url_problems(field: str, text: str, *, suffix: str = "") -> list[Detail]:
    if len(text) > LONGEST_URL:
        message = f"An address has at most {LONGEST_URL} characters."
        return [Detail(field, DetailCode.TOO_LONG, message)]
    # A semicolon ends a tag of the record, and a comma an address in older readers.
    fits = _URL_CHARACTERS.fullmatch(text) and not set(text) & set(';,"<>\\')
    url = parse_url(text) if fits else None
    if url is None or url.scheme != "https" or not url.path.lower().endswith(suffix):
        ending = f" whose path ends in {suffix}" if suffix else ""
        message = f"Write an https:// address{ending}; `;` and `,` as %3B and %2C."
        return [Detail(field, DetailCode.INVALID_URL, message)]
    if names_private_address(url, allowed=settings().private_destinations):
        return [Detail(field, DetailCode.NOT_PUBLIC_IP, "This is not a public address.")]
    return []


def _text(value: str | Absent | None) -> str | None:
    return value if isinstance(value, str) else None
