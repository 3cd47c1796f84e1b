"""Signing in with a provider of identities, by OpenID Connect: what is sent there and believed.

The code flow with PKCE. What the way back has to fit is in a sealed ticket that the browser
keeps, so nobody can be signed in as somebody else by a link they were sent.

Source: https://openid.net/specs/openid-connect-core-1_0.html section 3.1, RFC 7636, RFC 9207,
RFC 9700.
"""

import asyncio
import json
import logging
import secrets
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlsplit

import aiohttp
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from ..core import clock
from ..core.actor import UserId
from ..core.crypto import SealBroken, seal, unseal
from ..core.settings import Settings, settings
from .errors import ProviderMissing, ProviderRefused, ProviderUnreachable

log = logging.getLogger(__name__)

SIGN_IN_CALLBACK = "/login/provider/callback"
LINK_CALLBACK = "/account/provider/callback"
"""Of the dashboard: the only two addresses that a provider may send somebody back to."""
SCOPE = "openid email profile"
PURPOSE = "provider"
TICKET_LIFE = timedelta(minutes=10)
PATIENCE = aiohttp.ClientTimeout(total=10)
LARGEST_BYTES = 1_000_000
FRESH_SECONDS = 3600.0
"""How long what a provider publishes of itself is taken for granted."""
REREAD_SECONDS = 10.0
"""How often its keys are read anew because of a token with an unknown one."""
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
"""Whatever a provider says it does: `none`, and HMAC with a public key as its secret, never."""
LEEWAY_SECONDS = 60
LONGEST = 4_096
LONGEST_SUBJECT = 255

Ticket = Mapping[str, Any]
FAULTS = (JoseError, ValueError, TypeError, KeyError, AttributeError)
"""What the libraries say of a token that is none."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a browser goes, and what it keeps until it is back."""

    url: str
    ticket: str


