"""Accepting: what many requests handed in together becomes durable in one transaction.

Everything is written with one statement per table, whatever the number of messages. No
DNS, MIME or DKIM work happens here; that is the drain's.
"""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import asyncpg

from ...accounts import work as accounts
from ...core import clock
from ...core.actor import ActorKind, ApiKeyId, Mode, OrganizationId, ProjectId, UserId
from ...core.batching import Batcher
from ...core.database import Tx, fetch, transaction
from ...core.errors import Detail, DetailCode, InvalidInput, OperationError
from ...core.ids import new_id, new_token
from ...core.settings import settings
from ...credits.errors import InsufficientCredits
from ...credits.operations import Charge, Debit, debit_all
from ...credits.rules import EntrySource
from ...delivery.contents import encode_parts
from ...delivery.operations import NewDelivery, NewSpooledMessage, ring, spool
from ...delivery.rules import DeliveryState, message_status, queue_id
from ...domains import work as domains
from ...events.operations import NewEvent, append
from ...events.rules import EventType
from ...mail.address import Mailbox
from ...mail.compose import Parts
from ...security import idempotency
from ...suppressions import work as suppressions
from ...vmtas.queries import find_vmta_for
from ..errors import BatchRejected, DomainNotAllowed, DomainNotVerified
from ..rules import CheckedMessage, Source, Stream, warnings_of
from .submission import (
    Outcome,
    Receipt,
    ReceiptRecipient,
    Submission,
    receipt_from_json,
    receipt_to_json,
)

PRIORITIES = {Stream.TRANSACTIONAL: 0, Stream.MARKETING: 1}


