"""Templates: their versions, and what they make of values."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..mail.templating import Syntax
from ..templates import queries, tables
from . import enums as _enums  # noqa: F401 it describes the syntaxes
from .context import Info, actor_of
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import Json


@strawberry.type(description="What a version of a template says in one language.")
class TemplateText:
    locale: str | None = strawberry.field(
        description="Language tag; null is for everybody whose language has no text."
    )
    subject: str | None = strawberry.field(description="Source of the subject.")
    html: str | None = strawberry.field(description="Source of the HTML.")
    text: str | None = strawberry.field(description="Source of the plain text.")


@strawberry.type(description="A name that texts of a template leave open.")
class TemplateVariable:
    name: str = strawberry.field(description="The name.")
    default: Json | None = strawberry.field(
        description="What it stands for where a message does not give it."
    )
    is_required: bool = strawberry.field(description="Whether a message has to give it.")


@strawberry.type(description="What a template says, or once said; never changed.")
class TemplateVersion(Node):
    row: strawberry.Private[tables.TemplateVersion]

    @strawberry.field(description="1 is the first of its template.")
    def number(self) -> int:
        return self.row.number

    @strawberry.field(description="The template that it is put into.")
    async def layout(
        self, info: Info
    ) -> Annotated["Template", strawberry.lazy(".templates")] | None:
        if self.row.layout_id is None:
            return None
        return await info.context.loaders.load(load_templates, self.row.layout_id)

    @strawberry.field(description="From, where a message names none.")
    def sender(self) -> str | None:
        return self.row.sender

    @strawberry.field(description="What it says, a language each.")
    def texts(self) -> list[TemplateText]:
        return [TemplateText(**each) for each in json.loads(self.row.texts).values()]

    @strawberry.field(description="Names that were declared, with their defaults.")
    def variables(self) -> list[TemplateVariable]:
        return [
            TemplateVariable(
                name=each["name"], default=each["default"], is_required=each["required"]
            )
            for each in json.loads(self.row.variables)
        ]

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at


@strawberry.type(description="What messages are filled from, under one name.")
class Template(Node):
    row: strawberry.Private[tables.Template]

    @strawberry.field(description="Name in requests; it never changes.")
    def slug(self) -> str:
        return self.row.slug

    @strawberry.field(description="Name for people.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(description="UUID of the only project that it is for; null is all.")
    def project_uuid(self) -> UUID | None:
        return self.row.project_id

    @strawberry.field(description="How its sources say where values go.")
    def syntax(self) -> Syntax:
        return Syntax(self.row.syntax)

    @strawberry.field(description="Number of the newest version.")
    def latest_number(self) -> int:
        return self.row.latest

    @strawberry.field(description="The version that counts; null before one was published.")
    async def published(self, info: Info) -> TemplateVersion | None:
        if self.row.published is None:
            return None
        key = (self.row.id, self.row.published)
        return await info.context.loaders.load(load_numbered, key)

    @strawberry.field(description="One version; null if there is none with the number.")
    async def version(
        self,
        info: Info,
        number: Annotated[int, strawberry.argument(description="Its number.")],
    ) -> TemplateVersion | None:
        return await info.context.loaders.load(load_numbered, (self.row.id, number))

    @strawberry.field(description="Its versions, the newest first.")
    async def versions(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[TemplateVersion]:
        page = page_request(first, after, last, before)
        found = await queries.list_versions(actor_of(info), self.row.id, page=page)
        return to_connection(found, _version_type)

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it last changed.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


def template_type(row: tables.Template) -> Template:
    """Return the GraphQL object of a row."""
    return Template(uuid=row.id, row=row)


def _version_type(row: tables.TemplateVersion) -> TemplateVersion:
    return TemplateVersion(uuid=row.id, row=row)


async def load_templates(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Template]:
    """Return those of the templates that the actor may see."""
    found = await queries.find_templates(actor, ids)
    return {id: template_type(row) for id, row in found.items()}


async def load_versions(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, TemplateVersion]:
    """Return those of the versions that the actor may see."""
    found = await queries.find_versions(actor, ids)
    return {id: _version_type(row) for id, row in found.items()}


async def load_numbered(
    actor: Actor, wanted: Sequence[queries.Numbered]
) -> Mapping[queries.Numbered, TemplateVersion]:
    """Return versions by their template and number."""
    found = await queries.find_numbered(actor, wanted)
    return {key: _version_type(row) for key, row in found.items()}


register(Template, load_templates)
register(TemplateVersion, load_versions)


@strawberry.input(one_of=True, description="Names a template.")
class TemplateRef:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="By its global id or UUID."
    )
    slug: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="By its slug: the project's own, or else that of all projects.",
    )


def read_ref(ref: TemplateRef) -> queries.TemplateRef:
    """Return which template is meant."""
    if ref.id is not None and ref.id is not strawberry.UNSET:
        return queries.TemplateRef(id=parse_id(ref.id, "Template"))
    return queries.TemplateRef(slug=ref.slug)


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="Templates, newest first; with a project's key, its own and those of all "
        "projects. Needs `templates:read`."
    )
    async def templates(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Template]:
        found = await queries.list_templates(
            actor_of(info), page=page_request(first, after, last, before)
        )
        return to_connection(found, template_type)

    @strawberry.field(description="One template. Needs `templates:read`.")
    async def template(
        self,
        info: Info,
        ref: Annotated[TemplateRef, strawberry.argument(description="Which.")],
    ) -> Template:
        return template_type(await queries.get_template(actor_of(info), read_ref(ref)))
