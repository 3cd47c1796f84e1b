"""What a submission may say: every limit and its refusal; no I/O."""

import base64
import binascii
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ..core.errors import Detail, DetailCode, InvalidInput, OperationError
from ..delivery.contents import Personal
from ..delivery.rules import LIFETIME
from ..mail.address import InvalidAddress, Mailbox, parse_mailbox
from ..mail.compose import Attachment
from ..mail.headers import InvalidHeader, check_header
from ..mail.templating import Layer
from .errors import MessageTooLarge

MAX_RECIPIENTS = 50
MAX_REPLY_TO = 5
MAX_SUBJECT_CHARACTERS = 998
MAX_BODY_BYTES = 5 * 2**20
MAX_HEADERS = 50
MAX_HEADER_BYTES = 8 * 2**10
MAX_ATTACHMENTS = 20
MAX_FILENAME_CHARACTERS = 255
MAX_CONTENT_TYPE = 250
MAX_MESSAGE_BYTES = 25 * 2**20
"""Whole message after encoding, which for attachments is four thirds of their size."""
MAX_TAGS = 10
MAX_METADATA = 20
MAX_BATCH_MESSAGES = 100
MAX_BATCH_RECIPIENTS = 1000
MAX_AHEAD = timedelta(days=30)
MAX_PAST = timedelta(minutes=5)
"""A `send_at` that is no further back than this means now: clocks differ."""
LIFETIME_RANGE = (timedelta(minutes=5), timedelta(days=5))

TAG = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
BATCH_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
CONTENT_ID = re.compile(r"[!-;=?-~]{1,255}\Z")
CONTENT_TYPE = re.compile(
    r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}"
    r'(?: *; *[a-z0-9!#$&^_.+-]{1,100}=(?:[a-z0-9!#$&^_.+:-]{1,100}|"[ !#-\[\]-~]{0,100}"))*\Z',
    re.IGNORECASE | re.ASCII,
)
OCTETS = "application/octet-stream"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
SURROGATE = re.compile("[\ud800-\udfff]")


class Stream(StrEnum):
    """What kind of mail it is: decides priority, suppression and required headers."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


class Disposition(StrEnum):
    """Whether an attachment stands beside the text or within it."""

    ATTACHMENT = "attachment"
    INLINE = "inline"


class Source(StrEnum):
    """How a message came in."""

    API = "api"
    BATCH = "batch"
    SMTP = "smtp"


@dataclass(frozen=True, slots=True)
class NewAttachment:
    """A file as the customer hands it in."""

    filename: str
    content: str
    """Base64, with or without line breaks."""
    content_type: str | None = None
    disposition: Disposition = Disposition.ATTACHMENT
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """Which template fills a message, and with what."""

    template: str
    """Slug or UUID."""
    locale: str | None = None
    variables: object = field(default_factory=dict)


@dataclass(slots=True)
class NewMessage:
    """A message as the customer hands it in; nothing is checked yet."""

    sender: str
    to: Sequence[str]
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: Sequence[str] = ()
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    attachments: Sequence[NewAttachment] = ()
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] | None = None
    track_opens: bool | None = None
    track_clicks: bool | None = None
    track_text_links: bool | None = None
    send_at: datetime | None = None
    stream: Stream = Stream.TRANSACTIONAL
    vmta: str | None = None
    pool: str | None = None
    batch_id: str | None = None
    max_lifetime_seconds: int | None = None
    template: TemplateUse | None = None
    """Fills subject and texts that the message does not have itself."""


@dataclass(slots=True)
class Recipient:
    """One address a message goes to."""

    kind: str
    """to, cc or bcc."""
    mailbox: Mailbox


@dataclass(frozen=True, slots=True)
class Shown:
    """What the header of a mail says, whoever it goes to."""

    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    submitter: Mailbox | None
    date: datetime | None
    """None is when it was accepted."""
    received_over: str | None = None
    """The protocol that a Received field names; None writes no such field."""


@dataclass(frozen=True, slots=True)
class PersonalTexts:
    """What makes the texts of a message that each recipient gets filled with their own values."""

    layers: tuple[Layer, ...]
    values: Mapping[str, Any]
    """Of everybody."""
    of: Mapping[str, Personal]
    """By address key, of those who have something of their own."""
    redirected: Sequence[Personal] = ()
    """Of each recipient, where all of them are one and the same address."""
    is_apart: bool = True
    """Nobody sees in To whom else it goes to."""

    def is_same_for(self, recipients: Sequence[Recipient]) -> bool:
        """Whether it is one mail, for one recipient, with no values to tell of."""
        has_values = self.values or any(own.values for own in self.of.values())
        return len(recipients) == 1 and not has_values and not self.redirected


@dataclass(slots=True)
class CheckedMessage:
    """A message whose every value obeys the rules."""

    sender: Mailbox
    recipients: tuple[Recipient, ...]
    subject: str
    expires_at: datetime
    size_bytes: int
    reply_to: tuple[Mailbox, ...] = ()
    html: str | None = None
    text: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    track_opens: bool | None = None
    track_clicks: bool | None = None
    track_text_links: bool | None = None
    send_at: datetime | None = None
    stream: Stream = Stream.TRANSACTIONAL
    takes_projects_stream: bool = False
    """It names none itself: that of its project counts."""
    vmta: str | None = None
    pool: str | None = None
    batch_id: str | None = None
    raw: bytes | None = None
    """The whole message, if the customer built it."""
    header_message_id: str | None = None
    """Its Message-ID without angle brackets, if it brought one; empty if it is to have none."""
    envelope_sender: str | None = None
    """As it was handed in."""
    null_sender: bool = False
    """Its envelope names no sender, so that nothing comes back."""
    exact_domain: bool = False
    """Its domain must be verified itself: in the sandbox as well, and no parent will do."""
    refused_then: OperationError | None = None
    """What else is wrong with it, to be told once its domain was found good."""
    shown: Shown | None = None
    """What its header says instead of what follows from the recipients."""
    template: str | None = None
    """Slug of the template that filled it."""
    uid: str | None = None
    """The customer's name for it, which no other message of the project has."""
    personal: PersonalTexts | None = None
    """What makes its texts, where each recipient gets others."""


