"""How much encryption an organization wants for its mail to a domain."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..delivery import tables
from ..delivery.tls_operations import (
    MOST_REQUIREMENTS,
    remove_tls_requirement,
    set_tls_requirement,
)
from ..delivery.tls_queries import find_tls_requirements, list_tls_requirements
from ..mail.tls import Tls
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection

describe_enum(
    Tls,
    "How much encryption mail needs. What a domain publishes by MTA-STS or DANE holds beside it.",
    {
        "DISABLED": "None, not even where it is offered.",
        "OPPORTUNISTIC": "Encrypted where it works, with any certificate; in clear otherwise.",
        "REQUIRED": "Always encrypted, with any certificate; deferred otherwise.",
        "VERIFIED": "Always encrypted, with a certificate that is good for the server's name; "
        "deferred otherwise.",
    },
)


@strawberry.type(description="How much encryption the organization's mail to a domain needs.")
class TlsRequirement(Node):
    row: strawberry.Private[tables.TlsRequirement]

    @strawberry.field(description="The recipients' domain, in ASCII.")
    def domain(self) -> str:
        return self.row.domain

    @strawberry.field(description="How much.")
    def tls(self) -> Tls:
        return Tls(self.row.tls)

    @strawberry.field(description="When it was first said.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was said last.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


def _requirement_type(row: tables.TlsRequirement) -> TlsRequirement:
    return TlsRequirement(uuid=row.id, row=row)


async def load_tls_requirements(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, TlsRequirement]:
    """Return those of the requirements that the actor may see."""
    return {row.id: _requirement_type(row) for row in await find_tls_requirements(actor, ids)}


register(TlsRequirement, load_tls_requirements)


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="Domains whose mail needs more or less encryption than its vMTA says, by "
        "name. Needs `vmtas:read`."
    )
    async def tls_requirements(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[TlsRequirement]:
        page = page_request(first, after, last, before)
        found = await list_tls_requirements(actor_of(info), page=page)
        return to_connection(found, _requirement_type)


@strawberry.input(description="How much encryption mail to a domain needs.")
class SetTlsRequirementInput:
    domain: str = strawberry.field(
        description="The recipients' domain; its subdomains are others. "
        f"At most {MOST_REQUIREMENTS} have a requirement."
    )
    tls: Tls = strawberry.field(description="How much.")


@strawberry.type(description="A requirement that holds from the next connection on.")
class SetTlsRequirementPayload:
    requirement: TlsRequirement = strawberry.field(description="The requirement.")


@strawberry.input(description="A domain whose mail is to be encrypted as its vMTA says again.")
class RemoveTlsRequirementInput:
    domain: str = strawberry.field(description="The recipients' domain.")


@strawberry.type(description="A requirement that was taken away.")
class RemoveTlsRequirementPayload:
    domain: str = strawberry.field(description="The recipients' domain, in ASCII.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Say how much encryption mail to a domain needs, in place of what its vMTA "
        "says; saying it again changes it. Needs `vmtas:write`."
    )
    async def set_tls_requirement(
        self,
        info: Info,
        input: Annotated[
            SetTlsRequirementInput, strawberry.argument(description="Domain and requirement.")
        ],
    ) -> SetTlsRequirementPayload:
        row = await set_tls_requirement(actor_of(info), domain=input.domain, tls=input.tls)
        return SetTlsRequirementPayload(requirement=_requirement_type(row))

    @strawberry.mutation(
        description="Encrypt mail to a domain as its vMTA says again. Needs `vmtas:write`."
    )
    async def remove_tls_requirement(
        self,
        info: Info,
        input: Annotated[RemoveTlsRequirementInput, strawberry.argument(description="Which.")],
    ) -> RemoveTlsRequirementPayload:
        domain = await remove_tls_requirement(actor_of(info), domain=input.domain)
        return RemoveTlsRequirementPayload(domain=domain)
