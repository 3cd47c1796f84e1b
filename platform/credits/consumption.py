"""Consuming credits for something of the customer's own, such as an add-on that meters itself."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..accounts.work import sending_accounts
from ..core import clock
from ..core.actor import Actor, ActorKind, Mode, Permission
from ..core.database import Tx, fetch, transaction
from ..core.errors import Conflict, Detail, DetailCode, InvalidInput, LimitReached
from ..core.ids import new_id
from ..core.storable import to_json
from ..security import idempotency
from .errors import ReferenceConflict
from .ledger import balance_of
from .operations import Charge, debit
from .rules import (
    MAX_DESCRIPTION,
    MAX_METADATA,
    MAX_REFERENCE,
    MOST_CONSUMED,
    REFERENCE_KEPT,
    CreditType,
    EntrySource,
    is_unlimited,
)
from .tables import CreditEntry

CONSUME = "consumeCredits"
"""Under this name the answers of `consume_credits` are kept for repeated requests."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Consumption:
    """What is to be consumed."""

    type: CreditType
    amount: int
    """Whole credits."""
    reference: str | None = None
    """The customer's name for it: within 90 days the same one is consumed once."""
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Consumed:
    """The line of the ledger, and who wrote it."""

    entry: CreditEntry
    replayed: bool = False
    """An earlier request with the same reference did."""
    repeated: bool = False
    """It is what an earlier request with the same idempotency key was answered."""


async def consume_credits(
    actor: Actor, asked: Consumption, *, idempotency_key: str | None = None
) -> Consumed:
    """Take credits, once for each reference and each idempotency key.

    A sandbox key takes nothing: it is answered with an entry that is not in the ledger.

    Raises:
        InvalidInput: names every field that breaks a rule.
        InsufficientCredits: fewer are left; nothing is taken.
        ReferenceConflict: another amount was consumed with the reference.
    """
    actor.require(Permission.CONSUME_CREDITS)
    mark = idempotency.fingerprint(
        [asked.type, asked.amount, asked.reference, asked.description, dict(asked.metadata)]
    )
    try:
        return await _consume(actor, asked, idempotency_key, mark)
    except (idempotency.KeyReused, idempotency.StillRunning):
        raise
    except (InvalidInput, Conflict, LimitReached) as refusal:
        if idempotency_key is not None and not refusal.replayed:
            await idempotency.store_refusal(
                actor.organization_id, CONSUME, idempotency_key, mark, refusal
            )
        raise


async def _consume(actor: Actor, asked: Consumption, key: str | None, mark: bytes) -> Consumed:
    async with transaction() as tx:
        if key is not None:
            kept = await idempotency.claim(tx, actor.organization_id, CONSUME, key, mark)
            if kept is not None:
                before = kept.result()
                return Consumed(_entry_from_json(before), before["replayed"], repeated=True)
        _check(asked)
        consumed = await _take(tx, actor, asked)
        if key is not None:
            answer = _entry_to_json(consumed.entry) | {"replayed": consumed.replayed}
            await idempotency.store(tx, actor.organization_id, CONSUME, key, answer)
    return consumed


async def _take(tx: Tx, actor: Actor, asked: Consumption) -> Consumed:
    account = (await sending_accounts([actor.organization_id]))[actor.organization_id]
    if actor.mode is Mode.SANDBOX:
        counted = not is_unlimited(account.plan)
        left = await balance_of(tx, actor.organization_id, asked.type) if counted else None
        return Consumed(_entry(actor, asked, new_id(), left))
    if asked.reference is not None:
        # Before anything is taken: who comes second waits here, and then finds the first.
        found = await _find_reference(tx, actor, asked)
        if found is not None:
            return Consumed(found, replayed=True)
    is_program = actor.kind is ActorKind.API_KEY
    done = await debit(
        tx,
        Charge(
            organization_id=actor.organization_id,
            plan=account.plan,
            amount=asked.amount,
            source=EntrySource.API,
            type=asked.type,
            reference=asked.reference,
            description=asked.description,
            api_key_id=actor.api_key_id if is_program else None,
            user_id=None if is_program else actor.user_id,
        ),
    )
    assert done.entry_id is not None
    rows = await fetch(
        "UPDATE credit_entries SET metadata = {}::jsonb WHERE id = {} RETURNING *",
        to_json(dict(asked.metadata)),
        done.entry_id,
    )
    if asked.reference is not None:
        await fetch(
            "UPDATE credit_references SET entry_id = {} "
            "WHERE organization_id = {} AND type = {} AND reference = {}",
            done.entry_id,
            actor.organization_id,
            asked.type.value,
            asked.reference,
        )
    return Consumed(CreditEntry(_exists_in_db=True, **rows[0]))


