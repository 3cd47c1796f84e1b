"""Passkeys as the schema shows them, and what goes to a device and comes back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..security import queries
from ..security.passkeys import Answer
from ..security.tables import Passkey as PasskeyRow
from .nodes import Node, register


@strawberry.type(
    description="A key on a device of one's own that signs in without a password, or beside it."
)
class Passkey(Node):
    row: strawberry.Private[PasskeyRow]

    @strawberry.field(description="What its owner calls it.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(description="Whether its provider may copy it to other devices.")
    def is_synced(self) -> bool:
        return self.row.is_synced

    @strawberry.field(description="When it last signed in; null is never.")
    def last_used_at(self) -> datetime | None:
        return self.row.last_used_at

    @strawberry.field(description="When it was added.")
    def created_at(self) -> datetime:
        return self.row.created_at


def passkey_of(row: PasskeyRow) -> Passkey:
    """Return a passkey as the schema shows it."""
    return Passkey(uuid=row.id, row=row)


async def load_passkeys(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Passkey]:
    """Return those of the passkeys that are the person's own."""
    return {row.id: passkey_of(row) for row in await queries.find_passkeys(actor, ids)}


register(Passkey, load_passkeys)


@strawberry.type(description="What to ask a device for.")
class PasskeyChallenge:
    ticket: str = strawberry.field(
        description="Comes back with the device's answer; good once, for 15 minutes."
    )
    options: str = strawberry.field(
        description="JSON for `PublicKeyCredential.parseCreationOptionsFromJSON` where a passkey "
        "is made, for `parseRequestOptionsFromJSON` where one signs in."
    )


@strawberry.input(description="What a device answered.")
class PasskeyAnswerInput:
    ticket: str = strawberry.field(description="That of the challenge.")
    credential: str = strawberry.field(
        description="JSON of the `PublicKeyCredential`, as its `toJSON` makes it."
    )


def answer_of(input: PasskeyAnswerInput) -> Answer:
    """Return what a device answered."""
    return Answer(input.ticket, input.credential)
