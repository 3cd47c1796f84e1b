"""Encryption at rest, keyed hashes of secrets, and keys derived from the one secret."""

import hashlib
import secrets
from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .settings import settings

NONCE_BYTES = 12
VERSION = b"\x01"
"""First byte of every sealed value, so that the format can change without guessing."""


class SealBroken(Exception):
    """A sealed value was made with another secret key, for another purpose, or altered."""


@lru_cache(maxsize=64)
def derived_keys(purpose: str) -> tuple[bytes, ...]:
    """Return 32 bytes for each secret key, that depend on it and on *purpose* only.

    The first is of the key in use, and nothing is made with the others.

    Source: RFC 5869.
    """
    found = settings()
    return tuple(
        HKDF(SHA256(), 32, salt=None, info=b"postlane:" + purpose.encode()).derive(secret.encode())
        for secret in (found.secret_key, *found.old_secret_keys)
    )


def derived_key(purpose: str) -> bytes:
    """Return what `derived_keys` says of the secret key in use."""
    return derived_keys(purpose)[0]


def seal(value: bytes, *, purpose: str) -> bytes:
    """Return *value* encrypted and authenticated; `unseal` with the same purpose opens it."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(derived_key(purpose)).encrypt(nonce, value, purpose.encode())
    return VERSION + nonce + sealed


def unseal(sealed: bytes, *, purpose: str) -> bytes:
    """Return what was sealed for *purpose*, with the secret key in use or an old one.

    Raises:
        SealBroken: the secret key or the purpose is another one, or bytes were changed.
    """
    for key in derived_keys(purpose):
        if (value := _opened(sealed, key, purpose)) is not None:
            return value
    raise SealBroken(f"The sealed value for {purpose} cannot be opened.")


def reseal(sealed: bytes, *, purpose: str) -> bytes | None:
    """Return the value sealed with the secret key in use; None if it is so already.

    Raises:
        SealBroken: no secret key opens it.
    """
    if _opened(sealed, derived_key(purpose), purpose) is not None:
        return None
    return seal(unseal(sealed, purpose=purpose), purpose=purpose)


def digest(secret: str, *, purpose: str) -> bytes:
    """Return the keyed hash of *secret* for storing; 32 bytes."""
    return digests(secret, purpose=purpose)[0]


def digests(secret: str, *, purpose: str) -> list[bytes]:
    """Return the keyed hashes that *secret* may be stored under: for looking up.

    The first is that of the secret key in use; there is one more for each old one.
    """
    said = secret.encode()
    return [_keyed_hash(key, said) for key in derived_keys(purpose)]


def digesters(prefix: str, *, purpose: str) -> list[Callable[[str], bytes]]:
    """Return what makes `digests` of texts that begin with *prefix* out of the rest of them.

    For thousands of them, in a third less time.
    """
    return [_digester(key, prefix.encode()) for key in derived_keys(purpose)]


def _digester(key: bytes, prefix: bytes) -> Callable[[str], bytes]:
    begun, ending = _begun(key)
    begun = begun.copy()
    begun.update(prefix)

    def digest_of(rest: str) -> bytes:
        inner, outer = begun.copy(), ending.copy()
        inner.update(rest.encode())
        outer.update(inner.digest())
        return outer.digest()

    return digest_of


def _keyed_hash(key: bytes, said: bytes) -> bytes:
    """Return what `hmac.digest` does, of SHA-256, in half the time.

    Each recipient of each message is hashed, and each key of each request.
    """
    inner, outer = _begun(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(said)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=64)
def _begun(key: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """Return both hashes of an HMAC as far as they are the same for all that one key is for.

    Source: RFC 2104 section 4.
    """
    block = key.ljust(64, b"\0")
    pads = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    inner, outer = map(hashlib.sha256, pads)
    return inner, outer


def _opened(sealed: bytes, key: bytes, purpose: str) -> bytes | None:
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, purpose.encode())
    except (InvalidTag, ValueError):
        return None
