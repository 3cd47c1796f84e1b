"""Cursors of lists whose window ends now: they carry the window they were made for.

A list that shows the last seven days unless told otherwise would have other filters at every
request, and no cursor would fit. So a cursor holds where its walk began.
"""

import base64
import binascii

import msgspec

from ...core.errors import ErrorCode
from ..route import Refused


def seal_cursor(cursor: str, window: str | None) -> str:
    """Return *cursor* with the default *window* of its list, if the client gave none."""
    packed = msgspec.json.encode([cursor, window])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def open_cursor(text: str) -> tuple[str, str | None]:
    """Return the cursor and the window that `seal_cursor` packed.

    Raises:
        Refused: it is no such cursor.
    """
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor, window = msgspec.json.decode(packed, type=tuple[str, str | None])
    except (binascii.Error, ValueError) as error:
        raise invalid_cursor() from error
    return cursor, window


def invalid_cursor() -> Refused:
    """Return the refusal of a cursor that is none, or of another list."""
    return Refused(
        ErrorCode.INVALID_CURSOR,
        "The cursor is not one of this list with these filters and this sort.",
    )
