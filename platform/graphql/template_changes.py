"""Making, changing, publishing, trying and deleting templates."""

from typing import Annotated, Any

import strawberry

from ..core.actor import ProjectId
from ..mail.templating import Syntax
from ..templates import operations, rules
from ..templates.operations import NewTemplate, Trial
from .context import Info, actor_of
from .nodes import parse_id
from .scalars import Json
from .templates import Template, TemplateRef, read_ref, template_type


@strawberry.input(description="What a version says in one language; html, text or both.")
class TemplateTextInput:
    locale: str | None = strawberry.field(
        default=None,
        description="Language tag such as `de` or `pt-BR`; left out, for everybody whose "
        "language has no text.",
    )
    subject: str | None = strawberry.field(
        default=None, description="At most 2,000 characters; line breaks become spaces."
    )
    html: str | None = strawberry.field(default=None, description="At most 512 KiB.")
    text: str | None = strawberry.field(default=None, description="At most 512 KiB.")


@strawberry.input(description="A name that texts leave open.")
class TemplateVariableInput:
    name: str = strawberry.field(description="1 to 64 letters, digits and `_`.")
    default: Json | None = strawberry.field(
        default=None, description="What it stands for where a message does not give it."
    )
    is_required: bool = strawberry.field(
        default=False, description="Whether a message has to give it."
    )


@strawberry.input(description="What a version of a template is to be.")
class TemplateVersionInput:
    texts: list[TemplateTextInput] = strawberry.field(
        description="At most 50, each in another language."
    )
    variables: list[TemplateVariableInput] = strawberry.field(
        default_factory=list, description="At most 100; others are empty unless they are given."
    )
    layout: str | None = strawberry.field(
        default=None, description="Slug or UUID of the published template that it is put into."
    )
    sender: str | None = strawberry.field(
        default=None, description="Mailbox of From, where a message names none."
    )


@strawberry.input(description="The template to make.")
class CreateTemplateInput:
    slug: str = strawberry.field(
        description="1 to 63 letters, digits, `_` and `-`; unique in the project."
    )
    name: str | None = strawberry.field(
        default=None, description="1 to 100 characters; the slug without it."
    )
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="Id or UUID of the only project that it is for."
    )
    syntax: Syntax = strawberry.field(
        default=Syntax.JINJA, description="How its sources say where values go; it stays."
    )
    version: TemplateVersionInput = strawberry.field(description="Its first version.")
    publish: bool = strawberry.field(default=True, description="Let the version count at once.")


@strawberry.input(description="The version to give to a template.")
class SaveTemplateInput:
    template: TemplateRef = strawberry.field(description="Which.")
    version: TemplateVersionInput = strawberry.field(description="What it is to say.")
    publish: bool = strawberry.field(default=False, description="Let the version count at once.")


@strawberry.input(description="Which version is to count.")
class PublishTemplateInput:
    template: TemplateRef = strawberry.field(description="Of which template.")
    number: int = strawberry.field(description="Number of the version, newer or older.")


@strawberry.input(description="How to name a template.")
class RenameTemplateInput:
    template: TemplateRef = strawberry.field(description="Which.")
    name: str = strawberry.field(description="1 to 100 characters.")


@strawberry.input(description="Which template to delete.")
class DeleteTemplateInput:
    template: TemplateRef = strawberry.field(description="Which.")


@strawberry.input(description="What to try; without a draft, a version of the template.")
class PreviewTemplateInput:
    template: TemplateRef | None = strawberry.field(
        default=None, description="Which; a draft may do without."
    )
    number: int | None = strawberry.field(
        default=None, description="The version; left out, the published one, or the newest."
    )
    draft: TemplateVersionInput | None = strawberry.field(
        default=None, description="A version that is not stored."
    )
    syntax: Syntax | None = strawberry.field(
        default=None, description="Of the draft; left out, the template's, or `JINJA`."
    )
    locale: str | None = strawberry.field(default=None, description="In which language.")
    variables: Json | None = strawberry.field(
        default=None, description="An object: what names stand for; 64 KiB at the most."
    )


@strawberry.type(description="A template was made or changed.")
class TemplatePayload:
    template: Template = strawberry.field(description="The template.")


