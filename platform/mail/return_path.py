"""Return paths that name their delivery and cannot be made up by a stranger (VERP)."""

import hmac
import re
from base64 import b32encode

_TOKEN = re.compile(r"[a-z0-9-]{1,45}")
_LOCAL_PART = re.compile(r"b\+([a-z0-9-]{1,45})\.([a-z2-7]{16})")


def make_return_path(secret: bytes, token: str, domain: str) -> str:
    """Return `b+<token>.<mac>@<domain>`, all in lower case.

    *token* is 1 to 45 characters `a-z 0-9 -`, so that the local part stays within 64.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("a return path token is 1 to 45 characters of a-z, 0-9 and -")
    return f"b+{token}.{_mac(secret, token)}@{domain}"


def read_return_path(secret: bytes, local_part: str) -> str | None:
    """Return the token of a return path of ours, or `None` for anything else.

    Some mail servers change the case of a local part, so case does not count.
    """
    match = _LOCAL_PART.fullmatch(local_part.lower())
    if match is None or not hmac.compare_digest(match[2], _mac(secret, match[1])):
        return None
    return match[1]


def _mac(secret: bytes, token: str) -> str:
    """80 bits in base32, which survives a change of case."""
    digest = hmac.digest(secret, b"return-path:" + token.encode(), "sha256")
    return b32encode(digest[:10]).decode().lower()
