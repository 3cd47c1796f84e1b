"""What a domain may be called, what it may do, and when it is looked at again."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from functools import lru_cache
from string import ascii_lowercase
from typing import Any

from publicsuffixlist import PublicSuffixList

from ..core.errors import Detail, DetailCode, InvalidInput
from ..mail.address import InvalidAddress, parse_domain, parse_mailbox
from ..mail.dkim import KeyAlgorithm

KEY_PURPOSE = "dkim"
"""What private keys are sealed for."""

DEFAULT_SELECTOR = "pmta"
MAX_NAME = 253
LONGEST_DOMAIN = 220
"""Leaves room for the names below it, such as those of keys that rotate."""

MAX_SELECTOR = 63
ED25519_SUFFIX = "ed"
_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")

NOT_MADE = "Keys of RSA_1024 are kept where they were brought along, and not made."
ROTATION_DAYS = range(30, 366)
OVERLAP_SECONDS = range(86_400, 2_592_001)
DEFAULT_OVERLAP_SECONDS = 604_800

FIRST_CHECK_AFTER = timedelta(minutes=1)
"""After creation. A check at once would find nothing, and for a while be the answer to whoever
publishes the records right away and asks for theirs."""

CACHED_FOR = timedelta(seconds=30)
"""A verdict this young is answered again instead of asking the DNS again."""

GRACE = timedelta(hours=72)
"""How long a domain may send after a required record went missing."""


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


@dataclass(frozen=True, slots=True)
class DomainRequest:
    """What somebody asks a domain to be, as it was written; None takes the default."""

    name: str
    dkim_selector: str | None = None
    dkim_algorithms: Sequence[KeyAlgorithm] | None = None
    dkim_rotation_days: int | None = None
    return_path_domain: str | None = None
    tracking_domain: str | None = None
    track_opens: bool = False
    track_clicks: bool = False
    default_pool: str | None = None
    inbound_enabled: bool = False
    dmarc_rua: str | None = None


class Absent(Enum):
    """Stands for a field that was not given, where None clears it."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class DomainChanges:
    """What of a domain is to change; None clears, where there is something to clear."""

    track_opens: bool | Absent | None = ABSENT
    track_clicks: bool | Absent | None = ABSENT
    default_pool: str | Absent | None = ABSENT
    inbound_enabled: bool | Absent | None = ABSENT
    tracking_domain: str | Absent | None = ABSENT
    dmarc_rua: str | Absent | None = ABSENT
    dkim_rotation_days: int | Absent | None = ABSENT


CLEARABLE = frozenset({"tracking_domain", "dmarc_rua", "dkim_rotation_days"})


@dataclass(frozen=True, slots=True)
class CheckedDomain:
    """A request that keeps every rule, names in lower case and A-labels."""

    name: str
    dkim_selector: str
    dkim_algorithms: tuple[KeyAlgorithm, ...]
    dkim_rotation_days: int | None
    return_path_domain: str
    tracking_domain: str | None
    dmarc_rua: str | None


def check_request(request: DomainRequest, *, hostname: str) -> CheckedDomain:
    """Return *request* with names in their stored form; *hostname* is the deployment's.

    Raises:
        InvalidInput: names every field that breaks a rule.
    """
    name = checked_name(request.name, hostname=hostname)
    problems = _Problems()
    selector = problems.of(_selector(request.dkim_selector or DEFAULT_SELECTOR, name))
    return_path = problems.of(_return_path(request.return_path_domain, name))
    tracking = problems.of(_tracking(request.tracking_domain, name, return_path=return_path))
    rua = problems.of(_report_address(request.dmarc_rua))
    problems.of(_algorithms(request.dkim_algorithms))
    problems.of(_rotation_days(request.dkim_rotation_days))
    problems.refuse()
    return CheckedDomain(
        name=name,
        dkim_selector=selector,
        dkim_algorithms=tuple(dict.fromkeys(request.dkim_algorithms or [KeyAlgorithm.RSA_2048])),
        dkim_rotation_days=request.dkim_rotation_days,
        return_path_domain=return_path,
        tracking_domain=tracking or None,
        dmarc_rua=rua or None,
    )


