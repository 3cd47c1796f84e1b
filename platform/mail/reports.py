"""What comes back: delivery reports, complaints and automatic answers, from bytes to values.

Everything here was written by a stranger. Only its beginning is read, nested no deeper and
split no finer than mail programs do, and every text is cut to a length that can be kept.
"""

import re
import tomllib
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.message import Message
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Any

from .octets import charset_of, octets_of

LONGEST_READ = 512 * 1024
"""Octets of a mail that are read; a report stands before what it returns."""
MAX_NESTED_PARTS = 50
MAX_PARTS = 2_000
LONGEST_TEXT = 1_000
"""Characters kept of what a receiver said."""
SIGN_WITHIN = 4_000
TEXT_WITHIN = 16_000
MAX_NOTICES = 200


class Action(StrEnum):
    """What a report says became of a recipient. Source: RFC 3464 section 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a delivery report says of one recipient; what it leaves out is None or empty.

    *text* begins with the status where there is one, as a reply would.
    """

    action: Action
    recipients: tuple[str, ...]
    code: int | None
    status: str | None
    text: str
    remote_mta: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A report of what became of a message, with at least one notice."""

    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    """A complaint, or other feedback, about a message.

    *clues* are the fields in which its sender may have put what names the delivery.
    Source: RFC 5965.
    """

    feedback_type: str
    reporter: str
    recipients: tuple[str, ...]
    message_id: str | None
    clues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AutomaticAnswer:
    """Mail that a program wrote and that reports nothing: an absence note, a receipt."""


Report = DeliveryReport | FeedbackReport | AutomaticAnswer


@dataclass(frozen=True, slots=True)
class Form:
    """One entry of `report_forms.toml`."""

    name: str
    sign: re.Pattern[str]
    action: Action
    recipient: re.Pattern[str] | None
    reply: re.Pattern[str] | None
    status: str | None
    needs_reply: bool


def read_report(data: bytes) -> Report | None:
    """Return what *data* reports; None if it is no report at all.

    Source: RFC 3464, RFC 5965, RFC 3834, and `report_forms.toml`.
    """
    message = _parse(data)
    if message is None:
        return None
    parts = list(message.walk())[:MAX_PARTS]
    found = _feedback(message, parts) or _delivery(parts)
    if found is not None:
        return found
    if _is_answer(message):
        return AutomaticAnswer()
    found = _plain(message, parts)
    if found is None and _is_automatic(message):
        return AutomaticAnswer()
    return found


@lru_cache(maxsize=1)
def forms() -> tuple[Form, ...]:
    """Return the forms of plain-text reports in their order."""
    text = files(__package__).joinpath("report_forms.toml").read_text(encoding="utf-8")
    return tuple(_read_form(entry) for entry in tomllib.loads(text)["form"])


_NESTED = re.compile(rb"^content-type[ \t]*:\s*(?:multipart|message)/", re.I | re.M)
_DELIMITER = re.compile(rb"^--", re.M)
_CODE = re.compile(r"(?<![\d.])([245]\d\d)(?=[ -])")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_AGAIN = re.compile(r"\s[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3}\s)?")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_TAGS = re.compile(r"<(?:/?[A-Za-z!][^<>@]{0,300})>")


def _parse(data: bytes) -> Message | None:
    start = data[:LONGEST_READ]
    # The parser recurses into parts in parts, and makes an object of each part.
    if len(_NESTED.findall(start)) > MAX_NESTED_PARTS:
        return None
    if len(_DELIMITER.findall(start)) > MAX_PARTS:
        return None
    try:
        return message_from_bytes(start)
    except (MessageError, ValueError, LookupError, RecursionError):
        return None


def _delivery(parts: list[Message]) -> DeliveryReport | None:
    for part in parts:
        if part.get_content_type() in ("message/delivery-status", _INTERNATIONAL):
            blocks = _blocks(part)
            notices = [notice for block in blocks if (notice := _notice(block))]
            if notices:
                return DeliveryReport(tuple(notices[:MAX_NOTICES]))
    return None


_INTERNATIONAL = "message/global-delivery-status"
"""Source: RFC 6533; the standard library reads it as an ordinary message."""


def _blocks(part: Message) -> list[Message]:
    payload = part.get_payload()
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding in ("base64", "quoted-printable") or isinstance(payload, str):
        text = octets_of(part, line_end="\n").partition(b"\n\n")[2]
        whole = Message()
        whole["Content-Transfer-Encoding"] = encoding or "7bit"
        whole.set_payload(text.decode("latin-1"))
        decoded = whole.get_payload(decode=True)
        data = decoded if isinstance(decoded, bytes) else text
        return [message_from_bytes(b) for b in re.split(rb"\r?\n[ \t]*\r?\n", data.strip())]
    blocks = [block for block in payload if isinstance(block, Message)]
    # Of a group that is not separated by an empty line, or of a foreign type, the fields
    # may stand in the payload of the one before.
    return [each for block in blocks for each in (block, *_inner(block))]


def _inner(block: Message) -> list[Message]:
    text = block.get_payload()
    if not isinstance(text, str) or "action" not in text.lower():
        return []
    return [message_from_bytes(b.encode("utf-8", "surrogateescape")) for b in text.split("\n\n")]


def _notice(block: Message) -> Notice | None:
    said = _field(block, "Action").lower().split("(")[0].strip(" ;.")
    status = _STATUS.search(_field(block, "Status"))
    if not said:
        # Some leave the action out; a status of class 5 with a recipient says as much.
        is_final = status is not None and status[1].startswith("5")
        if not is_final or not _field(block, "Final-Recipient"):
            return None
        said = Action.FAILED
    if said not in set(Action):
        return None
    recipients = tuple(
        address
        for name in ("Original-Recipient", "Final-Recipient", "X-Actual-Recipient")
        if (address := _typed(_field(block, name)).strip('<> "'))
    )
    return make_notice(
        Action(said),
        recipients=recipients,
        said=_typed(_field(block, "Diagnostic-Code")),
        status=status[1] if status else None,
        remote_mta=_typed(_field(block, "Remote-MTA")).strip("<> ")[:253] or None,
    )


def make_notice(
    action: Action,
    *,
    recipients: tuple[str, ...],
    said: str,
    status: str | None,
    remote_mta: str | None = None,
) -> Notice:
    """Return the notice, with code and status read from what was *said* where it has them."""
    text = _clean(said)
    code = _CODE.search(text)
    if code:
        text = _AGAIN.sub(" ", text[code.end() + 1 :]).strip()
    own = _STATUS.search(text[:40])
    # "5.0.0" says nothing, and what the receiver itself replied is nearer to the truth.
    if own and (status is None or status.endswith(".0.0") or own[1][0] == status[0]):
        status = own[1]
    if status and not text.startswith(status):
        text = f"{status} {text}".strip()
    return Notice(
        action=action,
        recipients=tuple(each[:320] for each in recipients),
        code=int(code[1]) if code else None,
        status=status,
        text=text[:LONGEST_TEXT],
        remote_mta=remote_mta,
    )


def _feedback(message: Message, parts: list[Message]) -> FeedbackReport | None:
    for part in parts:
        if part.get_content_type() != "message/feedback-report":
            continue
        fields = _report_fields(part)
        original = _original(parts)
        clues = [_field(fields, "Original-Mail-From")]
        clues += [_field(original, name) for name in _CLUES] if original is not None else []
        message_id = _field(original, "Message-ID") if original is not None else ""
        return FeedbackReport(
            feedback_type=_clean(_field(fields, "Feedback-Type")).lower()[:40] or "abuse",
            reporter=_domain_of(_field(message, "From")),
            recipients=tuple(
                address.strip("<> ")[:320]
                for address in _fields(fields, "Original-Rcpt-To")
                + _fields(fields, "Removal-Recipient")
            ),
            message_id=message_id.strip("<> ")[:320] or None,
            clues=tuple(clue[:LONGEST_TEXT] for clue in clues if clue),
        )
    return None


_CLUES = ("Return-Path", "Feedback-ID", "List-Unsubscribe", "Message-ID", "X-Envelope-From")


def _report_fields(part: Message) -> Message:
    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
        if encoding not in ("base64", "quoted-printable"):
            return payload[0]
    return next(iter(_blocks(part)), Message())


def _original(parts: list[Message]) -> Message | None:
    """Return the header of the message that a report is about."""
    for part in parts:
        kind = part.get_content_type()
        payload = part.get_payload()
        if kind == "message/rfc822" and isinstance(payload, list) and payload:
            return payload[0] if isinstance(payload[0], Message) else None
        if kind in ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"):
            return message_from_bytes(_text(part).encode("utf-8", "replace"))
    return None


def _plain(message: Message, parts: list[Message]) -> DeliveryReport | None:
    text = next((_text(part) for part in parts if part.get_content_type() == "text/plain"), "")
    if not text.strip():
        html = next((_text(part) for part in parts if part.get_content_type() == "text/html"), "")
        text = _TAGS.sub("\n", html)
    text = text[:TEXT_WITHIN].replace("\r\n", "\n")
    start = " ".join(text[:SIGN_WITHIN].split())
    failed = _field(message, "X-Failed-Recipients")
    for form in forms():
        if not form.sign.search(start):
            continue
        reply = form.reply.search(text) if form.reply else None
        if form.needs_reply and reply is None:
            continue
        recipient = form.recipient.search(text) if form.recipient else None
        addresses = failed or (recipient[1] if recipient else "")
        return DeliveryReport(
            (
                make_notice(
                    form.action,
                    recipients=tuple(
                        address for each in addresses.split(",") if (address := each.strip(" <>.,"))
                    ),
                    said=reply[1] if reply else _first_paragraph(text),
                    status=None if reply and _STATUS.search(reply[1]) else form.status,
                ),
            )
        )
    return None


def _first_paragraph(text: str) -> str:
    return text.strip().partition("\n\n")[0]


def _is_answer(message: Message) -> bool:
    """Say whether the header marks an answer by a person's program.

    Source: RFC 3834 section 5.
    """
    if message.get("X-Failed-Recipients") is not None or _SYSTEM.search(_field(message, "From")):
        # Exim marks its bounces as if they were answers.
        return False
    return (
        _field(message, "Auto-Submitted").lower().startswith("auto-replied")
        or _field(message, "Precedence").lower() == "auto_reply"
        or any(message.get(name) is not None for name in ("X-Autoreply", "X-Autorespond"))
        or (
            message.get_content_type() == "multipart/report"
            and str(message.get_param("report-type")).lower() == "disposition-notification"
        )
    )


_SYSTEM = re.compile(r"\b(?:mailer-daemon|postmaster|mail-daemon)\b", re.IGNORECASE)
_ABSENT = re.compile(
    r"^(?:auto(?:matic|matische)?[ -]?(?:re(?:ply|sponse)|antwort)|out of (?:the )?office|"
    r"abwesen|réponse automatique|absence|respuesta automática|risposta automatica|vacation)",
    re.IGNORECASE,
)


def _is_automatic(message: Message) -> bool:
    submitted = _field(message, "Auto-Submitted").lower()
    return bool(submitted and not submitted.startswith("no")) or bool(
        _ABSENT.search(_field(message, "Subject"))
    )


def _text(part: Message) -> str:
    """Return the text of a part, in whatever it claims or seems to be written."""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    for charset in (charset_of(part), "utf-8"):
        try:
            return data.decode(charset or "utf-8")
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1")


def _field(message: Message, name: str) -> str:
    value = message.get(name)
    return "" if value is None else _clean(str(value))


def _fields(message: Message, name: str) -> list[str]:
    return [_clean(str(value)) for value in (message.get_all(name) or [])[:MAX_NOTICES]]


def _typed(value: str) -> str:
    """Return a value without its type, such as `rfc822;` or `smtp;`."""
    kind, separator, rest = value.partition(";")
    return rest.strip() if separator and re.fullmatch(r"[\w-]{1,30}", kind.strip()) else value


def _clean(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text[: 4 * LONGEST_TEXT]).split())


def _domain_of(text: str) -> str:
    match = re.search(r"@([A-Za-z0-9.-]{1,253})", text)
    return match[1].lower().strip(".") if match else ""


def _read_form(entry: dict[str, Any]) -> Form:
    def pattern(name: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str] | None:
        return re.compile(entry[name], flags) if name in entry else None

    sign = pattern("sign")
    if sign is None:
        raise ValueError("report_forms.toml: every form needs a sign")
    return Form(
        name=entry["name"],
        sign=sign,
        action=Action(entry["kind"]),
        recipient=pattern("recipient", re.IGNORECASE | re.MULTILINE),
        reply=pattern("reply", re.IGNORECASE | re.MULTILINE | re.DOTALL),
        status=entry.get("status"),
        needs_reply=entry.get("needs_reply", False),
    )
