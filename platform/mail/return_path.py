"""Addresses that name their delivery and cannot be made up by a stranger (VERP).

Bounces come back to the return path, and whoever wants no more mail writes to the other one.
"""

import hmac
import re
from base64 import b32encode
from enum import StrEnum

_TOKEN = re.compile(r"[a-z0-9-]{1,45}")
_LOCAL_PART = re.compile(r"([bu])\+([a-z0-9-]{1,45})\.([a-z2-7]{16})")
_WITHIN = re.compile(rf"(?<![a-z0-9.+-]){_LOCAL_PART.pattern}(?![a-z0-9])", re.IGNORECASE)
MOST_WITHIN = 20


class Kind(StrEnum):
    """What mail to an address means."""

    BOUNCE = "b"
    UNSUBSCRIBE = "u"


def make_return_path(secret: bytes, token: str, domain: str, *, kind: Kind = Kind.BOUNCE) -> str:
    """Return `<kind>+<token>.<mac>@<domain>`, all in lower case.

    *token* is 1 to 45 characters `a-z 0-9 -`, so that the local part stays within 64.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("a return path token is 1 to 45 characters of a-z, 0-9 and -")
    return f"{kind}+{token}.{_mac(secret, token, kind)}@{domain}"


def read_return_path(secret: bytes, local_part: str, *, kind: Kind = Kind.BOUNCE) -> str | None:
    """Return the token of an address of ours, or `None` for anything else.

    Some mail servers change the case of a local part, so case does not count.
    """
    match = _LOCAL_PART.fullmatch(local_part.lower())
    return _token_of(secret, match, kind) if match else None


def find_return_path(secret: bytes, text: str) -> str | None:
    """Return the token of the first return path of ours within *text*."""
    for found, match in enumerate(_WITHIN.finditer(text)):
        if found >= MOST_WITHIN:
            break
        token = read_return_path(secret, match[0])
        if token is not None:
            return token
    return None


def _token_of(secret: bytes, match: re.Match[str], kind: Kind) -> str | None:
    if match[1] != kind or not hmac.compare_digest(match[3], _mac(secret, match[2], kind)):
        return None
    return match[2]


_PURPOSES = {Kind.BOUNCE: b"return-path:", Kind.UNSUBSCRIBE: b"unsubscribe:"}


def _mac(secret: bytes, token: str, kind: Kind) -> str:
    """80 bits in base32, which survives a change of case."""
    digest = hmac.digest(secret, _PURPOSES[kind] + token.encode(), "sha256")
    return b32encode(digest[:10]).decode().lower()
