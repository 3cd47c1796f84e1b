"""Forms of API keys, and what their scopes grant."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ..core.actor import Permission
from ..core.ids import new_token

API_KEY_PURPOSE = "api_key"
"""What the keyed hash of an API key's secret is derived for."""

STANDARD_PREFIX = "pmta_"
SCOPES = frozenset(permission.value for permission in Permission)
GROUPS = frozenset(permission.value.partition(":")[0] for permission in Permission)
_STANDARD = re.compile(r"pmta_[0-9a-f]{8}_[A-Za-z0-9]{43}", re.ASCII)
_FOREIGN = re.compile(r"[A-Za-z0-9]{24}|[A-Za-z0-9]{32}", re.ASCII)


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
