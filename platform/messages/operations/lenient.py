"""Sending with the fewest demands, for programs that are told of wrong recipients by bounces."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...core import clock
from ...core.actor import Actor, Permission
from ...core.errors import DetailCode, InvalidInput
from ...delivery.rules import LIFETIME
from ...domains import work as domains
from ...mail.lenient import read_recipient
from ...mail.raw import InvalidMessage, NoSender, RawMessage, field_text, prepare_raw
from ..errors import DomainNotVerified, MessageTooLarge
from ..lenient import (
    MAX_OF_RAW,
    LenientMessage,
    check_lenient,
    decode_leniently,
    one_line,
    tags_of,
)
from ..rules import MAX_MESSAGE_BYTES, CheckedMessage, Recipient, Source
from .accept import accept, require_domain
from .send import LARGE_BYTES
from .submission import Receipt, Submission, only_receipt

_FROM = re.compile(rb"^from[ \t]*:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LenientRawMessage:
    """A whole RFC 5322 message, and whom it goes to."""

    data: str
    """Base64, in which everything else is passed over."""
    recipients: Sequence[str]
    envelope_sender: str | None = None
    """Kept to be shown; the mail leaves with a sender that names its delivery."""
    null_sender: bool = False
    tag_header: str | None = None
    """The field of the message whose text is its tag."""


async def send_lenient_message(actor: Actor, new: LenientMessage) -> Receipt:
    """Accept a message of which only what cannot be missing is demanded; return its receipt.

    Every recipient gets a delivery of their own, also one who is named twice; what is no
    address bounces. The sender's domain must be verified by its own name.

    Raises:
        InvalidInput, DomainNotVerified, DomainNotAllowed, MessageTooLarge: the first that
            applies, in the order of `check_lenient`.
        InsufficientCredits: the balance does not cover it.
    """
    actor.require(Permission.SEND_MESSAGES)
    size = len(new.html or "") + len(new.text or "")
    size += sum(len(file.content or "") for file in new.attachments)
    message = await _run(lambda: check_lenient(new, now=clock.now()), size)
    return await _accept(actor, message)


async def send_lenient_raw_message(actor: Actor, new: LenientRawMessage) -> Receipt | None:
    """Accept a message that the customer built, without adding to it; None goes to nobody.

    Only Bcc and Return-Path are taken out. Without recipients it is checked all the same.

    Raises:
        DomainNotVerified: it names no sender, or one of a domain that is not verified by its
            own name.
        InvalidInput: it cannot be sent as it is, or has too many recipients.
        MessageTooLarge, DomainNotAllowed, InsufficientCredits: as for `send_message`.
    """
    actor.require(Permission.SEND_MESSAGES)
    if len(new.recipients) > MAX_OF_RAW:
        message = f"A message has at most {MAX_OF_RAW} recipients."
        raise InvalidInput.of("recipients", DetailCode.TOO_MANY, message)
    checked = await _run(lambda: _checked(new), len(new.data))
    if not checked.recipients:
        asked = (actor.organization_id, checked.sender.domain)
        found = await domains.sending_domains([asked])
        require_domain(actor, checked, found.get(asked))
        return None
    return await _accept(actor, checked)


async def _accept(actor: Actor, message: CheckedMessage) -> Receipt:
    submission = Submission(
        actor=actor,
        messages=[message],
        source=Source.API,
        batch_id=None,
        atomic=False,
        operation="sendLenientMessage",
        key=None,
        fingerprint=b"",
    )
    return only_receipt(await accept(submission))


async def _run(check: Callable[[], CheckedMessage], size_bytes: int) -> CheckedMessage:
    # Decoding and reading megabytes would keep the loop from everybody else's requests.
    return await asyncio.to_thread(check) if size_bytes > LARGE_BYTES else check()


def _checked(new: LenientRawMessage) -> CheckedMessage:
    raw = _read(decode_leniently(new.data))
    return CheckedMessage(
        sender=raw.sender,
        recipients=tuple(Recipient("to", read_recipient(text)) for text in new.recipients),
        subject=raw.subject,
        expires_at=clock.now() + LIFETIME,
        size_bytes=len(raw.data),
        tags=tags_of(field_text(raw.data, new.tag_header) if new.tag_header else None),
        raw=raw.data,
        # Empty is a message without one, to which none is added.
        header_message_id=raw.message_id or "",
        exact_domain=True,
        null_sender=new.null_sender,
        envelope_sender=one_line(new.envelope_sender or "")[:320] or None,
    )


def _read(data: bytes) -> RawMessage:
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge
    try:
        return prepare_raw(data)
    except InvalidMessage as error:
        # Whom it is from comes before whether it can be sent.
        if isinstance(error, NoSender) or not _FROM.search(data):
            raise DomainNotVerified("") from error
        raise InvalidInput.of("data", DetailCode.INVALID_FORMAT, f"{error}.") from error
