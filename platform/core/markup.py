"""JSON that can stand anywhere in a page: nothing in it could be taken for markup."""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def encode_json(value: Any) -> bytes:
    """Return *value* as compact JSON with `<`, `>`, `&` and Unicode's line ends escaped."""
    text = _encode(value)
    # Outside of strings JSON has none of these.
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return text
