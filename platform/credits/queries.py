"""Reading balances and the ledger for an actor."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from piccolo.columns.combination import WhereRaw

from ..accounts.work import sending_accounts
from ..core import clock
from ..core.actor import Actor, Permission, require_platform_admin
from ..core.counting import Total, total_of
from ..core.database import fetch
from ..core.ids import first_id_at
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..core.tenants import across_organizations
from .errors import UnknownCreditType
from .rules import (
    CreditType,
    Direction,
    EntrySource,
    LotSource,
    is_unlimited,
    period_of,
)
from .tables import CreditAlert, CreditEntry, CreditLot, CreditPackage


@dataclass(frozen=True, slots=True)
class Lot:
    """Credits that were granted together."""

    id: uuid.UUID
    granted: int
    remaining: int
    source: LotSource
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class LotRow:
    """A lot with what is left of it."""

    row: CreditLot
    remaining: int


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


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which lines of the ledger are asked for; None is any."""

    type: CreditType | None = None
    source: EntrySource | None = None
    direction: Direction | None = None
    reference: str | None = None
    start: datetime | None = None
    """Written then or later."""
    end: datetime | None = None
    """Written before then."""


async def list_entries(
    actor: Actor, page: PageRequest, *, where: EntryFilter, oldest_first: bool = False
) -> Page[CreditEntry]:
    """Return the ledger, newest first unless told otherwise."""
    actor.require(Permission.READ_CREDITS)
    query = CreditEntry.objects()
    for condition in _conditions(actor, where):
        query = query.where(condition)
    order = by_id(descending=not oldest_first)
    return await fetch_page(query, page, order, scope=short_scope(repr(where)))


async def count_entries(actor: Actor, *, where: EntryFilter, exact: bool = False) -> Total:
    """Return how many lines of the ledger fit; an *exact* answer may take a while."""
    actor.require(Permission.READ_CREDITS)
    rows = CreditEntry.select(CreditEntry.id).where(*_conditions(actor, where))
    return await total_of(rows, exact=exact)


def _conditions(actor: Actor, where: EntryFilter) -> list[WhereRaw]:
    found = [WhereRaw("organization_id = {}", actor.organization_id)]
    if where.type is not None:
        found.append(WhereRaw("type = {}", where.type.value))
    if where.source is not None:
        found.append(WhereRaw("source = {}", where.source.value))
    if where.direction is Direction.CREDIT:
        found.append(WhereRaw("to_account = 'balance'"))
    elif where.direction is Direction.DEBIT:
        found.append(WhereRaw("from_account = 'balance'"))
    if where.reference is not None:
        found.append(WhereRaw("reference = {}", where.reference.replace("\0", "\ufffd")))
    # Ids are in the order of time, and in the indexes; a day covers clocks that differ.
    if where.start is not None:
        found.append(WhereRaw("created_at >= {}", where.start))
        found.append(WhereRaw("id >= {}", first_id_at(_days_from(where.start, -1))))
    if where.end is not None:
        found.append(WhereRaw("created_at < {}", where.end))
        found.append(WhereRaw("id < {}", first_id_at(_days_from(where.end, 1))))
    return found


def _days_from(at: datetime, days: int) -> datetime:
    try:
        return at + timedelta(days=days)
    except OverflowError:
        return at


def short_scope(scope: str) -> str:
    """Return what ties a cursor to a list with these filters."""
    return hashlib.sha256(scope.encode("utf-8", "surrogatepass")).hexdigest()[:16]