async def _find_reference(tx: Tx, actor: Actor, asked: Consumption) -> CreditEntry | None:
    """Reserve the reference, or return what was consumed with it."""
    owner = actor.organization_id, asked.type.value, asked.reference
    now = clock.now()
    made = await fetch(
        "INSERT INTO credit_references AS old "
        "(id, organization_id, type, reference, amount, entry_id, created_at) "
        "VALUES ({}, {}, {}, {}, {}, {}, {}) "
        "ON CONFLICT (organization_id, type, reference) DO UPDATE "
        "SET amount = excluded.amount, created_at = excluded.created_at "
        "WHERE old.created_at < {} RETURNING id",
        new_id(),
        *owner,
        asked.amount,
        new_id(),
        now,
        now - REFERENCE_KEPT,
    )
    if made:
        return None
    rows = await fetch(
        "SELECT e.*, r.amount AS referred FROM credit_references r "
        "JOIN credit_entries e ON e.id = r.entry_id "
        "WHERE r.organization_id = {} AND r.type = {} AND r.reference = {}",
        *owner,
    )
    if rows[0].pop("referred") != asked.amount:
        raise ReferenceConflict
    return CreditEntry(_exists_in_db=True, **rows[0])


def _entry(
    actor: Actor, asked: Consumption, entry_id: uuid.UUID, balance: int | None
) -> CreditEntry:
    return CreditEntry(
        id=entry_id,
        organization_id=actor.organization_id,
        type=asked.type.value,
        from_account="balance",
        to_account="used",
        amount=asked.amount,
        balance_after=balance,
        source=EntrySource.API.value,
        reference=asked.reference,
        description=asked.description,
        metadata=to_json(dict(asked.metadata)),
        created_at=clock.now(),
    )


_KEPT = ("type", "amount", "balance_after", "reference", "description")


def _entry_to_json(entry: CreditEntry) -> dict[str, Any]:
    plain = {name: getattr(entry, name) for name in _KEPT}
    return plain | {
        "id": str(entry.id),
        "metadata": json.loads(entry.metadata),
        "created_at": entry.created_at.isoformat(),
    }


def _entry_from_json(kept: Mapping[str, Any]) -> CreditEntry:
    return CreditEntry(
        **{name: kept[name] for name in _KEPT},
        id=uuid.UUID(kept["id"]),
        metadata=to_json(kept["metadata"]),
        created_at=datetime.fromisoformat(kept["created_at"]),
        from_account="balance",
        to_account="used",
        source=EntrySource.API.value,
    )


def _check(asked: Consumption) -> None:
    faults: list[Detail] = []
    if asked.amount < 1:
        faults.append(Detail("amount", DetailCode.TOO_SMALL, "Consume at least 1 credit."))
    elif asked.amount > MOST_CONSUMED:
        message = f"Consume at most {MOST_CONSUMED} credits at a time."
        faults.append(Detail("amount", DetailCode.TOO_LARGE, message))
    _check_text(faults, "reference", asked.reference, least=1, most=MAX_REFERENCE)
    _check_text(faults, "description", asked.description, least=0, most=MAX_DESCRIPTION)
    _check_metadata(faults, asked.metadata)
    if faults:
        raise InvalidInput.all(faults)


def _check_text(
    faults: list[Detail], name: str, text: str | None, *, least: int, most: int
) -> None:
    if text is None:
        return
    if len(text) < least:
        faults.append(Detail(name, DetailCode.TOO_SHORT, f"Write at least {least} character."))
    elif len(text) > most:
        faults.append(Detail(name, DetailCode.TOO_LONG, f"Write at most {most} characters."))
    elif _UNSTORABLE.search(text):
        message = "It holds a character that is none."
        faults.append(Detail(name, DetailCode.INVALID_FORMAT, message))


def _check_metadata(faults: list[Detail], metadata: Mapping[str, Any]) -> None:
    if len(metadata) > MAX_METADATA:
        faults.append(Detail("metadata", DetailCode.TOO_MANY, f"At most {MAX_METADATA} keys."))
        return
    for key, value in metadata.items():
        name = f"metadata.{key[:40]}"
        if not isinstance(value, str):
            faults.append(Detail(name, DetailCode.INVALID_TYPE, "A value is a string."))
        elif not 1 <= len(key) <= 40 or len(value) > 256:
            message = "A key has 1 to 40 characters, a value up to 256."
            faults.append(Detail(name, DetailCode.TOO_LONG, message))
        elif _UNSTORABLE.search(key + value):
            message = "It holds a character that is none."
            faults.append(Detail(name, DetailCode.INVALID_FORMAT, message))
