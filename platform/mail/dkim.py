"""DKIM: keys made, published and used; RFC 6376 with the Ed25519 of RFC 8463.

The signing is our own: dkimpy's RSA is pure Python (9.0 ms a signature beside 0.5 ms here), its
Ed25519 needs another library, it hashes the body once per key, and its white space pattern takes
time quadratic in the length of a line. The tests verify with two other implementations.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

SIGNED_FIELDS = tuple(
    (
        b"from to cc subject date message-id reply-to mime-version content-type "
        b"content-transfer-encoding list-unsubscribe list-unsubscribe-post feedback-id "
        b"bimi-selector"
    ).split()
)
"""What is signed when present. From is signed once more than it is there, so that none is added."""

_FIELD_START = re.compile(rb"\r\n(?![ \t])")
_WHITE_SPACE = re.compile(rb"[ \t]+")


class KeyAlgorithm(StrEnum):
    """The kinds of key; RSA of 1024 bits is only kept, where it was published before us.

    Source: RFC 8301 section 3, RFC 8463."""

    RSA_2048 = "rsa-2048"
    RSA_1024 = "rsa-1024"
    ED25519 = "ed25519"

    @property
    def kind(self) -> str:
        """What stands after `k=`; a new key takes the place of one of its kind."""
        return self.value.partition("-")[0]

    @property
    def is_rsa(self) -> bool:
        """Whether every receiver reads it."""
        return self.kind == "rsa"


MADE = (KeyAlgorithm.RSA_2048, KeyAlgorithm.ED25519)
"""The kinds of key that we make."""


@dataclass(frozen=True, slots=True)
class DkimKeyPair:
    """A new key: *private_pem* is unencrypted PKCS #8, *public_value* what `p=` publishes."""

    private_pem: bytes
    public_value: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the place in DNS where its public half is."""

    domain: str
    selector: str
    algorithm: KeyAlgorithm
    private_pem: bytes | None
    """None: it is kept in a way that nobody can read any more."""


class UnreadableKey(Exception):
    """A private key that cannot be signed with, whatever was meant to be in it."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key
        super().__init__(f"the DKIM key {key.selector} of {key.domain} cannot be read")


