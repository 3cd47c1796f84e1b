"""The organization itself, and its projects."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..accounts import operations, queries
from ..accounts.operations import NewProject, ProjectChange
from ..accounts.rules import OrganizationStatus, Plan
from ..accounts.tables import Organization as OrganizationRow
from ..accounts.tables import Project as ProjectRow
from ..core.actor import Actor, Mode, ProjectId
from ..core.errors import DetailCode, InvalidInput
from ..core.retention import Kind, days_for
from ..core.settings import settings
from ..messages.rules import Stream
from ..security.new_keys import NewKey
from ..security.operations import create_project_with_key
from ..security.rules import KeyFormat
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt
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


@strawberry.type(description="How many days things of an organization are kept, on its plan.")
class Retention:
    plan: strawberry.Private[str]

    @strawberry.field(description="What messages say, after their last recipient is final.")
    def content_days(self) -> int:
        return days_for(Kind.CONTENTS, self.plan)

    @strawberry.field(description="Messages with their recipients, attempts and events.")
    def message_days(self) -> int:
        return days_for(Kind.MESSAGES, self.plan)

    @strawberry.field(description="Calls of webhooks.")
    def webhook_call_days(self) -> int:
        return days_for(Kind.CALLS, self.plan)

    @strawberry.field(description="Lines of the log of requests; 0 is no log.")
    def request_days(self) -> int:
        return days_for(Kind.REQUESTS, self.plan)

    @strawberry.field(description="Entries of the audit log.")
    def audit_days(self) -> int:
        return days_for(Kind.AUDIT, self.plan)


@strawberry.type(description="A mail stream with its own keys and its own message log.")
class Project(Node):
    row: strawberry.Private[ProjectRow]

    @strawberry.field(description="Lower-case name in addresses; it never changes.")
    def slug(self) -> str:
        return self.row.slug

    @strawberry.field(description="Name.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(description="Number for clients that need integers.")
    def number(self) -> BigInt:
        return BigInt(self.row.number)

    @strawberry.field(description="The customer's own name for it; unique in the organization.")
    def uid(self) -> str | None:
        return self.row.uid

    @strawberry.field(description="What it is listed under.")
    def group_name(self) -> str | None:
        return self.row.group_name

    @strawberry.field(
        description="What kind of mail it is where a message to many names none; `MARKETING` can "
        "be unsubscribed from with one click."
    )
    def stream(self) -> Stream:
        return Stream(self.row.stream)

    @strawberry.field(description="Where the dashboard shows its mail.")
    async def url(self, info: Info) -> str:
        return f"{await page_of(info)}/messages"

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


async def load_slug(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the name in addresses of the actor's organization, read once for a whole list."""
    return {actor.organization_id: await queries.slug_of(actor)}


async def page_of(info: Info) -> str:
    """Return where the dashboard shows the organization."""
    actor = actor_of(info)
    slug = queries.known_slug(actor)
    if slug is None:
        key: UUID = actor.organization_id
        slug = await info.context.loaders.load(load_slug, key)
    return f"{settings().public_url}/o/{slug}"


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

    @strawberry.field(description="How long things are kept.")
    async def retention(self, info: Info) -> Retention:
        return Retention(plan=(await _row(info)).plan)

    @strawberry.field(
        description="Whether members need a second factor to do anything but set one up."
    )
    async def requires_second_factor(self, info: Info) -> bool:
        return (await _row(info)).requires_second_factor

    @strawberry.field(description="When it was made.")
    async def created_at(self, info: Info) -> datetime:
        return (await _row(info)).created_at

    @strawberry.field(description="Where the dashboard shows it.")
    async def url(self, info: Info) -> str:
        return await page_of(info)

    @strawberry.field(
        description="Its mail streams that are not archived, the oldest first; at most 1,000. "
        "Needs `projects:read`.",
        metadata={"cost": 100},
    )
    async def projects_in_use(self, info: Info) -> list[Project]:
        return [_project(row) for row in await queries.projects_in_use(actor_of(info))]

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


@strawberry.input(one_of=True, description="Names a project.")
class ProjectRef:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="By its global id or UUID."
    )
    uid: str | None = strawberry.field(
        default=strawberry.UNSET, description="By the customer's own name for it."
    )
    number: BigInt | None = strawberry.field(default=strawberry.UNSET, description="By its number.")


