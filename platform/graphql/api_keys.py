"""API keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor, ApiKeyId, Mode, ProjectId
from ..core.errors import DetailCode, InvalidInput, NotFound
from ..domains.queries import domain_names
from ..security import operations, queries
from ..security.operations import IssuedKey, NewKey
from ..security.queries import KeyFilter, KeyOrder, KeyView
from ..security.rules import KeyFormat, KeyStatus
from .accounts import Project, load_projects
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, global_id, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt
from .users import User, load_users

describe_enum(
    KeyStatus,
    "What an API key is good for now.",
    {
        "ACTIVE": "Everything it may do.",
        "ROTATING": "Likewise, and so does its previous secret.",
        "EXPIRED": "Nothing: its time is over.",
        "DISABLED": "Nothing: it is switched off, or its maker has left.",
    },
    name="ApiKeyStatus",
)
describe_enum(
    KeyOrder,
    "What API keys are ordered by.",
    {
        "CREATED_AT": "When they were made.",
        "NAME": "Their name.",
        "LAST_USED_AT": "When they were last used; never is the earliest.",
    },
    name="ApiKeyOrderField",
)


@strawberry.type(description="A secret that a rotation replaced, good for a while.")
class PreviousApiKey:
    prefix: str = strawberry.field(description="The part of it that may be shown.")
    expires_at: datetime = strawberry.field(description="Until when it is good.")


@strawberry.type(description="What a program signs in with; its secret is never shown again.")
class ApiKey(Node):
    view: strawberry.Private[KeyView]

    @strawberry.field(description="Name.")
    def name(self) -> str:
        return self.view.row.name

    @strawberry.field(description="The part of the secret that may be shown.")
    def prefix(self) -> str:
        return self.view.prefix

    @strawberry.field(description="How the secret is written.")
    def format(self) -> KeyFormat:
        return KeyFormat(self.view.row.format)

    @strawberry.field(
        description="Scopes as they were asked for; `*` and `group:*` follow the maker's role."
    )
    def scopes(self) -> list[str]:
        return list(self.view.row.scopes)

    @strawberry.field(description="Whether mail really leaves.")
    def mode(self) -> Mode:
        return Mode(self.view.row.mode)

    @strawberry.field(description="What it is good for now.")
    def status(self) -> KeyStatus:
        return self.view.status

    @strawberry.field(description="The only project it may touch; null is every one.")
    async def project(self, info: Info) -> Project | None:
        if self.view.row.project_id is None:
            return None
        return await info.context.loaders.load(load_projects, self.view.row.project_id)

    @strawberry.field(description="When it ends; null is never.")
    def expires_at(self) -> datetime | None:
        return self.view.row.expires_at

    @strawberry.field(description="Networks it may be used from, as CIDR; empty is any.")
    def allowed_networks(self) -> list[str]:
        return list(self.view.row.allowed_networks)

    @strawberry.field(description="Sending domains it may use; empty is any.")
    def allowed_domains(self) -> list[str]:
        return list(self.view.row.allowed_domains)

    @strawberry.field(description="Its own limit of requests a minute; null is the plan's.")
    def rate_limit_per_minute(self) -> int | None:
        return self.view.row.rate_limit_per_minute

    @strawberry.field(description="The previous secret, while it is good.")
    def previous_key(self) -> PreviousApiKey | None:
        previous = self.view.previous
        if previous is None:
            return None
        return PreviousApiKey(prefix=previous.prefix, expires_at=previous.expires_at)

    @strawberry.field(description="Requests of the last 24 hours; up to a minute late.")
    async def requests_in_24_hours(self, info: Info) -> BigInt:
        key_id = ApiKeyId(self.uuid)
        return BigInt(await info.context.loaders.load(queries.count_requests, key_id) or 0)

    @strawberry.field(description="When it was last used; up to a minute late, null is never.")
    def last_used_at(self) -> datetime | None:
        return self.view.row.last_used_at

    @strawberry.field(description="The network address it was last used from.")
    def last_used_address(self) -> str | None:
        return self.view.row.last_used_address

    @strawberry.field(description="UUID of who made it.")
    def created_by_uuid(self) -> UUID | None:
        maker: UUID | None = self.view.row.created_by
        return maker

    @strawberry.field(description="Who made it; null if they have left. Needs `users:read`.")
    async def created_by(self, info: Info) -> User | None:
        if self.view.row.created_by is None:
            return None
        return await info.context.loaders.load(load_users, self.view.row.created_by)

    @strawberry.field(description="When its secret was last replaced.")
    def rotated_at(self) -> datetime | None:
        return self.view.row.rotated_at

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.view.row.created_at


def _key(view: KeyView) -> ApiKey:
    return ApiKey(uuid=view.row.id, view=view)


async def load_api_keys(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, ApiKey]:
    """Return those of *ids* that the actor may see."""
    found = await queries.find_api_keys(actor, [ApiKeyId(id) for id in ids])
    return {id: _key(view) for id, view in found.items()}


register(ApiKey, load_api_keys)


@strawberry.input(description="Which API keys; an absent field is any.")
class ApiKeyFilterInput:
    status: KeyStatus | None = strawberry.field(default=None, description="Only in this state.")
    mode: Mode | None = strawberry.field(default=None, description="Only of this mode.")


@strawberry.input(description="The order of API keys.")
class ApiKeyOrderInput:
    field: KeyOrder = strawberry.field(default=KeyOrder.CREATED_AT, description="By what.")
    descending: bool = strawberry.field(default=True, description="The last one first.")


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="API keys: a developer sees their own, an admin or owner every one. "
        "Needs `api_keys:read`."
    )
    async def api_keys(
        self,
        info: Info,
        filter: Annotated[
            ApiKeyFilterInput | None, strawberry.argument(description="Which ones.")
        ] = None,
        order_by: Annotated[
            ApiKeyOrderInput | None, strawberry.argument(description="In which order.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ApiKey]:
        given, order = filter or ApiKeyFilterInput(), order_by or ApiKeyOrderInput()
        actor, where = actor_of(info), KeyFilter(given.status, given.mode)
        page = await queries.list_api_keys(
            actor,
            page_request(first, after, last, before, maximum=500),
            where=where,
            order=order.field,
            descending=order.descending,
        )
        return to_connection(page, _key, count=lambda: queries.count_api_keys(actor, where=where))

    @strawberry.field(description="One API key. Needs `api_keys:read`, except for itself.")
    async def api_key(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the API key.")],
    ) -> ApiKey:
        key_id = ApiKeyId(parse_id(id, "ApiKey"))
        return _key(await queries.get_api_key(actor_of(info), key_id))


@strawberry.input(description="The API key to make.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="1 to 100 characters.")
    scopes: list[str] = strawberry.field(
        description="1 to 50 scopes such as `messages:send`, `messages:*` or `*`, each held by "
        "whoever makes the key."
    )
    mode: Mode = strawberry.field(default=Mode.LIVE, description="Whether mail really leaves.")
    format: KeyFormat = strawberry.field(
        default=KeyFormat.STANDARD, description="How the secret is written."
    )
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="Id of the only project it may touch; absent is every one."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it ends; absent is never."
    )
    allowed_networks: list[str] = strawberry.field(
        default_factory=list, description="Up to 50 addresses or CIDR blocks; empty is any."
    )
    allowed_domains: list[str] = strawberry.field(
        default_factory=list,
        description="Up to 50 sending domains, by name or UUID; empty is any.",
    )
    rate_limit_per_minute: int | None = strawberry.field(
        default=None, description="From 1 up to the plan's limit; absent is the plan's limit."
    )


@strawberry.type(description="An API key and its secret.")
class ApiKeyPayload:
    key: str = strawberry.field(description="The secret; shown this once.")
    api_key_id: strawberry.Private[ApiKeyId]

    @strawberry.field(description="The API key.")
    async def api_key(self, info: Info) -> ApiKey:
        return _key(await queries.get_api_key(actor_of(info), self.api_key_id))


@strawberry.input(description="Which API key to rotate, and how.")
class RotateApiKeyInput:
    api_key_id: strawberry.ID = strawberry.field(description="Id of the API key.")
    grace_period_seconds: int = strawberry.field(
        default=86_400,
        description="How long the old secret stays good: 0 to 604,800 seconds.",
    )


@strawberry.input(description="What to change of an API key; an absent field stays.")
class UpdateApiKeyInput:
    api_key_id: strawberry.ID = strawberry.field(description="Id of the API key.")
    name: str | None = strawberry.field(default=None, description="1 to 100 characters.")
    enabled: bool | None = strawberry.field(
        default=None, description="Whether it is good, from the next request on."
    )


@strawberry.type(description="What `updateApiKey` changed.")
class UpdateApiKeyPayload:
    api_key: ApiKey = strawberry.field(description="The API key.")


@strawberry.input(description="Which API key to delete.")
class DeleteApiKeyInput:
    api_key_id: strawberry.ID = strawberry.field(description="Id of the API key.")


@strawberry.type(description="What `deleteApiKey` did.")
class DeleteApiKeyPayload:
    deleted_id: strawberry.ID = strawberry.field(description="Global id of what is gone.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Make an API key that holds no more than you do; at most 100 in an "
        "organization. Needs `api_keys:write`."
    )
    async def create_api_key(
        self,
        info: Info,
        input: Annotated[CreateApiKeyInput, strawberry.argument(description="The API key.")],
    ) -> ApiKeyPayload:
        actor = actor_of(info)
        new = NewKey(
            name=input.name,
            scopes=input.scopes,
            mode=input.mode,
            format=input.format,
            project_id=_project_id(input.project_id),
            expires_at=input.expires_at,
            allowed_networks=input.allowed_networks,
            allowed_domains=await domain_names(actor, input.allowed_domains),
            rate_limit_per_minute=input.rate_limit_per_minute,
        )
        return _payload(await operations.create_api_key(actor, new))

    @strawberry.mutation(
        description="Replace the secret of an API key; the old one stays good for a while, one "
        "that was replaced before ends now. A key may rotate itself. Needs `api_keys:write`."
    )
    async def rotate_api_key(
        self,
        info: Info,
        input: Annotated[RotateApiKeyInput, strawberry.argument(description="Which, and how.")],
    ) -> ApiKeyPayload:
        key_id = ApiKeyId(parse_id(input.api_key_id, "ApiKey"))
        grace = timedelta(seconds=input.grace_period_seconds)
        return _payload(await operations.rotate_api_key(actor_of(info), key_id, grace=grace))

    @strawberry.mutation(
        description="Rename an API key, or switch it on or off. Needs `api_keys:write`."
    )
    async def update_api_key(
        self,
        info: Info,
        input: Annotated[UpdateApiKeyInput, strawberry.argument(description="The change.")],
    ) -> UpdateApiKeyPayload:
        actor, key_id = actor_of(info), ApiKeyId(parse_id(input.api_key_id, "ApiKey"))
        await operations.update_api_key(actor, key_id, name=input.name, enabled=input.enabled)
        return UpdateApiKeyPayload(api_key=_key(await queries.get_api_key(actor, key_id)))

    @strawberry.mutation(
        description="Delete an API key: all of its secrets are refused from the next request on. "
        "Needs `api_keys:write`."
    )
    async def delete_api_key(
        self,
        info: Info,
        input: Annotated[DeleteApiKeyInput, strawberry.argument(description="Which.")],
    ) -> DeleteApiKeyPayload:
        key_id = ApiKeyId(parse_id(input.api_key_id, "ApiKey"))
        await operations.delete_api_key(actor_of(info), key_id)
        return DeleteApiKeyPayload(deleted_id=global_id("ApiKey", key_id))


def _payload(issued: IssuedKey) -> ApiKeyPayload:
    return ApiKeyPayload(key=issued.secret, api_key_id=issued.key_id)


def _project_id(value: strawberry.ID | None) -> ProjectId | None:
    if value is None:
        return None
    try:
        return ProjectId(parse_id(value, "Project"))
    except NotFound:
        raise InvalidInput.of(
            "projectId", DetailCode.NOT_FOUND, "There is no such project."
        ) from None
