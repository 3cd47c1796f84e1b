"""Accepting: what many requests handed in together becomes durable in one transaction.

Everything is written with one statement per table, whatever the number of messages. No
DNS, MIME or DKIM work happens here; that is the drain's.
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import asyncpg

from ...accounts import work as accounts
from ...core import clock
from ...core.actor import Actor, ActorKind, Mode, OrganizationId
from ...core.batching import Batcher
from ...core.database import Tx, transaction
from ...core.errors import Detail, DetailCode, InvalidInput, OperationError
from ...core.quick_ids import quick_id
from ...core.tenants import acting_for
from ...credits.errors import InsufficientCredits
from ...credits.operations import Charge, Debit, debit_all
from ...credits.rules import EntrySource
from ...delivery.operations import ring
from ...domains import work as domains
from ...security import abuse, idempotency
from ...suppressions import work as suppressions
from ...suppressions.rules import SuppressionReason
from ...vmtas.queries import find_vmta_for
from ..errors import BatchRejected, DomainNotAllowed, DomainNotVerified, SendingBlocked
from ..rules import CheckedMessage, Source, Stream
from .draft import Draft, Owner, new_deliveries, receipt_of, write
from .submission import (
    Outcome,
    Receipt,
    Submission,
    receipt_from_json,
    receipt_to_json,
)
from .tracking import read_choices, switches_of
from .uids import claim_uids

APART_SECONDS = 0.02
"""Between the beginnings of two transactions of one process, while few messages wait.

