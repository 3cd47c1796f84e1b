"""Sending: one message, up to a hundred, or one that the customer built."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ...core import clock
from ...core.actor import Actor, Permission
from ...core.errors import DetailCode, InvalidInput, OperationError
from ...core.ids import new_id
from ...core.settings import settings
from ...delivery.rules import LIFETIME
from ...mail.address import InvalidAddress, Mailbox, parse_mailbox
from ...mail.raw import InvalidMessage, prepare_raw
from ...security import idempotency
from ..errors import MessageTooLarge
from ..rules import (
    MAX_BATCH_MESSAGES,
    MAX_BATCH_RECIPIENTS,
    MAX_MESSAGE_BYTES,
    MAX_RECIPIENTS,
    CheckedMessage,
    Faults,
    NewMessage,
    Recipient,
    Source,
    check_batch_id,
)
from .accept import accept, rejected_batch, replay
from .filling import check_filled, fill_each
from .submission import Outcome, Receipt, Submission, only_receipt

T = TypeVar("T")

LARGE_BYTES = 64 * 2**10
"""From this size on a message is checked in a thread."""


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one message of a batch: a receipt or a refusal."""

    index: int
    receipt: Receipt | None
    refusal: OperationError | None


@dataclass(frozen=True, slots=True)
class BatchReceipt:
    """What was answered to a batch."""

    batch_id: str
    results: Sequence[ItemResult]
    replayed: bool

    @property
    def receipts(self) -> list[Receipt]:
        return [item.receipt for item in self.results if item.receipt]


async def send_message(
    actor: Actor, new: NewMessage, *, key: str | None = None, source: Source = Source.API
) -> tuple[Receipt, bool]:
    """Accept one message and return its receipt, and whether that is a replay.

    Accepted means durable: the message, a delivery per recipient and the credits are
    committed together. Costs one `email` credit per recipient that is not suppressed.

    Raises:
        InvalidInput: every field that breaks a rule.
        DomainNotVerified: the sender's domain is not one of the organization's.
        DomainNotAllowed: the API key is bound to other domains.
        InsufficientCredits: the balance does not cover it.
    """
    actor.require(Permission.SEND_MESSAGES)
    fingerprint = await _fingerprint(new, _size(new)) if key else b""
    request = _Request(actor, "sendMessage", key, fingerprint)

    async def read() -> Submission:
        [filled] = await fill_each(actor, [new])
        if isinstance(filled, OperationError):
            raise filled
        message = await _run(lambda: check_filled(filled), _size(filled))
        return request.submission([message], source=source)

    outcome = await request.answer(read)
    return only_receipt(outcome), outcome.replayed


async def send_messages(
    actor: Actor,
    new: Sequence[NewMessage],
    *,
    batch_id: str | None = None,
    atomic: bool = False,
    key: str | None = None,
    mark: str = "",
) -> BatchReceipt:
    """Accept up to 100 messages together, each for itself unless *atomic*.

    What is accepted is durable together and has one entry in the ledger. *mark* stands for
    what else the request held: with another one, it is no repeat under its *key*.

    Raises:
        InvalidInput: the batch is empty, or has too many messages or recipients.
        BatchRejected: none was accepted, or one was refused and the batch is atomic.
        InsufficientCredits: the balance does not cover all of them; none is accepted.
    """
    actor.require(Permission.SEND_MESSAGES)
    size = sum(map(_size, new))
    asked = [new, batch_id, atomic, *([mark] if mark else [])]
    fingerprint = await _fingerprint(asked, size) if key else b""
    request = _Request(actor, "sendMessages", key, fingerprint)
    name = batch_id or str(new_id())

    async def read() -> Submission:
        _check_batch(new, batch_id)
        filled = await fill_each(actor, new)
        messages = await _run(lambda: [_checked(message) for message in filled], size)
        refused = [(i, m) for i, m in enumerate(messages) if isinstance(m, OperationError)]
        if len(refused) == len(messages) or (refused and atomic):
            raise rejected_batch(refused, atomic=atomic)
        return request.submission(messages, source=Source.BATCH, batch_id=name, atomic=atomic)

    outcome = await request.answer(read)
    results = [
        ItemResult(index, result, None)
        if isinstance(result, Receipt)
        else ItemResult(index, None, result)
        for index, result in enumerate(outcome.results)
    ]
    accepted = next((item.receipt for item in results if item.receipt), None)
    return BatchReceipt(
        (accepted and accepted.batch_id) or name, results, replayed=outcome.replayed
    )


@dataclass(frozen=True, slots=True)
class NewRawMessage:
    """A whole RFC 5322 message, and whom it goes to."""

    data: bytes
    recipients: Sequence[str] | None = None
    """None is those of To, Cc and Bcc."""
    source: Source = Source.API


async def send_raw_message(
    actor: Actor, new: NewRawMessage, *, key: str | None = None
) -> tuple[Receipt, bool]:
    """Accept a message that the customer built; Bcc and Return-Path are taken out.

    Raises:
        InvalidInput: it is not a message that can be sent as it is, or a recipient is none.
        MessageTooLarge: it has more than 25 MiB.
        DomainNotVerified, DomainNotAllowed, InsufficientCredits: as for `send_message`.
    """
    actor.require(Permission.SEND_MESSAGES)
    if len(new.data) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge
    fingerprint = b""
    if key:
        digest = await asyncio.to_thread(hashlib.sha256, new.data)
        fingerprint = idempotency.fingerprint([digest.hexdigest(), new.recipients])
    request = _Request(actor, "sendRawMessage", key, fingerprint)

    async def read() -> Submission:
        message = await _run(lambda: _checked_raw(new), len(new.data))
        return request.submission([message], source=new.source)

    outcome = await request.answer(read)
    return only_receipt(outcome), outcome.replayed


