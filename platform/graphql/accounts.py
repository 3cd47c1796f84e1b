"""The organization itself, and its projects."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..accounts import operations, queries
from ..accounts.operations import ProjectChange
from ..accounts.rules import OrganizationStatus, Plan
from ..accounts.tables import Organization as OrganizationRow
from ..accounts.tables import Project as ProjectRow
from ..core.actor import Actor, Mode, ProjectId
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .tracking import TrackingSettings

describe_enum(
    OrganizationStatus,
    "What an organization may do.",
    {"ACTIVE": "Everything.", "SUSPENDED": "Read, and change nothing."},
)
describe_enum(
    Plan,
    "What an organization pays for.",
    {
        "TRIAL": "Nothing, for a while; 300 requests a minute.",
        "STARTER": "A small plan; 1,000 requests a minute.",
        "PROFESSIONAL": "A large plan; 10,000 requests a minute.",
        "ENTERPRISE": "By contract; any number of requests.",
        "SELF_HOSTED": "Nothing, because the deployment is its own; no limits.",
    },
)


@strawberry.type(description="A mail stream with its own keys and its own message log.")
class Project(Node):
    row: strawberry.Private[ProjectRow]

    @strawberry.field(description="Lower-case name in addresses; it never changes.")
    def slug(self) -> str:
        return self.row.slug

    @strawberry.field(description="Name.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(
        description="Whether mail of the keys bound to it really leaves: `SANDBOX` wins over a "
        "key's own mode."
    )
    def mode(self) -> Mode:
        return Mode(self.row.mode)

    @strawberry.field(
        description="Sending domains that keys bound to it may use; empty is any. A key's own "
        "list narrows it."
    )
    def allowed_domains(self) -> list[str]:
        return list(self.row.allowed_domains)

    @strawberry.field(
        description="Requests a minute that each key bound to it may make; null is any number. "
        "A key's own limit only lowers it."
    )
    def rate_limit_per_minute(self) -> int | None:
        return self.row.rate_limit_per_minute

    @strawberry.field(
        description="Since when it is archived and the keys bound to it are refused; null is in "
        "use."
    )
    def archived_at(self) -> datetime | None:
        return self.row.archived_at

    @strawberry.field(description="What is decided about tracking its mail.")
    def tracking(self) -> TrackingSettings:
        return TrackingSettings(row=self.row)

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it last changed.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


def _project(row: ProjectRow) -> Project:
    return Project(uuid=row.id, row=row)


async def load_projects(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Project]:
    """Return those of *ids* that the actor may see."""
    found = await queries.find_projects(actor, [ProjectId(id) for id in ids])
    return {id: _project(row) for id, row in found.items()}


register(Project, load_projects)


async def load_organization(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, OrganizationRow]:
    """Return the row of the actor's organization, read once for all of its fields."""
    return {actor.organization_id: await queries.get_organization(actor)}


async def _row(info: Info) -> OrganizationRow:
    key: UUID = actor_of(info).organization_id
    row: OrganizationRow | None = await info.context.loaders.load(load_organization, key)
    assert row is not None  # load_organization raises if it is gone
    return row


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="Lower-case name in addresses; it never changes.")
    async def slug(self, info: Info) -> str:
        return (await _row(info)).slug

    @strawberry.field(description="Name.")
    async def name(self, info: Info) -> str:
        return (await _row(info)).name

    @strawberry.field(description="What the organization may do.")
    async def status(self, info: Info) -> OrganizationStatus:
        return OrganizationStatus((await _row(info)).status)

    @strawberry.field(description="What the organization pays for.")
    async def plan(self, info: Info) -> Plan:
        return Plan((await _row(info)).plan)

    @strawberry.field(
        description="Whether members need a second factor to do anything but set one up."
    )
    async def requires_second_factor(self, info: Info) -> bool:
        return (await _row(info)).requires_second_factor

    @strawberry.field(description="When it was made.")
    async def created_at(self, info: Info) -> datetime:
        return (await _row(info)).created_at

    @strawberry.field(description="Its mail streams, the oldest first. Needs `projects:read`.")
    async def projects(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Project]:
        actor = actor_of(info)
        page = await queries.list_projects(actor, page_request(first, after, last, before))
        return to_connection(page, _project, count=lambda: queries.count_projects(actor))

    @strawberry.field(description="One mail stream.")
    async def project(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the project.")],
    ) -> Project:
        project_id = ProjectId(parse_id(id, "Project"))
        return _project(await queries.get_project(actor_of(info), project_id))


@strawberry.input(description="The project to make.")
class CreateProjectInput:
    name: str = strawberry.field(description="1 to 100 characters.")
    slug: str | None = strawberry.field(
        default=None,
        description="1 to 63 lower-case letters, digits and inner hyphens, unique in the "
        "organization; made of the name if absent.",
    )