def check_changes(
    wanted: Mapping[str, Any], *, name: str, return_path_domain: str
) -> dict[str, Any]:
    """Return the changes of a domain called *name*, by field, with names in their stored form.

    Raises:
        InvalidInput: names every field that breaks a rule.
    """
    problems = _Problems()
    checked = dict(wanted)
    for field, value in wanted.items():
        if value is None and field not in CLEARABLE:
            message = "It can be changed, but not taken away."
            problems.of(Detail(_camel_case(field), DetailCode.REQUIRED, message))
    if "tracking_domain" in wanted:
        tracking = _tracking(wanted["tracking_domain"], name, return_path=return_path_domain)
        checked["tracking_domain"] = problems.of(tracking) or None
    if "dmarc_rua" in wanted:
        checked["dmarc_rua"] = problems.of(_report_address(wanted["dmarc_rua"])) or None
    problems.of(_rotation_days(wanted.get("dkim_rotation_days")))
    problems.refuse()
    return checked


def checked_name(text: str, *, hostname: str) -> str:
    """Return a mail domain's name in lower-case A-labels.

    Raises:
        InvalidInput: not a domain, a public suffix, or below the deployment's host.
    """
    name = _domain_or_none(text)
    if name is None:
        raise InvalidInput.of(
            "name", DetailCode.INVALID_DOMAIN, "Write a domain such as example.com."
        )
    if _suffixes().is_public(name):
        raise InvalidInput.of(
            "name",
            DetailCode.NOT_ALLOWED,
            f"{name} is a public suffix: its subdomains belong to different people.",
        )
    if _is_within(name, hostname):
        raise InvalidInput.of(
            "name", DetailCode.NOT_ALLOWED, f"{name} belongs to this service itself."
        )
    if len(name) > LONGEST_DOMAIN:
        raise InvalidInput.of(
            "name", DetailCode.TOO_LONG, "The domain leaves no room for the names below it."
        )
    return name


def checked_selector(text: str, name: str) -> str:
    """Return the selector of a key of the domain *name*.

    Raises:
        InvalidInput: not one or several DNS labels, or too long.
    """
    selector = _selector(text, name, field="selector")
    if isinstance(selector, Detail):
        raise InvalidInput(selector.message, details=[selector])
    return selector


def checked_overlap(seconds: int) -> int:
    """Return how long a replaced key stays published.

    Raises:
        InvalidInput: less than a day or more than thirty.
    """
    if seconds not in OVERLAP_SECONDS:
        code = DetailCode.TOO_SMALL if seconds < OVERLAP_SECONDS.start else DetailCode.TOO_LARGE
        raise InvalidInput.of(
            "overlapSeconds", code, "The overlap is 86400 to 2592000 seconds, 1 to 30 days."
        )
    return seconds


def selector_for(base: str, algorithm: KeyAlgorithm) -> str:
    """Return the selector of a domain's first key of that kind."""
    return f"{base}{ED25519_SUFFIX}" if algorithm is KeyAlgorithm.ED25519 else base


def next_selector(
    base: str, algorithm: KeyAlgorithm, *, name: str, now: datetime, used: Collection[str]
) -> str:
    """Return a selector that the domain *name* never used: base, day and, if taken, a letter.

    Raises:
        InvalidInput: all letters of the day are taken.
    """
    room = min(MAX_SELECTOR, MAX_NAME - len(f"._domainkey.{name}"))
    stem = selector_for(base, algorithm)[: room - 9].rstrip("-.") + f"{now:%Y%m%d}"
    for letter in ["", *ascii_lowercase]:
        candidate: str = stem + letter
        if candidate not in used:
            return candidate
    raise InvalidInput.of("selector", DetailCode.REQUIRED, "Choose a selector for the new key.")


def covering_names(name: str) -> list[str]:
    """Return the domains whose verification covers *name*: itself, then its parents.

    >>> covering_names("a.b.example.com")
    ['a.b.example.com', 'b.example.com', 'example.com']
    """
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(max(len(labels) - 1, 1))]


def organizational_domain(name: str) -> str:
    """Return the registered domain that *name* is part of, by the public suffix list."""
    found: str | None = _suffixes().privatesuffix(name)
    return found or name


