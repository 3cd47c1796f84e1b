"""The audit log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..audit import queries
from ..audit.queries import EntryFilter
from ..audit.tables import AuditEntry as EntryRow
from ..core.actor import Actor, ActorKind, ApiKeyId, UserId
from . import enums as _enums  # noqa: F401 it describes those of core
from .context import Info, actor_of
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import Json
from .users import User, load_users


@strawberry.type(description="One change, and who made it. Entries are never changed.")
class AuditEntry(Node):
    row: strawberry.Private[EntryRow]

    @strawberry.field(description="What was done, such as `api_key.created`.")
    def action(self) -> str:
        return self.row.action

    @strawberry.field(description="How whoever did it had signed in.")
    def actor_kind(self) -> ActorKind:
        return ActorKind(self.row.actor_kind)

    @strawberry.field(description="UUID of the person, or of the API key's maker.")
    def user_uuid(self) -> UUID | None:
        return self.row.user_id

    @strawberry.field(description="The person, while they are a member. Needs `users:read`.")
    async def user(self, info: Info) -> User | None:
        if self.row.user_id is None:
            return None
        return await info.context.loaders.load(load_users, self.row.user_id)

    @strawberry.field(description="UUID of the API key; null if there was none.")
    def api_key_uuid(self) -> UUID | None:
        return self.row.api_key_id

    @strawberry.field(description="What kind of thing was changed, such as `api_key`.")
    def target_type(self) -> str:
        return self.row.target_type

    @strawberry.field(description="Which one: its UUID, or its name.")
    def target_id(self) -> str:
        return self.row.target_id

    @strawberry.field(description="Changed fields; secrets are left out.")
    def changes(self) -> Json:
        return Json(queries.changes_of(self.row))

    @strawberry.field(description="Network address of the request.")
    def source_address(self) -> str | None:
        return self.row.source_address

    @strawberry.field(description="Id of the request, as in its answer and in the logs.")
    def request_id(self) -> str:
        return self.row.request_id

    @strawberry.field(description="When it happened.")
    def created_at(self) -> datetime:
        return self.row.created_at


def _entry(row: EntryRow) -> AuditEntry:
    return AuditEntry(uuid=row.id, row=row)


async def load_entries(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, AuditEntry]:
    """Return those of *ids* that belong to the actor's organization."""
    found = await queries.find_entries(actor, ids)
    return {id: _entry(row) for id, row in found.items()}


register(AuditEntry, load_entries)


@strawberry.input(description="Which entries; an absent field is any.")
class AuditFilterInput:
    action: str | None = strawberry.field(
        default=None, description="Exactly this action, such as `api_key.created`."
    )
    target_type: str | None = strawberry.field(
        default=None, description="Only this kind of target, such as `api_key`."
    )
    target_id: str | None = strawberry.field(default=None, description="Only this target.")
    user_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only by this person, or by a key they made."
    )
    api_key_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only by this API key."
    )
    since: datetime | None = strawberry.field(default=None, description="From this time on.")
    until: datetime | None = strawberry.field(default=None, description="Before this time.")


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="Who changed what, newest first. Needs `audit:read`.")
    async def audit_log(
        self,
        info: Info,
        filter: Annotated[
            AuditFilterInput | None, strawberry.argument(description="Which entries.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AuditEntry]:
        given = filter or AuditFilterInput()
        where = EntryFilter(
            action=given.action,
            target_type=given.target_type,
            target_id=given.target_id,
            user_id=UserId(parse_id(given.user_id, "User")) if given.user_id else None,
            api_key_id=ApiKeyId(parse_id(given.api_key_id, "ApiKey")) if given.api_key_id else None,
            since=given.since,
            until=given.until,
        )
        page = await queries.list_entries(
            actor_of(info), page_request(first, after, last, before, maximum=500), where=where
        )
        return to_connection(page, _entry)
