"""Forms of API keys, and what their scopes grant."""

import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ..accounts.rules import Plan
from ..core.actor import ROLE_PERMISSIONS, Permission, Role
from ..core.ids import new_token

Network = IPv4Network | IPv6Network

API_KEY_PURPOSE = "api_key"
"""What the keyed hash of an API key's secret is derived for."""

VISIT_LIFETIME = timedelta(hours=1)
"""How long an operator acts in an organization that is not theirs, unless they leave before."""

STANDARD_PREFIX = "pmta_"
SCOPES = frozenset(permission.value for permission in Permission)
GROUPS = frozenset(permission.value.partition(":")[0] for permission in Permission)
_STANDARD = re.compile(r"pmta_[0-9a-f]{8}_[A-Za-z0-9]{43}", re.ASCII)
SHORTEST_FOREIGN = 12
"""Characters, 71 bits: of a key that another platform made long ago and that is taken over."""
_FOREIGN = re.compile(rf"[A-Za-z0-9]{{{SHORTEST_FOREIGN},64}}", re.ASCII)


class KeyFormat(StrEnum):
    """Which clients can use a key; every API of ours takes all three."""

    STANDARD = "standard"
    POSTAL = "postal"
    POSTAGEAPP = "postageapp"


class KeyStatus(StrEnum):
    """What an API key is good for now."""

    ACTIVE = "active"
    ROTATING = "rotating"
    EXPIRED = "expired"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret just made: all of it, and the part that may be shown later."""

    text: str
    prefix: str


def new_secret(form: KeyFormat) -> NewSecret:
    """Return a random secret in *form*; the weakest, Postal's, holds 142 bits.

    Source: https://docs.postalserver.io/developer/api and postmta-api section 2.3.
    """
    if form is KeyFormat.STANDARD:
        prefix = STANDARD_PREFIX + secrets.token_hex(4)
        return NewSecret(f"{prefix}_{new_token(43)}", prefix)
    text = new_token(24 if form is KeyFormat.POSTAL else 32)
    # Four characters tell keys apart on a page and leave 119 bits to guess.
    return NewSecret(text, text[:4])


def adopted_secret(text: str) -> NewSecret | None:
    """Return a secret that another platform made, to go on in use; None if it can be none here."""
    if not _FOREIGN.fullmatch(text):
        return None
    # Of a short one less is shown, so that at least 59 bits stay to be guessed.
    return NewSecret(text, text[: 4 if len(text) >= 24 else 2])


def is_key_form(text: str) -> bool:
    """Say whether *text* can be the secret of a key, so that anything else costs no look-up."""
    return bool(_STANDARD.fullmatch(text) or _FOREIGN.fullmatch(text))


def is_scope(text: str) -> bool:
    """Say whether *text* is a permission, `*`, or `group:*`."""
    if text == "*":
        return True
    group, _, verb = text.partition(":")
    return group in GROUPS and (verb == "*" or text in SCOPES)


def granted(scopes: Iterable[str], held: frozenset[Permission]) -> frozenset[Permission]:
    """Return what *scopes* grant to somebody who holds *held*; never more than that."""
    asked = set(scopes)
    if "*" in asked:
        return held
    return frozenset(
        permission
        for permission in held
        if permission.value in asked or f"{permission.value.partition(':')[0]}:*" in asked
    )


ORGANIZATION_WIDE = frozenset(
    {
        Permission.WRITE_USERS,
        Permission.WRITE_PROJECTS,
        Permission.WRITE_BILLING,
        Permission.READ_AUDIT,
        Permission.READ_METRICS,
    }
)
"""What a key that is bound to one project never holds, because it reaches beyond it."""


@lru_cache(maxsize=4_096)
def effective(scopes: tuple[str, ...], role: Role, *, bound: bool) -> frozenset[Permission]:
    """Return what a key with *scopes* may do while its maker's role is *role*."""
    found = granted(scopes, ROLE_PERMISSIONS[role])
    return found - ORGANIZATION_WIDE if bound else found


REQUESTS_PER_MINUTE: dict[Plan, int | None] = {
    Plan.TRIAL: 300,
    Plan.STARTER: 1_000,
    Plan.PROFESSIONAL: 10_000,
    Plan.ENTERPRISE: None,
    Plan.SELF_HOSTED: None,
}
"""What each plan allows one credential; None is any number."""


def rate_limit(plan: str, *own: int | None) -> int | None:
    """Return the requests per minute of a credential: limits of its own only lower its plan's."""
    limits = [limit for limit in (REQUESTS_PER_MINUTE[Plan(plan)], *own) if limit is not None]
    return min(limits, default=None)


NO_DOMAIN = "-"
"""Stands for "none at all" among allowed domains, of which an empty set is any."""


def both_allow(key: Collection[str], project: Collection[str]) -> frozenset[str]:
    """Return the sending domains that a key and its project both allow; an empty set is any."""
    if not key or not project:
        return frozenset(key or project)
    return frozenset(key) & frozenset(project) or frozenset({NO_DOMAIN})


@lru_cache(maxsize=4_096)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Return the networks that were checked when they were stored."""
    return tuple(ip_network(text) for text in texts)


def is_within(address: str | None, allowed: tuple[str, ...]) -> bool:
    """Say whether *address* lies in one of *allowed*; no network at all allows every address."""
    if not allowed:
        return True
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks(allowed))
