"""Whole messages that customers hand in: checked, cleaned, and read as far as we must."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import format_datetime

from .address import InvalidAddress, Mailbox, parse_mailboxes
from .folding import MAX_LINE_OCTETS, field

MAX_HEADER_OCTETS = 262_144
MOST_HOPS = 100
"""Servers that a message may have been through; one that goes in a circle has been through more.

Source: RFC 5321 section 6.3."""

MAX_NESTED_PARTS = 100
"""More parts within parts than any mail program makes; readers that recurse would fall over."""

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)\r\n\Z", re.DOTALL)
_BARE_CR = re.compile(rb"\r(?!\n)")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LONG_LINE = re.compile(rb"^[^\n]{%d}" % (MAX_LINE_OCTETS + 2), re.MULTILINE)
"""A line end is a carriage return and a line feed by the time this is asked."""

_NESTED = re.compile(
    rb"^content-type[ \t]*:\s*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE
)

_MESSAGE_ID = re.compile(
    rb"\r\nmessage-id[ \t]*:(?:\r\n)?[ \t]*<?([!-;=?-~]{1,998})", re.IGNORECASE
)

_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_DROPPED = frozenset({b"bcc", b"resent-bcc", b"return-path"})
_AT_MOST_ONCE = frozenset(
    (
        b"from sender reply-to to cc bcc message-id in-reply-to references subject date "
        b"mime-version content-type content-transfer-encoding"
    ).split()
)
"""Source: RFC 5322 section 3.6, RFC 2045. Two of these are read differently by two readers."""


class InvalidMessage(ValueError):
    """A message handed in whole cannot be sent as it is; the text says why."""


class NoSender(InvalidMessage):
    """It does not say, in one address, whom it is from."""


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message ready to be signed, and what its header says.

    *message_id* has no angle brackets. *recipients* are those of To, Cc and Bcc, in this order,
    each once; Bcc itself is no longer in *data*.
    """

    data: bytes
    sender: Mailbox
    subject: str
    message_id: str | None
    recipients: tuple[Mailbox, ...]


def prepare_raw(
    raw: bytes, *, message_id: str | None = None, date: datetime | None = None
) -> RawMessage:
    """Return *raw* with CRLF line ends and without Bcc and Return-Path.

    *message_id* and *date* are added where the message has none of its own.

    Raises:
        InvalidMessage: it has a NUL, a carriage return alone, a line over 998 octets, a broken
            header, not exactly one sender, one field twice, or too many parts in parts; or it
            goes in a circle.
    Source: RFC 5322 sections 2.1 and 3.6, RFC 6409 section 8.
    """
    data = _clean_lines(raw)
    if _count_nested(data) > MAX_NESTED_PARTS:
        raise InvalidMessage("the message has too many parts within parts")
    head, _, body = data.partition(b"\r\n\r\n")
    if data.startswith(b"\r\n"):
        head, body = b"", data[2:]
    fields = _read_fields(head.removesuffix(b"\r\n") + b"\r\n")
    values = {name: value for name, value, _ in fields}
    if sum(name == b"received" for name, _, _ in fields) > MOST_HOPS:
        raise InvalidMessage(f"the message has been through more than {MOST_HOPS} servers")
    _check_boundary(values, body)
    own_id = _text(values, b"message-id").strip().strip("<>") or None
    added = b""
    if own_id is None and message_id is not None:
        own_id = message_id.strip("<>")
        added += field("Message-ID", f"<{own_id}>").encode()
    if b"date" not in values and date is not None:
        added += field("Date", format_datetime(date)).encode()
    kept = b"".join(octets for name, _, octets in fields if name not in _DROPPED)
    return RawMessage(
        data=added + kept + b"\r\n" + body,
        sender=_sender(values),
        subject=decoded_text(_text(values, b"subject")),
        message_id=own_id,
        recipients=_recipients(values),
    )


def read_message_id(raw: bytes) -> str | None:
    """Return the Message-ID of a message that may be no message at all, without brackets."""
    head = raw[:MAX_HEADER_OCTETS].partition(b"\r\n\r\n")[0]
    match = _MESSAGE_ID.search(b"\r\n" + head)
    return match[1].decode("latin-1") if match else None


def field_text(data: bytes, name: str) -> str | None:
    """Return the decoded text of the first field *name* of a message that `prepare_raw` made."""
    head = data[:MAX_HEADER_OCTETS].partition(b"\r\n\r\n")[0] + b"\r\n"
    for found, value, _ in _read_fields(head):
        if found == name.lower().encode():
            return decoded_text(_text({found: value}, found))
    return None