class Faults:
    """Collects what is wrong, so that one answer names every field."""

    def __init__(self) -> None:
        self.details: list[Detail] = []

    def add(self, field: str, code: DetailCode, message: str) -> None:
        self.details.append(Detail(field, code, message))

    def raise_if_any(self) -> None:
        if self.details:
            raise InvalidInput.all(self.details)


def check_message(new: NewMessage, *, now: datetime) -> CheckedMessage:
    """Return *new* parsed and checked.

    Raises:
        InvalidInput: every field that breaks a rule, by name.
    """
    faults = Faults()
    sender = _mailbox(new.sender, "from", faults)
    recipients = _recipients(new, faults)
    reply_to = _reply_to(new.reply_to, faults)
    _check_text(new, faults)
    headers = _headers(new.headers, faults)
    attachments = _attachments(new.attachments, faults)
    _check_tags(new.tags, faults)
    metadata = _metadata(new.metadata, faults)
    send_at, expires_at = _times(new, now, faults)
    if new.vmta and new.pool:
        faults.add("pool", DetailCode.MUTUALLY_EXCLUSIVE, "Name a vMTA or a pool, not both.")
    if new.batch_id is not None:
        check_batch_id(new.batch_id, faults)
    size = _size(new, attachments)
    if size > MAX_MESSAGE_BYTES:
        raise MessageTooLarge
    faults.raise_if_any()
    assert sender is not None
    return CheckedMessage(
        sender=sender,
        recipients=recipients,
        reply_to=reply_to,
        subject=new.subject or "",
        html=new.html or None,
        text=new.text or None,
        headers=headers,
        attachments=attachments,
        tags=tuple(new.tags),
        metadata=metadata,
        track_opens=new.track_opens,
        track_clicks=new.track_clicks,
        track_text_links=new.track_text_links,
        send_at=send_at,
        expires_at=expires_at,
        stream=new.stream,
        vmta=new.vmta or None,
        pool=new.pool or None,
        batch_id=new.batch_id,
        size_bytes=size,
    )


def warnings_of(message: CheckedMessage) -> list[str]:
    """Return codes of what is allowed and still likely to hurt."""
    if message.raw is not None:
        return []
    warnings = []
    if message.text is None:
        warnings.append("missing_text_part")
    if message.html is None and (message.track_opens or message.track_clicks):
        warnings.append("no_html_for_tracking")
    return warnings


def check_batch_id(batch_id: str, faults: Faults) -> None:
    """Add a fault unless *batch_id* is 1 to 128 of the allowed characters."""
    if not BATCH_ID.match(batch_id):
        faults.add(
            "batchId",
            DetailCode.INVALID_FORMAT,
            "A batch id is 1 to 128 characters of A-Z, a-z, 0-9, '.', '_', ':' and '-'.",
        )


