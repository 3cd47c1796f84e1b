"""Who is signed in: the cookie, and the proof that a form is one of ours.

The cookie holds a token of ours, as programs send it. A form holds a value that only pages of
this session know. Besides, whatever a browser says comes from another site is refused.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from litestar.datastructures import Cookie

from ..core.crypto import digests

PURPOSE = "dashboard_form"
FORM_FIELD = "_csrf"
FORM_HEADER = "x-csrf-token"
TICKET_SECONDS = 600


class SessionCookie:
    """The session's cookie, as strict as the address we are reached at allows."""

    def __init__(self, public_url: str) -> None:
        parts = urlsplit(public_url)
        # Browsers take secure cookies of this machine without encryption, too.
        local = parts.hostname in ("127.0.0.1", "localhost", "::1")
        self.is_secure = parts.scheme == "https" or local
        self.name = self._named("session")
        self._ticket_name = self._named("provider")

    def _named(self, name: str) -> str:
        return f"__Host-{name}" if self.is_secure else name

    def read(self, cookies: Mapping[str, str]) -> str | None:
        """Return the token that a browser sent."""
        return cookies.get(self.name) or None

    def keep(self, token: str, *, seconds: int) -> Cookie:
        """Return what lets a browser keep *token*."""
        return self._cookie(self.name, token, seconds)

    def read_ticket(self, cookies: Mapping[str, str]) -> str:
        """Return what a browser kept while it was at a provider of identities."""
        return cookies.get(self._ticket_name, "")

    def keep_ticket(self, ticket: str) -> Cookie:
        """Return what lets a browser keep *ticket* until it is back; an empty one ends it."""
        return self._cookie(self._ticket_name, ticket, TICKET_SECONDS if ticket else 0)

    def _cookie(self, name: str, value: str, seconds: int) -> Cookie:
        return Cookie(
            name,
            value=value,
            max_age=seconds,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
        )

    def forget(self) -> Cookie:
        """Return what ends it."""
        return self.keep("", seconds=0)


def form_token(session: str | None) -> str:
    """Return what a form carries, another one each time.

    Pages are compressed, and what is repeated in a compressed page can be guessed from its
    length; so what is fixed is hidden under a mask.
    """
    secret = _fixed(session)[0]
    mask = secrets.token_bytes(len(secret))
    return base64.urlsafe_b64encode(mask + _mixed(mask, secret)).decode()


def is_ours(token: str, session: str | None) -> bool:
    """Say whether *token* came from a page of this session."""
    try:
        found = base64.urlsafe_b64decode(token.encode("ascii"))
    except ValueError:
        return False
    secrets_of_it = _fixed(session)
    half = len(secrets_of_it[0])
    if len(found) != 2 * half:
        return False
    plain = _mixed(found[:half], found[half:])
    return any(hmac.compare_digest(plain, secret) for secret in secrets_of_it)


def is_foreign(headers: Mapping[str, str], public_url: str) -> bool:
    """Say whether a browser tells that a request was begun by a page of another site.

    Source: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    ours = urlsplit(public_url)
    theirs = urlsplit(origin)
    # Behind a proxy the Host header is the one that browsers know.
    return theirs.netloc.lower() not in {ours.netloc.lower(), headers.get("host", "").lower()}


def _fixed(session: str | None) -> list[bytes]:
    return digests(session or "nobody", purpose=PURPOSE)


def _mixed(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