async def _named(info: Info, id: strawberry.ID | None, ref: ProjectRef | None) -> ProjectId:
    """Return which project is meant.

    Raises:
        InvalidInput: it is named in neither way, or in both.
        NotFound: there is none.
    """
    if (id is None) == (ref is None):
        raise InvalidInput.of("projectId", DetailCode.REQUIRED, "Name one project.")
    if ref is None:
        return ProjectId(parse_id(id or "", "Project"))
    if ref.id is not None and ref.id is not strawberry.UNSET:
        return ProjectId(parse_id(ref.id, "Project"))
    if ref.uid is not None and ref.uid is not strawberry.UNSET:
        return await queries.find_project(actor_of(info), uid=ref.uid)
    return await queries.find_project(actor_of(info), number=int(ref.number or 0))


@strawberry.input(description="The first key of a project.")
class ProjectKeyInput:
    name: str = strawberry.field(description="1 to 100 characters.")
    scopes: list[str] = strawberry.field(description="Such as `messages:send` or `messages:*`.")
    format: KeyFormat = strawberry.field(
        default=KeyFormat.STANDARD, description="Which clients can use it."
    )


@strawberry.input(description="The project to make.")
class CreateProjectInput:
    name: str = strawberry.field(description="1 to 100 characters.")
    slug: str | None = strawberry.field(
        default=None,
        description="1 to 63 lower-case letters, digits and inner hyphens, unique in the "
        "organization; made of the name if absent.",
    )
    uid: str | None = strawberry.field(
        default=None,
        description="Your own name for it, up to 255 characters, unique in the organization.",
    )
    group_name: str | None = strawberry.field(
        default=None, description="1 to 100 characters: what it is listed under."
    )
    track_opens: bool | None = strawberry.field(
        default=None, description="Track opens; left out, domain or organization decide."
    )
    track_clicks: bool | None = strawberry.field(
        default=None, description="Track clicks; left out, domain or organization decide."
    )
    stream: Stream | None = strawberry.field(
        default=None, description="What kind its mail is where a message to many names none."
    )
    api_key: ProjectKeyInput | None = strawberry.field(
        default=None, description="A key to make with it, bound to it. Needs `api_keys:write`."
    )


@strawberry.type(description="What `createProject` made.")
class CreateProjectPayload:
    project: Project = strawberry.field(description="The project.")
    key: str | None = strawberry.field(
        description="The secret of its key, shown this once; null if none was asked for."
    )


@strawberry.input(description="The project to change; an absent field stays.")
class UpdateProjectInput:
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="Id of the project; it or `project` is needed."
    )
    project: ProjectRef | None = strawberry.field(default=None, description="Which project.")
    name: str | None = strawberry.field(default=None, description="1 to 100 characters.")
    uid: str | None = strawberry.field(
        default=None, description="Another name of your own for it, up to 255 characters."
    )
    group_name: str | None = strawberry.field(
        default=None, description="What it is listed under; empty is nothing."
    )
    track_opens: bool | None = strawberry.field(default=None, description="Track opens or not.")
    track_clicks: bool | None = strawberry.field(default=None, description="Track clicks or not.")
    stream: Stream | None = strawberry.field(
        default=None, description="What kind its mail is where a message to many names none."
    )
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
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="Id of the project; it or `project` is needed."
    )
    project: ProjectRef | None = strawberry.field(default=None, description="Which project.")


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


def _first_key(input: ProjectKeyInput | None) -> NewKey | None:
    return None if input is None else NewKey(input.name, input.scopes, format=input.format)


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Make a project. Needs `projects:write`.")
    async def create_project(
        self,
        info: Info,
        input: Annotated[CreateProjectInput, strawberry.argument(description="The project.")],
    ) -> CreateProjectPayload:
        actor = actor_of(info)
        new = NewProject(
            name=input.name,
            slug=input.slug,
            uid=input.uid,
            group_name=input.group_name,
            track_opens=input.track_opens,
            track_clicks=input.track_clicks,
            stream=input.stream and input.stream.value,
        )
        id, key = await create_project_with_key(actor, new, _first_key(input.api_key))
        row = await queries.get_project(actor, id)
        return CreateProjectPayload(project=_project(row), key=key)

    @strawberry.mutation(
        description="Change a project, and what the keys bound to it may do from their next "
        "request on. Needs `projects:write`; a key with limits of its own changes the name only."
    )
    async def update_project(
        self,
        info: Info,
        input: Annotated[UpdateProjectInput, strawberry.argument(description="The change.")],
    ) -> UpdateProjectPayload:
        actor, id = actor_of(info), await _named(info, input.project_id, input.project)
        rate = input.rate_limit_per_minute
        change = ProjectChange(
            name=input.name,
            uid=input.uid,
            group_name=input.group_name,
            track_opens=input.track_opens,
            track_clicks=input.track_clicks,
            stream=input.stream and input.stream.value,
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
        actor, id = actor_of(info), await _named(info, input.project_id, input.project)
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