def _mailbox(text: str, field: str, faults: Faults) -> Mailbox | None:
    try:
        return parse_mailbox(text)
    except InvalidAddress as error:
        faults.add(field, DetailCode.INVALID_EMAIL, str(error))
        return None


def _recipients(new: NewMessage, faults: Faults) -> tuple[Recipient, ...]:
    found: list[Recipient] = []
    seen: set[str] = set()
    if not new.to:
        faults.add("to", DetailCode.REQUIRED, "Name at least one recipient.")
    if len(new.to) + len(new.cc) + len(new.bcc) > MAX_RECIPIENTS:
        # Before any is parsed: a list of a million is refused by its length.
        faults.add("to", DetailCode.TOO_MANY, f"A message has at most {MAX_RECIPIENTS} recipients.")
        return ()
    for kind, addresses in (("to", new.to), ("cc", new.cc), ("bcc", new.bcc)):
        for index, text in enumerate(addresses):
            field = f"{kind}[{index}]"
            mailbox = _mailbox(text, field, faults)
            if mailbox is None:
                continue
            if mailbox.key in seen:
                faults.add(field, DetailCode.DUPLICATE, f"'{mailbox.address}' is there twice.")
            seen.add(mailbox.key)
            found.append(Recipient(kind, mailbox))
    return tuple(found)


def _reply_to(addresses: Sequence[str], faults: Faults) -> tuple[Mailbox, ...]:
    if len(addresses) > MAX_REPLY_TO:
        faults.add("replyTo", DetailCode.TOO_MANY, f"At most {MAX_REPLY_TO} mailboxes.")
        return ()
    parsed = (_mailbox(text, f"replyTo[{index}]", faults) for index, text in enumerate(addresses))
    return tuple(mailbox for mailbox in parsed if mailbox)


def _check_text(new: NewMessage, faults: Faults) -> None:
    if not new.subject:
        faults.add("subject", DetailCode.REQUIRED, "A message needs a subject.")
    elif len(new.subject) > MAX_SUBJECT_CHARACTERS:
        faults.add("subject", DetailCode.TOO_LONG, "A subject has at most 998 characters.")
    elif CONTROL.search(new.subject):
        faults.add(
            "subject",
            DetailCode.INVALID_FORMAT,
            "A subject has no line breaks and no control characters.",
        )
    if not new.html and not new.text:
        faults.add("html", DetailCode.REQUIRED, "A message needs html or text.")
    for name, value in (("subject", new.subject), ("html", new.html), ("text", new.text)):
        if value and not value.isascii() and SURROGATE.search(value):
            faults.add(name, DetailCode.INVALID_FORMAT, "It holds half of a character.")
        elif value and name != "subject" and len(value.encode()) > MAX_BODY_BYTES:
            faults.add(name, DetailCode.TOO_LARGE, "A body has at most 5 MiB.")
        elif value and "\x00" in value:
            faults.add(name, DetailCode.INVALID_FORMAT, "It holds a NUL character.")


def _headers(headers: Sequence[tuple[str, str]], faults: Faults) -> tuple[tuple[str, str], ...]:
    if len(headers) > MAX_HEADERS:
        faults.add("headers", DetailCode.TOO_MANY, f"At most {MAX_HEADERS} headers.")
        return ()
    for name, value in headers:
        try:
            check_header(name, value)
        except InvalidHeader as error:
            faults.add(f"headers.{name[:80]}", DetailCode.NOT_ALLOWED, str(error))
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        faults.add("headers", DetailCode.TOO_LARGE, "All headers together have at most 8 KiB.")
    return tuple(headers)


def _attachments(attachments: Sequence[NewAttachment], faults: Faults) -> tuple[Attachment, ...]:
    if len(attachments) > MAX_ATTACHMENTS:
        faults.add("attachments", DetailCode.TOO_MANY, f"At most {MAX_ATTACHMENTS} files.")
        return ()
    checked = (
        _attachment(new, f"attachments[{index}]", faults) for index, new in enumerate(attachments)
    )
    return tuple(attachment for attachment in checked if attachment)


