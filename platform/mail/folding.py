"""How header values become ASCII words and lines on the wire."""

import re
from binascii import b2a_base64

MAX_LINE_OCTETS = 998
"""Longest line without its CRLF. Source: RFC 5322 section 2.1.1."""

_PREFERRED_LINE = 78
_LONGEST_WORD = 900

_PRINTABLE = re.compile("[ -~]*")

_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q = ["_" if b == 0x20 else chr(b) if b in _Q_SAFE else f"={b:02X}" for b in range(256)]
"""How each octet looks in a Q encoded word; the safe set is the one that also fits a phrase."""


def encode_text(value: str) -> str:
    """Return *value* as ASCII for an unstructured field, in encoded words where it must be.

    Source: RFC 2047.
    """
    if _PRINTABLE.fullmatch(value) and "=?" not in value and not has_long_word(value):
        return value
    return " ".join(encoded_words(value))


def encoded_words(value: str) -> list[str]:
    """Return *value* as encoded words of at most 60 characters, none of which splits a character.

    RFC 2047 allows 75; 60 fit on one line with the name of most fields. Whichever of Q and B is
    shorter for the whole value is used.
    """
    octets = value.encode("utf-8", "replace")
    q_length = sum(len(_Q[octet]) for octet in octets)
    use_q = q_length <= (len(octets) + 2) // 3 * 4
    return _encode_q(value) if use_q else _encode_b(value)


def field(name: str, value: str) -> str:
    """Return the whole field with its CRLF, folded at spaces so that lines stay within 78.

    A word longer than that keeps its line to itself; unfolding gives *value* back exactly.
    """
    if len(name) + 2 + len(value) <= _PREFERRED_LINE:
        return f"{name}: {value}\r\n"
    lines: list[str] = []
    current = f"{name}:"
    is_first = True
    for word in value.split(" "):
        # An empty word is one of several spaces in a row: a line of nothing
        # but spaces would end the header for some readers.
        if word and not is_first and len(current) + 1 + len(word) > _PREFERRED_LINE:
            lines.append(current)
            current = f" {word}"
        else:
            current = f"{current} {word}"
            is_first = is_first and not word
    lines.append(current)
    return "\r\n".join(lines) + "\r\n"


def has_long_word(value: str) -> bool:
    """Return whether a word of *value* is so long that no line could hold it beside a name."""
    return len(value) > _LONGEST_WORD and any(len(w) > _LONGEST_WORD for w in value.split(" "))


def _encode_q(value: str) -> list[str]:
    words: list[str] = []
    current = ""
    for character in value:
        encoded = "".join(_Q[octet] for octet in character.encode("utf-8", "replace"))
        if len(current) + len(encoded) > 48:
            words.append(current)
            current = ""
        current += encoded
    words.append(current)
    return [f"=?utf-8?q?{word}?=" for word in words]


def _encode_b(value: str) -> list[str]:
    words: list[bytes] = []
    current = b""
    for character in value:
        encoded = character.encode("utf-8", "replace")
        if len(current) + len(encoded) > 36:
            words.append(current)
            current = b""
        current += encoded
    words.append(current)
    return [f"=?utf-8?b?{b2a_base64(word, newline=False).decode()}?=" for word in words]
