"""What a lenient submission may say: as little as possible is refused, and in a fixed order.

For programs that expect of an HTTP API what a mail server does: who cannot be reached is told
by a bounce, and a field that cannot be written as it is, is written as well as it can be. What
is told stays told, one thing at a time: recipients, text, sender, the sender's domain, files.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from ..core.errors import DetailCode, InvalidInput, OperationError
from ..delivery.rules import LIFETIME
from ..mail.address import InvalidAddress, Mailbox, parse_mailboxes
from ..mail.compose import Attachment
from ..mail.headers import InvalidHeader, check_header
from ..mail.lenient import bare_address, read_mailbox, read_recipient
from .errors import DomainNotVerified, MessageTooLarge
from .rules import (
    CONTENT_TYPE,
    CONTROL,
    MAX_CONTENT_TYPE,
    MAX_FILENAME_CHARACTERS,
    MAX_MESSAGE_BYTES,
    MAX_SUBJECT_CHARACTERS,
    OCTETS,
    CheckedMessage,
    Recipient,
    Shown,
)

MAX_OF_KIND = 50
"""Recipients in each of To, Cc and Bcc."""
MAX_OF_RAW = 1_000
"""Recipients of a message that came in whole."""
MAX_LENIENT_HEADERS = 200
MAX_LENIENT_HEADER_BYTES = 64 * 2**10
MAX_TAG_CHARACTERS = 64

_OUTSIDE_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_BAD_IN_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029/\\\\]")
_OWN_FIELDS = frozenset({"from", "message-id", "subject", "reply-to", "sender", "bcc"})
"""Set by their own arguments, or not at all."""


@dataclass(frozen=True, slots=True)
class LenientFile:
    """A file as it was handed in; what is missing is refused in its turn."""

    filename: str | None
    content: str | None
    """Base64, in which everything else is passed over."""
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class LenientMessage:
    """A message as it was handed in; nothing is checked yet."""

    sender: str | None
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    submitter: str | None = None
    reply_to: str | None = None
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    attachments: Sequence[LenientFile] = ()
    tag: str | None = None
    null_sender: bool = False


def check_lenient(new: LenientMessage, *, now: datetime) -> CheckedMessage:
    """Return *new* as it is sent.

    What is wrong with its files is told once its domain was found good.

    Raises:
        InvalidInput: the first thing that it cannot be sent without, or with.
        DomainNotVerified: the sender has no domain.
    """
    recipients = _recipients(new)
    text, html = _present(new.text), _present(new.html)
    if text is None and html is None:
        raise InvalidInput.of("text", DetailCode.REQUIRED, "A message needs html or text.")
    sender = _sender(new.sender)
    headers = dict_of(new.headers)
    others, fault = _other_headers(new.headers)
    attachments, file_fault = _attachments(new.attachments)
    fault = fault or file_fault
    size = sum(len(part.encode()) for part in (text, html) if part) + sum(
        len(file.content) * 4 // 3 for file in attachments
    )
    if size > MAX_MESSAGE_BYTES:
        fault = fault or MessageTooLarge()
    return CheckedMessage(
        sender=sender,
        recipients=recipients,
        reply_to=_mailboxes(new.reply_to),
        subject=one_line(new.subject or "")[:MAX_SUBJECT_CHARACTERS],
        html=html,
        text=text,
        headers=others,
        attachments=attachments,
        tags=tags_of(new.tag),
        expires_at=now + LIFETIME,
        size_bytes=size,
        null_sender=new.null_sender,
        exact_domain=True,
        refused_then=fault,
        shown=Shown(
            to=_shown(recipients, "to") or _mailboxes(headers.get("to")),
            cc=_shown(recipients, "cc") or _mailboxes(headers.get("cc")),
            submitter=read_mailbox(new.submitter or ""),
            date=_date(headers.get("date")),
            received_over="HTTP",
        ),
    )


def decode_leniently(text: str) -> bytes:
    """Return the bytes of base64, whatever else stands in it and however it ends."""
    digits = _OUTSIDE_BASE64.sub(b"", text.partition("=")[0].encode("ascii", "ignore"))
    rest = len(digits) % 4
    if rest == 1:
        # One digit holds six bits, which are no byte.
        digits = digits[:-1]
    return base64.b64decode(digits + b"=" * (-len(digits) % 4))


def tags_of(tag: str | None) -> tuple[str, ...]:
    """Return the one tag that *tag* is, in a single line, or none."""
    found = one_line(tag or "")[:MAX_TAG_CHARACTERS]
    return (found,) if found else ()


def one_line(text: str) -> str:
    """Return *text* with a space for every line break and control character, and trimmed."""
    return CONTROL.sub(" ", text.replace("\r\n", "\n")).strip()


def dict_of(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return header fields by their name in lower case; of two, the last."""
    return {name.strip().lower(): value for name, value in headers}


