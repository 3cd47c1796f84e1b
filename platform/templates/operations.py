"""Making, changing, publishing, trying and deleting templates."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..accounts.queries import get_project
from ..accounts.rules import checked_name
from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, Permission, ProjectId
from ..core.database import Tx, fetch, transaction
from ..core.errors import DetailCode, InvalidInput, NotFound
from ..core.ids import parse_id
from ..mail.renderers import RENDERERS
from ..mail.templating import Layer, Rendered, Syntax, Unrenderable, takes_content
from .errors import SourceInvalid, TemplateExists, TemplateInUse, TooManyTemplates, TooManyVersions
from .queries import (
    Filling,
    Link,
    TemplateRef,
    chain_above,
    check_chain,
    filling,
    filling_of,
    get_template,
    named,
)
from .rules import (
    MAX_TEMPLATES,
    MAX_VERSIONS,
    Checked,
    NewVersion,
    check_slug,
    check_values,
    check_version,
)
from .tables import Template, TemplateVersion


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """What a template is to be; nothing is checked yet."""

    slug: str
    version: NewVersion
    name: str | None = None
    """None is the slug."""
    project_id: ProjectId | None = None
    syntax: Syntax = Syntax.JINJA
    publish: bool = True


@dataclass(frozen=True, slots=True)
class Trial:
    """What to try: a version of a template, or one that is not stored."""

    template: TemplateRef | None = None
    number: int | None = None
    """None is the version that is published, or else the newest."""
    draft: NewVersion | None = None
    syntax: Syntax | None = None
    """Of the draft; None is that of the template."""
    locale: str | None = None
    values: object = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a template would make of some values."""

    rendered: Rendered
    sender: str | None
    missing: Sequence[str]
    """Names that a message would have to give."""


