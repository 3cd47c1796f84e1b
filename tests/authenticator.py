"""An authenticator in software: what a device would answer, well or badly."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass(slots=True)
class Authenticator:
    """Holds one passkey, and says of itself whatever a test wants."""

    origin: str = "https://postlane.test"
    rp_id: str = "postlane.test"
    flags: int = PRESENT | VERIFIED
    count: int = 0
    """What it counts; 0 is one that does not count."""
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes = b""

    def create(self, asked: dict[str, str]) -> dict[str, str]:
        """Return the answer to a challenge that makes a passkey."""
        options = json.loads(asked["options"])
        self.user_handle = unpadded(options["user"]["id"])
        public = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + cbor2.dumps(cose)
        statement = {
            "fmt": "none",
            "attStmt": {},
            "authData": self._data(self.flags | ATTESTED) + attested,
        }
        response = {
            "clientDataJSON": self._client("webauthn.create", options),
            "attestationObject": padded(cbor2.dumps(statement)),
            "transports": ["internal"],
        }
        return self._answer(asked, response)

    def get(self, asked: dict[str, str], **changes: Any) -> dict[str, str]:
        """Return the answer to a challenge that signs in."""
        client = self._client("webauthn.get", json.loads(asked["options"]))
        data = self._data(self.flags)
        signed = data + hashlib.sha256(unpadded(client)).digest()
        response = {
            "clientDataJSON": client,
            "authenticatorData": padded(data),
            "signature": padded(self.key.sign(signed, ec.ECDSA(SHA256()))),
            "userHandle": padded(self.user_handle),
        }
        return self._answer(asked, response | changes)

    def _data(self, flags: int) -> bytes:
        return (
            hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)
        )

    def _client(self, kind: str, options: dict[str, Any]) -> str:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return padded(json.dumps(said).encode())

    def _answer(self, asked: dict[str, str], response: dict[str, Any]) -> dict[str, str]:
        credential = {
            "id": padded(self.id),
            "rawId": padded(self.id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
        return {"ticket": asked["ticket"], "credential": json.dumps(credential)}


def padded(octets: bytes) -> str:
    """Return base64url as browsers write it."""
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def unpadded(text: str) -> bytes:
    """Return what base64url of browsers says."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
