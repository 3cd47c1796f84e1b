"""Domains: their DNS records, what was found of them, and their keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..domains import queries, tables
from ..domains.records import RecordPurpose, RecordStatus, purpose_status
from ..domains.rules import CAN_SEND, DomainStatus
from .context import Info, actor_of
from .domain_logos import DomainBimi, load_logos, logo_type
from .domain_records import (
    DkimKey,
    DomainChecks,
    DomainDmarc,
    DomainRecord,
    dmarc_type,
    load_keys,
    load_records,
)
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import EmailAddress

describe_enum(
    DomainStatus,
    "How far a domain is.",
    {
        "PENDING": "Its records were never seen; it cannot send.",
        "VERIFIED": "Its records are as they should be; it can send.",
        "DEGRADED": "A required record went missing less than 72 hours ago; it can still send.",
        "FAILED": "A required record is missing for longer; it cannot send.",
    },
)


@strawberry.enum(description="An order of domains.")
class DomainOrder(Enum):
    NAME = strawberry.enum_value(queries.BY_NAME.name, description="By name, from a to z.")
    NAME_DESCENDING = strawberry.enum_value("-name", description="By name, from z to a.")
    CREATED_AT = strawberry.enum_value(queries.NEWEST_FIRST.name, description="The newest first.")
    CREATED_AT_ASCENDING = strawberry.enum_value("-created_at", description="The oldest first.")


_ORDERS = {
    DomainOrder.NAME: queries.BY_NAME,
    DomainOrder.NAME_DESCENDING: queries.BY_NAME.reversed,
    DomainOrder.CREATED_AT: queries.NEWEST_FIRST,
    DomainOrder.CREATED_AT_ASCENDING: queries.NEWEST_FIRST.reversed,
}


@strawberry.type(description="How a domain signs.")
class DomainDkim:
    row: strawberry.Private[tables.Domain]

    @strawberry.field(description="Selector of the first key; those of later keys begin with it.")
    def selector(self) -> str:
        return self.row.dkim_selector

    @strawberry.field(description="A new key is prepared this often; null is never.")
    def rotation_days(self) -> int | None:
        return self.row.dkim_rotation_days

    @strawberry.field(description="When the next key is prepared.")
    def next_rotation_at(self) -> datetime | None:
        return self.row.next_rotation_at

    @strawberry.field(description="Every key the domain has or had, oldest first.")
    async def keys(self, info: Info) -> list[DkimKey]:
        found = await info.context.loaders.load(load_keys, self.row.id)
        return [DkimKey(row=key) for key in found or ()]


@strawberry.type(description="A mail domain of the organization.")
class Domain(Node):
    row: strawberry.Private[tables.Domain]

    @strawberry.field(description="In lower case; international names as A-labels.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(description="How far it is.")
    def status(self) -> DomainStatus:
        return DomainStatus(self.row.status)

    @strawberry.field(description="Mail from it, and from domains below it, is accepted.")
    def can_send(self) -> bool:
        return self.row.status in CAN_SEND

    @strawberry.field(description="Domain of the envelope sender, where bounces go.")
    def return_path_domain(self) -> str:
        return self.row.return_path_domain

    @strawberry.field(description="Host of tracked links; null is the deployment's.")
    def tracking_domain(self) -> str | None:
        return self.row.tracking_domain

    @strawberry.field(description="Messages that do not say track opens.")
    def track_opens(self) -> bool:
        return self.row.track_opens

    @strawberry.field(description="Messages that do not say track clicks.")
    def track_clicks(self) -> bool:
        return self.row.track_clicks

    @strawberry.field(description="Pool of messages that do not name one.")
    def default_pool(self) -> str:
        return self.row.default_pool

    @strawberry.field(description="Mail for the domain is received.")
    def inbound_enabled(self) -> bool:
        return self.row.inbound_enabled

    @strawberry.field(description="Address in the proposed DMARC record that gets the reports.")
    def dmarc_rua(self) -> EmailAddress | None:
        return None if self.row.dmarc_rua is None else EmailAddress(self.row.dmarc_rua)

    @strawberry.field(description="How it signs.")
    def dkim(self) -> DomainDkim:
        return DomainDkim(row=self.row)

    @strawberry.field(description="What to publish, and what the last check found.")
    async def records(self, info: Info) -> list[DomainRecord]:
        found = await info.context.loaders.load(load_records, self.row.id)
        return [DomainRecord(row=record) for record in found or ()]

    @strawberry.field(description="One status per purpose, from the last check.")
    async def checks(self, info: Info) -> DomainChecks:
        found = await info.context.loaders.load(load_records, self.row.id)
        records = [
            (RecordPurpose(r.purpose), RecordStatus(r.status), r.required) for r in found or ()
        ]
        return DomainChecks(
            **{purpose.value: purpose_status(records, purpose) for purpose in RecordPurpose}
        )

    @strawberry.field(
        description="What its DMARC record asks for, or that of its registered domain, as the "
        "last check found it; null where none counts."
    )
    async def dmarc(self, info: Info) -> DomainDmarc | None:
        records = await info.context.loaders.load(load_records, self.row.id)
        return dmarc_type(self.row, records or ())

    @strawberry.field(description="The logo that mailboxes show beside its mail (BIMI).")
    async def bimi(self, info: Info) -> DomainBimi:
        logo = await info.context.loaders.load(load_logos, self.row.id)
        records = await info.context.loaders.load(load_records, self.row.id)
        return logo_type(logo, records or ())

    @strawberry.field(description="When it was verified, the last time it was not before.")
    def verified_at(self) -> datetime | None:
        return self.row.verified_at

    @strawberry.field(description="Since when a required record is missing.")
    def degraded_at(self) -> datetime | None:
        return self.row.degraded_at

    @strawberry.field(description="When its records were looked up last.")
    def last_checked_at(self) -> datetime | None:
        return self.row.last_checked_at

    @strawberry.field(description="When they are looked up next; null is only when asked to.")
    def next_check_at(self) -> datetime | None:
        return self.row.next_check_at

    @strawberry.field(description="When it was set up.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it, or its status, was changed last.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


def domain_type(row: tables.Domain) -> Domain:
    """Return *row* as the schema shows it."""
    return Domain(uuid=row.id, row=row)


async def load_domains(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Domain]:
    """Return the actor's domains among *ids*."""
    return {row.id: domain_type(row) for row in await queries.find_domains(actor, ids)}


