"""Credits: balances by type, their lots, the ledger."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..credits import queries, tables
from ..credits.queries import Balance, Lot
from ..credits.rules import Account, CreditType, EntrySource, LotSource
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt

describe_enum(
    CreditType,
    "What a credit pays for.",
    {
        "EMAIL": "One recipient of a message.",
        "INBOUND": "One received message that is handed to a webhook.",
        "VALIDATION": "One validated address.",
        "SPAM_CHECK": "One message scored for spam.",
        "AV_SCAN": "One file scanned for viruses.",
    },
)
describe_enum(
    Account,
    "Where credits come from and go to in the ledger.",
    {
        "GRANTED": "What was given or sold.",
        "BALANCE": "What can be spent.",
        "USED": "What was spent.",
        "EXPIRED": "What came to its end unspent.",
    },
)
describe_enum(
    LotSource,
    "How credits came to be.",
    {
        "INCLUDED": "Part of the plan; spent first.",
        "PURCHASE": "Bought.",
        "ADJUSTMENT": "Given by the platform.",
    },
    name="CreditLotSource",
)
describe_enum(
    EntrySource,
    "What caused a line of the ledger.",
    {
        "SEND": "A message.",
        "BATCH": "A batch of messages.",
        "SMTP": "A message over SMTP.",
        "SCAN": "A scan.",
        "API": "Consumption asked for by the customer.",
        "GRANT": "Credits of the plan, or a gift.",
        "PURCHASE": "A purchase.",
        "REFUND": "Credits given back.",
        "EXPIRY": "Credits that came to their end.",
        "ADJUSTMENT": "A correction by the platform.",
    },
    name="CreditEntrySource",
)


@strawberry.type(description="Credits that were granted together and end together.")
class CreditLot:
    uuid: UUID = strawberry.field(description="UUID of the lot.")
    granted: BigInt = strawberry.field(description="Whole credits at the start.")
    remaining: BigInt = strawberry.field(description="Whole credits left.")
    source: LotSource = strawberry.field(description="How they came to be.")
    expires_at: datetime | None = strawberry.field(description="When they end; null is never.")


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

    @strawberry.field(description="When it happened.")
    def created_at(self) -> datetime:
        return self.row.created_at


def _entry_type(row: tables.CreditEntry) -> CreditEntry:
    return CreditEntry(uuid=row.id, row=row)


async def load_entries(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, CreditEntry]:
    """Return those lines of the ledger that the actor may see."""
    found = await queries.find_entries(actor, ids)
    return {key: _entry_type(row) for key, row in found.items()}


register(CreditEntry, load_entries)


@strawberry.type(description="Credits of the organization.")
class Credits:
    @strawberry.field(
        description="The balance of every type, zero balances included. Needs `credits:read`."
    )
    async def balances(self, info: Info) -> list[CreditBalance]:
        found = await queries.list_balances(actor_of(info))
        return [CreditBalance(row=balance) for balance in found]

    @strawberry.field(description="The balance of one type. Needs `credits:read`.")
    async def balance(
        self,
        info: Info,
        type: Annotated[str, strawberry.argument(description="Such as `email`.")],
    ) -> CreditBalance:
        credit_type = queries.parse_type(type.lower())
        return CreditBalance(row=await queries.get_balance(actor_of(info), credit_type))

    @strawberry.field(description="The ledger, newest first. Needs `credits:read`.")
    async def entries(
        self,
        info: Info,
        type: Annotated[
            CreditType | None, strawberry.argument(description="Only this type.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[CreditEntry]:
        page = await queries.list_entries(
            actor_of(info), page_request(first, after, last, before), credit_type=type
        )
        return to_connection(page, _entry_type)


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="What the organization has left to send with.")
    def credits(self) -> Credits:
        return Credits()
