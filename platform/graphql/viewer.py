"""Who asks: the person, their places, and what the credential may do."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from ..accounts import queries
from ..accounts.rules import Theme
from ..core.actor import ActorKind, Mode, Role
from ..core.errors import NotFound
from .accounts import Project, load_projects
from .api_keys import ApiKey, load_api_keys
from .context import Info, actor_of
from .nodes import global_id
from .own_security import ViewerFields
from .preferences import Language, Preferences, known_languages
from .users import User, load_users

if TYPE_CHECKING:
    from .organization import Organization

OrganizationType = Annotated["Organization", strawberry.lazy(".organization")]


@strawberry.type(description="The credential that came with the request.")
class Credential:
    kind: ActorKind = strawberry.field(description="How it signed in.")
    mode: Mode = strawberry.field(description="Whether mail really leaves.")
    scopes: list[str] = strawberry.field(description="What it may do now, in alphabetical order.")
    expires_at: datetime | None = strawberry.field(description="Its end; null is never.")
    rate_limit_per_minute: int | None = strawberry.field(
        description="Requests a minute; null is any number."
    )

    @strawberry.field(description="The API key; null for a person's token.")
    async def api_key(self, info: Info) -> ApiKey | None:
        key_id: UUID | None = actor_of(info).api_key_id
        return None if key_id is None else await info.context.loaders.load(load_api_keys, key_id)

    @strawberry.field(description="The only project it may touch; null is every one.")
    async def project(self, info: Info) -> Project | None:
        project_id: UUID | None = actor_of(info).project_id
        if project_id is None:
            return None
        return await info.context.loaders.load(load_projects, project_id)


@strawberry.type(description="A place where the person belongs.")
class ViewerMembership:
    belonging: strawberry.Private[queries.Belonging]

    @strawberry.field(description="Global id of the organization, for `switchOrganization`.")
    def organization_id(self) -> strawberry.ID:
        return global_id("Organization", self.belonging.organization_id)

    @strawberry.field(description="UUID of the organization.")
    def organization_uuid(self) -> UUID:
        return self.belonging.organization_id

    @strawberry.field(description="Lower-case name of the organization in addresses.")
    def slug(self) -> str:
        return self.belonging.slug

    @strawberry.field(description="Name of the organization.")
    def name(self) -> str:
        return self.belonging.name

    @strawberry.field(description="The person's role there.")
    def role(self) -> Role:
        return self.belonging.role


@strawberry.type(
    description="Why a person who looks after the deployment acts in an organization that is not "
    "theirs, and until when."
)
class Visit:
    reason: str = strawberry.field(description="As they gave it.")
    expires_at: datetime = strawberry.field(description="When it ends by itself.")

    @strawberry.field(description="The organization.")
    async def organization(self, info: Info) -> OrganizationType:
        return own_organization(info)


@strawberry.type(description="Who sent the request.")
class Viewer(ViewerFields):
    platform_admin: bool = strawberry.field(
        description="Whether the person looks after the whole deployment."
    )

    @strawberry.field(description="The person; for an API key, who made it.")
    async def user(self, info: Info) -> User:
        return await own_user(info)

    @strawberry.field(description="How they want pages to be; for an API key, who made it.")
    async def preferences(self, info: Info) -> Preferences:
        found = (await own_user(info)).member.user
        return Preferences(
            theme=Theme(found.theme),
            shortcuts=found.shortcuts,
            language=found.language or None,
        )

    @strawberry.field(description="The languages that pages can be in.")
    async def languages(self) -> list[Language]:
        return known_languages()

    @strawberry.field(description="The organization that the credential acts for.")
    async def organization(self, info: Info) -> OrganizationType:
        return own_organization(info)

    @strawberry.field(
        description="Where the person belongs, by name; an API key sees its own place only."
    )
    async def memberships(self, info: Info) -> list[ViewerMembership]:
        found = await queries.list_belongings(actor_of(info))
        return [ViewerMembership(belonging=belonging) for belonging in found]

    @strawberry.field(description="Why they act where they do not belong; null if they belong.")
    def visit(self, info: Info) -> Visit | None:
        found = actor_of(info).visit
        return None if found is None else Visit(reason=found.reason, expires_at=found.expires_at)

    @strawberry.field(description="The credential itself.")
    def credential(self, info: Info) -> Credential:
        actor = actor_of(info)
        expires_at = actor.expires_at
        return Credential(
            kind=actor.kind,
            mode=actor.mode,
            scopes=sorted(p.value for p in actor.permissions if actor.may(p)),
            expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
            rate_limit_per_minute=actor.rate_limit_per_minute,
        )


@strawberry.type
class Query:
    @strawberry.field(description="Who sent this request. Needs no scope.")
    def viewer(self, info: Info) -> Viewer:
        return Viewer(platform_admin=actor_of(info).platform_admin)


async def own_user(info: Info) -> User:
    """Return the person who asks now; for an API key, who made it."""
    actor = actor_of(info)
    if actor.visit is not None:
        member = await queries.get_visitor(actor)
        return User(uuid=member.user.id, member=member)
    user_id: UUID | None = actor.user_id
    found = None if user_id is None else await info.context.loaders.load(load_users, user_id)
    if found is None:
        raise NotFound
    return found


def own_organization(info: Info) -> "Organization":
    """Return the organization that the credential acts for now."""
    from .organization import Organization

    return Organization(uuid=actor_of(info).organization_id)