register(Domain, load_domains)


@strawberry.input(one_of=True, description="Names one domain.")
class DomainRef:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Its global id or UUID."
    )
    name: str | None = strawberry.field(default=strawberry.UNSET, description="Its name.")


def read_ref(ref: DomainRef) -> queries.DomainRef:
    """Return what *ref* names.

    Raises:
        NotFound: its id is no id of a domain.
    """
    if ref.id is not None and ref.id is not strawberry.UNSET:
        return queries.DomainRef(id=parse_id(ref.id, "Domain"))
    return queries.DomainRef(name=ref.name or "")


@strawberry.input(description="Which domains to list.")
class DomainFilter:
    status: DomainStatus | None = strawberry.field(
        default=None, description="Only those with this status."
    )
    search: str | None = strawberry.field(default=None, description="Part of the name.")


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="The organization's mail domains. Needs `domains:read`.")
    async def domains(
        self,
        info: Info,
        filter: Annotated[
            DomainFilter | None, strawberry.argument(description="Only some of them.")
        ] = None,
        order_by: Annotated[
            DomainOrder, strawberry.argument(description="In which order.")
        ] = DomainOrder.NAME,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Domain]:
        actor, wanted = actor_of(info), filter or DomainFilter()
        found = await queries.list_domains(
            actor,
            page=page_request(first, after, last, before, maximum=500),
            status=wanted.status,
            search=wanted.search,
            order=_ORDERS[order_by],
        )
        return to_connection(
            found,
            domain_type,
            count=lambda: queries.count_domains(actor, wanted.status, wanted.search),
        )

    @strawberry.field(description="One domain, from stored results. Needs `domains:read`.")
    async def domain(
        self,
        info: Info,
        ref: Annotated[DomainRef, strawberry.argument(description="Which one.")],
    ) -> Domain:
        return domain_type(await queries.get_domain(actor_of(info), read_ref(ref)))
