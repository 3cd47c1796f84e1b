"""Sealed tokens that name one delivery, for links in its message."""

import base64
import binascii
import struct
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..core.actor import OrganizationId, ProjectId
from ..core.crypto import (
    NONCE_BYTES,
    VERSION,
    SealBroken,
    derived_keys,
    digest,
    digests,
    seal,
    unseal,
)

LONGEST_TOKEN = 700
"""Characters of a token that are looked at; ours have at most 600."""
LONGEST_LINK_TOKEN = 3_000
"""The same of one that holds an address of at most 2,000 characters."""
_IDS = 4
WHO_BYTES = 8
"""Of the hash that says whose mail it is, without saying who that is."""
_MARK = struct.Struct(">BI64s8s")
_INDEX = struct.Struct(">H")
_AGGREGATE = 1
_OPENS = 2
_OVERHEAD = 1 + NONCE_BYTES


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a token is for."""

    organization_id: OrganizationId
    project_id: ProjectId
    message_id: uuid.UUID
    delivery_id: uuid.UUID
    address: str


def make_token(recipient: Recipient, *, purpose: str) -> str:
    """Return a token for *recipient* that is good for *purpose* only; URL-safe."""
    body = _ids(recipient) + recipient.address.encode()
    return _written(seal(body, purpose=purpose))


def read_token(token: str, *, purpose: str) -> Recipient | None:
    """Return whom a token is for, or None if it is not one of ours for *purpose*."""
    if len(token) > LONGEST_TOKEN:
        return None
    try:
        body = unseal(_octets(token), purpose=purpose)
    except (binascii.Error, ValueError, SealBroken):
        return None
    ids = [uuid.UUID(bytes=body[start : start + 16]) for start in range(0, _IDS * 16, 16)]
    return Recipient(
        OrganizationId(ids[0]), ProjectId(ids[1]), ids[2], ids[3], body[_IDS * 16 :].decode()
    )


WHO = "tracked-recipient"
OPEN = "track-open"
CLICK = "track-click"


class Mark(NamedTuple):
    """What a pixel or a link of a delivery says; *ids* are four UUIDs, as bytes."""

    ids: bytes
    who: bytes
    made_at: int
    """Unix seconds."""
    aggregate: bool
    """Nothing is to be kept of who asks for it."""
    opens: bool
    """Opens of the delivery are tracked."""
    url: str = ""
    link_index: int = 0

    @property
    def organization(self) -> bytes:
        """The organization's id."""
        return self.ids[:16]


def who_of(organization_id: OrganizationId, address: str) -> bytes:
    """Return what stands for an address of an organization in its marks."""
    return digest(_named(organization_id, address), purpose=WHO)[:WHO_BYTES]


def all_who_of(organization_id: OrganizationId, address: str) -> list[bytes]:
    """Return what may stand for it in marks: one more for each old secret key."""
    found = digests(_named(organization_id, address), purpose=WHO)
    return [each[:WHO_BYTES] for each in found]


def _named(organization_id: OrganizationId, address: str) -> str:
    return f"{organization_id.hex}:{address.lower()}"


def mark_of(recipient: Recipient, *, made_at: int, aggregate: bool, opens: bool) -> bytes:
    """Return the beginning of every mark of one delivery, which is what costs most to make."""
    who = who_of(recipient.organization_id, recipient.address)
    flags = _AGGREGATE * aggregate | _OPENS * opens
    return _MARK.pack(flags, made_at, _ids(recipient), who)


def open_token(mark: bytes) -> str:
    """Return the token of a delivery's pixel."""
    return _written(seal(mark, purpose=OPEN))


def click_token(mark: bytes, *, url: str, link_index: int) -> str:
    """Return the token of one of its links."""
    return _written(seal(mark + _INDEX.pack(link_index) + url.encode("ascii"), purpose=CLICK))


def read_open(token: str) -> Mark | None:
    """Return what a pixel's token says, or None if it is none of ours."""
    body = _opened(token, OPEN)
    if body is None or len(body) != _MARK.size:
        return None
    flags, made_at, ids, who = _MARK.unpack(body)
    return Mark(ids, who, made_at, bool(flags & _AGGREGATE), bool(flags & _OPENS))


def read_click(token: str) -> Mark | None:
    """Return what a link's token says, or None if it is none of ours."""
    body = _opened(token, CLICK)
    at = _MARK.size + _INDEX.size
    if body is None or len(body) <= at:
        return None
    flags, made_at, ids, who = _MARK.unpack_from(body)
    (index,) = _INDEX.unpack_from(body, _MARK.size)
    url = body[at:].decode("ascii")
    return Mark(ids, who, made_at, bool(flags & _AGGREGATE), bool(flags & _OPENS), url, index)


@lru_cache(maxsize=4)
def _ciphers(purpose: str) -> tuple[AESGCM, ...]:
    return tuple(AESGCM(key) for key in derived_keys(purpose))


def _opened(token: str, purpose: str) -> bytes | None:
    """Return what is in a token, as `unseal` does, with ciphers that are made once."""
    if len(token) > LONGEST_LINK_TOKEN:
        return None
    try:
        sealed = _octets(token)
    except ValueError:
        return None
    if sealed[:1] != VERSION:
        return None
    for cipher in _ciphers(purpose):
        try:
            return cipher.decrypt(sealed[1:_OVERHEAD], sealed[_OVERHEAD:], purpose.encode())
        except (ValueError, InvalidTag):
            continue
    return None


def _ids(recipient: Recipient) -> bytes:
    ids = (
        recipient.organization_id,
        recipient.project_id,
        recipient.message_id,
        recipient.delivery_id,
    )
    return b"".join(each.bytes for each in ids)


def _written(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _octets(token: str) -> bytes:
    padded = token.encode("ascii").translate(_PLAIN) + b"=" * (-len(token) % 4)
    return binascii.a2b_base64(padded, strict_mode=True)


_PLAIN = bytes.maketrans(b"-_+/", b"+/!!")
"""From the alphabet that is safe in a URL to the usual one; what it does not have is refused."""
