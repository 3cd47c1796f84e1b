"""Identifiers: time-ordered UUIDs for rows, random tokens for the public."""

import secrets
import string
import uuid
from datetime import UTC, datetime

import uuid_utils.compat

ALPHANUMERIC = string.ascii_letters + string.digits
TOKEN_LENGTH = 16
"""Characters of a delivery's token; foreign clients expect exactly 16 of `A-Za-z0-9`."""


def new_id() -> uuid.UUID:
    """Return a new UUID, version 7: later ones sort after earlier ones.

    Source: RFC 9562 section 5.7.
    """
    return uuid_utils.compat.uuid7()


def made_at(id: uuid.UUID) -> datetime:
    """Return when an id that `new_id` made was made, to the millisecond.

    Source: RFC 9562 section 5.7.
    """
    return datetime.fromtimestamp((id.int >> 80) / 1000, UTC)


def first_id_at(at: datetime) -> uuid.UUID:
    """Return the id that sorts before all that `new_id` made at *at* or later."""
    milliseconds = max(0, min(int(at.timestamp() * 1000), 2**48 - 1))
    return uuid.UUID(int=milliseconds << 80)


def new_token(length: int = TOKEN_LENGTH) -> str:
    """Return *length* random characters of `A-Za-z0-9`, about 5.95 bits each."""
    return new_tokens(1, length)[0]


def new_tokens(count: int, length: int = TOKEN_LENGTH) -> list[str]:
    """Return *count* tokens of *length* characters, as `new_token` makes them."""
    # One call for many bytes, and one to make characters of them: anything for each character
    # would dominate the accept path.
    wanted = count * length
    characters = ""
    while len(characters) < wanted:
        lacking = wanted - len(characters)
        # Of 32 bytes one is left out.
        made = secrets.token_bytes(lacking + lacking // 16 + 8)
        characters += made.translate(_CHARACTERS, _UNEVEN).decode("ascii")
    return [characters[start : start + length] for start in range(0, wanted, length)]


_CHARACTERS = bytes(ord(ALPHANUMERIC[byte % 62]) for byte in range(256))
_UNEVEN = bytes(range(248, 256))
"""Left out, so that every character is as likely: 248 is the largest multiple of 62."""


def parse_id(text: str) -> uuid.UUID | None:
    """Return the UUID that *text* is, in any of its usual spellings, or None."""
    try:
        return uuid.UUID(text)
    except (ValueError, AttributeError, TypeError):
        return None
