"""vMTAs and pools: where mail leaves from."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..core.paging import Order
from ..delivery.vmta_queries import VmtaStats, by_depth
from ..vmtas import queries, tables
from ..vmtas.rules import VmtaLimits, VmtaStatus, shown_vmta_status
from ..vmtas.warmup import Health
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .vmta_parts import (
    VmtaDns,
    VmtaLimitValues,
    VmtaNumbers,
    VmtaPause,
    VmtaPlaceLimits,
    VmtaWarmup,
    dns_type,
    limits_type,
    load_limits,
    load_stats,
    load_warmups,
    numbers_type,
    pause_type,
    place_type,
    warmup_type,
)
from .vmta_warmup import WarmupProgress, load_health, load_past_days, progress_type

describe_enum(
    VmtaStatus,
    "Whether a vMTA is used.",
    {
        "ACTIVE": "It sends.",
        "PAUSED": "Mail for it waits.",
        "BLOCKED": "Mail for it waits, because an auto-block says so.",
    },
)


@strawberry.enum(description="An order of vMTAs.")
class VmtaOrder(Enum):
    NAME = strawberry.enum_value(queries.BY_NAME.name, description="By name, from a to z.")
    NAME_DESCENDING = strawberry.enum_value("-name", description="By name, from z to a.")
    CREATED_AT = strawberry.enum_value(queries.NEWEST_FIRST.name, description="The newest first.")
    CREATED_AT_ASCENDING = strawberry.enum_value("-created_at", description="The oldest first.")
    QUEUE_DEPTH = strawberry.enum_value(
        "-queue_depth", description="Those that most of the organization's mail waits for first."
    )
    QUEUE_DEPTH_ASCENDING = strawberry.enum_value(
        "queue_depth", description="Those that least of the organization's mail waits for first."
    )


async def order_of(order: VmtaOrder, actor: Actor) -> Order:
    """Return an order as it is asked of the database."""
    if order is VmtaOrder.QUEUE_DEPTH:
        return await by_depth(actor)
    if order is VmtaOrder.QUEUE_DEPTH_ASCENDING:
        return (await by_depth(actor)).reversed
    return _ORDERS[order]


_ORDERS = {
    VmtaOrder.NAME: queries.BY_NAME,
    VmtaOrder.NAME_DESCENDING: queries.BY_NAME.reversed,
    VmtaOrder.CREATED_AT: queries.NEWEST_FIRST,
    VmtaOrder.CREATED_AT_ASCENDING: queries.NEWEST_FIRST.reversed,
}


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
        return shown_vmta_status(self.row.status, self.row.pause_source)

    @strawberry.field(description="What it is for.")
    def description(self) -> str | None:
        return self.row.description

    @strawberry.field(description="Why it is paused; null while it is not.")
    def pause(self) -> VmtaPause | None:
        return pause_type(self.row)

    @strawberry.field(description="Sending domains that may use it; empty is any.")
    def allowed_domains(self) -> list[str]:
        return list(self.row.allowed_domains or ())

    @strawberry.field(description="What it keeps to over all destinations.")
    async def limits(self, info: Info) -> VmtaLimitValues:
        return limits_type(await self._limits(info))

    @strawberry.field(description="What it keeps to at some providers and domains.")
    async def isp_limits(self, info: Info) -> list[VmtaPlaceLimits]:
        return [place_type(place) for place in (await self._limits(info)).places]

    @strawberry.field(description="How it is warmed up.")
    async def warmup(self, info: Info) -> VmtaWarmup:
        return warmup_type(self.row, await info.context.loaders.load(load_warmups, self.uuid))

    @strawberry.field(description="How far its warm-up is.")
    async def warmup_progress(self, info: Info) -> WarmupProgress:
        load = info.context.loaders.load
        # At once, so that what other fields ask for joins the same batches.
        warmup, stats, health, days = await asyncio.gather(
            load(load_warmups, self.uuid),
            load(load_stats, self.uuid),
            load(load_health, self.uuid),
            load(load_past_days, self.uuid),
        )
        return progress_type(
            self.row,
            warmup,
            stats=stats or VmtaStats(),
            health=health or Health(),
            days=days or [],
        )

    @strawberry.field(description="What the DNS says of its address.")
    def dns(self) -> VmtaDns:
        return dns_type(self.row)

    @strawberry.field(description="What it does with the organization's mail.")
    async def stats(self, info: Info) -> VmtaNumbers:
        found = await info.context.loaders.load(load_stats, self.uuid)
        return numbers_type(found or VmtaStats())

    async def _limits(self, info: Info) -> VmtaLimits:
        found = await info.context.loaders.load(load_limits, self.uuid)
        return found or VmtaLimits(self.row.max_connections)

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
    warming: bool | None = strawberry.field(
        default=None, description="Only those that are being warmed up, or only the others."
    )
    search: str | None = strawberry.field(default=None, description="Part of the name.")


async def find_vmta(actor: Actor, ref: VmtaRef) -> Vmta:
    """Return the vMTA that a reference names."""
    wanted = read_ref(ref)
    return vmta_type(await queries.get_vmta(actor, id=wanted.id, name=wanted.name))


def read_ref(ref: VmtaRef) -> queries.VmtaRef:
    """Return what a reference names."""
    if ref.id is not None and ref.id is not strawberry.UNSET:
        return queries.VmtaRef(id=parse_id(ref.id, "Vmta"))
    return queries.VmtaRef(name=ref.name or "")


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
        actor, wanted = actor_of(info), filter or VmtaFilter()
        chosen: Any = {
            "pool": wanted.pool,
            "status": wanted.status,
            "warming": wanted.warming,
            "search": wanted.search,
        }
        found = await queries.list_vmtas(
            actor,
            page=page_request(first, after, last, before, maximum=500),
            order=await order_of(order_by, actor),
            **chosen,
        )
        return to_connection(found, vmta_type, count=lambda: queries.count_vmtas(actor, **chosen))

    @strawberry.field(description="One vMTA. Needs `vmtas:read`.")
    async def vmta(
        self,
        info: Info,
        ref: Annotated[VmtaRef, strawberry.argument(description="Which one.")],
    ) -> Vmta:
        return await find_vmta(actor_of(info), ref)

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
