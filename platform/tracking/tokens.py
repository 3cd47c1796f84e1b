"""Sealed tokens that name one delivery, for links in its message."""

import base64
import binascii
import uuid
from dataclasses import dataclass

from ..core.actor import OrganizationId, ProjectId
from ..core.crypto import SealBroken, seal, unseal

LONGEST_TOKEN = 700
"""Characters of a token that are looked at; ours have at most 600."""
_IDS = 4


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
    ids = (
        recipient.organization_id,
        recipient.project_id,
        recipient.message_id,
        recipient.delivery_id,
    )
    body = b"".join(each.bytes for each in ids) + recipient.address.encode()
    return base64.urlsafe_b64encode(seal(body, purpose=purpose)).decode().rstrip("=")


def read_token(token: str, *, purpose: str) -> Recipient | None:
    """Return whom a token is for, or None if it is not one of ours for *purpose*."""
    if len(token) > LONGEST_TOKEN:
        return None
    try:
        padded = token + "=" * (-len(token) % 4)
        sealed = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        body = unseal(sealed, purpose=purpose)
    except (binascii.Error, ValueError, SealBroken):
        return None
    ids = [uuid.UUID(bytes=body[start : start + 16]) for start in range(0, _IDS * 16, 16)]
    return Recipient(
        OrganizationId(ids[0]), ProjectId(ids[1]), ids[2], ids[3], body[_IDS * 16 :].decode()
    )
