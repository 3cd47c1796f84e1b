"""Reading balances and the ledger for an actor."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..accounts.work import sending_accounts
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.paging import Page, PageRequest, by_id, fetch_page
from .errors import UnknownCreditType
from .rules import CreditType, LotSource, is_unlimited, period_of
from .tables import CreditEntry


@dataclass(frozen=True, slots=True)
class Lot:
    """Credits that were granted together."""

    id: uuid.UUID
    granted: int
    remaining: int
    source: LotSource
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left of one type of credits, and where it comes from."""

    type: CreditType
    unlimited: bool
    lots: Sequence[Lot]
    """Those that have not ended, in the order they are spent."""
    used_this_period: int
    period_start: datetime
    period_end: datetime
    updated_at: datetime
    """Time of the last entry in the ledger, or of the start of the period."""

    @property
    def balance(self) -> int | None:
        """Whole credits left; None when they are not counted."""
        return None if self.unlimited else sum(lot.remaining for lot in self.lots)

    @property
    def included(self) -> Sequence[Lot]:
        return [lot for lot in self.lots if lot.source is LotSource.INCLUDED]

    @property
    def purchased(self) -> Sequence[Lot]:
        return [lot for lot in self.lots if lot.source is not LotSource.INCLUDED]


def parse_type(text: str) -> CreditType:
    """Return the type called *text*.

    Raises:
        UnknownCreditType: there is none.
    """
    try:
        return CreditType(text)
    except ValueError:
        raise UnknownCreditType from None


async def get_balance(actor: Actor, credit_type: CreditType) -> Balance:
    """Return the balance of one type."""
    (balance,) = await list_balances(actor, (credit_type,))
    return balance


async def list_balances(
    actor: Actor, types: Sequence[CreditType] = tuple(CreditType)
) -> list[Balance]:
    """Return the balance of each type, zero balances included."""
    actor.require(Permission.READ_CREDITS)
    organization_id, now = actor.organization_id, clock.now()
    account = (await sending_accounts([organization_id]))[organization_id]
    period = period_of(now)
    lots = await fetch(
        """
        SELECT l.id, l.type, l.source, l.granted, l.expires_at,
            sum(s.remaining)::bigint AS remaining
        FROM credit_lots l JOIN credit_shares s ON s.lot_id = l.id
        WHERE l.organization_id = {} AND l.starts_at <= {}
          AND (l.expires_at IS NULL OR l.expires_at > {})
        GROUP BY l.id ORDER BY l.source <> 'included', l.expires_at NULLS LAST, l.id
        """,
        organization_id,
        now,
        now,
    )
    used = await fetch(
        "SELECT type, sum(used)::bigint AS used FROM credit_usage "
        "WHERE organization_id = {} AND day >= {} GROUP BY type",
        organization_id,
        period.start.date(),
    )
    used_by_type = {row["type"]: row["used"] for row in used}
    last = await _last_entries(actor)
    return [
        Balance(
            type=credit_type,
            unlimited=is_unlimited(account.plan),
            lots=[
                Lot(
                    row["id"],
                    row["granted"],
                    row["remaining"],
                    LotSource(row["source"]),
                    row["expires_at"],
                )
                for row in lots
                if row["type"] == credit_type
            ],
            used_this_period=used_by_type.get(credit_type.value, 0),
            period_start=period.start,
            period_end=period.end,
            updated_at=last.get(credit_type.value, period.start),
        )
        for credit_type in types
    ]


async def _last_entries(actor: Actor) -> dict[str, datetime]:
    # One index probe a type: the ledger is long.
    rows = await fetch(
        "SELECT t.type, e.created_at FROM unnest({}::text[]) AS t (type) "
        "CROSS JOIN LATERAL (SELECT created_at FROM credit_entries "
        "WHERE organization_id = {} AND type = t.type ORDER BY id DESC LIMIT 1) e",
        [credit_type.value for credit_type in CreditType],
        actor.organization_id,
    )
    return {row["type"]: row["created_at"] for row in rows}


async def find_entries(actor: Actor, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, CreditEntry]:
    """Return those of *ids* that the actor may see, by id."""
    actor.require(Permission.READ_CREDITS)
    rows = await CreditEntry.objects().where(
        CreditEntry.id.is_in(list(ids)), CreditEntry.organization_id == actor.organization_id
    )
    return {row.id: row for row in rows}


async def list_entries(
    actor: Actor, page: PageRequest, *, credit_type: CreditType | None = None
) -> Page[CreditEntry]:
    """Return the ledger, newest first."""
    actor.require(Permission.READ_CREDITS)
    query = CreditEntry.objects().where(CreditEntry.organization_id == actor.organization_id)
    if credit_type:
        query = query.where(CreditEntry.type == credit_type.value)
    scope = credit_type.value if credit_type else ""
    return await fetch_page(query, page, by_id(), scope=scope)


async def consumed_credits(actor: Actor) -> dict[str, int]:
    """Return the credits the organization ever used, by type, refunds not taken off."""
    actor.require(Permission.READ_METRICS)
    rows = await fetch(
        "SELECT type, sum(used)::bigint AS used FROM credit_usage "
        "WHERE organization_id = {} AND slot >= 0 GROUP BY type",
        actor.organization_id,
    )
    return {row["type"]: row["used"] for row in rows}