def next_status(
    status: DomainStatus, *, proven: bool | None, degraded_at: datetime | None, now: datetime
) -> tuple[DomainStatus, datetime | None]:
    """Return the status after a check, and since when a record is missing.

    *proven* is None when the DNS gave no verdict; that never demotes.
    """
    if proven:
        return DomainStatus.VERIFIED, None
    if proven is None or status not in CAN_SEND:
        return status, degraded_at
    since = degraded_at or now
    if now - since >= GRACE:
        return DomainStatus.FAILED, since
    return DomainStatus.DEGRADED, since


class _Problems:
    """Gathers what is wrong with several fields, so that one refusal names them all."""

    def __init__(self) -> None:
        self._found: list[Detail] = []

    def of(self, value: str | Detail | None) -> str:
        if isinstance(value, Detail):
            self._found.append(value)
        return value if isinstance(value, str) else ""

    def refuse(self) -> None:
        if self._found:
            raise InvalidInput.all(self._found)


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _domain_or_none(text: str) -> str | None:
    try:
        return parse_domain(text.strip().removesuffix("."))
    except InvalidAddress:
        return None


def _is_within(name: str, parent: str) -> bool:
    return name == parent or name.endswith("." + parent)


def _selector(text: str, name: str, *, field: str = "dkimSelector") -> str | Detail:
    selector = text.strip().lower()
    labels_fit = all(len(label) <= 63 for label in selector.split("."))
    if not _SELECTOR.fullmatch(selector) or not labels_fit:
        message = "A selector is one or several DNS labels of a-z, 0-9 and inner hyphens."
        return Detail(field, DetailCode.INVALID_FORMAT, message)
    longest = selector + ED25519_SUFFIX
    if len(longest) > MAX_SELECTOR or len(f"{longest}._domainkey.{name}") > MAX_NAME:
        return Detail(field, DetailCode.TOO_LONG, "The selector is too long for this domain.")
    return selector


def _return_path(text: str | None, name: str) -> str | Detail:
    field = "returnPathDomain"
    found = _domain_or_none(f"bounce.{name}" if text is None else text)
    if found is None:
        code = DetailCode.TOO_LONG if text is None else DetailCode.INVALID_DOMAIN
        return Detail(field, code, f"Write a name below {name} that is not too long.")
    if found == name or not _is_within(found, name):
        return Detail(field, DetailCode.NOT_ALLOWED, f"The return path must be below {name}.")
    return found


def _tracking(text: str | None, name: str, *, return_path: str) -> str | Detail | None:
    if text is None:
        return None
    field = "trackingDomain"
    found = _domain_or_none(text)
    if found is None:
        return Detail(field, DetailCode.INVALID_DOMAIN, f"Write a name such as t.{name}.")
    # Anybody could otherwise take the name of a domain that is not theirs, and its owner
    # would find it taken.
    if organizational_domain(found) != organizational_domain(name):
        message = f"The tracking domain must be part of {organizational_domain(name)}."
        return Detail(field, DetailCode.NOT_ALLOWED, message)
    if found == name:
        message = "The domain itself cannot be an alias; take a name below it."
        return Detail(field, DetailCode.NOT_ALLOWED, message)
    if found == return_path:
        message = "One name cannot be the return path and the tracking domain."
        return Detail(field, DetailCode.DUPLICATE, message)
    return found


def _report_address(text: str | None) -> str | Detail | None:
    if text is None:
        return None
    wrong = Detail("dmarcRua", DetailCode.INVALID_EMAIL, "Write one email address, without a name.")
    try:
        found = parse_mailbox(text)
    except InvalidAddress:
        return wrong
    return wrong if found.display_name else found.address


def _algorithms(given: Sequence[KeyAlgorithm] | None) -> Detail | None:
    if given is not None and KeyAlgorithm.RSA_1024 in given:
        return Detail("dkimAlgorithms", DetailCode.NOT_ALLOWED, NOT_MADE)
    if given is None or KeyAlgorithm.RSA_2048 in given:
        return None
    message = "RSA_2048 must be among them: many receivers ignore every other kind."
    return Detail("dkimAlgorithms", DetailCode.REQUIRED, message)


def _rotation_days(days: int | None) -> Detail | None:
    if days is None or days in ROTATION_DAYS:
        return None
    code = DetailCode.TOO_SMALL if days < ROTATION_DAYS.start else DetailCode.TOO_LARGE
    return Detail("dkimRotationDays", code, "Keys rotate every 30 to 365 days, or never.")


def _camel_case(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.title() for word in rest)