A transaction costs some 3 ms whatever it holds. Without the pause, 300 messages a second
took both of two cores, and each waited longer for a core than it now waits for the others.
"""

WEIGHT_BYTES = 64 * 2**10
"""What weighs as much as one message more, so that a transaction writes some 32 MiB at most."""


async def accept(submission: Submission) -> Outcome:
    """Make *submission* durable, or refuse it and leave nothing behind.

    Who tries to send from domains of others is noted.
    """
    try:
        outcome = await _batcher.run(submission)
    except DomainNotVerified:
        await _note_forged(submission.actor, 1)
        raise
    if forged := sum(isinstance(each, DomainNotVerified) for each in outcome.results):
        await _note_forged(submission.actor, forged)
    return outcome


async def _note_forged(actor: Actor, count: int) -> None:
    if actor.kind is ActorKind.API_KEY and actor.mode is Mode.LIVE:
        kind, owner = abuse.Kind.FORGED_SENDER, actor.organization_id
        await abuse.note(kind, str(actor.api_key_id), organization_id=owner, count=count)


async def _accept_all(submissions: Sequence[Submission]) -> Sequence[Outcome | BaseException]:
    outcomes: dict[int, Outcome | BaseException] = {}
    organizations = {submission.actor.organization_id for submission in submissions}
    with acting_for(organizations):
        await _accept_within(submissions, outcomes)
    return [outcomes[index] for index in range(len(submissions))]


async def _accept_within(
    submissions: Sequence[Submission], outcomes: dict[int, Outcome | BaseException]
) -> None:
    async with transaction() as tx:
        claimed = await _claim_keys(tx, submissions, outcomes)
        await claim_uids(tx, submissions, outcomes)
        open_ones = [i for i in range(len(submissions)) if i not in outcomes]
        drafts = await _draft_all(tx, {i: submissions[i] for i in open_ones}, outcomes)
        await _charge(tx, submissions, drafts, outcomes)
        accepted = [
            draft
            for index, found in drafts.items()
            if index not in outcomes
            for draft in found
            if isinstance(draft, Draft)
        ]
        numbers = await write(tx, accepted)
        for index, found in drafts.items():
            if index not in outcomes:
                outcomes[index] = _outcome(submissions[index], found, numbers)
        await _store_answers(tx, {i: submissions[i] for i in claimed}, outcomes)
        bells: dict[OrganizationId, set[uuid.UUID]] = {}
        for draft in accepted:
            due = {delivery.queue_id for delivery in draft.deliveries if delivery.due_at}
            if due:
                bells.setdefault(draft.owner.organization_id, set()).update(due)
        for organization_id, queue_ids in bells.items():
            tx.after_commit(partial(ring, queue_ids, organization_id))


def _weigh(submission: Submission) -> int:
    """Return the number of recipients, large messages counted more.

    A statement holds up to 1 GB, and a recipient's own values have up to 64 KiB.
    """
    valid = _valid(submission)
    size = sum(message.size_bytes for message in valid)
    recipients = sum(len(message.recipients) for message in valid)
    return max(len(submission.messages), recipients) + size // WEIGHT_BYTES


_batcher: Batcher[Submission, Outcome] = Batcher(
    _accept_all,
    weigh=_weigh,
    apart_seconds=APART_SECONDS,
    # A refused statement rolls everything back for certain; then each is tried alone.
    splits_on=(
        OperationError,
        OverflowError,
        RecursionError,
        UnicodeEncodeError,
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
) -> dict[int, list[Draft | OperationError]]:
    owners = await accounts.sending_accounts(
        {submission.actor.organization_id for submission in submissions.values()},
        project_ids={s.actor.project_id for s in submissions.values() if s.actor.project_id},
    )
    covering = await domains.sending_domains(
        {
            (submission.actor.organization_id, message.sender.domain)
            for submission in submissions.values()
            for message in _valid(submission)
        }
    )
    drafts: dict[int, list[Draft | OperationError]] = {}
    choosing: list[Draft] = []
    for index, submission in submissions.items():
        actor = submission.actor
        account = owners[actor.organization_id]
        owner = Owner(
            actor.organization_id,
            actor.project_id or account.default_project_id,
            account.plan,
            actor.user_id,
            actor.api_key_id if actor.kind is ActorKind.API_KEY else None,
        )
        found: list[Draft | OperationError] = []
        for message in submission.messages:
            if isinstance(message, OperationError):
                found.append(message)
                continue
            domain = covering.get((actor.organization_id, message.sender.domain))
            message = _in_its_stream(message, account.streams[owner.project_id])
            try:
                draft = await _draft(submission, owner, message, domain)
            except OperationError as error:
                found.append(error)
                continue
            draft.switches = switches_of(message, account, owner.project_id, domain)
            if account.tracks_by_recipient:
                choosing.append(draft)
            found.append(draft)
        if refusal := _refusal_of_all(submission, found):
            outcomes[index] = refusal
        drafts[index] = found
    await read_choices(choosing)
    await _mark_suppressed(
        [
            draft
            for index, found in drafts.items()
            if index not in outcomes
            for draft in found
            if isinstance(draft, Draft)
        ]
    )
    return drafts


def _in_its_stream(message: CheckedMessage, of_project: str) -> CheckedMessage:
    if not message.takes_projects_stream or message.stream == of_project:
        return message
    return replace(message, stream=Stream(of_project))


def _valid(submission: Submission) -> list[CheckedMessage]:
    return [m for m in submission.messages if isinstance(m, CheckedMessage)]


async def _mark_suppressed(drafts: Sequence[Draft]) -> None:
    """Take the recipients out that get no mail; one look-up for all messages."""
    asked: list[suppressions.Recipients] = []
    for draft in drafts:
        its = suppressions.Recipients(
            draft.owner.organization_id, draft.owner.project_id, draft.checked.stream.value, []
        )
        # Mostly those who come together are one and the same.
        if not asked or not asked[-1].asks_as(its):
            asked.append(its)
        asked[-1].address_keys += draft.keys
    reasons = iter(await suppressions.suppressed(asked))
    for draft in drafts:
        for key, reason in zip(draft.keys, reasons, strict=False):
            if reason:
                draft.reasons[key] = reason.value
            elif key in draft.dropped:
                draft.reasons[key] = SuppressionReason.MANUAL.value
        draft.deliveries = new_deliveries(draft)
        if draft.mode is Mode.LIVE:
            draft.credits = len(draft.deliveries) - draft.suppressed


async def _draft(
    submission: Submission,
    owner: Owner,
    message: CheckedMessage,
    domain: domains.SendingDomain | None,
) -> Draft:
    actor = submission.actor
    require_domain(actor, message, domain)
    if message.refused_then is not None:
        raise message.refused_then
    pool = message.pool or (None if message.vmta or domain is None else domain.default_pool)
    sender = domain.name if domain else None
    vmta_id = await find_vmta_for(
        owner.organization_id, vmta=message.vmta, pool=pool, sender=sender
    )
    if vmta_id is None:
        field = "vmta" if message.vmta else "pool"
        raise InvalidInput.of(field, DetailCode.NOT_FOUND, f"There is no such {field}.")
    return Draft(
        owner=owner,
        checked=message,
        mode=actor.mode,
        source=submission.source,
        batch_id=submission.batch_id or message.batch_id,
        id=quick_id(),
        content_id=quick_id(),
        domain=domain,
        vmta_id=vmta_id,
        reasons={},
        deliveries=[],
        credits=0,
        created_at=clock.now(),
        dropped=submission.dropped,
        calls_webhooks=submission.calls_webhooks,
    )


def require_domain(
    actor: Actor, message: CheckedMessage, domain: domains.SendingDomain | None
) -> None:
    """Do nothing if *message* may be sent from its domain, which *domain* covers.

    Raises:
        DomainNotVerified: it is not one of the organization's.
        DomainNotAllowed: the API key is bound to other domains.
        SendingBlocked: an auto-block keeps the domain from sending.
    """
    name = message.sender.domain
    is_missing = domain is None and actor.mode is not Mode.SANDBOX
    if is_missing or (message.exact_domain and (domain is None or domain.name != name)):
        raise DomainNotVerified(name)
    if domain is not None and domain.is_blocked and actor.mode is not Mode.SANDBOX:
        raise SendingBlocked(domain.name)
    if actor.allowed_domains and not _allowed(actor.allowed_domains, message, domain):
        raise DomainNotAllowed(name)


def _allowed(
    allowed: frozenset[str], message: CheckedMessage, domain: domains.SendingDomain | None
) -> bool:
    names = {message.sender.domain}
    if domain is not None:
        names |= {domain.name, str(domain.id)}
    return bool(names & allowed)


def _refusal_of_all(
    submission: Submission, found: Sequence[Draft | OperationError]
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
    drafts: dict[int, list[Draft | OperationError]],
    outcomes: dict[int, Outcome | BaseException],
) -> None:
    sources = {
        Source.API: EntrySource.SEND,
        Source.BATCH: EntrySource.BATCH,
        Source.SMTP: EntrySource.SMTP,
    }
    charges: dict[int, Charge] = {}
    for index, found in drafts.items():
        valid = [draft for draft in found if isinstance(draft, Draft)]
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


def _note_debit(found: Sequence[Draft | OperationError], debit: Debit) -> None:
    for draft in found:
        if isinstance(draft, Draft):
            draft.entry_id = debit.entry_id
            draft.balance_after = debit.balance_after


def _outcome(
    submission: Submission,
    found: Sequence[Draft | OperationError],
    numbers: dict[uuid.UUID, int],
) -> Outcome:
    return Outcome(
        [
            receipt_of(item, numbers, names_recipients=submission.names_recipients)
            if isinstance(item, Draft)
            else item
            for item in found
        ]
    )
