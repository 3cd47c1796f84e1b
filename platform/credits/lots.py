"""Lots: how they begin, how they get back what was taken, how they end."""

import json
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from ..core.ids import new_id
from .ledger import Lots, Owner, Sum, balance_of, sum_up
from .rules import SHARES, Account, CreditType, EntrySource, LotSource, spread, take_in_order


@dataclass(frozen=True, slots=True)
class Refund:
    """Credits to give back of what one entry took."""

    entry_id: uuid.UUID
    amount: int
    """Whole credits, more than 0."""
    reference: str | None = None


async def refund(tx: Tx, entry_id: uuid.UUID, *, amount: int, reference: str | None = None) -> None:
    """Give *amount* of what an entry took back to the lots it came from.

    The caller sees to it that no credit is given back twice.
    """
    await refund_all(tx, [Refund(entry_id, amount, reference)])


async def refund_all(tx: Tx, refunds: Sequence[Refund]) -> None:
    """Give back to the lots it came from what each of *refunds* says, lots that end last first.

    What goes back to a lot that has ended meanwhile ends with it. The caller sees to it that
    no credit is given back twice.
    """
    if not refunds:
        return
    # All rows of one kind at once and in id order, so that two transactions never deadlock.
    entries = await fetch(
        "SELECT id, organization_id, type, lots FROM credit_entries WHERE id = ANY({}::uuid[]) "
        "ORDER BY id FOR UPDATE",
        [each.entry_id for each in refunds],
    )
    left: dict[uuid.UUID, Lots] = {row["id"]: json.loads(row["lots"]) for row in entries}
    back: Lots = {}
    for each in refunds:
        lots = left[each.entry_id]
        names = list(reversed(lots))
        parts = take_in_order([lots[name] for name in names], each.amount)
        for name, part in zip(names, parts, strict=True):
            lots[name] -= part
            back[name] = back.get(name, 0) + part
    await _give_back(back)
    await fetch(
        "UPDATE credit_entries e SET lots = n.lots::jsonb "
        "FROM unnest({}::uuid[], {}::text[]) AS n (id, lots) WHERE e.id = n.id",
        list(left),
        [json.dumps(lots) for lots in left.values()],
    )
    await _write_refunds(tx, refunds, {row["id"]: row for row in entries}, counted=left)


async def _give_back(back: Lots) -> None:
    # Locked by owner and then in id order, as debits do, so that the two never wait for each
    # other: an organization that is older may well have the newer lots.
    await fetch(
        """
        WITH held AS (
            SELECT s.id, n.amount
            FROM credit_shares s JOIN unnest({}::uuid[], {}::bigint[]) AS n (lot_id, amount)
                ON s.lot_id = n.lot_id AND s.slot = {}
            ORDER BY s.organization_id, s.type, s.id FOR NO KEY UPDATE OF s
        )
        UPDATE credit_shares c SET remaining = c.remaining + held.amount
        FROM held WHERE c.id = held.id
        """,
        [uuid.UUID(name) for name in back],
        list(back.values()),
        random.randrange(SHARES),
    )


async def _write_refunds(
    tx: Tx,
    refunds: Sequence[Refund],
    entries: Mapping[uuid.UUID, Mapping[str, Any]],
    *,
    counted: Mapping[uuid.UUID, Lots],
) -> None:
    credits = []
    for each in refunds:
        row = entries[each.entry_id]
        owner = OrganizationId(row["organization_id"]), CreditType(row["type"])
        # An entry that took from no lot was one of an unlimited plan.
        balance = await balance_of(tx, *owner) if counted[each.entry_id] else None
        credits.append(
            _Credit(owner, each.amount, EntrySource.REFUND, balance, each.reference, Account.USED)
        )
    await _write_credits(credits)


async def grant(
    tx: Tx,
    organization_id: OrganizationId,
    *,
    amount: int,
    source: LotSource,
    credit_type: CreditType = CreditType.EMAIL,
    expires_at: datetime | None = None,
    reference: str | None = None,
) -> uuid.UUID:
    """Give an organization a lot of *amount* whole credits and return the lot's id."""
    lot_id, now = new_id(), clock.now()
    await fetch(
        "INSERT INTO credit_lots "
        "(id, organization_id, type, source, granted, starts_at, expires_at, created_at) "
        "VALUES ({}, {}, {}, {}, {}, {}, {}, {})",
        lot_id,
        organization_id,
        credit_type.value,
        source.value,
        amount,
        now,
        expires_at,
        now,
    )
    await fetch(
        "INSERT INTO credit_shares (id, lot_id, organization_id, type, slot, remaining) "
        "SELECT id, {}, {}, {}, slot, remaining "
        "FROM unnest({}::uuid[], {}::smallint[], {}::bigint[]) AS n (id, slot, remaining)",
        lot_id,
        organization_id,
        credit_type.value,
        [new_id() for _ in range(SHARES)],
        list(range(SHARES)),
        spread(amount),
    )
    owner = organization_id, credit_type
    kind = EntrySource.PURCHASE if source is LotSource.PURCHASE else EntrySource.GRANT
    await _write_credits([_Credit(owner, amount, kind, await balance_of(tx, *owner), reference)])
    return lot_id