@strawberry.type(description="What `createProject` made.")
class CreateProjectPayload:
    project: Project = strawberry.field(description="The project.")


@strawberry.input(description="The project to change; an absent field stays.")
class UpdateProjectInput:
    project_id: strawberry.ID = strawberry.field(description="Id of the project.")
    name: str | None = strawberry.field(default=None, description="1 to 100 characters.")
    mode: Mode | None = strawberry.field(
        default=None, description="Whether mail of the keys bound to it really leaves."
    )
    allowed_domains: list[str] | None = strawberry.field(
        default=None,
        description="At most 50 names of sending domains, for the keys bound to it; empty is any.",
    )
    rate_limit_per_minute: strawberry.Maybe[int | None] = strawberry.field(
        description="1 to 1,000,000, for each key bound to it; null lifts the limit."
    )


@strawberry.input(description="Which project to archive.")
class ArchiveProjectInput:
    project_id: strawberry.ID = strawberry.field(description="Id of the project.")


@strawberry.type(description="What `archiveProject` did.")
class ArchiveProjectPayload:
    project: Project = strawberry.field(description="The project.")


@strawberry.input(description="Which project to take back into use.")
class RestoreProjectInput:
    project_id: strawberry.ID = strawberry.field(description="Id of the project.")


@strawberry.type(description="What `restoreProject` did.")
class RestoreProjectPayload:
    project: Project = strawberry.field(description="The project.")


@strawberry.type(description="What `updateProject` changed.")
class UpdateProjectPayload:
    project: Project = strawberry.field(description="The project.")


@strawberry.input(description="What to change of the organization.")
class UpdateOrganizationInput:
    name: str = strawberry.field(description="1 to 100 characters.")


@strawberry.type(description="What `updateOrganization` changed.")
class UpdateOrganizationPayload:
    name: str = strawberry.field(description="The organization's name now.")


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Make a project. Needs `projects:write`.")
    async def create_project(
        self,
        info: Info,
        input: Annotated[CreateProjectInput, strawberry.argument(description="The project.")],
    ) -> CreateProjectPayload:
        actor = actor_of(info)
        id = await operations.create_project(actor, name=input.name, slug=input.slug)
        return CreateProjectPayload(project=_project(await queries.get_project(actor, id)))

    @strawberry.mutation(
        description="Change a project, and what the keys bound to it may do from their next "
        "request on. Needs `projects:write`; a key with limits of its own changes the name only."
    )
    async def update_project(
        self,
        info: Info,
        input: Annotated[UpdateProjectInput, strawberry.argument(description="The change.")],
    ) -> UpdateProjectPayload:
        actor, id = actor_of(info), ProjectId(parse_id(input.project_id, "Project"))
        rate = input.rate_limit_per_minute
        change = ProjectChange(
            name=input.name,
            mode=input.mode,
            allowed_domains=input.allowed_domains,
            rate_limit_per_minute=rate.value if rate else None,
            lifts_rate_limit=rate is not None and rate.value is None,
        )
        await operations.update_project(actor, id, change)
        return UpdateProjectPayload(project=_project(await queries.get_project(actor, id)))

    @strawberry.mutation(
        description="Take a project out of use: the keys bound to it are refused from their next "
        "request on, its messages stay readable. `default` stays. Needs `projects:write`."
    )
    async def archive_project(
        self,
        info: Info,
        input: Annotated[ArchiveProjectInput, strawberry.argument(description="Which.")],
    ) -> ArchiveProjectPayload:
        actor, id = actor_of(info), ProjectId(parse_id(input.project_id, "Project"))
        await operations.archive_project(actor, id, archived=True)
        return ArchiveProjectPayload(project=_project(await queries.get_project(actor, id)))

    @strawberry.mutation(
        description="Take an archived project back into use, and its keys with it. Needs "
        "`projects:write`."
    )
    async def restore_project(
        self,
        info: Info,
        input: Annotated[RestoreProjectInput, strawberry.argument(description="Which.")],
    ) -> RestoreProjectPayload:
        actor, id = actor_of(info), ProjectId(parse_id(input.project_id, "Project"))
        await operations.archive_project(actor, id, archived=False)
        return RestoreProjectPayload(project=_project(await queries.get_project(actor, id)))

    @strawberry.mutation(description="Change the organization's name. Needs `users:write`.")
    async def update_organization(
        self,
        info: Info,
        input: Annotated[UpdateOrganizationInput, strawberry.argument(description="The change.")],
    ) -> UpdateOrganizationPayload:
        await operations.rename_organization(actor_of(info), name=input.name)
        return UpdateOrganizationPayload(name=(await _row(info)).name)
