"""The key that signs calls in Postal's format, and the two forms in which receivers get it.

There is one for the installation; receivers that know only the older signature check SHA-1.

Source: https://docs.postalserver.io/developer/webhooks, and postal-api section 5.6.
"""

import base64
import hashlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

KEY_BITS = 2048


class PostalKey:
    """An RSA key, ready to sign: reading it from its text takes as long as a signature."""

    def __init__(self, pem: bytes) -> None:
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("Postal's webhooks are signed with RSA")
        self._key = key
        public = key.public_key()
        self._numbers = public.public_numbers()
        self.id = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.PKCS1)).hexdigest()
        """64 hexadecimal digits that name the key."""
        self._spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def private_pem(self) -> bytes:
        """Return the private key in the form in which it is kept."""
        return _pem(self._key)

    def signed_headers(self, body: bytes) -> dict[str, str]:
        """Return the headers that let a receiver check *body*, the bytes that are sent."""
        return {
            "X-Postal-Signature": self._signature(body, SHA1()),
            "X-Postal-Signature-256": self._signature(body, SHA256()),
            "X-Postal-Signature-KID": self.id,
        }

    def signed(self, body: bytes, signature: str, header: str) -> bool:
        """Say whether *signature* is what this key makes of *body* for that header."""
        algorithm = SHA256() if header.lower().endswith("-256") else SHA1()
        try:
            given = base64.b64decode(signature, validate=True)
            self._key.public_key().verify(given, body, padding.PKCS1v15(), algorithm)
        except (InvalidSignature, ValueError):
            return False
        return True

    def jwks(self) -> dict[str, Any]:
        """Return the public key as `/.well-known/jwks.json` holds it."""
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "n": _base64url(self._numbers.n),
                    "e": _base64url(self._numbers.e),
                    "kid": self.id,
                    "use": "sig",
                    "alg": "RS256",
                }
            ]
        }

    @property
    def dkim_p(self) -> str:
        """The public key as users paste it into a receiver: in base64, without line breaks."""
        return base64.b64encode(self._spki).decode()

    def dkim_record(self) -> str:
        """Return the TXT record that publishes the key."""
        return f"v=DKIM1; t=s; h=sha256; p={self.dkim_p};"

    def _signature(self, body: bytes, algorithm: HashAlgorithm) -> str:
        return base64.b64encode(self._key.sign(body, padding.PKCS1v15(), algorithm)).decode()


def new_postal_key() -> bytes:
    """Return a new private key as PEM; it takes a good part of a second."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS)
    return _pem(key)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _base64url(number: int) -> str:
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