@dataclass(frozen=True, slots=True)
class _Credit:
    """A line of the ledger that adds to a balance."""

    owner: Owner
    amount: int
    source: EntrySource
    balance: int | None
    """What it is then; None where nothing is counted."""
    reference: str | None = None
    from_account: Account = Account.GRANTED


async def _write_credits(credits: Sequence[_Credit]) -> None:
    now = clock.now()
    await fetch(
        "INSERT INTO credit_entries (id, organization_id, type, from_account, to_account, "
        "amount, balance_after, source, reference, created_at) "
        "SELECT id, organization_id, type, from_account, 'balance', amount, balance_after, "
        "source, reference, {} FROM unnest({}::uuid[], {}::uuid[], {}::text[], "
        "{}::text[], {}::bigint[], {}::bigint[], {}::text[], {}::text[]) AS n (id, "
        "organization_id, type, from_account, amount, balance_after, source, reference)",
        now,
        [new_id() for _ in credits],
        [each.owner[0] for each in credits],
        [each.owner[1].value for each in credits],
        [each.from_account.value for each in credits],
        [each.amount for each in credits],
        [each.balance for each in credits],
        [each.source.value for each in credits],
        [each.reference for each in credits],
    )
    await sum_up(
        [
            Sum(
                *each.owner,
                each.source,
                used=-each.amount if each.from_account is Account.USED else 0,
                amount=each.amount,
                counted=0 if each.balance is None else each.amount,
            )
            for each in credits
        ],
        now,
    )


async def expire(tx: Tx, owner: Owner, lot_ids: Sequence[uuid.UUID]) -> int:
    """Take what is left out of lots that have ended, with an entry for each; return how much."""
    # Locked in id order, as debits do, so that the two never wait for each other.
    await fetch(
        "SELECT FROM credit_shares WHERE lot_id = ANY({}::uuid[]) ORDER BY id FOR UPDATE",
        list(lot_ids),
    )
    rows = await fetch(
        "SELECT lot_id, sum(remaining)::bigint AS left FROM credit_shares "
        "WHERE lot_id = ANY({}::uuid[]) GROUP BY lot_id HAVING sum(remaining) > 0 ORDER BY lot_id",
        list(lot_ids),
    )
    left: Lots = {str(row["lot_id"]): row["left"] for row in rows}
    if not left:
        return 0
    await fetch(
        "UPDATE credit_shares SET remaining = 0 WHERE lot_id = ANY({}::uuid[])", list(lot_ids)
    )
    await fetch(
        "UPDATE credit_lots l SET expired = expired + n.amount "
        "FROM unnest({}::uuid[], {}::bigint[]) AS n (id, amount) WHERE l.id = n.id",
        [uuid.UUID(lot) for lot in left],
        list(left.values()),
    )
    await _write_expired(owner, left, balance=await balance_of(tx, *owner))
    return sum(left.values())


async def _write_expired(owner: Owner, left: Lots, *, balance: int) -> None:
    now = clock.now()
    await fetch(
        "INSERT INTO credit_entries (id, organization_id, type, from_account, to_account, "
        "amount, balance_after, source, reference, lots, created_at) "
        "SELECT id, {}, {}, 'balance', 'expired', amount, {}, {}, lot, "
        "jsonb_build_object(lot, amount), {} "
        "FROM unnest({}::uuid[], {}::text[], {}::bigint[]) AS n (id, lot, amount)",
        owner[0],
        owner[1].value,
        balance,
        EntrySource.EXPIRY.value,
        now,
        [new_id() for _ in left],
        list(left),
        list(left.values()),
    )
    parts = [
        Sum(*owner, EntrySource.EXPIRY, used=0, amount=amount, counted=amount)
        for amount in left.values()
    ]
    await sum_up(parts, now)
