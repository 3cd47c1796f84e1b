"""The texts within a whole message: where each stands, what it says, and how to put another there.

Everything else of the message stays as it is. What is signed or encrypted as a whole stays so,
and so does a message within the message.

Source: RFC 2045, RFC 2046, RFC 1847.
"""

import quopri
import re
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from .compose import encode_body
from .octets import charset_of

DEEPEST = 20
"""Parts within parts that are looked into."""
MOST_PARTS = 500

_FIELD = re.compile(rb"(?m)^(content-[a-z-]+)[ \t]*:((?:.*\r\n)(?:[ \t].*\r\n)*)", re.IGNORECASE)
_TRANSFER = re.compile(
    rb"(?m)^content-transfer-encoding[ \t]*:.*\r\n(?:[ \t].*\r\n)*", re.IGNORECASE
)
_SEALED = frozenset({"multipart/signed", "multipart/encrypted"})
_TEXTS = {"text/html": True, "text/plain": False}


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text of a message: *start* and *end* are the places of its header and its content."""

    start: int
    end: int
    header: bytes
    """Of the part, or of the message if that has no parts; without the empty line behind it."""
    is_html: bool
    charset: str
    text: str
    """With line feeds alone at the ends of lines."""

    def write(self, text: str) -> bytes:
        """Return header and content that say *text* instead.

        Raises:
            UnicodeEncodeError: the charset of the part lacks a character of it.
        """
        octets = text.encode(self.charset)
        is_whole = octets.endswith(b"\n")
        encoding, body = encode_body(octets if is_whole else octets + b"\n")
        if not is_whole:
            # The end of the last line belongs to the boundary behind it.
            body = body.removesuffix(b"\r\n")
        field = f"Content-Transfer-Encoding: {encoding}\r\n".encode()
        header, replaced = _TRANSFER.subn(field, self.header, count=1)
        return (header if replaced else header + field) + b"\r\n" + body


def find_texts(data: bytes) -> list[TextPart]:
    """Return the texts that a reader of the message is shown, in their order.

    Left out are those in an encoding or a charset that cannot be written as it was read.
    """
    found: list[TextPart] = []
    waiting: list[tuple[int, int, int]] = [(0, len(data), 0)]
    looked_at = 0
    while waiting and looked_at < MOST_PARTS:
        looked_at += 1
        start, end, depth = waiting.pop()
        header, body = _split(data, start, end)
        fields = _fields(header)
        kind = fields.get_content_type()
        if kind in _SEALED or depth > DEEPEST:
            continue
        if kind.startswith("multipart/"):
            parts = [(s, e, depth + 1) for s, e in _parts(data, body, end, fields.get_boundary())]
            waiting += reversed(parts)
        elif kind in _TEXTS and fields.get_content_disposition() != "attachment":
            part = _text(data, start, end, header, body, fields)
            if part is not None:
                found.append(part)
    return found


def _split(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """Return the header from *start* on, with its last line end, and where the content begins."""
    if data.startswith(b"\r\n", start):
        return b"", start + 2
    at = data.find(b"\r\n\r\n", start, end)
    return (data[start : at + 2], at + 4) if at >= 0 else (data[start:end], end)


def _fields(header: bytes) -> Message:
    fields = Message()
    for name, value in _FIELD.findall(header):
        # Of two, readers take one or the other; then it is nobody's text for us.
        text = value.decode("latin-1").replace("\r\n", "").strip()
        fields[name.decode("ascii").lower()] = text
    for name in ("content-type", "content-transfer-encoding"):
        if len(fields.get_all(name, [])) > 1:
            fields.replace_header(name, "application/octet-stream")
            fields["content-disposition"] = "attachment"
    return fields


def _parts(data: bytes, body: int, end: int, boundary: str | None) -> Iterator[tuple[int, int]]:
    """Yield where each part of a multipart content begins and ends."""
    if not boundary:
        return
    try:
        mark = re.escape(boundary.rstrip().encode("latin-1"))
    except UnicodeEncodeError:
        return
    delimiter = re.compile(rb"(?:\A|\r\n)--" + mark + rb"(--)?[ \t]*(?=\r\n|\Z)")
    began: int | None = None
    # The line end before a delimiter is its own, so that the first may stand at the very start.
    for match in delimiter.finditer(data[body - 2 : end]):
        at = body - 2 + match.start()
        if began is not None and began <= at:
            yield began, at
        if match[1]:
            return
        began = body - 2 + match.end() + 2


def _text(
    data: bytes, start: int, end: int, header: bytes, body: int, fields: Message
) -> TextPart | None:
    encoding = fields.get("content-transfer-encoding", "7bit").strip().lower()
    octets = _decoded(data[body:end], encoding)
    charset = charset_of(fields) or "utf-8"
    if octets is None:
        return None
    octets = octets.replace(b"\r\n", b"\n")
    try:
        if "<a".encode(charset) != b"<a":
            return None
        text = octets.decode(charset)
        if text.encode(charset) != octets:
            return None
    except (LookupError, UnicodeError, ValueError):
        return None
    is_html = _TEXTS[fields.get_content_type()]
    return TextPart(start, end, header, is_html, charset, text)


def _decoded(octets: bytes, encoding: str) -> bytes | None:
    if encoding in ("7bit", "8bit", "binary"):
        return octets
    if encoding == "quoted-printable":
        return quopri.decodestring(octets)
    if encoding != "base64":
        return None
    try:
        return b64decode(b"".join(octets.split()), validate=True)
    except (BinasciiError, ValueError):
        return None