def make_key(algorithm: KeyAlgorithm) -> DkimKeyPair:
    """Return a new key pair of that kind. RSA takes some 50 ms of CPU."""
    assert algorithm in MADE
    if algorithm.is_rsa:
        return _pair(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return _pair(ed25519.Ed25519PrivateKey.generate())


def _pair(private_key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> DkimKeyPair:
    if isinstance(private_key, rsa.RSAPrivateKey):
        public = private_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    else:
        public = private_key.public_key().public_bytes_raw()
    private_pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return DkimKeyPair(private_pem, b64encode(public).decode())


def record_value(algorithm: KeyAlgorithm, public_value: str) -> str:
    """Return the TXT value to publish at `<selector>._domainkey.<domain>`."""
    return f"v=DKIM1; k={algorithm.kind}; p={public_value}"


class UnfitKey(ValueError):
    """A key that cannot sign here; the text says why."""


def read_key(pem: bytes) -> tuple[KeyAlgorithm, DkimKeyPair]:
    """Return the kind of a private RSA key that somebody else made, and the key in our form.

    Raises:
        UnfitKey: it is no RSA key of 1024 or 2048 bits.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnfitKey("it cannot be read") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UnfitKey("it is no RSA key")
    try:
        algorithm = KeyAlgorithm(f"rsa-{key.key_size}")
    except ValueError as error:
        raise UnfitKey(f"it has {key.key_size} bits instead of 1024 or 2048") from error
    return algorithm, _pair(key)


def same_key(found_txt: str, expected_public_value: str) -> bool:
    """Return whether a published TXT value holds that public key, whatever its spacing and order.

    A revoked key (an empty `p=`) is no key; a record with one tag twice is no record.
    """
    tags = _read_tags(found_txt)
    if tags is None or tags.get("v", "DKIM1") != "DKIM1" or not tags.get("p"):
        return False
    found = _decode(tags["p"])
    return found is not None and compare_digest(found, _decode(expected_public_value) or b"")


def sign(message: bytes, keys: Sequence[SigningKey]) -> bytes:
    """Return *message* with one DKIM-Signature per key before its header, in the order of *keys*.

    Relaxed canonicalization for header and body, the whole body signed, no time in it: the same
    message and RSA or Ed25519 key give the same signature. *message* has CRLF line ends.

    Raises:
        UnreadableKey: one of the keys is none. Mail with fewer signatures than its domain
            publishes keys may be taken for forged.
    """
    head, _, body = message.partition(b"\r\n\r\n")
    body_hash = b64encode(sha256(_relaxed_body(body)).digest())
    names, signed = _signed_fields(head)
    signatures = [_signature(key, names, signed, body_hash) for key in keys]
    return b"".join([*signatures, message])


def _signature(key: SigningKey, names: list[bytes], signed: bytes, body_hash: bytes) -> bytes:
    kind = key.algorithm.kind.encode()
    place = f"d={key.domain}; s={key.selector}".encode()
    field = (
        b"DKIM-Signature: v=1; a=%b-sha256; c=relaxed/relaxed;\r\n %b;\r\n h=%b;\r\n bh=%b;\r\n b="
    ) % (kind, place, _fold_names(names), body_hash)
    # The signature covers its own field too, as it is with an empty b= and
    # without the line end.
    value = _sign(key, signed + _relaxed_field(field))
    lines = [value[start : start + 72] for start in range(0, len(value), 72)]
    return field + b"\r\n ".join(lines) + b"\r\n"


def _sign(key: SigningKey, octets: bytes) -> bytes:
    if key.private_pem is None:
        raise UnreadableKey(key)
    try:
        private_key = _private_key(key.private_pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnreadableKey(key) from error
    if isinstance(private_key, rsa.RSAPrivateKey):
        return b64encode(private_key.sign(octets, padding.PKCS1v15(), hashes.SHA256()))
    # RFC 8463 section 3: Ed25519 signs the SHA-256 hash, not the octets.
    return b64encode(private_key.sign(sha256(octets).digest()))


@lru_cache(maxsize=1_024)
def _private_key(pem: bytes) -> rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey:
    # The key is one that we made and kept; proving its primes again would
    # take as long as seventy signatures.
    key = serialization.load_pem_private_key(
        pem, password=None, unsafe_skip_rsa_key_validation=True
    )
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("a DKIM key is RSA or Ed25519")
    return key


def _signed_fields(head: bytes) -> tuple[list[bytes], bytes]:
    """Return the `h=` names and the canonical fields they select, both in signing order."""
    found: dict[bytes, list[bytes]] = {}
    for field in _FIELD_START.split(head):
        name = field.partition(b":")[0].strip().lower()
        found.setdefault(name, []).append(field)
    names: list[bytes] = [b"from"]
    signed: list[bytes] = []
    for name in SIGNED_FIELDS:
        # A verifier takes fields of one name from the last to the first.
        for field in reversed(found.get(name, [])):
            names.append(name)
            signed.append(_relaxed_field(field) + b"\r\n")
    return names, b"".join(signed)


def _relaxed_field(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    unfolded = value.replace(b"\r\n", b"")
    return name.strip().lower() + b":" + _WHITE_SPACE.sub(b" ", unfolded).strip(b" ")


def _relaxed_body(body: bytes) -> bytes:
    if b"  " in body or b"\t" in body:  # never in base64, where this is most of the time
        body = _WHITE_SPACE.sub(b" ", body)
    # Squeezing before stripping keeps this linear for a line of many spaces.
    content = body.replace(b" \r\n", b"\r\n").removesuffix(b" ").rstrip(b"\r\n")
    return content + b"\r\n" if content else b""


def _fold_names(names: Iterable[bytes]) -> bytes:
    lines = [b""]
    for name in names:
        if len(lines[-1]) + len(name) > 70:
            lines.append(b"")
        lines[-1] += name + b":"
    return b"\r\n ".join(lines)[:-1]


def _read_tags(text: str) -> dict[str, str] | None:
    """Return the tags of a tag list, white space dropped, or None if it is malformed."""
    tags: dict[str, str] = {}
    for item in text.split(";"):
        if not item.strip():
            continue
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals or name in tags:
            return None
        tags[name] = "".join(value.split())
    return tags


def _decode(public_value: str) -> bytes | None:
    try:
        return b64decode("".join(public_value.split()), validate=True)
    except (Base64Error, ValueError):
        return None
