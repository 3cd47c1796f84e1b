"""The ledger's sums: what is left by the lots, and what happened by day and source."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from .rules import SHARES, CreditType, EntrySource

Lots = dict[str, int]
"""Credits by the id of the lot they were taken from."""

Owner = tuple[OrganizationId, CreditType]
"""Whose credits, and which."""


async def balance_of(tx: Tx, organization_id: OrganizationId, credit_type: CreditType) -> int:
    """Return what can be spent now: what lots hold that have begun and have not ended."""
    rows = await fetch(
        """
        SELECT coalesce(sum(s.remaining), 0)::bigint AS balance
        FROM credit_shares s JOIN credit_lots l ON l.id = s.lot_id
        WHERE s.organization_id = {} AND s.type = {}
          AND l.starts_at <= {} AND (l.expires_at IS NULL OR l.expires_at > {})
        """,
        organization_id,
        credit_type,
        clock.now(),
        clock.now(),
    )
    balance: int = rows[0]["balance"]
    return balance


@dataclass(slots=True)
class Sum:
    """What is to be added to one row of `credit_usage`."""

    organization_id: OrganizationId
    type: CreditType
    source: EntrySource
    used: int
    amount: int
    counted: int
    entries: int = 1


SUM_UP = """
    INSERT INTO credit_usage AS old
        (id, organization_id, type, day, source, slot, used, entries, amount, counted)
    SELECT gen_random_uuid(), organization_id, type, {}, source, {}, used, entries, amount,
        counted
    FROM jsonb_to_recordset({}::jsonb) AS new (organization_id uuid, type text,
        source text, used bigint, entries bigint, amount bigint, counted bigint)
    ON CONFLICT (organization_id, type, day, source, slot)
    DO UPDATE SET used = old.used + excluded.used, entries = old.entries + excluded.entries,
        amount = old.amount + excluded.amount, counted = old.counted + excluded.counted
"""


async def sum_up(parts: Sequence[Sum], now: datetime) -> None:
    """Add to the sums of the day, in one order, so that two transactions never deadlock."""
    await fetch(SUM_UP, *what_to_sum_up(parts, now))


def what_to_sum_up(parts: Sequence[Sum], now: datetime) -> tuple[object, ...]:
    """Return the arguments of `SUM_UP`, for what writes other things with it."""
    sums: dict[tuple[OrganizationId, CreditType, EntrySource], Sum] = {}
    for part in sorted(parts, key=lambda each: (each.organization_id, each.type, each.source)):
        total = sums.setdefault((part.organization_id, part.type, part.source), part)
        if total is not part:
            total.used += part.used
            total.amount += part.amount
            total.counted += part.counted
            total.entries += part.entries
    slot = random.randrange(SHARES)  # spreads load; nothing depends on it being unguessable
    # Refunds have slots of their own, so that what was ever used can be told and only grows.
    if any(total.used < 0 for total in sums.values()):
        slot = -1 - slot
    # One argument: each of a statement's costs more than writing and reading this does.
    return (
        now.astimezone(UTC).date(),
        slot,
        msgspec.json.encode(list(sums.values())).decode(),
    )
