"""From a notice and what it is told to one message, by templates that are files beside this.

A notice is one template for both its text and its HTML: `_layout` and `_parts` of either kind
say what a subject, a paragraph and a button look like there.
"""

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..core.crypto import unseal
from ..core.languages import SOURCE, gettext, open_plural, speaking, spoken
from ..core.settings import Settings, settings
from ..mail.address import InvalidAddress, Mailbox, parse_mailbox
from ..mail.compose import Parts, compose
from .rules import Notice

PURPOSE = "notice"
SENDER_NAME = "Postlane"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("txt", "html")


@dataclass(frozen=True, slots=True)
class Mail:
    """A notice as it goes over the wire."""

    sender: str
    """The envelope's; empty where the deployment has no name that mail could come back to."""
    recipient: Mailbox
    data: bytes


def render(
    notice: Notice, *, language: str, id: UUID, to: str, sealed_values: bytes, created_at: datetime
) -> Mail:
    """Return the message; the same row always gives the same bytes.

    Raises:
        InvalidAddress: *to* is no address.
        SealBroken: the values were sealed with another secret key.
    """
    values: Mapping[str, str] = json.loads(unseal(sealed_values, purpose=PURPOSE))
    recipient, (sender, envelope_sender) = parse_mailbox(to), senders(settings())
    with speaking(language or SOURCE):
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
    """Return subject, text and HTML of a notice, in the language that is spoken.

    The first line of the text is the subject.
    """
    # Each value is one line: whoever names an organization must not write header fields.
    lines = {name: " ".join(_CONTROL.sub(" ", value).split()) for name, value in values.items()}
    given = {**lines, "product": SENDER_NAME, "public_url": settings().public_url}
    plain, html = (
        _templates(kind).get_template(f"{notice.value}.jinja").render(given) for kind in KINDS
    )
    first, _, text = plain.partition("\n")
    return first.strip()[:200], _wrapped(text.strip()) + "\n", html


def _wrapped(text: str) -> str:
    """Return *text* in lines that every program shows; an address stays in one, however long."""
    return "\n".join(
        textwrap.fill(line, 78, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


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


@lru_cache(maxsize=len(KINDS))
def _templates(kind: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=kind == "html",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(gettext, open_plural, newstyle=True)  # type: ignore[attr-defined]
    # `trans` takes a translation for HTML; what `_` answers is text, and escaped in HTML.
    environment.globals |= {"_": gettext, "spoken": spoken, "layout": f"_layout.{kind}"}
    environment.globals["ui"] = environment.get_template(f"_parts.{kind}").module
    return environment