@strawberry.type(description="A template was deleted.")
class DeleteTemplatePayload:
    deleted: bool = strawberry.field(description="Always true.")


@strawberry.type(description="What a template makes of values.")
class PreviewTemplatePayload:
    subject: str | None = strawberry.field(description="The subject; null if it has none.")
    html: str | None = strawberry.field(description="The HTML; null if it has none.")
    text: str | None = strawberry.field(description="The plain text; null if it has none.")
    sender: str | None = strawberry.field(description="From, where a message names none.")
    missing: list[str] = strawberry.field(description="Names that a message has to give.")


def _version(input: TemplateVersionInput) -> rules.NewVersion:
    return rules.NewVersion(
        texts=[
            rules.TemplateText(each.locale, each.subject, each.html, each.text)
            for each in input.texts
        ],
        variables=[
            rules.Variable(each.name, each.default, each.is_required) for each in input.variables
        ],
        layout=input.layout,
        sender=input.sender,
    )


def _values(given: Any) -> Any:
    return {} if given is None else given


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Make a template with its first version; with a project's key, for that "
        "project. Needs `templates:write`."
    )
    async def create_template(
        self,
        info: Info,
        input: Annotated[CreateTemplateInput, strawberry.argument(description="The template.")],
    ) -> TemplatePayload:
        project = input.project_id
        new = NewTemplate(
            slug=input.slug,
            name=input.name,
            project_id=ProjectId(parse_id(project, "Project")) if project is not None else None,
            syntax=input.syntax,
            version=_version(input.version),
            publish=input.publish,
        )
        row = await operations.create_template(actor_of(info), new)
        return TemplatePayload(template=template_type(row))

    @strawberry.mutation(description="Give a template another version. Needs `templates:write`.")
    async def save_template(
        self,
        info: Info,
        input: Annotated[SaveTemplateInput, strawberry.argument(description="The version.")],
    ) -> TemplatePayload:
        row = await operations.save_template(
            actor_of(info),
            read_ref(input.template),
            _version(input.version),
            publish=input.publish,
        )
        return TemplatePayload(template=template_type(row))

    @strawberry.mutation(
        description="Let a version of a template count from now on, newer or older. Needs "
        "`templates:write`."
    )
    async def publish_template(
        self,
        info: Info,
        input: Annotated[PublishTemplateInput, strawberry.argument(description="Which.")],
    ) -> TemplatePayload:
        row = await operations.publish_template(
            actor_of(info), read_ref(input.template), number=input.number
        )
        return TemplatePayload(template=template_type(row))

    @strawberry.mutation(description="Give a template another name. Needs `templates:write`.")
    async def rename_template(
        self,
        info: Info,
        input: Annotated[RenameTemplateInput, strawberry.argument(description="The name.")],
    ) -> TemplatePayload:
        row = await operations.rename_template(
            actor_of(info), read_ref(input.template), name=input.name
        )
        return TemplatePayload(template=template_type(row))

    @strawberry.mutation(
        description="Delete a template with its versions, unless others are put into it. Needs "
        "`templates:write`."
    )
    async def delete_template(
        self,
        info: Info,
        input: Annotated[DeleteTemplateInput, strawberry.argument(description="Which.")],
    ) -> DeleteTemplatePayload:
        await operations.delete_template(actor_of(info), read_ref(input.template))
        return DeleteTemplatePayload(deleted=True)

    @strawberry.mutation(
        description="Try what a template makes of values; nothing is stored or sent. Needs "
        "`templates:read`."
    )
    async def preview_template(
        self,
        info: Info,
        input: Annotated[PreviewTemplateInput, strawberry.argument(description="What to try.")],
    ) -> PreviewTemplatePayload:
        trial = Trial(
            template=read_ref(input.template) if input.template is not None else None,
            number=input.number,
            draft=_version(input.draft) if input.draft is not None else None,
            syntax=input.syntax,
            locale=input.locale,
            values=_values(input.variables),
        )
        found = await operations.preview_template(actor_of(info), trial)
        return PreviewTemplatePayload(
            subject=found.rendered.subject,
            html=found.rendered.html,
            text=found.rendered.text,
            sender=found.sender,
            missing=list(found.missing),
        )
