"""What there is of credits: balances, lots, lines of the ledger, packages, alerts."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..credits import queries, tables
from ..credits.queries import Balance, Lot, LotRow
from ..credits.rules import (
    Account,
    AlertChannel,
    AlertLevel,
    AlertState,
    AlertUnit,
    CreditType,
    Direction,
    EntrySource,
    LotSource,
)
from ..credits.usage import UsageSum
from . import credit_enums as _enums  # noqa: F401 it describes those that are used here
from .nodes import Node, register
from .scalars import BigInt, EmailAddress, Json


@strawberry.type(description="Credits that were granted together and end together.")
class CreditLot:
    uuid: UUID = strawberry.field(description="UUID of the lot.")
    granted: BigInt = strawberry.field(description="Whole credits at the start.")
    remaining: BigInt = strawberry.field(description="Whole credits left.")
    source: LotSource = strawberry.field(description="How they came to be.")
    expires_at: datetime | None = strawberry.field(description="When they end; null is never.")


@strawberry.type(description="A lot in the list of all, ended ones included.")
class CreditLotRecord(Node):
    lot: strawberry.Private[LotRow]

    @strawberry.field(description="Which credits.")
    def type(self) -> CreditType:
        return CreditType(self.lot.row.type)

    @strawberry.field(description="How they came to be.")
    def source(self) -> LotSource:
        return LotSource(self.lot.row.source)

    @strawberry.field(description="Whole credits at the start.")
    def granted(self) -> BigInt:
        return BigInt(self.lot.row.granted)

    @strawberry.field(
        description="Whole credits left. Of a lot that has ended they cannot be spent, and "
        "leave the balance within a day."
    )
    def remaining(self) -> BigInt:
        return BigInt(self.lot.remaining)

    @strawberry.field(description="Whole credits that were left when it ended; 0 until then.")
    def expired(self) -> BigInt:
        return BigInt(self.lot.row.expired)

    @strawberry.field(description="When they can first be spent.")
    def starts_at(self) -> datetime:
        return self.lot.row.starts_at

    @strawberry.field(description="When they end; null is never.")
    def expires_at(self) -> datetime | None:
        return self.lot.row.expires_at

    @strawberry.field(description="When they were granted.")
    def created_at(self) -> datetime:
        return self.lot.row.created_at


@strawberry.type(description="What is left of one type of credits.")
class CreditBalance:
    row: strawberry.Private[Balance]

    @strawberry.field(description="Which credits.")
    def type(self) -> CreditType:
        return self.row.type

    @strawberry.field(description="Whole credits left to spend; null when they are not counted.")
    def balance(self) -> BigInt | None:
        balance = self.row.balance
        return None if balance is None else BigInt(balance)

    @strawberry.field(description="Nothing is refused for want of credits.")
    def unlimited(self) -> bool:
        return self.row.unlimited

    @strawberry.field(description="Lots that have not ended, in the order they are spent.")
    def lots(self) -> list[CreditLot]:
        return [_lot(lot) for lot in self.row.lots]

    @strawberry.field(description="Whole credits used in this period, less refunds.")
    def used_this_period(self) -> BigInt:
        return BigInt(self.row.used_this_period)

    @strawberry.field(description="Start of the billing period.")
    def period_start(self) -> datetime:
        return self.row.period_start

    @strawberry.field(description="End of the billing period; the next one starts then.")
    def period_end(self) -> datetime:
        return self.row.period_end

    @strawberry.field(description="When the balance last changed.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


def _lot(lot: Lot) -> CreditLot:
    return CreditLot(
        uuid=lot.id,
        granted=BigInt(lot.granted),
        remaining=BigInt(lot.remaining),
        source=lot.source,
        expires_at=lot.expires_at,
    )


@strawberry.type(
    description="A line of the ledger: an amount that moved from one account to another.",
)
class CreditEntry(Node):
    row: strawberry.Private[tables.CreditEntry]

    @strawberry.field(description="Which credits.")
    def type(self) -> CreditType:
        return CreditType(self.row.type)

    @strawberry.field(description="Where they came from.")
    def from_account(self) -> Account:
        return Account(self.row.from_account)

    @strawberry.field(description="Where they went.")
    def to_account(self) -> Account:
        return Account(self.row.to_account)

    @strawberry.field(description="Whole credits, more than 0.")
    def amount(self) -> BigInt:
        return BigInt(self.row.amount)

    @strawberry.field(
        description="The balance that this entry saw; null when credits are not counted."
    )
    def balance_after(self) -> BigInt | None:
        return None if self.row.balance_after is None else BigInt(self.row.balance_after)

    @strawberry.field(description="What caused it.")
    def source(self) -> EntrySource:
        return EntrySource(self.row.source)

    @strawberry.field(description="What it belongs to: a message, a batch, a word of yours.")
    def reference(self) -> str | None:
        return self.row.reference

    @strawberry.field(description="A note.")
    def description(self) -> str | None:
        return self.row.description

    @strawberry.field(description="Which way it changes the balance.")
    def direction(self) -> Direction:
        return Direction.CREDIT if self.row.to_account == Account.BALANCE else Direction.DEBIT

    @strawberry.field(description="What you said of something you consumed.")
    def metadata(self) -> Json:
        return Json(json.loads(self.row.metadata))

    @strawberry.field(description="UUID of the API key that asked for it, if one did.")
    def api_key_uuid(self) -> UUID | None:
        return self.row.api_key_id

    @strawberry.field(description="UUID of the person who asked for it, if one did.")
    def user_uuid(self) -> UUID | None:
        return self.row.user_id

    @strawberry.field(description="When it happened.")
    def created_at(self) -> datetime:
        return self.row.created_at


def entry_type(row: tables.CreditEntry) -> CreditEntry:
    """Return a line of the ledger as the schema shows it."""
    return CreditEntry(uuid=row.id, row=row)


def lot_type(lot: LotRow) -> CreditLotRecord:
    """Return a lot as the list of all shows it."""
    return CreditLotRecord(uuid=lot.row.id, lot=lot)


async def load_lots(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, CreditLotRecord]:
    """Return those lots that the actor may see."""
    return {key: lot_type(lot) for key, lot in (await queries.find_lots(actor, ids)).items()}


register(CreditLotRecord, load_lots)


async def load_entries(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, CreditEntry]:
    """Return those lines of the ledger that the actor may see."""
    found = await queries.find_entries(actor, ids)
    return {key: entry_type(row) for key, row in found.items()}


register(CreditEntry, load_entries)


@strawberry.type(description="The ledger of one day, type or source, summed up.")
class CreditUsage:
    key: str = strawberry.field(
        description="The day such as `2026-06-01`, the type or the source, in lower case."
    )
    debits: BigInt = strawberry.field(description="Whole credits that were taken.")
    credits: BigInt = strawberry.field(description="Whole credits that were added.")
    entries: BigInt = strawberry.field(description="Lines of the ledger.")


def usage_type(row: UsageSum) -> CreditUsage:
    """Return a sum of the ledger as the schema shows it."""
    return CreditUsage(
        key=row.key,
        debits=BigInt(row.debits),
        credits=BigInt(row.credits),
        entries=BigInt(row.entries),
    )


@strawberry.type(description="Credits that are sold together.")
class CreditPackage:
    row: strawberry.Private[tables.CreditPackage]

    @strawberry.field(description="Its name in purchases, such as `email-100k`.")
    def code(self) -> str:
        return self.row.code

    @strawberry.field(description="Its name for people.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(description="Which credits.")
    def type(self) -> CreditType:
        return CreditType(self.row.type)

    @strawberry.field(description="Whole credits.")
    def quantity(self) -> BigInt:
        return BigInt(self.row.quantity)

    @strawberry.field(description="The price in minor units of its currency.")
    def price_amount(self) -> BigInt:
        return BigInt(self.row.price_amount)

    @strawberry.field(description="The currency, as in ISO 4217.")
    def price_currency(self) -> str:
        return self.row.price_currency

    @strawberry.field(description="Days until they end; null is never.")
    def validity_days(self) -> int | None:
        return self.row.validity_days

    @strawberry.field(description="Whether it can be bought.")
    def available(self) -> bool:
        return self.row.available


@strawberry.type(description="Whom to tell when a balance falls below a threshold.")
class CreditAlert(Node):
    row: strawberry.Private[tables.CreditAlert]

    @strawberry.field(description="Which credits.")
    def type(self) -> CreditType:
        return CreditType(self.row.type)

    @strawberry.field(description="Below this it tells, once; 0 when nothing is left. In its unit.")
    def threshold(self) -> float:
        return float(self.row.threshold)

    @strawberry.field(description="What the threshold counts.")
    def unit(self) -> AlertUnit:
        return AlertUnit(self.row.unit)

    @strawberry.field(description="How it is told.")
    def channels(self) -> list[AlertChannel]:
        return [channel for channel in AlertChannel if channel in self.row.channels]

    @strawberry.field(
        description="Who gets mail; none named is owners and those with the role `BILLING`."
    )
    def recipients(self) -> list[EmailAddress]:
        return [EmailAddress(address) for address in self.row.recipients]

    @strawberry.field(description="Whether it is switched on.")
    def enabled(self) -> bool:
        return self.row.enabled

    @strawberry.field(description="Whether it has told.")
    def state(self) -> AlertState:
        armed = self.row.level == AlertLevel.ABOVE
        return AlertState.ARMED if armed else AlertState.TRIGGERED

    @strawberry.field(description="When it last told; null is never.")
    def last_triggered_at(self) -> datetime | None:
        return self.row.last_triggered_at

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was last set.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


def alert_type(row: tables.CreditAlert) -> CreditAlert:
    """Return an alert as the schema shows it."""
    return CreditAlert(uuid=row.id, row=row)


async def load_alerts(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, CreditAlert]:
    """Return those of the alerts that the actor may see."""
    return {key: alert_type(row) for key, row in (await queries.find_alerts(actor, ids)).items()}


register(CreditAlert, load_alerts)
