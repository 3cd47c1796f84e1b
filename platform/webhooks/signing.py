"""Secrets of webhooks, and the signature that a receiver checks.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from ..core.crypto import seal, unseal
from .rules import SECRET_BYTES

PURPOSE = "webhook-secret"
PREFIX = "whsec_"


def new_secret() -> bytes:
    """Return the bytes of a new secret."""
    return secrets.token_bytes(SECRET_BYTES)


def written(secret: bytes) -> str:
    """Return a secret as its receiver is given it."""
    return PREFIX + base64.b64encode(secret).decode()


def sealed(secret: bytes) -> bytes:
    """Return a secret as it is stored."""
    return seal(secret, purpose=PURPOSE)


def opened(value: bytes) -> bytes:
    """Return the secret that `sealed` stored.

    Raises:
        SealBroken: it was sealed with another secret key.
    """
    return unseal(value, purpose=PURPOSE)


def signature(secret: bytes, *, id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of one secret for the bytes that are sent, such as `v1,K5oZ...`."""
    signed = b".".join((id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def signed_headers(
    signing: Sequence[bytes], *, id: str, at: datetime, body: bytes
) -> dict[str, str]:
    """Return the headers that let a receiver check a call; each secret signs."""
    timestamp = int(at.timestamp())
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            signature(secret, id=id, timestamp=timestamp, body=body) for secret in signing
        ),
    }
