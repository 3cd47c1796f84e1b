"""PostageApp's `send_message`: what its clients write, as our schema takes it."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ...mail.address import InvalidAddress, split_addresses
from ...mail.headers import InvalidHeader, check_header
from ..route import Call
from .decoding import Envelope, PostageAppError, call_error, uid_text

NOTHING = "Required arguments are missing."
NO_RECIPIENTS = "No recipients were specified."
STRUCTURAL = frozenset(
    "charset content-transfer-encoding content-type date message-id mime-version to".split()
)
"""Fields that clients send along and that are no part of the mail."""
_REFUSED = re.compile("[\r\n\0]")
_STYLE_END = re.compile(r"</(?=style)", re.IGNORECASE)
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")
_HEAD_END = re.compile(r"</head\s*>", re.IGNORECASE)


def send_variables(call: Call) -> dict[str, Any]:
    """Return the variables of the mutation that sends.

    Raises:
        PostageAppError: something is of another type, or there are no arguments at all.
    """
    envelope: Envelope = call.given["envelope"]
    given = envelope.arguments
    recipients = _recipients(given.get("recipients"))
    headers = Headers(_object(given, "headers"))
    content = _content(given.get("content"))
    template, override = _text(given, "template"), _text(given, "recipient_override")
    variables, attachments = _object(given, "variables"), _attachments(given)
    if not given:
        raise PostageAppError("bad_request", NOTHING)
    uid = envelope.own or generated_uid(given)
    sent = envelope.uid if uid_text(envelope.uid) else given.get("uid")
    # It is echoed as it was sent; one that was made is told.
    call.given["uid"] = sent if uid_text(sent) else uid
    optional = {
        "from": headers.sender,
        "cc": headers.cc,
        "bcc": headers.bcc,
        "replyTo": headers.reply_to,
        "subject": headers.subject,
        "headers": headers.others,
        **content,
        "template": template,
        "variables": variables,
        "attachments": attachments,
        "redirectTo": override,
        "sandbox": given.get("deliver") is False,
    }
    return {
        "input": {
            "uid": uid,
            "recipients": recipients,
            "apart": not isinstance(given.get("recipients"), str),
            "syntax": "BRACES",
            # Most mail has few of them, and each that is named is looked at.
            **{name: value for name, value in optional.items() if value},
        }
    }


def generated_uid(arguments: Mapping[str, Any]) -> str:
    """Return the uid of a message without one: that of every message that says the same."""
    said = msgspec.json.encode(arguments, order="deterministic")
    return hashlib.sha256(said).hexdigest()


def _text(given: Mapping[str, Any], name: str) -> str | None:
    """Return an argument that is a text; a number is taken for its digits, an empty one is none."""
    value = given.get(name)
    if value is None or value == "" or value is False:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise call_error(f"The argument '{name}' is not a string.")
    return value


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an argument that is an object; an empty array is what PHP makes of an empty one."""
    value = given.get(name)
    if value is None or value == [] or value == "":
        return {}
    if not isinstance(value, dict):
        raise call_error(f"The argument '{name}' is not an object.")
    return value


def _recipients(given: Any) -> list[dict[str, Any]]:
    """Return recipients of a text, an array with arrays in it, or an object with their values."""
    if given is None or given == "":
        return []
    if isinstance(given, dict):
        return [
            {"address": address, "variables": values if isinstance(values, dict) else None}
            for address, values in given.items()
        ]
    if isinstance(given, str):
        return [{"address": address} for address in addresses_of(given)]
    if not isinstance(given, list):
        raise call_error("The argument 'recipients' is not a string, an array or an object.")
    return [{"address": address} for address in _flat(given)]


def _flat(items: list[Any]) -> Iterator[str]:
    waiting = [iter(items)]
    while waiting:
        item = next(waiting[-1], waiting)
        if item is waiting:
            waiting.pop()
        elif isinstance(item, list):
            waiting.append(iter(item))
        elif isinstance(item, str):
            if item.strip():
                yield item
        elif item is not None:
            raise call_error("A recipient is not a string.")


def addresses_of(text: str) -> list[str]:
    """Return the mailboxes of a text with commas between them; those in quotes do not count."""
    try:
        return split_addresses(text)
    except InvalidAddress:
        # Each is told apart by whoever reads it.
        return [part.strip() for part in text.split(",") if part.strip()]


class Headers:
    """Header fields as clients write them: names in any case and with `_`, values of any type."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.sender: str | None = None
        self.subject: str | None = None
        self.cc: list[str] = []
        self.bcc: list[str] = []
        self.reply_to: list[str] = []
        self.others: list[dict[str, str]] = []
        for name, value in given.items():
            text = _line(value, name)
            if text is not None and text.strip():
                self._take(name.strip().replace("_", "-"), text)

    def _take(self, name: str, text: str) -> None:
        lowered = name.lower()
        if lowered == "from":
            self.sender = text
        elif lowered == "subject":
            self.subject = text
        elif lowered == "reply-to":
            self.reply_to += addresses_of(text)
        elif lowered == "cc":
            self.cc += addresses_of(text)
        elif lowered == "bcc":
            self.bcc += addresses_of(text)
        elif lowered not in STRUCTURAL:
            self._keep(name, text)

    def _keep(self, name: str, text: str) -> None:
        try:
            check_header(name, "x" if lowered_address(name) else text)
        except InvalidHeader:
            # A field of ours is passed over; a value that breaks out of its line is refused, and
            # so is one that cannot be kept.
            if not _REFUSED.search(text):
                return
        self.others.append({"name": name, "value": text})


def lowered_address(name: str) -> bool:
    """Say whether a field holds addresses."""
    return name.lower() == "reply-to"


def _line(value: Any, name: str) -> str | None:
    """Return the value of a header field."""
    if value is None or value is False:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return ", ".join(str(item) for item in value if isinstance(item, str | int | float))
    raise call_error(f"The header '{name[:80]}' is not a string.")


def _content(given: Any) -> dict[str, str | None]:
    """Return the texts; a plain string is plain text."""
    if given is None or given == [] or given == "":
        return {"html": None, "text": None}
    if isinstance(given, str):
        return {"html": None, "text": given}
    if not isinstance(given, dict):
        raise call_error("The argument 'content' is not a string or an object.")
    parts = {name: _text(given, name) for name in ("text/plain", "text/html", "text/css")}
    html = parts["text/html"]
    if html is not None and parts["text/css"] is not None:
        html = with_style(html, parts["text/css"])
    return {"html": html, "text": parts["text/plain"]}


def with_style(html: str, css: str) -> str:
    """Return HTML with definitions of style in its head, or before all of it."""
    # What would end the element early does not.
    inert = _STYLE_END.sub(r"<\\/", css)
    style = f'<style type="text/css">{inert}</style>'
    end = _HEAD_END.search(html)
    at = end.start() if end else 0
    return f"{html[:at]}{style}{html[at:]}"


def _attachments(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, file in _object(given, "attachments").items():
        if file is None or file == []:
            continue
        if not isinstance(file, dict) or not isinstance(file.get("content"), str):
            raise call_error(f"The attachment '{name[:80]}' has no content that is a string.")
        content_type = file.get("content_type")
        match = _CONTENT_TYPE.match(content_type) if isinstance(content_type, str) else None
        found.append(
            {
                "filename": name,
                "content": file["content"],
                "contentType": match[0] if match else None,
            }
        )
    return found
