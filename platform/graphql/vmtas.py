"""vMTAs and pools: where mail leaves from."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..vmtas import queries, tables
from ..vmtas.rules import VmtaStatus
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection

describe_enum(
    VmtaStatus,
    "Whether a vMTA is used.",
    {"ACTIVE": "It sends.", "PAUSED": "Mail for it waits."},
)


@strawberry.enum(description="An order of vMTAs.")
class VmtaOrder(Enum):
    NAME = strawberry.enum_value(queries.BY_NAME.name, description="By name, from a to z.")
    CREATED_AT = strawberry.enum_value(queries.NEWEST_FIRST.name, description="The newest first.")


_ORDERS = {VmtaOrder.NAME: queries.BY_NAME, VmtaOrder.CREATED_AT: queries.NEWEST_FIRST}


@strawberry.type(description="A virtual MTA: a source address with its EHLO name.")
class Vmta(Node):
    row: strawberry.Private[tables.Vmta]

    @strawberry.field(description="Unique in the organization.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(description="It belongs to the deployment and is shared by all.")
    def shared(self) -> bool:
        return self.row.organization_id is None

    @strawberry.field(description="Source address; null leaves it to the system.")
    def ip_address(self) -> str | None:
        return self.row.ip_address

    @strawberry.field(description="EHLO name.")
    def hostname(self) -> str:
        return queries.ehlo_name(self.row)

    @strawberry.field(description="The pool whose mail it takes a share of.")
    def pool(self) -> str:
        return self.row.pool

    @strawberry.field(description="Share within the pool, 0 to 1000; 0 is only by name.")
    def weight(self) -> int:
        return self.row.weight

    @strawberry.field(description="Whether it is used.")
    def status(self) -> VmtaStatus:
        return VmtaStatus(self.row.status)

    @strawberry.field(description="Connections it opens at a time, at most.")
    def max_connections(self) -> int:
        return self.row.max_connections

    @strawberry.field(description="`opportunistic`, `required` or `disabled`.")
    def tls(self) -> str:
        return self.row.tls

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was changed last.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


@strawberry.type(description="A label that vMTAs carry; mail for it is spread over them.")
class Pool(Node):
    row: strawberry.Private[tables.Pool]

    @strawberry.field(description="Unique in the organization.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(description="The organization's vMTAs in it, by name.")
    async def vmtas(self, info: Info) -> list[Vmta]:
        found = await info.context.loaders.load(load_members, self.row.name)
        return [vmta_type(row) for row in found or ()]

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at


def vmta_type(row: tables.Vmta) -> Vmta:
    """Return *row* as the schema shows it."""
    return Vmta(uuid=row.id, row=row)


def _pool_type(row: tables.Pool) -> Pool:
    return Pool(uuid=row.id, row=row)


async def load_vmtas(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Vmta]:
    """Return those of the vMTAs that the actor's organization may use."""
    return {row.id: vmta_type(row) for row in await queries.find_vmtas(actor, ids)}


async def load_pools(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Pool]:
    """Return those of the pools that are the organization's."""
    return {row.id: _pool_type(row) for row in await queries.find_pools(actor, ids)}


async def load_members(actor: Actor, pools: Sequence[str]) -> Mapping[str, list[tables.Vmta]]:
    """Return the organization's vMTAs of each pool."""
    return await queries.members_of_pools(actor, pools)


register(Vmta, load_vmtas)
register(Pool, load_pools)


@strawberry.input(one_of=True, description="Names one vMTA.")
class VmtaRef:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Its global id or UUID."
    )
    name: str | None = strawberry.field(default=strawberry.UNSET, description="Its name.")


@strawberry.input(description="Which vMTAs to list.")
class VmtaFilter:
    pool: str | None = strawberry.field(default=None, description="Only those of this pool.")
    status: VmtaStatus | None = strawberry.field(
        default=None, description="Only those with this status."
    )
    search: str | None = strawberry.field(default=None, description="Part of the name.")


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="The organization's vMTAs and the shared ones. Needs `vmtas:read`."
    )
    async def vmtas(
        self,
        info: Info,
        filter: Annotated[
            VmtaFilter | None, strawberry.argument(description="Only some of them.")
        ] = None,
        order_by: Annotated[
            VmtaOrder, strawberry.argument(description="In which order.")
        ] = VmtaOrder.NAME,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Vmta]:
        wanted = filter or VmtaFilter()
        found = await queries.list_vmtas(
            actor_of(info),
            page=page_request(first, after, last, before),
            pool=wanted.pool,
            status=wanted.status,
            search=wanted.search,
            order=_ORDERS[order_by],
        )
        return to_connection(found, vmta_type)

    @strawberry.field(description="One vMTA. Needs `vmtas:read`.")
    async def vmta(
        self,
        info: Info,
        ref: Annotated[VmtaRef, strawberry.argument(description="Which one.")],
    ) -> Vmta:
        by_id = ref.id is not None and ref.id is not strawberry.UNSET
        return vmta_type(
            await queries.get_vmta(
                actor_of(info),
                id=parse_id(ref.id, "Vmta") if by_id and ref.id else None,
                name=None if by_id else ref.name,
            )
        )

    @strawberry.field(description="The organization's pools, by name. Needs `vmtas:read`.")
    async def pools(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Pool]:
        found = await queries.list_pools(
            actor_of(info), page=page_request(first, after, last, before)
        )
        return to_connection(found, _pool_type)
