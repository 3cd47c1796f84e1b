"""From a notice and what it is told to one message, by templates that are files beside this."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from ..core.crypto import unseal
from ..core.settings import Settings, settings
from ..mail.address import InvalidAddress, Mailbox, parse_mailbox
from ..mail.compose import Parts, compose
from .rules import Notice

PURPOSE = "notice"
SENDER_NAME = "Postlane"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Mail:
    """A notice as it goes over the wire."""

    sender: str
    """The envelope's; empty where the deployment has no name that mail could come back to."""
    recipient: Mailbox
    data: bytes


def render(
    notice: Notice, *, id: UUID, to: str, sealed_values: bytes, created_at: datetime
) -> Mail:
    """Return the message; the same row always gives the same bytes.

    Raises:
        InvalidAddress: *to* is no address.
        SealBroken: the values were sealed with another secret key.
    """
    values: Mapping[str, str] = json.loads(unseal(sealed_values, purpose=PURPOSE))
    recipient, (sender, envelope_sender) = parse_mailbox(to), senders(settings())
    subject, text, html = texts(notice, values)
    parts = Parts(
        message_id=f"{id}@{settings().hostname}",
        date=created_at,
        sender=sender,
        to=(recipient,),
        cc=(),
        reply_to=(),
        subject=subject,
        text=text,
        html=html,
        # Keeps vacation replies away. Source: RFC 3834 section 5.
        headers=(("Auto-Submitted", "auto-generated"),),
        attachments=(),
    )
    return Mail(envelope_sender, recipient, compose(parts))


def texts(notice: Notice, values: Mapping[str, str]) -> tuple[str, str, str]:
    """Return subject, text and HTML of a notice.

    The first line of the text template is the subject.
    """
    # Each value is one line: whoever names an organization must not write header fields.
    lines = {name: " ".join(_CONTROL.sub(" ", value).split()) for name, value in values.items()}
    given = {**lines, "product": SENDER_NAME, "public_url": settings().public_url}
    first, _, text = _templates().get_template(f"{notice.value}.txt").render(given).partition("\n")
    subject = first.strip()[:200]
    html = _templates().get_template(f"{notice.value}.html").render(given, subject=subject)
    return subject, text.strip() + "\n", html


def senders(found: Settings) -> tuple[Mailbox, str]:
    """Return who notices are from, in the header and in the envelope."""
    if found.notice_from:
        mailbox = parse_mailbox(found.notice_from)
        return mailbox, mailbox.address
    address = f"postmaster@{found.hostname}"
    try:
        return Mailbox(SENDER_NAME, parse_mailbox(address).address), address
    except InvalidAddress:
        # A machine that nobody gave a name in DNS: fine while mail is captured.
        return Mailbox(SENDER_NAME, address), ""


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
