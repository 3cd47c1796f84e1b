"""What people see of their own sign-ins: sessions, and the second factor."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..security import queries
from ..security.tables import SignInSession
from .context import Info, actor_of
from .nodes import Node, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .passkey_types import Passkey, passkey_of
from .provider_types import ProviderIdentity, identity_of


@strawberry.type(
    description="A token of one's own that is good now, wherever it was signed in; "
    "its `uuid` is the token's `jti`."
)
class Session(Node):
    row: strawberry.Private[SignInSession]

    @strawberry.field(description="Whether it is the one that asks.")
    def is_current(self, info: Info) -> bool:
        return actor_of(info).token_id == self.row.id

    @strawberry.field(description="Name of the organization that it acts for.")
    async def organization_name(self, info: Info) -> str:
        found: str | None = await info.context.loaders.load(
            load_organization_names, self.row.organization_id
        )
        return found or ""

    @strawberry.field(description="Network address that it was signed in from.")
    def source_address(self) -> str | None:
        return self.row.source_address

    @strawberry.field(description="The program that signed in, as it calls itself.")
    def user_agent(self) -> str:
        return self.row.user_agent

    @strawberry.field(description="When it was last used, to the minute; null is never.")
    def last_used_at(self) -> datetime | None:
        return self.row.last_used_at

    @strawberry.field(description="Network address that it was last used from.")
    def last_used_address(self) -> str | None:
        return self.row.last_used_address

    @strawberry.field(description="When it was signed in.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it ends by itself.")
    def expires_at(self) -> datetime:
        return self.row.expires_at


def _session_type(row: SignInSession) -> Session:
    return Session(uuid=row.id, row=row)


async def load_sessions(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Session]:
    """Return those of the sessions that are the person's own."""
    return {row.id: _session_type(row) for row in await queries.find_sessions(actor, ids)}


register(Session, load_sessions)


async def load_organization_names(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the names of those of *ids* that the actor's person belongs to."""
    return await queries.organization_names(actor, ids)


@strawberry.type(description="How one stands to a second factor.")
class OwnSecondFactor:
    is_set_up: bool = strawberry.field(
        description="Whether a password alone does not sign in: there is an authenticator or a "
        "passkey."
    )
    has_authenticator: bool = strawberry.field(
        description="Whether it may be a code of an authenticator."
    )
    is_required: bool = strawberry.field(
        description="Whether an organization of yours asks for one: it cannot be removed, and "
        "without one nothing else can be done there."
    )
    recovery_codes: int = strawberry.field(description="Recovery codes that are left.")


@strawberry.type
class ViewerFields:
    """What the viewer has of this."""

    @strawberry.field(
        description="One's own sessions that are good now, the newest first. Not for API keys."
    )
    async def sessions(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Session]:
        page = await queries.list_sessions(actor_of(info), page_request(first, after, last, before))
        return to_connection(page, _session_type)

    @strawberry.field(
        description="One's own passkeys, at most 20, the oldest first. Not for API keys."
    )
    async def passkeys(self, info: Info) -> list[Passkey]:
        return [passkey_of(row) for row in await queries.list_passkeys(actor_of(info))]

    @strawberry.field(
        description="What signs one in by a provider of identities. Not for API keys."
    )
    async def provider_identities(self, info: Info) -> list[ProviderIdentity]:
        found = await queries.list_provider_identities(actor_of(info))
        return [identity_of(row) for row in found]

    @strawberry.field(description="One's own second factor. Not for API keys.")
    async def second_factor(self, info: Info) -> OwnSecondFactor:
        found = await queries.get_own_second_factor(actor_of(info))
        return OwnSecondFactor(
            is_set_up=found.is_set_up,
            has_authenticator=found.has_authenticator,
            is_required=found.is_required,
            recovery_codes=found.recovery_codes,
        )
