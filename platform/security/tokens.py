"""Tokens: JWTs signed with Ed25519, by keys that are made on first use and may be rotated.

Source: RFC 7519, RFC 8037, RFC 8725.
"""

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..core import clock
from ..core.actor import OrganizationId, Role, UserId
from ..core.crypto import seal, unseal
from ..core.database import fetch, transaction
from ..core.ids import new_id, parse_id
from ..core.settings import settings
from .errors import TokenExpired, TokenInvalid
from .tables import SigningKey

ALGORITHM = "EdDSA"
AUDIENCE = "api"
LEEWAY_SECONDS = 60
LONGEST_TOKEN = 2_048
"""Characters; ours have about 500."""

SEAL_PURPOSE = "signing_key"
REQUIRED = ["iss", "aud", "sub", "org_id", "tv", "iat", "exp", "jti"]
FIRST_KEY_LOCK = 7_021_919
"""Advisory lock under which a key is made when there is none; any number, but always this."""

_FRESH_SECONDS = 60.0
_RELOAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says."""

    user_id: UserId
    organization_id: OrganizationId
    token_version: int
    token_id: uuid.UUID
    key_id: uuid.UUID
    """The key that signed it."""
    expires_at: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token just made."""

    text: str
    token_id: uuid.UUID
    expires_at: datetime
    lifetime_seconds: int


@dataclass(frozen=True, slots=True)
class Keys:
    """This process's copy of the signing keys."""

    newest: str
    """Id of the key that signs."""
    signing: Ed25519PrivateKey
    verifying: Mapping[str, Ed25519PublicKey]
    """Every key that is still good, by its id."""
    read_at: float
    """Monotonic seconds."""


_keys: Keys | None = None
_reading = asyncio.Lock()


async def signing_keys() -> Keys:
    """Return the keys, read again every minute; make one if there is none.

    Opens a transaction when one has to be made, so it is called before an operation's own.
    """
    if _keys is None or time.monotonic() - _keys.read_at > _FRESH_SECONDS:
        return await _read_keys(older_than=_FRESH_SECONDS)
    return _keys


async def refresh() -> Keys:
    """Read the keys anew, as `signing_keys` does by itself every minute."""
    return await _read_keys(older_than=0)


def issue(
    keys: Keys,
    *,
    user_id: UserId,
    organization_id: OrganizationId,
    role: Role,
    token_version: int,
) -> IssuedToken:
    """Return a new token; it says the role of now, but only the row of later counts."""
    lifetime = settings().token_lifetime_seconds
    issued_at = int(clock.now().timestamp())
    token_id = new_id()
    claims = {
        "iss": settings().public_url,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "org_id": str(organization_id),
        "role": role.value,
        "tv": token_version,
        "iat": issued_at,
        "exp": issued_at + lifetime,
        "jti": str(token_id),
    }
    text = jwt.encode(claims, keys.signing, algorithm=ALGORITHM, headers={"kid": keys.newest})
    expires_at = datetime.fromtimestamp(issued_at + lifetime, UTC)
    return IssuedToken(text, token_id, expires_at, lifetime)


async def verified(text: str) -> Claims:
    """Return what a token says, if it is ours, for this API, and its time is not over.

    Raises:
        TokenInvalid: anything is wrong with it.
        TokenExpired: it was good.
    """
    if len(text) > LONGEST_TOKEN or not text.isascii():
        raise TokenInvalid
    try:
        key_id, key = await _key_of(jwt.get_unverified_header(text).get("kid"))
        claims = jwt.decode(
            text,
            key,
            # One algorithm, whatever the header asks for: `none` and HS256 with a public
            # key as its secret are refused here.
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=settings().public_url,
            # Times are compared with our clock below, which tests can freeze.
            options={
                "require": REQUIRED,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise TokenInvalid from error
    return _in_time(_read(claims, key_id))


def _read(claims: Mapping[str, Any], key_id: uuid.UUID) -> tuple[Claims, int]:
    user_id, organization_id = parse_id(claims["sub"]), parse_id(claims["org_id"])
    token_id = parse_id(claims["jti"])
    version, issued_at, expires_at = claims["tv"], claims["iat"], claims["exp"]
    if user_id is None or organization_id is None or token_id is None:
        raise TokenInvalid
    if not all(isinstance(number, int) for number in (version, issued_at, expires_at)):
        raise TokenInvalid
    found = Claims(
        user_id=UserId(user_id),
        organization_id=OrganizationId(organization_id),
        token_version=version,
        token_id=token_id,
        key_id=key_id,
        expires_at=expires_at,
    )
    return found, issued_at


def _in_time(read: tuple[Claims, int]) -> Claims:
    claims, issued_at = read
    now = clock.now().timestamp()
    if issued_at > now + LEEWAY_SECONDS:
        raise TokenInvalid
    if claims.expires_at + LEEWAY_SECONDS <= now:
        raise TokenExpired
    return claims


async def reread() -> None:
    """Read the keys again, for one that this process knows is gone; not for every wrong token."""
    await _read_keys(older_than=_RELOAD_SECONDS)


async def _key_of(kid: object) -> tuple[uuid.UUID, Ed25519PublicKey]:
    key_id = parse_id(kid) if isinstance(kid, str) else None
    if key_id is None or not isinstance(kid, str):
        raise TokenInvalid
    keys = await signing_keys()
    if kid not in keys.verifying:
        # Another process may have rotated; but made-up ids must not cost a statement each.
        keys = await _read_keys(older_than=_RELOAD_SECONDS)
    if kid not in keys.verifying:
        raise TokenInvalid
    return key_id, keys.verifying[kid]


async def _read_keys(*, older_than: float) -> Keys:
    global _keys
    async with _reading:
        if _keys is None or time.monotonic() - _keys.read_at > older_than:
            _keys = await _stored_keys() or await _first_key()
        return _keys


async def _stored_keys() -> Keys | None:
    rows = await SigningKey.objects().order_by(SigningKey.id)
    opened = {
        str(row.id): Ed25519PrivateKey.from_private_bytes(
            unseal(bytes(row.private_key), purpose=SEAL_PURPOSE)
        )
        for row in rows
    }
    in_use = [str(row.id) for row in rows if row.retired_at is None]
    if not in_use:
        return None
    return Keys(
        newest=in_use[-1],
        signing=opened[in_use[-1]],
        verifying={id: key.public_key() for id, key in opened.items()},
        read_at=time.monotonic(),
    )


async def _first_key() -> Keys:
    async with transaction():
        # Of several processes that start at once, one makes the key and the others read it.
        await fetch("SELECT pg_advisory_xact_lock({})", FIRST_KEY_LOCK)
        found = await _stored_keys()
        if found is None:
            await SigningKey.insert(SigningKey(private_key=new_private_key()))
            found = await _stored_keys()
    if found is None:
        raise RuntimeError("the signing key that was just made cannot be read")
    return found


def new_private_key() -> bytes:
    """Return a new Ed25519 key, sealed for its row."""
    return seal(Ed25519PrivateKey.generate().private_bytes_raw(), purpose=SEAL_PURPOSE)


RETIRED_FOR = timedelta(days=7)
"""How long a retired key still verifies: the longest lifetime that a token can have."""