def decode_raw(text: str, *, field: str = "data") -> bytes:
    """Return the bytes of a base64 message, which came in *field*.

    Raises:
        InvalidInput: it is not base64.
    """
    try:
        return base64.b64decode(text.encode("ascii").translate(None, b"\r\n \t"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput.of(field, DetailCode.INVALID_FORMAT, "It is not base64.") from error


@dataclass(frozen=True, slots=True)
class _Request:
    """Who asks, and under which idempotency key."""

    actor: Actor
    operation: str
    key: str | None
    fingerprint: bytes

    def submission(
        self,
        messages: Sequence[CheckedMessage | OperationError],
        *,
        source: Source,
        batch_id: str | None = None,
        atomic: bool = False,
    ) -> Submission:
        return Submission(
            actor=self.actor,
            messages=messages,
            source=source,
            batch_id=batch_id,
            atomic=atomic,
            operation=self.operation,
            key=self.key,
            fingerprint=self.fingerprint,
        )

    async def answer(self, read: Callable[[], Awaitable[Submission]]) -> Outcome:
        """Return the stored answer, or read and accept; keep a refusal for the key."""
        if self.key is None:
            return await accept(await read())
        # Before anything is checked: what was valid yesterday is answered as it was then.
        owner = self.actor.organization_id
        stored = await idempotency.find(owner, self.operation, self.key, self.fingerprint)
        if stored is not None:
            return replay(stored)
        try:
            submission = await read()
        except InvalidInput as refusal:
            await idempotency.store_refusal(
                owner, self.operation, self.key, self.fingerprint, refusal
            )
            raise
        return await accept(submission)


async def _run(check: Callable[[], T], size_bytes: int) -> T:
    # Decoding and reading megabytes would keep the loop from everybody else's requests.
    return await asyncio.to_thread(check) if size_bytes > LARGE_BYTES else check()


async def _fingerprint(value: object, size_bytes: int) -> bytes:
    # Two seconds for the largest message.
    if size_bytes > LARGE_BYTES:
        return await asyncio.to_thread(idempotency.fingerprint, value)
    return idempotency.fingerprint(value)


def _size(new: NewMessage) -> int:
    files = sum(len(file.content) for file in new.attachments)
    return files + len(new.html or "") + len(new.text or "")


def _checked(new: NewMessage | OperationError) -> CheckedMessage | OperationError:
    if isinstance(new, OperationError):
        return new
    try:
        return check_filled(new)
    except InvalidInput as error:
        return error


def _check_batch(new: Sequence[NewMessage], batch_id: str | None) -> None:
    faults = Faults()
    if not new:
        faults.add("messages", DetailCode.REQUIRED, "A batch has at least one message.")
    if len(new) > MAX_BATCH_MESSAGES:
        faults.add("messages", DetailCode.TOO_MANY, "A batch has at most 100 messages.")
    elif sum(len(m.to) + len(m.cc) + len(m.bcc) for m in new) > MAX_BATCH_RECIPIENTS:
        faults.add("messages", DetailCode.TOO_MANY, "A batch has at most 1,000 recipients.")
    if batch_id is not None:
        check_batch_id(batch_id, faults)
    faults.raise_if_any()


def _checked_raw(new: NewRawMessage) -> CheckedMessage:
    now = clock.now()
    try:
        raw = prepare_raw(new.data, message_id=f"{new_id()}@{settings().hostname}", date=now)
    except InvalidMessage as error:
        raise InvalidInput.of("data", DetailCode.INVALID_FORMAT, f"{error}.") from error
    faults = Faults()
    recipients = _raw_recipients(new, raw.recipients, faults)
    faults.raise_if_any()
    return CheckedMessage(
        sender=raw.sender,
        recipients=recipients,
        subject=raw.subject,
        expires_at=now + LIFETIME,
        size_bytes=len(raw.data),
        raw=raw.data,
        header_message_id=raw.message_id,
    )


def _raw_recipients(
    new: NewRawMessage, found: Sequence[Mailbox], faults: Faults
) -> tuple[Recipient, ...]:
    mailboxes = list(found)
    if new.recipients is not None:
        mailboxes = []
        for index, text in enumerate(new.recipients[: MAX_RECIPIENTS + 1]):
            try:
                mailboxes.append(parse_mailbox(text))
            except InvalidAddress as error:
                faults.add(f"recipients[{index}]", DetailCode.INVALID_EMAIL, str(error))
    distinct = {mailbox.key: mailbox for mailbox in mailboxes}
    if not distinct and not faults.details:
        faults.add("recipients", DetailCode.REQUIRED, "Name at least one recipient.")
    if len(distinct) > MAX_RECIPIENTS:
        faults.add("recipients", DetailCode.TOO_MANY, "A message has at most 50 recipients.")
    return tuple(Recipient("to", mailbox) for mailbox in distinct.values())