def _attachment(new: NewAttachment, field: str, faults: Faults) -> Attachment | None:
    before = len(faults.details)
    name = new.filename
    if not 1 <= len(name) <= MAX_FILENAME_CHARACTERS:
        faults.add(f"{field}.filename", DetailCode.TOO_LONG, "A name has 1 to 255 characters.")
    elif CONTROL.search(name) or SURROGATE.search(name) or "/" in name or "\\" in name:
        faults.add(
            f"{field}.filename",
            DetailCode.INVALID_FORMAT,
            "A name has no path separators and no control characters.",
        )
    content_type = new.content_type or _guess_type(name)
    if len(content_type) > MAX_CONTENT_TYPE or not CONTENT_TYPE.match(content_type):
        faults.add(f"{field}.contentType", DetailCode.INVALID_FORMAT, "Write it as type/subtype.")
    inline = new.disposition is Disposition.INLINE
    if inline and not new.content_id:
        faults.add(f"{field}.contentId", DetailCode.REQUIRED, "An inline file needs one.")
    elif new.content_id and not CONTENT_ID.match(new.content_id):
        faults.add(
            f"{field}.contentId",
            DetailCode.INVALID_FORMAT,
            "A content id has visible ASCII characters, without angle brackets.",
        )
    content = _decode(new.content, f"{field}.content", faults)
    if len(faults.details) > before or content is None:
        return None
    return Attachment(name, content, content_type, inline, new.content_id)


def _guess_type(name: str) -> str:
    guessed, encoding = mimetypes.guess_type(name)
    return OCTETS if encoding or not guessed else guessed


def _decode(content: str, field: str, faults: Faults) -> bytes | None:
    try:
        octets = content.encode("ascii").translate(None, b"\r\n \t")
        return base64.b64decode(octets, validate=True)
    except (binascii.Error, ValueError):
        faults.add(field, DetailCode.INVALID_FORMAT, "It is not base64.")
        return None


def _check_tags(tags: Sequence[str], faults: Faults) -> None:
    if len(tags) > MAX_TAGS:
        faults.add("tags", DetailCode.TOO_MANY, f"At most {MAX_TAGS} tags.")
        return
    for index, tag in enumerate(tags):
        if not TAG.match(tag):
            faults.add(
                f"tags[{index}]",
                DetailCode.INVALID_FORMAT,
                "A tag is 1 to 64 characters of A-Z, a-z, 0-9, '.', '_', ':' and '-'.",
            )


def _metadata(metadata: Mapping[str, str] | None, faults: Faults) -> dict[str, str]:
    if not metadata:
        return {}
    if len(metadata) > MAX_METADATA:
        faults.add("metadata", DetailCode.TOO_MANY, f"At most {MAX_METADATA} keys.")
        return {}
    for key, value in metadata.items():
        field = f"metadata.{key[:40]}"
        if not isinstance(value, str):
            faults.add(field, DetailCode.INVALID_TYPE, "A value is a string.")
        elif not 1 <= len(key) <= 40 or len(value) > 256:
            faults.add(
                field, DetailCode.TOO_LONG, "A key has 1 to 40 characters, a value up to 256."
            )
        elif "\x00" in key + value or SURROGATE.search(key + value):
            faults.add(field, DetailCode.INVALID_FORMAT, "It holds a character that is none.")
    return dict(metadata)


def _times(new: NewMessage, now: datetime, faults: Faults) -> tuple[datetime | None, datetime]:
    lifetime = LIFETIME
    if new.max_lifetime_seconds is not None:
        least, most = LIFETIME_RANGE
        asked = new.max_lifetime_seconds
        if asked < least.total_seconds():
            faults.add("maxLifetimeSeconds", DetailCode.TOO_SMALL, "At least 300 seconds.")
        elif asked > most.total_seconds():
            faults.add("maxLifetimeSeconds", DetailCode.TOO_LARGE, "At most 432000 seconds.")
        else:
            lifetime = timedelta(seconds=asked)
    if new.send_at is None:
        return None, now + lifetime
    if new.send_at.tzinfo is None:
        faults.add("sendAt", DetailCode.INVALID_FORMAT, "A time needs its offset from UTC.")
    elif new.send_at < now - MAX_PAST:
        faults.add("sendAt", DetailCode.IN_PAST, "It is more than 5 minutes ago.")
    elif new.send_at > now + MAX_AHEAD:
        faults.add("sendAt", DetailCode.TOO_FAR_AHEAD, "At most 30 days ahead.")
    elif new.send_at > now:
        return new.send_at, new.send_at + lifetime
    return None, now + lifetime


def _size(new: NewMessage, attachments: Sequence[Attachment]) -> int:
    bodies = len((new.html or "").encode(errors="replace")) + len(
        (new.text or "").encode(errors="replace")
    )
    return bodies + sum(len(attachment.content) * 4 // 3 for attachment in attachments)
