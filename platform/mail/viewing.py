"""What a mail program shows of a message: its texts, its files, and its header fields decoded."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import compat32

from .compose import Attachment, Parts
from .octets import charset_of, filename_of, octets_of
from .raw import decoded_text

_LINE_END = re.compile(r"\r\n?")


@dataclass(frozen=True, slots=True)
class ViewFile:
    """A file that stands beside the texts of a message."""

    filename: str
    content_type: str
    """Without parameters."""
    content: bytes

    @property
    def sha1(self) -> str:
        """SHA-1 of the bytes; to recognize a file by, not to trust one."""
        return hashlib.sha1(self.content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class View:
    """A message as its recipient gets to see it."""

    text: str | None
    """With line feeds as line ends."""
    html: str | None
    headers: Sequence[tuple[str, str]]
    """Every field in its order, decoded and unfolded."""
    files: Sequence[ViewFile]


def read_view(source: bytes, parts: Parts | None = None) -> View:
    """Return what a mail program shows of *source*.

    With the *parts* it was made of, texts and files are those, to the letter.
    """
    head = source.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    message = message_from_bytes(head if parts is not None else source, policy=compat32)
    headers = [(name, _field(value)) for name, value in message.raw_items()]
    if parts is not None:
        files = [_file_of(each) for each in parts.attachments]
        return View(_lines(parts.text), _lines(parts.html), headers, files)
    text = html = None
    files = []
    for leaf in _leaves(message):
        kind = leaf.get_content_type()
        is_file = leaf.get_content_disposition() == "attachment" or filename_of(leaf) is not None
        if not is_file and kind == "text/plain" and text is None:
            text = _text(leaf)
        elif not is_file and kind == "text/html" and html is None:
            html = _text(leaf)
        elif is_file or not kind.startswith("text/"):
            files.append(_read_file(leaf, number=len(files) + 1))
    return View(text, html, headers, files)


def _leaves(message: Message) -> Iterator[Message]:
    """Yield the parts that hold no others, in their order; an attached message is one part."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting.extend(reversed(part.get_payload()))  # type: ignore[arg-type]
        else:
            yield part


def _text(part: Message) -> str:
    octets = part.get_payload(decode=True)
    charset = charset_of(part) or "utf-8"
    assert isinstance(octets, bytes)
    try:
        found = octets.decode(charset, "replace")
    except (LookupError, ValueError):
        found = octets.decode("utf-8", "replace")
    # PostgreSQL and JSON take it, and nobody sees it.
    return _LINE_END.sub("\n", found.replace("\0", "\ufffd"))


def _lines(text: str | None) -> str | None:
    return None if text is None else _LINE_END.sub("\n", text)


def _read_file(part: Message, *, number: int) -> ViewFile:
    kind = part.get_content_type()
    if part.get_content_maintype() == "message" and part.is_multipart():
        inner = [each for each in part.get_payload() if isinstance(each, Message)]
        content = b"\r\n".join(octets_of(each) for each in inner)
    else:
        found = part.get_payload(decode=True)
        content = found if isinstance(found, bytes) else b""
    name = filename_of(part)
    ending = ".eml" if kind == "message/rfc822" else ""
    return ViewFile(decoded_text(str(name)) if name else f"{number}{ending}", kind, content)


def _file_of(attachment: Attachment) -> ViewFile:
    kind = attachment.content_type.partition(";")[0].strip().lower()
    return ViewFile(attachment.filename, kind, attachment.content)


def _field(value: str) -> str:
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", value)
    octets = unfolded.encode("utf-8", "surrogateescape")
    try:
        return decoded_text(octets.decode("utf-8"))
    except UnicodeDecodeError:
        return decoded_text(octets.decode("latin-1"))