async def create_template(actor: Actor, new: NewTemplate) -> Template:
    """Make a template with its first version.

    An actor of one project makes it for that project.

    Raises:
        InvalidInput: every field that breaks a rule, or a source that cannot be read, or that
            goes beyond a limit with its defaults.
        TemplateExists: there is one with the slug.
        TooManyTemplates: the organization has 2,000.
        NotFound: the project is absent or somebody else's.
    """
    actor.require(Permission.WRITE_TEMPLATES)
    slug = check_slug(new.slug)
    name = checked_name(new.name, field="name") if new.name is not None else slug
    project_id = actor.project_id
    if new.project_id is not None:
        project_id = ProjectId((await get_project(actor, new.project_id)).id)
    draft = await _draft(actor, new.version, new.syntax, project_id)
    if new.publish:
        await _try(actor, draft)
    row = Template(
        organization_id=actor.organization_id,
        project_id=project_id,
        slug=slug,
        name=name,
        syntax=new.syntax.value,
        latest=1,
        published=1 if new.publish else None,
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    async with transaction() as tx:
        await _make_room(tx, actor)
        rows = await fetch(
            "SELECT FROM templates WHERE organization_id = {} AND slug = {} "
            "AND project_id IS NOT DISTINCT FROM {}::uuid",
            actor.organization_id,
            slug,
            project_id,
        )
        if rows:
            raise TemplateExists
        await Template.insert(row)
        await TemplateVersion.insert(_version(actor, row.id, 1, draft))
        await _record(tx, actor, row.id, "template.created", slug=slug, published=row.published)
    return row


async def save_template(
    actor: Actor, ref: TemplateRef, new: NewVersion, *, publish: bool = False
) -> Template:
    """Give a template another version, which counts from now on with *publish*.

    Raises:
        NotFound: there is no such template.
        InvalidInput: as for `create_template`.
        TooManyVersions: it has 1,000.
    """
    actor.require(Permission.WRITE_TEMPLATES)
    found = await named(actor, ref)
    _check_own(actor, found)
    draft = await _draft(actor, new, Syntax(found.syntax), _project_of(found), own_id=found.id)
    if publish:
        await _try(actor, draft)
    async with transaction() as tx:
        row = await _lock(tx, actor, found.id)
        if row.latest >= MAX_VERSIONS:
            raise TooManyVersions
        row.latest += 1
        row.published = row.latest if publish else row.published
        row.updated_at = clock.now()
        await TemplateVersion.insert(_version(actor, row.id, row.latest, draft))
        await row.save()
        await _record(
            tx, actor, row.id, "template.saved", version=row.latest, published=row.published
        )
    return row


async def publish_template(actor: Actor, ref: TemplateRef, *, number: int) -> Template:
    """Let a version of a template count from now on, be it newer or older than the one before.

    Raises:
        NotFound: there is no such template or version.
        InvalidInput: a layout is not published, or it goes beyond a limit with its defaults.
    """
    actor.require(Permission.WRITE_TEMPLATES)
    found = await named(actor, ref)
    _check_own(actor, found)
    if not 1 <= number <= found.latest:
        raise NotFound("The template has no such version.")
    version = await _numbered(found.id, number)
    for locale in json.loads(version.texts):
        await _try(actor, await filling_of(found.id, number, locale=locale, field="number"))
    async with transaction() as tx:
        row = await _lock(tx, actor, found.id)
        before, row.published = row.published, number
        row.updated_at = clock.now()
        await row.save()
        await _record(
            tx, actor, row.id, "template.published", version={"from": before, "to": number}
        )
    return row


async def rename_template(actor: Actor, ref: TemplateRef, *, name: str) -> Template:
    """Give a template another name; its slug stays, because clients hold it.

    Raises:
        NotFound: there is no such template.
        InvalidInput: the name cannot be one.
    """
    actor.require(Permission.WRITE_TEMPLATES)
    wanted = checked_name(name, field="name")
    found = await named(actor, ref)
    _check_own(actor, found)
    async with transaction() as tx:
        row = await _lock(tx, actor, found.id)
        before, row.name = row.name, wanted
        row.updated_at = clock.now()
        await row.save()
        await _record(tx, actor, row.id, "template.renamed", name={"from": before, "to": wanted})
    return row


async def delete_template(actor: Actor, ref: TemplateRef) -> None:
    """Remove a template with all its versions; mail that was filled from it stays.

    Raises:
        NotFound: there is no such template.
        TemplateInUse: a published template is put into it.
    """
    actor.require(Permission.WRITE_TEMPLATES)
    found = await named(actor, ref)
    _check_own(actor, found)
    async with transaction() as tx:
        row = await _lock(tx, actor, found.id)
        users = await fetch(
            "SELECT slug FROM templates AS template JOIN template_versions AS version "
            "ON version.template_id = template.id AND version.number = template.published "
            "WHERE template.organization_id = {} AND version.layout_id = {} LIMIT 1",
            actor.organization_id,
            row.id,
        )
        if users:
            raise TemplateInUse(users[0]["slug"])
        await row.remove()
        await _record(tx, actor, found.id, "template.deleted", slug=found.slug)


async def preview_template(actor: Actor, trial: Trial) -> Preview:
    """Return what a template would make of some values; nothing is stored.

    Raises:
        NotFound: there is no such template or version.
        InvalidInput: a draft breaks a rule, or nothing comes of it.
    """
    actor.require(Permission.READ_TEMPLATES)
    given = check_values(trial.values, "variables")
    row = await get_template(actor, trial.template) if trial.template is not None else None
    if trial.draft is not None:
        syntax = trial.syntax or (Syntax(row.syntax) if row else Syntax.JINJA)
        project_id = _project_of(row) if row else actor.project_id
        draft = await _draft(actor, trial.draft, syntax, project_id)
        found = filling(draft.chain, trial.locale)
    elif row is None:
        message = "Name a template, or write a draft."
        raise InvalidInput.of("template", DetailCode.REQUIRED, message)
    else:
        number = trial.number or row.published or row.latest
        await _numbered(row.id, number)
        found = await filling_of(row.id, number, locale=trial.locale, field="template")
    rendered = await render_one(actor, found, given, field="template")
    return Preview(rendered, found.sender, found.missing(given))


async def render_one(
    actor: Actor, found: Filling, given: Mapping[str, Any], *, field: str
) -> Rendered:
    """Return what a filling makes of some values, when it is the organization's turn.

    Raises:
        SourceInvalid: nothing comes of it.
    """
    values = [found.values(given)]
    [rendered] = await RENDERERS.render(found.layers, values, owner=actor.organization_id)
    if isinstance(rendered, Unrenderable):
        raise SourceInvalid(f"{field}.{rendered.part.value}", rendered.reason)
    return rendered


@dataclass(frozen=True, slots=True)
class _Draft:
    """A version that is not stored, and the layouts around it."""

    checked: Checked
    layout_id: uuid.UUID | None
    chain: tuple[Link, ...]


async def _draft(
    actor: Actor,
    new: NewVersion,
    syntax: Syntax,
    project_id: ProjectId | None,
    *,
    own_id: uuid.UUID | None = None,
) -> _Draft:
    checked = check_version(new)
    above = await _layouts(actor, new.layout, project_id) if new.layout is not None else []
    if own_id is not None and any(link.id == own_id for link in above):
        message = "The template would be put into itself."
        raise InvalidInput.of("version.layout", DetailCode.NOT_ALLOWED, message)
    for nth, text in enumerate(checked.texts.values()):
        layer = Layer(syntax, text["subject"], text["html"], text["text"])
        try:
            await RENDERERS.names(layer, owner=actor.organization_id)
        except Unrenderable as error:
            field = f"version.texts[{nth}].{error.part.value}"
            raise SourceInvalid(field, error.reason) from None
    layout_id = above[0].id if above else None
    own = Link(
        id=own_id or uuid.UUID(int=0),
        slug="",
        syntax=syntax.value,
        layout_id=layout_id,
        sender=checked.sender,
        texts=json.dumps(checked.texts),
        variables=json.dumps(list(checked.variables)),
        depth=0,
    )
    return _Draft(checked, layout_id, (own, *above))


async def _layouts(actor: Actor, layout: str, project_id: ProjectId | None) -> list[Link]:
    id = parse_id(layout)
    try:
        row = await named(actor, TemplateRef(id=id) if id else TemplateRef(slug=layout))
    except NotFound:
        above = []
    else:
        above = await chain_above(
            row.id, organization_id=actor.organization_id, project_id=project_id
        )
    if not above:
        message = "There is no such template that is published, for this project or all."
        raise InvalidInput.of("version.layout", DetailCode.NOT_FOUND, message)
    check_chain(len(above) + 1, is_whole=above[-1].layout_id is None, field="version.layout")
    texts = json.loads(above[0].texts).values()
    syntax = Syntax(above[0].syntax)
    if not any(takes_content(syntax, text[p] or "") for text in texts for p in ("html", "text")):
        message = "It has no place for what is put into it."
        raise InvalidInput.of("version.layout", DetailCode.NOT_ALLOWED, message)
    return above


async def _try(actor: Actor, draft: _Draft | Filling) -> None:
    """Do nothing if a version can be rendered within its limits where nobody gives anything.

    What is just wrong without values may be right with them.
    """
    fillings = [draft] if isinstance(draft, Filling) else []
    if isinstance(draft, _Draft):
        fillings = [filling(draft.chain, locale or None) for locale in draft.checked.texts]
    for each in fillings:
        values = [each.values({})]
        [rendered] = await RENDERERS.render(each.layers, values, owner=actor.organization_id)
        if isinstance(rendered, Unrenderable) and rendered.is_boundless:
            raise SourceInvalid(f"version.{rendered.part.value}", rendered.reason)


def _version(actor: Actor, template_id: uuid.UUID, number: int, draft: _Draft) -> TemplateVersion:
    return TemplateVersion(
        template_id=template_id,
        number=number,
        layout_id=draft.layout_id,
        sender=draft.checked.sender,
        texts=json.dumps(draft.checked.texts),
        variables=json.dumps(list(draft.checked.variables)),
        user_id=actor.user_id,
        created_at=clock.now(),
    )


async def _numbered(template_id: uuid.UUID, number: int) -> TemplateVersion:
    row = (
        await TemplateVersion.objects()
        .where(TemplateVersion.template_id == template_id, TemplateVersion.number == number)
        .first()
    )
    if row is None:
        raise NotFound("The template has no such version.")
    return row


def _check_own(actor: Actor, row: Template) -> None:
    """Do nothing unless the actor's key is bound to a project and the template is for all."""
    if actor.project_id is not None and row.project_id != actor.project_id:
        raise NotFound("There is no such template in this project.")


def _project_of(row: Template) -> ProjectId | None:
    return None if row.project_id is None else ProjectId(row.project_id)


async def _lock(tx: Tx, actor: Actor, template_id: uuid.UUID) -> Template:
    row = (
        await Template.objects()
        .where(Template.id == template_id, Template.organization_id == actor.organization_id)
        .lock_rows("NO KEY UPDATE")
        .first()
    )
    if row is None:
        raise NotFound
    return row


async def _make_room(tx: Tx, actor: Actor) -> None:
    # The organization's row, so that those who come at once are counted one by one.
    await fetch("SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", actor.organization_id)
    rows = await fetch(
        "SELECT count(*) AS n FROM templates WHERE organization_id = {}", actor.organization_id
    )
    if rows[0]["n"] >= MAX_TEMPLATES:
        raise TooManyTemplates


async def _record(
    tx: Tx, actor: Actor, template_id: uuid.UUID, action: str, **changes: Any
) -> None:
    await record(
        tx,
        actor,
        action=action,
        target_type="template",
        target_id=template_id,
        changes=changes,
    )
