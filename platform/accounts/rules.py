"""What names, addresses and roles may be, and who may give which role."""

import re
import unicodedata
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

from ..core.actor import ROLE_PERMISSIONS, Permission, Role
from ..core.errors import DetailCode, InvalidInput
from ..core.languages import catalogs
from ..mail.address import InvalidAddress, parse_domain, parse_mailbox

INVITATION_LIFETIME = timedelta(days=7)
MOST_INVITATIONS = 50
"""Mails with invitations that an organization may send in an hour; names in them are its own."""

INVITATION_PURPOSE = "invitation"
"""What the keyed hash of an invitation's token is derived for."""

DEFAULT_PROJECT = "default"
NAME_LENGTH = 100
MOST_DOMAINS = 50
MOST_PER_MINUTE = 1_000_000
SLUG_LENGTH = 63
LONGEST_UID = 255
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates; marks, which names in Hebrew and Arabic need, are fine.

Source: Unicode Standard Annex 9, section 2.
"""
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class UserStatus(StrEnum):
    """Whether a person may sign in."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Theme(StrEnum):
    """How pages look to a person."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class OrganizationStatus(StrEnum):
    """What an organization may do: a suspended one reads, and changes nothing."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class Suspension(StrEnum):
    """Why an organization is suspended."""

    DEBT = "debt"
    """It owes money; paying ends it."""
    PLATFORM = "platform"
    """Whoever looks after the deployment has decided it."""


class Plan(StrEnum):
    """What an organization pays for; `self_hosted` is everything, for nothing."""

    TRIAL = "trial"
    STARTER = "starter"
    PROFESSIONAL = "professional"
    ENTERPRISE = "enterprise"
    SELF_HOSTED = "self_hosted"


@dataclass(frozen=True, slots=True)
class TrackingSwitches:
    """What is tracked, as far as it is decided in one place; None is: somewhere else."""

    opens: bool | None = None
    clicks: bool | None = None
    text_links: bool | None = None
    """Clicks on addresses in plain text, too, where clicks are tracked."""


TRACKING_FIELDS = ("track_opens", "track_clicks", "track_text_links", "tracking_aggregate")
"""What an organization and a project decide about tracking."""


def checked_email(text: str, *, field: str = "email") -> str:
    """Return the one bare address that *text* is, its domain in lower case and ASCII.

    Raises:
        InvalidInput: it is no address, has a display name, or is too long.
    """
    try:
        mailbox = parse_mailbox(text.strip())
    except InvalidAddress:
        mailbox = None
    if mailbox is None or mailbox.display_name or "<" in text:
        raise InvalidInput.of(
            field, DetailCode.INVALID_EMAIL, "Write one email address, such as ada@example.org."
        )
    return mailbox.address


def email_key(email: str) -> str:
    """Return the form in which addresses of people are compared."""
    return email.lower()


def checked_name(text: str, *, field: str) -> str:
    """Return *text* without spaces around it.

    Raises:
        InvalidInput: empty, longer than 100 characters, or with control characters.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise InvalidInput.of(field, DetailCode.REQUIRED, f"{field} must not be empty.")
    if len(name) > NAME_LENGTH:
        raise InvalidInput.of(
            field, DetailCode.TOO_LONG, f"{field} has at most {NAME_LENGTH} characters."
        )
    # Cc are controls, Cs lone surrogates, which the database cannot hold; Zl and Zp break lines.
    # The others turn text around: a name is shown in mail beside what strangers wrote.
    if any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in TURNING
        for character in name
    ):
        raise InvalidInput.of(
            field, DetailCode.INVALID_FORMAT, f"{field} must not hold control characters."
        )
    return name


@lru_cache(maxsize=1)
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def checked_domains(texts: Sequence[str], *, field: str) -> list[str]:
    """Return the names of mail domains that *texts* are, each once.

    Raises:
        InvalidInput: one is no domain, or there are more than 50.
    """
    if len(texts) > MOST_DOMAINS:
        raise InvalidInput.of(
            field, DetailCode.TOO_MANY, f"{field} has at most {MOST_DOMAINS} items."
        )
    found: dict[str, None] = {}
    for i, text in enumerate(texts):
        try:
            found[parse_domain(text.strip().rstrip("."))] = None
        except InvalidAddress as error:
            raise InvalidInput.of(
                f"{field}[{i}]", DetailCode.INVALID_DOMAIN, f"{text[:60]!r} is not a domain name."
            ) from error
    return list(found)


def checked_rate(number: int, *, field: str) -> int:
    """Return *number* if it can be a number of requests per minute.

    Raises:
        InvalidInput: it is not 1 to 1,000,000.
    """
    if not 1 <= number <= MOST_PER_MINUTE:
        raise InvalidInput.of(
            field,
            DetailCode.TOO_SMALL if number < 1 else DetailCode.TOO_LARGE,
            f"The limit is 1 to {MOST_PER_MINUTE} requests a minute.",
        )
    return number


def checked_timezone(text: str) -> str:
    """Return *text* if it is an IANA name.

    Raises:
        InvalidInput: it is not.
    """
    if text not in _timezones():
        raise InvalidInput.of(
            "timezone", DetailCode.NOT_ALLOWED, "Write an IANA time zone, such as Europe/Paris."
        )
    return text


def checked_language(tag: str) -> str:
    """Return *tag* if there are texts in its language, or it is empty.

    Raises:
        InvalidInput: there are none.
    """
    if tag and tag not in catalogs():
        known = ", ".join(catalogs())
        raise InvalidInput.of("language", DetailCode.NOT_ALLOWED, f"Write one of: {known}.")
    return tag


def checked_uid(text: str | None) -> str | None:
    """Return a customer's name for something, if there is one.

    Raises:
        InvalidInput: it is too long, or holds a character that is none.
    """
    if not text:
        return None
    if len(text) > LONGEST_UID:
        raise InvalidInput.of("uid", DetailCode.TOO_LONG, "A uid has at most 255 characters.")
    if any(ch == "\x00" or "\ud800" <= ch <= "\udfff" for ch in text):
        message = "It holds a character that is none."
        raise InvalidInput.of("uid", DetailCode.INVALID_FORMAT, message)
    return text


def checked_group(text: str | None) -> str | None:
    """Return what something is listed under; an empty one is none.

    Raises:
        InvalidInput: it cannot be a name.
    """
    return checked_name(text, field="groupName") if text else None


def slug_from(name: str) -> str:
    """Return a slug that resembles *name*; `organization` if nothing of it can stand in a URL."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].strip("-") or "organization"


def checked_slug(text: str) -> str:
    """Return *text* if it is a slug.

    Raises:
        InvalidInput: not 1 to 63 of `a-z`, `0-9` and inner hyphens.
    """
    if not _SLUG.fullmatch(text):
        raise InvalidInput.of(
            "slug",
            DetailCode.INVALID_FORMAT,
            f"A slug is 1 to {SLUG_LENGTH} lower-case letters, digits and inner hyphens.",
        )
    return text


def may_handle(own: Role, *others: Role) -> bool:
    """Say whether somebody with role *own* may give and take the roles *others*.

    Source: postmta-api E08: only an owner touches owners, or makes one.
    """
    return own is Role.OWNER or Role.OWNER not in others


def exceeds(role: Role, held: frozenset[Permission], *, before: Role | None = None) -> bool:
    """Say whether *role* would give somebody what a giver with *held* does not hold.

    What they may do *before* is theirs already, so that a role can be lowered by whoever may
    change roles at all.
    """
    had = ROLE_PERMISSIONS[before] if before else frozenset()
    return not ROLE_PERMISSIONS[role] - had <= held
