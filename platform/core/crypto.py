"""Encryption at rest, keyed hashes of secrets, and keys derived from the one secret."""

import hashlib
import hmac
import secrets
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
def derived_key(purpose: str) -> bytes:
    """Return 32 bytes that depend on the secret key and on *purpose* only.

    Source: RFC 5869.
    """
    secret = settings().secret_key.encode()
    return HKDF(SHA256(), 32, salt=None, info=b"postlane:" + purpose.encode()).derive(secret)


def seal(value: bytes, *, purpose: str) -> bytes:
    """Return *value* encrypted and authenticated; `unseal` with the same purpose opens it."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(derived_key(purpose)).encrypt(nonce, value, purpose.encode())
    return VERSION + nonce + sealed


def unseal(sealed: bytes, *, purpose: str) -> bytes:
    """Return what was sealed for *purpose*.

    Raises:
        SealBroken: the secret key or the purpose is another one, or bytes were changed.
    """
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(derived_key(purpose)).decrypt(nonce, body, purpose.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken(f"The sealed value for {purpose} cannot be opened.") from error


def digest(secret: str, *, purpose: str) -> bytes:
    """Return the keyed hash of *secret* for storing and looking up; 32 bytes."""
    return hmac.digest(derived_key(purpose), secret.encode(), hashlib.sha256)