@dataclass(frozen=True, slots=True)
class Return:
    """With what a browser came back."""

    ticket: str
    state: str
    code: str
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a provider says somebody is."""

    issuer: str
    subject: str
    email: str | None
    """Only where the provider says that it has verified the address."""
    name: str
    is_multi_factor: bool
    """The provider says that it asked for more than one factor. Source: RFC 8176."""
    invitation_token: str | None


def is_offered() -> bool:
    """Say whether people may sign in with a provider."""
    return bool(settings().oidc_issuer)


async def begin(*, invitation_token: str | None = None, linking: UserId | None = None) -> Begun:
    """Return where to send somebody who wants to sign in with the provider.

    With *linking*, somebody who is signed in already and ties it to their account.

    Raises:
        ProviderMissing: there is none.
        ProviderUnreachable: it does not say where.
    """
    found = _configured()
    metadata = await _metadata.get()
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    url = prepare_grant_uri(
        metadata["authorization_endpoint"],
        client_id=found.oidc_client_id,
        response_type="code",
        redirect_uri=_callback(linking),
        scope=SCOPE,
        state=state,
        nonce=nonce,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    kept = {
        "state": state,
        "nonce": nonce,
        "verifier": verifier,
        "invitation": invitation_token,
        "linking": None if linking is None else linking.hex,
        "until": (clock.now() + TICKET_LIFE).timestamp(),
    }
    return Begun(url, seal(json.dumps(kept).encode(), purpose=PURPOSE).hex())


async def identify(found: Return, *, linking: UserId | None = None) -> Identity:
    """Return whom the provider says somebody is who came back from it.

    Who came back to sign in is not believed to have come to tie an account, nor the other way,
    nor somebody else who ties theirs.

    Raises:
        ProviderMissing: there is none.
        ProviderRefused: the way back does not fit the way there, the provider takes the code for
            none, or what it says is not for us, not its own or too old.
        ProviderUnreachable: it does not answer.
    """
    ticket = _opened(found, linking)
    metadata = await _metadata.get()
    if found.issuer is None:
        if metadata.get("authorization_response_iss_parameter_supported"):
            raise ProviderRefused
    elif found.issuer != metadata["issuer"]:
        raise ProviderRefused
    token = await _exchange(
        metadata, code=found.code, verifier=ticket["verifier"], callback=_callback(linking)
    )
    claims = await _claims(token, nonce=ticket["nonce"])
    email, name = claims.get("email"), claims.get("name")
    amr = claims.get("amr")
    return Identity(
        issuer=settings().oidc_issuer,
        subject=claims["sub"],
        email=email if isinstance(email, str) and claims.get("email_verified") is True else None,
        name=name if isinstance(name, str) else "",
        is_multi_factor=isinstance(amr, list) and "mfa" in amr,
        invitation_token=ticket["invitation"],
    )


def _configured() -> Settings:
    found = settings()
    if not found.oidc_issuer:
        raise ProviderMissing
    return found


def _callback(linking: UserId | None) -> str:
    return settings().public_url + (SIGN_IN_CALLBACK if linking is None else LINK_CALLBACK)


def _opened(found: Return, linking: UserId | None) -> Ticket:
    _configured()
    try:
        ticket: Ticket = json.loads(unseal(bytes.fromhex(found.ticket[:LONGEST]), purpose=PURPOSE))
    except (SealBroken, ValueError) as error:
        raise ProviderRefused from error
    if ticket["until"] < clock.now().timestamp():
        raise ProviderRefused
    if ticket["linking"] != (None if linking is None else linking.hex):
        raise ProviderRefused
    if not secrets.compare_digest(ticket["state"].encode(), found.state.encode()):
        raise ProviderRefused
    if not 1 <= len(found.code) <= LONGEST:
        raise ProviderRefused
    return ticket


async def _exchange(
    metadata: Mapping[str, Any], *, code: str, verifier: str, callback: str
) -> Mapping[str, Any]:
    """Return what the provider gives for a code.

    The secret goes in the header, which every provider has to take, or there is none.
    """
    wanted = settings()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback,
        "code_verifier": verifier,
    }
    headers = {}
    if wanted.oidc_client_secret:
        # RFC 6749 section 2.3.1: each is written as in a form first.
        pair = f"{quote_plus(wanted.oidc_client_id)}:{quote_plus(wanted.oidc_client_secret)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    else:
        form["client_id"] = wanted.oidc_client_id
    found = await _ask("POST", metadata["token_endpoint"], data=form, headers=headers)
    if not isinstance(found.get("id_token"), str):
        raise ProviderRefused
    return found


async def _claims(token: Mapping[str, Any], *, nonce: str) -> Mapping[str, Any]:
    wanted = settings()
    try:
        decoded = await _decoded(token["id_token"])
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": wanted.oidc_issuer},
                "aud": {"essential": True, "value": wanted.oidc_client_id},
                "nonce": {"essential": True, "value": nonce},
            },
            {
                "nonce": nonce,
                "client_id": wanted.oidc_client_id,
                "access_token": token.get("access_token"),
            },
        )
        claims.validate(now=int(clock.now().timestamp()), leeway=LEEWAY_SECONDS)
    except FAULTS as error:
        # Its kind says what is wrong, and nothing of what is in it.
        log.info("a provider's token was refused: %s", type(error).__name__)
        raise ProviderRefused from error
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= LONGEST_SUBJECT:
        raise ProviderRefused
    return dict(claims)


async def _decoded(text: str) -> jwt.Token:
    try:
        return jwt.decode(text, KeySet.import_key_set(await _keys.get()), algorithms=ALGORITHMS)
    except InvalidKeyIdError:
        # It may have rotated; but tokens with made-up ids must not make us ask each time.
        keys = await _keys.get(fresh_seconds=REREAD_SECONDS)
        return jwt.decode(text, KeySet.import_key_set(keys), algorithms=ALGORITHMS)


class _Published:
    """What a provider publishes at an address, read again after a while."""

    def __init__(self, read: Callable[[str], Awaitable[Mapping[str, Any]]]) -> None:
        self._read = read
        self._found: Mapping[str, Any] | None = None
        self._issuer = ""
        self._read_at = -REREAD_SECONDS
        self._reading = asyncio.Lock()

    async def get(self, *, fresh_seconds: float = FRESH_SECONDS) -> Any:
        """Return it, at most *fresh_seconds* old.

        Raises:
            ProviderUnreachable: it cannot be read, or could not a few seconds ago.
        """
        async with self._reading:
            issuer, now = settings().oidc_issuer, time.monotonic()
            if issuer != self._issuer:
                self._found, self._issuer, self._read_at = None, issuer, now - FRESH_SECONDS
            if now - self._read_at > (REREAD_SECONDS if self._found is None else fresh_seconds):
                # Whoever waited for the lock while it could not be read does not wait once more.
                self._found, self._read_at = None, now
                self._found = await self._read(issuer)
            if self._found is None:
                raise ProviderUnreachable
            return self._found


async def _discover(issuer: str) -> Mapping[str, Any]:
    found = await _ask("GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        log.error("the provider calls itself %r, not %r", found.get("issuer"), issuer)
        raise ProviderUnreachable
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        address = found.get(name)
        # What is sent there is as secret as a password.
        if not isinstance(address, str) or urlsplit(address).scheme != urlsplit(issuer).scheme:
            log.error("the provider names no %s that can be used", name)
            raise ProviderUnreachable
    return found


async def _read_keys(issuer: str) -> Mapping[str, Any]:
    found = await _ask("GET", (await _metadata.get())["jwks_uri"])
    if not isinstance(found.get("keys"), list):
        raise ProviderUnreachable
    return found


async def _ask(method: str, url: str, **what: Any) -> Mapping[str, Any]:
    """Return the JSON object that the provider answers.

    Raises:
        ProviderRefused: it takes what was sent for wrong.
        ProviderUnreachable: it does not answer, or nothing that can be read.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.request(method, url, allow_redirects=False, **what) as answer,
        ):
            body = await _whole(answer.content)
            if method == "POST" and answer.status in (400, 401):
                raise ProviderRefused
            if answer.status != 200:
                log.error("the provider answered %d at %s", answer.status, url)
                raise ProviderUnreachable
            found = json.loads(body)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        log.error("the provider cannot be asked at %s: %s", url, type(error).__name__)
        raise ProviderUnreachable from error
    if not isinstance(found, dict):
        raise ProviderUnreachable
    return found


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """Return a body, in however many pieces it comes.

    Raises:
        ValueError: it does not end where it should.
    """
    pieces = bytearray()
    async for piece in content.iter_any():
        pieces += piece
        if len(pieces) > LARGEST_BYTES:
            raise ValueError("more than is read")
    return bytes(pieces)


_metadata = _Published(_discover)
_keys = _Published(_read_keys)