async def accept(submission: Submission) -> Outcome:
    """Make *submission* durable, or refuse it and leave nothing behind."""
    return await _batcher.run(submission)


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose messages these are, as the tables need it."""

    organization_id: OrganizationId
    project_id: ProjectId
    plan: str
    user_id: UserId | None
    api_key_id: ApiKeyId | None


@dataclass(slots=True)
class _Draft:
    """One message on its way into the tables."""

    owner: _Owner
    checked: CheckedMessage
    mode: Mode
    source: Source
    batch_id: str | None
    id: uuid.UUID
    content_id: uuid.UUID
    domain: domains.SendingDomain | None
    vmta_id: uuid.UUID
    reasons: dict[str, str]
    """Address key to why it is suppressed."""
    deliveries: list[NewDelivery]
    credits: int
    created_at: datetime
    entry_id: uuid.UUID | None = None
    balance_after: int | None = None

    @property
    def header_message_id(self) -> str:
        given = self.checked.header_message_id
        return given or f"{self.id}@{self.checked.sender.domain}"


async def _accept_all(submissions: Sequence[Submission]) -> Sequence[Outcome | BaseException]:
    outcomes: dict[int, Outcome | BaseException] = {}
    async with transaction() as tx:
        claimed = await _claim_keys(tx, submissions, outcomes)
        open_ones = [i for i in range(len(submissions)) if i not in outcomes]
        drafts = await _draft_all(tx, {i: submissions[i] for i in open_ones}, outcomes)
        await _charge(tx, submissions, drafts, outcomes)
        accepted = [
            draft
            for index, found in drafts.items()
            if index not in outcomes
            for draft in found
            if isinstance(draft, _Draft)
        ]
        numbers = await _write(tx, accepted)
        for index, found in drafts.items():
            if index not in outcomes:
                outcomes[index] = _outcome(submissions[index], found, numbers)
        await _store_answers(tx, {i: submissions[i] for i in claimed}, outcomes)
        bells = {d.queue_id for draft in accepted for d in draft.deliveries if d.due_at}
        if bells:
            tx.after_commit(partial(ring, bells))
    return [outcomes[index] for index in range(len(submissions))]


_batcher: Batcher[Submission, Outcome] = Batcher(
    _accept_all,
    # A refused statement rolls everything back for certain; then each is tried alone.
    splits_on=(
        OperationError,
        asyncpg.DataError,
        asyncpg.IntegrityConstraintViolationError,
        asyncpg.DeadlockDetectedError,
        asyncpg.UntranslatableCharacterError,
    ),
)


async def _claim_keys(
    tx: Tx, submissions: Sequence[Submission], outcomes: dict[int, Outcome | BaseException]
) -> list[int]:
    """Return which submissions hold their key now; the outcome of the others is known."""
    claimed: list[int] = []
    # In the order of keys, so that two transactions never wait for each other.
    keyed = [i for i, submission in enumerate(submissions) if submission.key is not None]
    for index in sorted(keyed, key=lambda i: (submissions[i].operation, submissions[i].key or "")):
        submission = submissions[index]
        assert submission.key is not None
        try:
            stored = await idempotency.claim(
                tx,
                submission.actor.organization_id,
                submission.operation,
                submission.key,
                submission.fingerprint,
            )
            if stored is None:
                claimed.append(index)
            else:
                outcomes[index] = replay(stored)
        except OperationError as error:
            outcomes[index] = error
    return claimed


def replay(stored: idempotency.StoredAnswer) -> Outcome:
    """Return the outcome that was stored.

    Raises:
        OperationError: the refusal that was stored.
    """
    answer = stored.result()
    return Outcome(
        [
            receipt_from_json(item["receipt"])
            if "receipt" in item
            else idempotency.refusal_from_json(item["refusal"])
            for item in answer["results"]
        ],
        replayed=True,
    )


async def _store_answers(
    tx: Tx, claimed: dict[int, Submission], outcomes: dict[int, Outcome | BaseException]
) -> None:
    for index, submission in claimed.items():
        outcome = outcomes[index]
        assert submission.key is not None
        key = (submission.actor.organization_id, submission.operation, submission.key)
        if isinstance(outcome, Outcome):
            answer = {
                "results": [
                    {"receipt": receipt_to_json(result)}
                    if isinstance(result, Receipt)
                    else {"refusal": idempotency.refusal_to_json(result)}
                    for result in outcome.results
                ]
            }
            await idempotency.store(tx, *key, answer)
        elif isinstance(outcome, OperationError):
            await idempotency.settle_refusal(tx, *key, outcome)


async def _draft_all(
    tx: Tx,
    submissions: dict[int, Submission],
    outcomes: dict[int, Outcome | BaseException],
) -> dict[int, list[_Draft | OperationError]]:
    owners = await accounts.sending_accounts(
        {submission.actor.organization_id for submission in submissions.values()}
    )
    covering = await domains.sending_domains(
        {
            (submission.actor.organization_id, message.sender.domain)
            for submission in submissions.values()
            for message in _valid(submission)
        }
    )
    drafts: dict[int, list[_Draft | OperationError]] = {}
    for index, submission in submissions.items():
        actor = submission.actor
        account = owners[actor.organization_id]
        owner = _Owner(
            actor.organization_id,
            actor.project_id or account.default_project_id,
            account.plan,
            actor.user_id,
            actor.api_key_id if actor.kind is ActorKind.API_KEY else None,
        )
        found: list[_Draft | OperationError] = []
        for message in submission.messages:
            if isinstance(message, OperationError):
                found.append(message)
                continue
            domain = covering.get((actor.organization_id, message.sender.domain))
            try:
                found.append(await _draft(submission, owner, message, domain))
            except OperationError as error:
                found.append(error)
        if refusal := _refusal_of_all(submission, found):
            outcomes[index] = refusal
        drafts[index] = found
    await _mark_suppressed(
        [
            draft
            for index, found in drafts.items()
            if index not in outcomes
            for draft in found
            if isinstance(draft, _Draft)
        ]
    )
    return drafts


def _valid(submission: Submission) -> list[CheckedMessage]:
    return [m for m in submission.messages if isinstance(m, CheckedMessage)]


async def _mark_suppressed(drafts: Sequence[_Draft]) -> None:
    """Take the recipients out that get no mail; one look-up for all messages."""
    recipients = [
        suppressions.Recipient(
            draft.owner.organization_id,
            draft.owner.project_id,
            draft.checked.stream.value,
            recipient.mailbox.key,
        )
        for draft in drafts
        for recipient in draft.checked.recipients
    ]
    reasons = iter(await suppressions.suppressed(recipients))
    for draft in drafts:
        for recipient in draft.checked.recipients:
            if reason := next(reasons):
                draft.reasons[recipient.mailbox.key] = reason.value
        draft.deliveries = [
            _delivery(draft, recipient.kind, recipient.mailbox)
            for recipient in draft.checked.recipients
        ]
        if draft.mode is Mode.LIVE:
            draft.credits = len(draft.deliveries) - len(draft.reasons)


async def _draft(
    submission: Submission,
    owner: _Owner,
    message: CheckedMessage,
    domain: domains.SendingDomain | None,
) -> _Draft:
    actor = submission.actor
    sandbox = actor.mode is Mode.SANDBOX
    if domain is None and not sandbox:
        raise DomainNotVerified(message.sender.domain)
    if actor.allowed_domains and not _allowed(actor.allowed_domains, message, domain):
        raise DomainNotAllowed(message.sender.domain)
    pool = message.pool or (None if message.vmta or domain is None else domain.default_pool)
    vmta_id = await find_vmta_for(owner.organization_id, vmta=message.vmta, pool=pool)
    if vmta_id is None:
        field = "vmta" if message.vmta else "pool"
        raise InvalidInput.of(field, DetailCode.NOT_FOUND, f"There is no such {field}.")
    return _Draft(
        owner=owner,
        checked=message,
        mode=actor.mode,
        source=submission.source,
        batch_id=submission.batch_id or message.batch_id,
        id=new_id(),
        content_id=new_id(),
        domain=domain,
        vmta_id=vmta_id,
        reasons={},
        deliveries=[],
        credits=0,
        created_at=clock.now(),
    )


def _allowed(
    allowed: frozenset[str], message: CheckedMessage, domain: domains.SendingDomain | None
) -> bool:
    names = {message.sender.domain}
    if domain is not None:
        names |= {domain.name, str(domain.id)}
    return bool(names & allowed)


def _delivery(draft: _Draft, kind: str, mailbox: Mailbox) -> NewDelivery:
    message = draft.checked
    if mailbox.key in draft.reasons:
        state, due_at = DeliveryState.SUPPRESSED, None
    else:
        state = DeliveryState.SCHEDULED if message.send_at else DeliveryState.QUEUED
        due_at = None if draft.mode is Mode.SANDBOX else message.send_at or draft.created_at
    return NewDelivery(
        id=new_id(),
        token=new_token(),
        organization_id=draft.owner.organization_id,
        project_id=draft.owner.project_id,
        message_id=draft.id,
        queue_id=queue_id(draft.owner.organization_id, draft.vmta_id, mailbox.domain),
        vmta_id=draft.vmta_id,
        kind=kind,
        address=mailbox.address,
        address_key=mailbox.key,
        domain=mailbox.domain,
        priority=PRIORITIES[message.stream],
        state=state,
        due_at=due_at,
        expires_at=message.expires_at,
        created_at=draft.created_at,
    )


def _refusal_of_all(
    submission: Submission, found: Sequence[_Draft | OperationError]
) -> OperationError | None:
    refused = [(i, item) for i, item in enumerate(found) if isinstance(item, OperationError)]
    if not refused:
        return None
    if submission.source is not Source.BATCH:
        return refused[0][1]
    if len(refused) < len(found) and not submission.atomic:
        return None
    return rejected_batch(refused, atomic=submission.atomic)


def rejected_batch(refused: Sequence[tuple[int, OperationError]], *, atomic: bool) -> BatchRejected:
    """Return the refusal of a whole batch; its details name the fields of each message."""
    details = [
        Detail(f"messages[{index}].{detail.field}", detail.code, detail.message)
        for index, error in refused
        for detail in error.details or (Detail("from", DetailCode.NOT_ALLOWED, error.sentence),)
    ]
    why = "One is not valid and the batch is atomic." if atomic else "None is valid."
    return BatchRejected(f"No message of the batch was accepted. {why}", details)


async def _charge(
    tx: Tx,
    submissions: Sequence[Submission],
    drafts: dict[int, list[_Draft | OperationError]],
    outcomes: dict[int, Outcome | BaseException],
) -> None:
    sources = {
        Source.API: EntrySource.SEND,
        Source.BATCH: EntrySource.BATCH,
        Source.SMTP: EntrySource.SMTP,
    }
    charges: dict[int, Charge] = {}
    for index, found in drafts.items():
        valid = [draft for draft in found if isinstance(draft, _Draft)]
        if index in outcomes or not valid or valid[0].mode is Mode.SANDBOX:
            continue
        submission, owner = submissions[index], valid[0].owner
        charges[index] = Charge(
            organization_id=owner.organization_id,
            plan=owner.plan,
            amount=sum(draft.credits for draft in valid),
            source=sources[submission.source],
            reference=submission.batch_id or str(valid[0].id),
            api_key_id=owner.api_key_id,
            user_id=None if owner.api_key_id else owner.user_id,
        )
    debits = await debit_all(tx, list(charges.values()))
    for index, debit in zip(charges, debits, strict=True):
        if isinstance(debit, InsufficientCredits):
            outcomes[index] = debit
        else:
            _note_debit(drafts[index], debit)


def _note_debit(found: Sequence[_Draft | OperationError], debit: Debit) -> None:
    for draft in found:
        if isinstance(draft, _Draft):
            draft.entry_id = debit.entry_id
            draft.balance_after = debit.balance_after


async def _write(tx: Tx, drafts: Sequence[_Draft]) -> dict[uuid.UUID, int]:
    """Write every table and return the number of each message and delivery by its id."""
    if not drafts:
        return {}
    numbers = await spool(
        tx,
        [_spooled(draft) for draft in drafts],
        [delivery for draft in drafts for delivery in draft.deliveries],
    )
    numbers |= await _insert_messages(drafts)
    await append(tx, [event for draft in drafts for event in _events(draft)])
    return numbers


def _spooled(draft: _Draft) -> NewSpooledMessage:
    states = [delivery.state for delivery in draft.deliveries]
    domain = draft.domain
    checked = draft.checked
    raw = checked.raw
    return NewSpooledMessage(
        id=draft.id,
        organization_id=draft.owner.organization_id,
        content_id=draft.content_id,
        domain_id=domain.id if domain else None,
        return_path_domain=domain.return_path_domain if domain else settings().hostname,
        states=states,
        content_format="raw" if raw is not None else "parts",
        content=raw if raw is not None else encode_parts(_parts(draft)),
        created_at=draft.created_at,
    )


def _parts(draft: _Draft) -> Parts:
    checked = draft.checked
    by_kind = {
        kind: tuple(r.mailbox for r in checked.recipients if r.kind == kind)
        for kind in ("to", "cc")
    }
    feedback = ":".join(
        (
            checked.stream.value,
            draft.owner.project_id.hex,
            draft.owner.organization_id.hex,
            "postlane",
        )
    )
    return Parts(
        message_id=draft.header_message_id,
        date=draft.created_at,
        sender=checked.sender,
        to=by_kind["to"],
        cc=by_kind["cc"],
        reply_to=checked.reply_to,
        subject=checked.subject,
        text=checked.text,
        html=checked.html,
        headers=(*checked.headers, ("Feedback-ID", feedback)),
        attachments=checked.attachments,
    )


def _events(draft: _Draft) -> list[NewEvent]:
    simulated = draft.mode is Mode.SANDBOX
    send_at = draft.checked.send_at
    found = []
    for delivery in draft.deliveries:
        reason = draft.reasons.get(delivery.address_key)
        found.append(
            NewEvent(
                organization_id=draft.owner.organization_id,
                project_id=draft.owner.project_id,
                message_id=draft.id,
                delivery_id=delivery.id,
                type=EventType.MESSAGE_SUPPRESSED if reason else EventType.MESSAGE_QUEUED,
                data={"reason": reason}
                if reason
                else {"scheduled_at": send_at.isoformat() if send_at else None},
                occurred_at=draft.created_at,
                simulated=simulated,
            )
        )
    return found


INSERT_MESSAGES = """
    INSERT INTO messages (id, organization_id, project_id, content_id, domain_id,
        header_message_id, sender, sender_name, sender_key, sender_domain, recipients, subject,
        batch_id, tags, metadata, stream, mode, source, track_opens, track_clicks, pool,
        vmta_id, size_bytes, credits, credit_entry_id, send_at, expires_at, api_key_id,
        user_id, created_at)
    SELECT id, organization_id, project_id, content_id, domain_id, header_message_id, sender,
        sender_name, sender_key, sender_domain, recipients::jsonb, subject, batch_id,
        ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)), metadata::jsonb, stream, mode,
        source, track_opens, track_clicks, pool, vmta_id, size_bytes, credits,
        credit_entry_id, send_at, expires_at, api_key_id, user_id, created_at
    FROM unnest({}::uuid[], {}::uuid[], {}::uuid[], {}::uuid[], {}::uuid[], {}::text[],
        {}::text[], {}::text[], {}::text[], {}::text[], {}::text[], {}::text[], {}::text[],
        {}::text[], {}::text[], {}::text[], {}::text[], {}::text[], {}::bool[], {}::bool[],
        {}::text[], {}::uuid[], {}::int[], {}::bigint[], {}::uuid[], {}::timestamptz[],
        {}::timestamptz[], {}::uuid[], {}::uuid[], {}::timestamptz[])
    AS n (id, organization_id, project_id, content_id, domain_id, header_message_id, sender,
        sender_name, sender_key, sender_domain, recipients, subject, batch_id, tags, metadata,
        stream, mode, source, track_opens, track_clicks, pool, vmta_id, size_bytes, credits,
        credit_entry_id, send_at, expires_at, api_key_id, user_id, created_at)
    RETURNING id, number
