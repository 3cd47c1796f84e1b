"""The history of the checks of domains."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..domains import queries, tables
from ..domains.records import RecordPurpose, RecordStatus
from ..domains.rules import DomainStatus
from .context import Info, actor_of
from .domains import DomainRef, read_ref
from .nodes import Node, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection


@strawberry.type(description="What a check found in the place of one record.")
class RecordResult:
    purpose: RecordPurpose = strawberry.field(description="What the record is for.")
    name: str = strawberry.field(description="Its full name.")
    status: RecordStatus = strawberry.field(description="What was found.")
    message: str | None = strawberry.field(description="What was wrong, as a sentence.")


@strawberry.type(description="Checks of a domain, one after another, that found the same.")
class DomainCheck(Node):
    row: strawberry.Private[tables.DomainCheck]

    @strawberry.field(description="UUID of the domain.")
    def domain_uuid(self) -> UUID:
        found: UUID = self.row.domain_id
        return found

    @strawberry.field(description="What the domain was after them.")
    def status(self) -> DomainStatus:
        return DomainStatus(self.row.status)

    @strawberry.field(description="What was known of each record then.")
    def results(self) -> list[RecordResult]:
        return [
            RecordResult(
                purpose=RecordPurpose(result["purpose"]),
                name=result["name"],
                status=RecordStatus(result["status"]),
                message=result["message"],
            )
            for result in json.loads(self.row.results)
        ]

    @strawberry.field(description="How many checks in a row found this.")
    def times(self) -> int:
        return self.row.times

    @strawberry.field(description="When the first of them was.")
    def first_at(self) -> datetime:
        return self.row.first_at

    @strawberry.field(description="When the last of them was.")
    def last_at(self) -> datetime:
        return self.row.last_at


def _check_type(row: tables.DomainCheck) -> DomainCheck:
    return DomainCheck(uuid=row.id, row=row)


async def load_checks(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, DomainCheck]:
    """Return those of the checks that the actor may see."""
    return {row.id: _check_type(row) for row in await queries.find_checks(actor, ids)}


register(DomainCheck, load_checks)


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="What checks of domains found, newest first, for 90 days. Needs `domains:read`."
    )
    async def domain_checks(
        self,
        info: Info,
        domain: Annotated[
            DomainRef | None, strawberry.argument(description="Only of this domain.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[DomainCheck]:
        found = await queries.list_checks(
            actor_of(info),
            page=page_request(first, after, last, before),
            ref=None if domain is None else read_ref(domain),
        )
        return to_connection(found, _check_type)