async def list_lots(
    actor: Actor,
    page: PageRequest,
    *,
    credit_type: CreditType | None = None,
    ended: bool | None = None,
) -> Page[LotRow]:
    """Return lots, newest first; *ended* ones only, or only the others, if it is said."""
    actor.require(Permission.READ_CREDITS)
    now = clock.now()
    query = CreditLot.objects().where(CreditLot.organization_id == actor.organization_id)
    if credit_type is not None:
        query = query.where(CreditLot.type == credit_type.value)
    if ended is True:
        query = query.where(CreditLot.expires_at <= now)
    elif ended is False:
        query = query.where((CreditLot.expires_at > now) | CreditLot.expires_at.is_null())
    found = await fetch_page(query, page, by_id(), scope=f"{credit_type}{ended}")
    return Page(
        items=await _with_remaining(found.items),
        cursors=found.cursors,
        has_next=found.has_next,
        has_previous=found.has_previous,
    )


async def find_lots(actor: Actor, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, LotRow]:
    """Return those of *ids* that the actor may see, by id."""
    actor.require(Permission.READ_CREDITS)
    rows = await CreditLot.objects().where(
        CreditLot.id.is_in(list(ids)), CreditLot.organization_id == actor.organization_id
    )
    return {lot.row.id: lot for lot in await _with_remaining(rows)}


async def _with_remaining(rows: Sequence[CreditLot]) -> list[LotRow]:
    left = await fetch(
        "SELECT lot_id, sum(remaining)::bigint AS remaining FROM credit_shares "
        "WHERE lot_id = ANY({}::uuid[]) GROUP BY lot_id",
        [row.id for row in rows],
    )
    remaining = {row["lot_id"]: row["remaining"] for row in left}
    return [LotRow(row, remaining[row.id]) for row in rows]


async def list_packages(
    actor: Actor, *, credit_type: CreditType | None = None
) -> list[CreditPackage]:
    """Return the catalogue, smaller packages of one type first."""
    actor.require(Permission.READ_CREDITS)
    query = CreditPackage.objects()
    if credit_type is not None:
        query = query.where(CreditPackage.type == credit_type.value)
    return list(
        await query.order_by(CreditPackage.type, CreditPackage.quantity, CreditPackage.code)
    )


async def list_alerts(actor: Actor, *, credit_type: CreditType | None = None) -> list[CreditAlert]:
    """Return the alerts, lower thresholds of one type first."""
    actor.require(Permission.READ_CREDITS)
    query = CreditAlert.objects().where(CreditAlert.organization_id == actor.organization_id)
    if credit_type is not None:
        query = query.where(CreditAlert.type == credit_type.value)
    return list(await query.order_by(CreditAlert.type, CreditAlert.unit, CreditAlert.threshold))


async def find_alerts(actor: Actor, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, CreditAlert]:
    """Return those of *ids* that the actor may see, by id."""
    actor.require(Permission.READ_CREDITS)
    rows = await CreditAlert.objects().where(
        CreditAlert.id.is_in(list(ids)), CreditAlert.organization_id == actor.organization_id
    )
    return {row.id: row for row in rows}


async def consumed_credits(actor: Actor) -> dict[str, int]:
    """Return the credits the organization ever used, by type, refunds not taken off."""
    actor.require(Permission.READ_METRICS)
    rows = await fetch(
        "SELECT type, sum(used)::bigint AS used FROM credit_usage "
        "WHERE organization_id = {} AND slot >= 0 GROUP BY type",
        actor.organization_id,
    )
    return {row["type"]: row["used"] for row in rows}


@across_organizations
async def balances_of(actor: Actor, ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, int]:
    """Return the email credits that are left to each of some organizations.

    Raises:
        NotPermitted: the actor does not look after the deployment.
    """
    require_platform_admin(actor)
    rows = await fetch(
        "SELECT l.organization_id, sum(s.remaining)::bigint AS balance FROM credit_lots l "
        "JOIN credit_shares s ON s.lot_id = l.id WHERE l.organization_id = ANY({}::uuid[]) "
        "AND l.type = {} AND l.starts_at <= {} AND (l.expires_at IS NULL OR l.expires_at > {}) "
        "GROUP BY 1",
        list(ids),
        CreditType.EMAIL.value,
        clock.now(),
        clock.now(),
    )
    return {row["organization_id"]: row["balance"] for row in rows}