def _recipients(new: LenientMessage) -> tuple[Recipient, ...]:
    kinds = (("to", new.to), ("cc", new.cc), ("bcc", new.bcc))
    if not any(addresses for _, addresses in kinds):
        raise InvalidInput.of("to", DetailCode.REQUIRED, "Name at least one recipient.")
    for kind, addresses in kinds:
        if len(addresses) > MAX_OF_KIND:
            message = f"At most {MAX_OF_KIND} recipients stand in {kind}."
            raise InvalidInput.of(kind, DetailCode.TOO_MANY, message)
    return tuple(
        Recipient(kind, read_recipient(text)) for kind, addresses in kinds for text in addresses
    )


def _shown(recipients: Sequence[Recipient], kind: str) -> tuple[Mailbox, ...]:
    """Return whom a field of the mail names; what is no address cannot stand there."""
    return tuple(
        Mailbox(each.mailbox.display_name, each.mailbox.address)
        for each in recipients
        if each.kind == kind and getattr(each.mailbox, "is_address", True)
    )


def _sender(text: str | None) -> Mailbox:
    given = _present(text)
    if given is None:
        raise InvalidInput.of("from", DetailCode.REQUIRED, "A message needs a sender.")
    found = read_mailbox(given)
    if found is None:
        raise DomainNotVerified(one_line(bare_address(given).partition("@")[2])[:253])
    return found


def _present(text: str | None) -> str | None:
    return text if text and not text.isspace() else None


def _mailboxes(text: str | None) -> tuple[Mailbox, ...]:
    """Return the mailboxes of a field; none if it cannot be read."""
    if not _present(text):
        return ()
    line = one_line(text or "")
    try:
        return parse_mailboxes(line)
    except InvalidAddress:
        found = read_mailbox(line)
        return (found,) if found is not None else ()


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found is not None and found.tzinfo is not None else None


def _other_headers(
    headers: Sequence[tuple[str, str]],
) -> tuple[tuple[tuple[str, str], ...], OperationError | None]:
    """Return the fields that are written as they are, without what is ours to write."""
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > MAX_LENIENT_HEADERS or size > MAX_LENIENT_HEADER_BYTES:
        message = f"At most {MAX_LENIENT_HEADERS} headers and 64 KiB of them are taken."
        return (), InvalidInput.of("headers", DetailCode.TOO_LARGE, message)
    if any(":" in name for name, _ in headers):
        message = "The name of a header has no colon."
        return (), InvalidInput.of("headers", DetailCode.INVALID_FORMAT, message)
    found = []
    for name, value in headers:
        line = one_line(value)
        try:
            check_header(name.strip(), line)
        except InvalidHeader:
            continue
        if line and name.strip().lower() not in _OWN_FIELDS:
            found.append((name.strip(), line))
    return tuple(found), None


def _attachments(
    files: Sequence[LenientFile],
) -> tuple[tuple[Attachment, ...], OperationError | None]:
    """Return the files before the first that cannot be sent, and what is wrong with that one."""
    found: list[Attachment] = []
    for index, file in enumerate(files):
        place = f"attachments[{index}]"
        if _present(file.filename) is None:
            message = "A file needs a name."
            return (), InvalidInput.of(f"{place}.filename", DetailCode.REQUIRED, message)
        content = decode_leniently(file.content or "")
        if not content.strip():
            message = "A file needs content."
            return (), InvalidInput.of(f"{place}.content", DetailCode.REQUIRED, message)
        name = _BAD_IN_NAME.sub("_", (file.filename or "").strip())[:MAX_FILENAME_CHARACTERS]
        found.append(Attachment(name, content, _content_type(file.content_type), False, None))
    return tuple(found), None


def _content_type(given: str | None) -> str:
    text = (given or "").strip()
    fits = len(text) <= MAX_CONTENT_TYPE and CONTENT_TYPE.match(text)
    return text if fits else OCTETS