"""

_MESSAGE_COLUMNS: tuple[Callable[[_Draft], object], ...] = (
    lambda d: d.id,
    lambda d: d.owner.organization_id,
    lambda d: d.owner.project_id,
    lambda d: d.content_id,
    lambda d: d.domain.id if d.domain else None,
    lambda d: d.header_message_id,
    lambda d: d.checked.sender.address,
    lambda d: d.checked.sender.display_name,
    lambda d: d.checked.sender.key,
    lambda d: d.checked.sender.domain,
    lambda d: json.dumps(_addresses(d)),
    lambda d: d.checked.subject,
    lambda d: d.batch_id,
    lambda d: json.dumps(d.checked.tags),
    lambda d: json.dumps(dict(d.checked.metadata)),
    lambda d: d.checked.stream.value,
    lambda d: d.mode.value,
    lambda d: d.source.value,
    lambda d: _tracks(d.checked.track_opens, default=bool(d.domain and d.domain.track_opens)),
    lambda d: _tracks(d.checked.track_clicks, default=bool(d.domain and d.domain.track_clicks)),
    lambda d: d.checked.pool,
    lambda d: d.vmta_id if d.checked.vmta else None,
    lambda d: d.checked.size_bytes,
    lambda d: d.credits,
    lambda d: d.entry_id,
    lambda d: d.checked.send_at,
    lambda d: d.checked.expires_at,
    lambda d: d.owner.api_key_id,
    lambda d: d.owner.user_id,
    lambda d: d.created_at,
)


def _addresses(draft: _Draft) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
    for delivery in draft.deliveries:
        found[delivery.kind].append(delivery.address)
    return found


def _tracks(asked: bool | None, *, default: bool) -> bool:
    return default if asked is None else asked


async def _insert_messages(drafts: Sequence[_Draft]) -> dict[uuid.UUID, int]:
    columns = ([value(draft) for draft in drafts] for value in _MESSAGE_COLUMNS)
    rows = await fetch(INSERT_MESSAGES, *columns)
    return {row["id"]: row["number"] for row in rows}


def _outcome(
    submission: Submission,
    found: Sequence[_Draft | OperationError],
    numbers: dict[uuid.UUID, int],
) -> Outcome:
    return Outcome(
        [_receipt(item, numbers) if isinstance(item, _Draft) else item for item in found]
    )


def _receipt(draft: _Draft, numbers: dict[uuid.UUID, int]) -> Receipt:
    return Receipt(
        id=draft.id,
        number=numbers[draft.id],
        status=message_status([delivery.state for delivery in draft.deliveries]),
        header_message_id=draft.header_message_id,
        batch_id=draft.batch_id,
        mode=draft.mode.value,
        recipients=[
            ReceiptRecipient(d.id, d.address, d.kind, d.state, numbers[d.id], d.token)
            for d in draft.deliveries
        ],
        accepted=len(draft.deliveries) - len(draft.reasons),
        suppressed=len(draft.reasons),
        credits_consumed=draft.credits,
        credits_remaining=draft.balance_after,
        send_at=draft.checked.send_at,
        warnings=warnings_of(draft.checked),
        created_at=draft.created_at,
    )
