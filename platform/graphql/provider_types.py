"""Identities at a provider as the schema shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..security import queries
from ..security.tables import ProviderIdentity as Row
from .nodes import Node, register


@strawberry.type(
    description="Whom a provider of identities calls one: it signs in without a password."
)
class ProviderIdentity(Node):
    row: strawberry.Private[Row]

    @strawberry.field(description="URL of the provider.")
    def issuer(self) -> str:
        return self.row.issuer

    @strawberry.field(description="Email address that the provider had verified when it was tied.")
    def email(self) -> str:
        return self.row.email

    @strawberry.field(description="When it last signed in; null is never again since.")
    def last_used_at(self) -> datetime | None:
        return self.row.last_used_at

    @strawberry.field(description="When it was tied to the account.")
    def created_at(self) -> datetime:
        return self.row.created_at


def identity_of(row: Row) -> ProviderIdentity:
    """Return an identity as the schema shows it."""
    return ProviderIdentity(uuid=row.id, row=row)


async def load_identities(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, ProviderIdentity]:
    """Return those of the identities that are the person's own."""
    rows = await queries.find_provider_identities(actor, ids)
    return {row.id: identity_of(row) for row in rows}


register(ProviderIdentity, load_identities)
