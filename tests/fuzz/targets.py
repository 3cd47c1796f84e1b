"""What is fuzzed: each parser of what strangers send, and the refusals that it may raise.

Anything else that is raised is a finding, and so is an input that takes longer than a second.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from postlane.core.errors import InvalidInput
from postlane.domains.dmarc import read_dmarc
from postlane.domains.logo import issues_of_logo
from postlane.graphql.documents import DocumentRefused, prepare
from postlane.mail.address import InvalidAddress, parse_domain, parse_mailbox, parse_mailboxes
from postlane.mail.lenient import read_mailbox, read_recipient
from postlane.mail.links import cut_html, cut_text
from postlane.mail.markup import text_from_html
from postlane.mail.mta_sts import read_policy
from postlane.mail.outcome import classify_reply
from postlane.mail.raw import InvalidMessage, prepare_raw, read_message_id
from postlane.mail.reports import read_report
from postlane.mail.return_path import find_return_path, read_return_path
from postlane.mail.templating import (
    Layer,
    Syntax,
    Unrenderable,
    names_in_braces,
    render_braces,
    render_layers,
)
from postlane.mail.texts import find_texts
from postlane.mail.viewing import read_view
from postlane.mail.wire import Wire
from postlane.smtp.conversation import has_forbidden
from postlane.suppressions.files import UnreadableFile, read_file
from postlane.tracking.tokens import read_click, read_open, read_token

CORPUS = Path(__file__).parent / "corpus"
LONGEST_SECONDS = 1.0
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Target:
    """A parser, and what it says of what it cannot read."""

    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = ()

    def try_in_time(self, data: bytes) -> None:
        """Do the same, and find fault with what takes more than a second of a processor."""
        began = time.process_time()
        self.try_on(data)
        taken = time.process_time() - began
        if taken > LONGEST_SECONDS:
            raise TimeoutError(f"{taken:.1f} seconds for {len(data)} bytes")

    def try_on(self, data: bytes) -> None:
        """Parse *data*; a refusal is an answer."""
        try:
            self.run(data)
        except self.refusals:
            return


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _address(data: bytes) -> None:
    text = _text(data)
    read_mailbox(text)
    read_recipient(text)
    for parse in (parse_domain, parse_mailboxes, parse_mailbox):
        try:
            parse(text)
        except InvalidAddress:
            continue


def _mime(data: bytes) -> None:
    read_message_id(data)
    find_texts(data)
    read_view(data)
    prepare_raw(data)


def _html(data: bytes) -> None:
    text = _text(data)
    text_from_html(text)
    cut_html(text)
    cut_text(text)


def _token(data: bytes) -> None:
    text = _text(data)
    read_open(text)
    read_click(text)
    read_token(text, purpose="fuzz")
    read_return_path(bytes(32), text)
    find_return_path(bytes(32), text)


def _smtp_reply(data: bytes) -> None:
    """What a receiving server says, in pieces as they come."""
    wire = Wire()
    for start in range(0, len(data), 7):
        wire.data_received(data[start : start + 7])
    while (said := wire.take_unasked()) is not None:
        classify_reply(said.code, said.text)


def _template(data: bytes) -> None:
    """A source in braces; one in Jinja is rendered in a process that may well be ended."""
    source = data.decode("utf-8", "replace")
    names_in_braces(source)
    layer = Layer(Syntax.BRACES, subject=source[:200], html=source, text=source)
    render_layers([layer, layer], {"name": "Ada", "items": [1, 2]}, render_braces)


def _published(data: bytes) -> None:
    """What others publish in DNS and over HTTP."""
    text = _text(data)
    read_dmarc(text)
    read_policy(text)
    issues_of_logo(data)


TARGETS = {
    "address": Target(_address),
    "document": Target(lambda data: prepare(_text(data)), (DocumentRefused, InvalidInput)),
    "html": Target(_html),
    "mime": Target(_mime, (InvalidMessage,)),
    "published": Target(_published),
    "report": Target(read_report),
    "smtp_command": Target(has_forbidden),
    "smtp_reply": Target(_smtp_reply),
    "suppression_file": Target(lambda data: read_file(data, now=NOW), (UnreadableFile,)),
    "template": Target(_template, (Unrenderable,)),
    "token": Target(_token),
}
"""By the name of the folder that holds what each is begun with."""


def corpus_of(name: str) -> list[Path]:
    """Return the inputs that are kept of a target."""
    return sorted((CORPUS / name).iterdir())
