"""Credits of an organization: its balances, its ledger, what is sold, and its alerts."""

from datetime import datetime
from typing import Annotated

import strawberry

from ..credits import queries, usage
from ..credits.rules import CreditType, Direction, EntrySource
from ..credits.usage import UsageGroup
from .context import Info, actor_of
from .credit_types import (
    CreditAlert,
    CreditBalance,
    CreditEntry,
    CreditLotRecord,
    CreditPackage,
    CreditUsage,
    alert_type,
    entry_type,
    lot_type,
    usage_type,
)
from .paging import After, Before, Connection, First, Last, page_request, to_connection

LONGEST_PAGE = 500
"""Lines of the ledger and sums that one page may hold; each is short."""


@strawberry.input(description="Which lines of the ledger to list or to sum up.")
class CreditEntryFilter:
    type: CreditType | None = strawberry.field(default=None, description="Only these credits.")
    source: EntrySource | None = strawberry.field(
        default=None, description="Only those with this cause."
    )
    direction: Direction | None = strawberry.field(
        default=None, description="Only those that change the balance this way."
    )
    reference: str | None = strawberry.field(
        default=None, description="Only those with exactly this reference; sums know none."
    )
    created_after: datetime | None = strawberry.field(
        default=None, description="Only those of this time or later."
    )
    created_before: datetime | None = strawberry.field(
        default=None, description="Only those before this time."
    )


def _where(
    filter: CreditEntryFilter | None, credit_type: CreditType | None = None
) -> queries.EntryFilter:
    wanted = filter or CreditEntryFilter()
    return queries.EntryFilter(
        type=wanted.type or credit_type,
        source=wanted.source,
        direction=wanted.direction,
        reference=wanted.reference,
        start=wanted.created_after,
        end=wanted.created_before,
    )


Filter = Annotated[CreditEntryFilter | None, strawberry.argument(description="Only some of them.")]
OldestFirst = Annotated[bool, strawberry.argument(description="The other way round.")]
OfType = Annotated[CreditType | None, strawberry.argument(description="Only this type.")]


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
        type: OfType = None,
        filter: Filter = None,
        oldest_first: OldestFirst = False,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[CreditEntry]:
        actor, where = actor_of(info), _where(filter, type)
        page = await queries.list_entries(
            actor,
            page_request(first, after, last, before, maximum=LONGEST_PAGE),
            where=where,
            oldest_first=oldest_first,
        )
        return to_connection(
            page,
            entry_type,
            total=lambda exact: queries.count_entries(actor, where=where, exact=exact),
        )

    @strawberry.field(
        description="The ledger summed up for whole days in UTC, those included that the "
        "filter only touches; newest or last in the alphabet first. Needs `credits:read`."
    )
    async def usage(
        self,
        info: Info,
        group_by: Annotated[UsageGroup, strawberry.argument(description="What to sum up by.")],
        filter: Filter = None,
        oldest_first: OldestFirst = False,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[CreditUsage]:
        actor, where = actor_of(info), _where(filter)
        page = await usage.list_usage(
            actor,
            page_request(first, after, last, before, maximum=LONGEST_PAGE),
            by=group_by,
            where=where,
            oldest_first=oldest_first,
        )
        return to_connection(
            page, usage_type, count=lambda: usage.count_usage(actor, by=group_by, where=where)
        )

    @strawberry.field(
        description="All lots, newest first, those that have ended too. Needs `credits:read`."
    )
    async def lots(
        self,
        info: Info,
        type: OfType = None,
        ended: Annotated[
            bool | None, strawberry.argument(description="Only ended ones, or only the others.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[CreditLotRecord]:
        page = await queries.list_lots(
            actor_of(info),
            page_request(first, after, last, before),
            credit_type=type,
            ended=ended,
        )
        return to_connection(page, lot_type)

    @strawberry.field(
        description="What is sold, the whole catalogue; empty where nothing is. Needs "
        "`credits:read`."
    )
    async def packages(self, info: Info, type: OfType = None) -> list[CreditPackage]:
        found = await queries.list_packages(actor_of(info), credit_type=type)
        return [CreditPackage(row=row) for row in found]

    @strawberry.field(description="All alerts. Needs `credits:read`.")
    async def alerts(self, info: Info, type: OfType = None) -> list[CreditAlert]:
        found = await queries.list_alerts(actor_of(info), credit_type=type)
        return [alert_type(row) for row in found]


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="What the organization has left to send with.")
    def credits(self) -> Credits:
        return Credits()
