"""Taking credits, always with their line of the ledger."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ..core import clock
from ..core.actor import ApiKeyId, OrganizationId, UserId
from ..core.database import Tx, fetch
from ..core.ids import new_id
from ..core.records import records
from .errors import InsufficientCredits
from .ledger import SUM_UP, Lots, Owner, Sum, balance_of, sum_up, what_to_sum_up
from .rules import CreditType, EntrySource, is_unlimited, spread, take_in_order

AMPLE = 8
"""Times what is asked for that each share must hold for a debit to take from just one.

Whoever locks a share and then finds that others have emptied it meanwhile keeps that lock,
and would wait for the other shares with it: two who do so deadlock. With that much in
each share, eight others would have to come between looking and locking.
"""


@dataclass(slots=True)
class Charge:
    """What one request costs."""

    organization_id: OrganizationId
    plan: str
    amount: int
    """Whole credits; 0 writes nothing."""
    source: EntrySource
    type: CreditType = CreditType.EMAIL
    reference: str | None = None
    description: str | None = None
    api_key_id: ApiKeyId | None = None
    user_id: UserId | None = None


@dataclass(frozen=True, slots=True)
class Debit:
    """What a charge did: its ledger entry and what was left, None where nothing is counted."""

    entry_id: uuid.UUID | None
    balance_after: int | None


async def debit(tx: Tx, charge: Charge) -> Debit:
    """Take what *charge* costs.

    Raises:
        InsufficientCredits: the balance would fall below zero; nothing is taken.
    """
    (outcome,) = await debit_all(tx, [charge])
    if isinstance(outcome, InsufficientCredits):
        raise outcome
    return outcome


async def debit_all(tx: Tx, charges: Sequence[Charge]) -> list[Debit | InsufficientCredits]:
    """Take what each of *charges* costs; a refusal is a value and takes nothing.

    `balance_after` is what this transaction saw: debits that run at the same time do not
    wait for one another, so two entries may name the same balance. Their sum never errs.
    """
    outcomes: list[Debit | InsufficientCredits] = [Debit(None, None)] * len(charges)
    entries: list[tuple[uuid.UUID, Charge, int | None, Lots]] = []
    sums: list[Sum] = []
    # In the order of organizations, so that two transactions never wait for each other.
    by_owner: dict[Owner, list[int]] = {}
    for index, charge in enumerate(charges):
        if charge.amount > 0:
            by_owner.setdefault((charge.organization_id, charge.type), []).append(index)
        elif not is_unlimited(charge.plan):
            outcomes[index] = Debit(None, await balance_of(tx, charge.organization_id, charge.type))
    for owner in sorted(by_owner):
        indexes = by_owner[owner]
        asked = [charges[index] for index in indexes]
        if is_unlimited(asked[0].plan):
            taken: list[Lots | InsufficientCredits] = [{} for _ in indexes]
            balance = None
        else:
            debits = await _debit_at_once(owner, asked)
            if debits:
                for index, debit in zip(indexes, debits, strict=True):
                    outcomes[index] = debit
                    sums.append(_sum_of(charges[index], debit.balance_after))
                continue
            # Nothing is locked yet: the attempt above either took or found nothing. Locking
            # every share while holding one would let two such transactions wait for each other.
            taken = await _take_from_all_shares(tx, owner, [charge.amount for charge in asked])
            balance = await balance_of(tx, *owner)
        for index, lots in zip(indexes, taken, strict=True):
            if isinstance(lots, InsufficientCredits):
                outcomes[index] = lots
                continue
            entry_id = new_id()
            entries.append((entry_id, charges[index], balance, lots))
            outcomes[index] = Debit(entry_id, balance)
            sums.append(_sum_of(charges[index], balance))
    if entries:
        await _write_debits(entries, sums)
    elif sums:
        await sum_up(sums, clock.now())
    return outcomes


async def _debit_at_once(owner: Owner, charges: Sequence[Charge]) -> list[Debit]:
    """Take from one share and write the entries with one statement; nothing if none covers it."""
    entry_ids = [new_id() for _ in charges]
    now = clock.now()
    rows = await fetch(
        """
        WITH lot AS (
            SELECT l.id FROM credit_lots l
            WHERE l.organization_id = {} AND l.type = {}
              AND l.starts_at <= {} AND (l.expires_at IS NULL OR l.expires_at > {})
              AND EXISTS (SELECT FROM credit_shares s WHERE s.lot_id = l.id AND s.remaining > 0)
            ORDER BY l.source <> 'included', l.expires_at NULLS LAST, l.id LIMIT 1
        ), share AS (
            SELECT s.id FROM credit_shares s JOIN lot ON s.lot_id = lot.id
            WHERE s.remaining >= {}
              -- A share that is found too small only once it is locked stays locked.
              AND NOT EXISTS (SELECT FROM credit_shares small
                  WHERE small.lot_id = lot.id AND small.remaining < {})
            ORDER BY random() LIMIT 1 FOR UPDATE OF s SKIP LOCKED
        ), taken AS (
            UPDATE credit_shares c SET remaining = c.remaining - {}
            FROM share WHERE c.id = share.id RETURNING c.lot_id
        ), balance AS (
            -- As it was before this statement.
            SELECT sum(s.remaining)::bigint - {} AS balance
            FROM credit_shares s JOIN credit_lots l ON l.id = s.lot_id
            WHERE s.organization_id = {} AND s.type = {}
              AND l.starts_at <= {} AND (l.expires_at IS NULL OR l.expires_at > {})
        ), written AS (
            INSERT INTO credit_entries (id, organization_id, type, from_account, to_account,
                amount, balance_after, source, reference, description, lots, api_key_id,
                user_id, created_at)
            SELECT n.id, {}, {}, 'balance', 'used', n.amount, balance.balance, n.source,
                n.reference, n.description, jsonb_build_object(taken.lot_id, n.amount),
                n.api_key_id, n.user_id, {}
            FROM taken, balance, json_to_recordset({}::json) AS n (id uuid, amount bigint,
                source text, reference text, description text, api_key_id uuid, user_id uuid)
        )
        SELECT balance FROM taken, balance
        """,
        *owner,
        now,
        now,
        total := sum(charge.amount for charge in charges),
        total * AMPLE,
        total,
        total,
        *owner,
        now,
        now,
        *owner,
        now,
        records(
            [
                {
                    "id": entry_id,
                    "amount": charge.amount,
                    "source": charge.source,
                    "reference": charge.reference,
                    "description": charge.description,
                    "api_key_id": charge.api_key_id,
                    "user_id": charge.user_id,
                }
                for entry_id, charge in zip(entry_ids, charges, strict=True)
            ]
        ),
    )
    if not rows:
        return []
    return [Debit(entry_id, rows[0]["balance"]) for entry_id in entry_ids]


async def _take_from_all_shares(
    tx: Tx, owner: Owner, amounts: Sequence[int]
) -> list[Lots | InsufficientCredits]:
    # Locked in id order, so that two transactions never wait for each other.
    shares = await fetch(
        """
        SELECT s.id, s.lot_id, s.remaining FROM credit_shares s
        JOIN credit_lots l ON l.id = s.lot_id
        WHERE s.organization_id = {} AND s.type = {}
          AND l.starts_at <= {} AND (l.expires_at IS NULL OR l.expires_at > {})
        ORDER BY s.id FOR UPDATE OF s
        """,
        *owner,
        clock.now(),
        clock.now(),
    )
    lots = await _lots_in_order([share["lot_id"] for share in shares])
    remaining = [
        sum(share["remaining"] for share in shares if share["lot_id"] == lot) for lot in lots
    ]
    results: list[Lots | InsufficientCredits] = []
    for amount in amounts:
        if amount > sum(remaining):
            results.append(InsufficientCredits(owner[1], available=sum(remaining), needed=amount))
            continue
        taken = take_in_order(remaining, amount)
        remaining = [left - part for left, part in zip(remaining, taken, strict=True)]
        results.append({str(lot): part for lot, part in zip(lots, taken, strict=True) if part})
    # What is left is spread evenly again, so that the next debits find a share that covers them.
    ids, values = [], []
    for lot, left in zip(lots, remaining, strict=True):
        of_lot = [share["id"] for share in shares if share["lot_id"] == lot]
        ids += of_lot
        values += spread(left, len(of_lot))
    await fetch(
        "UPDATE credit_shares c SET remaining = n.remaining "
        "FROM unnest({}::uuid[], {}::bigint[]) AS n (id, remaining) WHERE c.id = n.id",
        ids,
        values,
    )
    return results


async def _lots_in_order(lot_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    rows = await fetch(
        "SELECT id FROM credit_lots WHERE id = ANY({}::uuid[]) "
        "ORDER BY source <> 'included', expires_at NULLS LAST, id",
        list(set(lot_ids)),
    )
    return [row["id"] for row in rows]


WRITE_DEBITS = (
    """
    WITH written AS (
        INSERT INTO credit_entries (id, organization_id, type, from_account, to_account, amount,
            balance_after, source, reference, description, lots, api_key_id, user_id, created_at)
        SELECT id, organization_id, type, 'balance', 'used', amount, balance_after, source,
            reference, description, lots, api_key_id, user_id, {}
        FROM json_to_recordset({}::json) AS new (id uuid, organization_id uuid, type text,
            amount bigint, balance_after bigint, source text, reference text, description text,
            lots jsonb, api_key_id uuid, user_id uuid)
    )
    """
    + SUM_UP
)


async def _write_debits(
    entries: Sequence[tuple[uuid.UUID, Charge, int | None, Lots]], sums: Sequence[Sum]
) -> None:
    """Write lines of the ledger and add to the sums of the day, with one statement."""
    now = clock.now()
    rows: list[dict[str, object]] = [
        {
            "id": entry_id,
            "organization_id": charge.organization_id,
            "type": charge.type,
            "amount": charge.amount,
            "balance_after": balance,
            "source": charge.source,
            "reference": charge.reference,
            "description": charge.description,
            "lots": lots,
            "api_key_id": charge.api_key_id,
            "user_id": charge.user_id,
        }
        for entry_id, charge, balance, lots in entries
    ]
    await fetch(WRITE_DEBITS, now, records(rows), *what_to_sum_up(sums, now))


def _sum_of(charge: Charge, balance: int | None) -> Sum:
    counted = 0 if balance is None else charge.amount
    owner = charge.organization_id, charge.type
    return Sum(*owner, charge.source, used=charge.amount, amount=charge.amount, counted=counted)