def _clean_lines(raw: bytes) -> bytes:
    """Return *raw* with every line ended by CRLF, none of them too long."""
    if b"\0" in raw:
        raise InvalidMessage("the message has a NUL octet")
    # Receivers disagree on whether a carriage return alone ends a line, and
    # where they do, "\r.\r" smuggles a second message past the first.
    if _BARE_CR.search(raw):
        raise InvalidMessage("the message has a carriage return without its line feed")
    data = raw if raw.count(b"\n") == raw.count(b"\r\n") else _BARE_LF.sub(b"\r\n", raw)
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    # Not by splitting: 25 MiB of short lines took 2 GiB.
    if _LONG_LINE.search(data):
        raise InvalidMessage(f"the message has a line over {MAX_LINE_OCTETS} octets")
    return data


def _count_nested(data: bytes) -> int:
    # Counting words first spares most messages the pattern, which takes ten times as long.
    if data.lower().count(b"content-type") <= MAX_NESTED_PARTS:
        return 0
    return sum(1 for _ in _NESTED.finditer(data))


def _read_fields(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Return each field as lower-case name, value, and the octets it was read from."""
    if len(head) > MAX_HEADER_OCTETS:
        raise InvalidMessage("the header is too long")
    fields: list[tuple[bytes, bytes, bytes]] = []
    seen: set[bytes] = set()
    for octets in re.split(rb"(?<=\r\n)(?![ \t])", head):
        if not octets:
            continue
        match = _FIELD.match(octets)
        if match is None:
            raise InvalidMessage(f"{_shown(octets)} is not a header field")
        name = match[1].lower()
        if name in seen and name in _AT_MOST_ONCE:
            raise InvalidMessage(f"the header field {name.decode()} is there twice")
        seen.add(name)
        fields.append((name, match[2].replace(b"\r\n", b"").strip(), octets))
    return fields


def _check_boundary(values: dict[bytes, bytes], body: bytes) -> None:
    """Refuse a multipart message whose body has none of the parts it promises."""
    if not values.get(b"content-type", b"").lower().startswith(b"multipart/"):
        return
    top = Message()
    top["Content-Type"] = _text(values, b"content-type")
    boundary = top.get_boundary()
    if not boundary:
        raise InvalidMessage("the message is multipart and names no boundary")
    delimiter = b"--" + boundary.encode("utf-8", "surrogateescape")
    if not body.startswith(delimiter) and b"\r\n" + delimiter not in body:
        raise InvalidMessage("the message is multipart and has no part")


def _sender(values: dict[bytes, bytes]) -> Mailbox:
    try:
        senders = parse_mailboxes(_text(values, b"from"))
    except InvalidAddress as error:
        raise NoSender(f"the From field cannot be read: {error}") from None
    if len(senders) != 1:
        raise NoSender("the message needs a From field with one address")
    return senders[0]


def _recipients(values: dict[bytes, bytes]) -> tuple[Mailbox, ...]:
    found: dict[str, Mailbox] = {}
    for name in (b"to", b"cc", b"bcc"):
        for mailbox in _mailboxes(name, values):
            found.setdefault(mailbox.key, mailbox)
    return tuple(found.values())


def _mailboxes(name: bytes, values: dict[bytes, bytes]) -> Iterable[Mailbox]:
    try:
        return parse_mailboxes(_text(values, name))
    except InvalidAddress as error:
        raise InvalidMessage(f"the {name.decode().title()} field cannot be read: {error}") from None


def _text(values: dict[bytes, bytes], name: bytes) -> str:
    """Return a value as text: UTF-8 as RFC 6532 has it, else octet by octet."""
    value = values.get(name, b"").replace(b"\t", b" ")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def decoded_text(text: str) -> str:
    """Return a header value with its encoded words read, and nothing that ends a line."""
    # A word may name a character set in characters that no name of one has: CharsetError.
    with suppress(MessageError, LookupError, ValueError):
        text = str(make_header(decode_header(text)))
    # Encoded words hold anything, also what is no character or would end a line.
    return _NOT_SHOWN.sub("\ufffd", text)


def _shown(octets: bytes) -> str:
    return repr(octets[:40].decode("ascii", "backslashreplace").rstrip("\r\n"))
