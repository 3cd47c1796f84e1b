"""Reading templates."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from piccolo.columns.combination import WhereRaw
from piccolo.query import Objects

from ..core.actor import Actor, Permission, ProjectId
from ..core.database import fetch
from ..core.errors import DetailCode, InvalidInput, NotFound
from ..core.ids import parse_id
from ..core.paging import Order, Page, PageRequest, by_id, fetch_page
from ..mail.templating import Layer, Syntax
from .rules import MAX_LAYERS, choose_text, defaults_of, missing
from .tables import Template, TemplateVersion

NEWEST_FIRST = by_id()
BY_NUMBER = Order("number", "number", lambda version: version.number, descending=True)


@dataclass(frozen=True, slots=True)
class TemplateRef:
    """Names a template by its id or its slug."""

    id: uuid.UUID | None = None
    slug: str | None = None


@dataclass(frozen=True, slots=True)
class Filling:
    """What a message is filled from: a template and the layouts around it, in one language."""

    slug: str
    layers: tuple[Layer, ...]
    """The template first."""
    variables: tuple[tuple[Syntax, Sequence[Mapping[str, Any]]], ...]
    """Of each layer."""
    locale: str | None
    sender: str | None

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what each name stands for where a message gives *given*."""
        found: dict[str, Any] = {"locale": self.locale or ""}
        for _, variables in reversed(self.variables):
            found |= defaults_of(variables)
        return found | dict(given)

    def missing(self, given: Mapping[str, Any]) -> list[str]:
        """Return the names that a message has to give and does not."""
        return [
            name
            for syntax, variables in self.variables
            for name in missing(variables, given, syntax)
        ]


async def list_templates(actor: Actor, *, page: PageRequest) -> Page[Template]:
    """Return templates, the newest first.

    An actor of one project sees those of the project and those of all projects.
    """
    actor.require(Permission.READ_TEMPLATES)
    return await fetch_page(_visible(actor), page, NEWEST_FIRST, scope="templates")


async def find_templates(actor: Actor, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Template]:
    """Return those of the templates that the actor may see."""
    actor.require(Permission.READ_TEMPLATES)
    rows = await _visible(actor).where(Template.id.is_in(list(ids)))
    return {row.id: row for row in rows}


async def get_template(actor: Actor, ref: TemplateRef) -> Template:
    """Return one template; of several with one slug the project's own, then that of all.

    Raises:
        NotFound: there is none, or it is not the actor's.
    """
    actor.require(Permission.READ_TEMPLATES)
    return await named(actor, ref)


async def named(actor: Actor, ref: TemplateRef) -> Template:
    """Return the template that *ref* names, whatever the actor may do with it.

    Raises:
        NotFound: there is none, or it is not the actor's.
    """
    query = _visible(actor)
    if ref.id is not None:
        query = query.where(Template.id == ref.id)
    else:
        query = query.where(Template.slug == (ref.slug or ""))
    rows = await query.order_by(Template.id)
    if not rows:
        raise NotFound("There is no such template in this organization.")
    return min(rows, key=lambda row: (row.project_id != actor.project_id, bool(row.project_id)))


async def list_versions(
    actor: Actor, template_id: uuid.UUID, *, page: PageRequest
) -> Page[TemplateVersion]:
    """Return the versions of a template, the newest first."""
    await get_template(actor, TemplateRef(id=template_id))
    query = TemplateVersion.objects().where(TemplateVersion.template_id == template_id)
    return await fetch_page(query, page, BY_NUMBER, scope=str(template_id))


async def find_versions(
    actor: Actor, ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, TemplateVersion]:
    """Return those of the versions whose templates the actor may see."""
    actor.require(Permission.READ_TEMPLATES)
    rows = await TemplateVersion.objects().where(
        TemplateVersion.id.is_in(list(ids)),
        WhereRaw(f"template_id IN (SELECT id FROM templates WHERE {_VISIBLE})", *_asked(actor)),
    )
    return {row.id: row for row in rows}


Numbered = tuple[uuid.UUID, int]
"""A template and the number of one of its versions."""


async def find_numbered(
    actor: Actor, wanted: Sequence[Numbered]
) -> dict[Numbered, TemplateVersion]:
    """Return versions by template and number, as far as the actor may see them."""
    actor.require(Permission.READ_TEMPLATES)
    rows = await TemplateVersion.objects().where(
        WhereRaw(
            "(template_id, number) IN (SELECT * FROM unnest({}::uuid[], {}::int[]))",
            [template for template, _ in wanted],
            [number for _, number in wanted],
        ),
        WhereRaw(f"template_id IN (SELECT id FROM templates WHERE {_VISIBLE})", *_asked(actor)),
    )
    return {(row.template_id, row.number): row for row in rows}


_VISIBLE = "organization_id = {} AND ({}::uuid IS NULL OR project_id IS NULL OR project_id = {})"


def _asked(actor: Actor) -> tuple[Any, ...]:
    return actor.organization_id, actor.project_id, actor.project_id


def _visible(actor: Actor) -> "Objects[Template]":
    return Template.objects().where(WhereRaw(_VISIBLE, *_asked(actor)))


# A chain ends where there is no layout, where one is not published, or one beyond the longest.
_CHAIN = """
    WITH RECURSIVE chain AS (
        SELECT template.id, template.slug, template.syntax, version.layout_id, version.sender,
            version.texts, version.variables, 1 AS depth
        FROM templates AS template JOIN template_versions AS version
            ON version.template_id = template.id AND version.number = {}
        WHERE template.id = {}
        UNION ALL
        SELECT template.id, template.slug, template.syntax, version.layout_id, version.sender,
            version.texts, version.variables, depth + 1
        FROM chain
        JOIN templates AS template ON template.id = chain.layout_id
        JOIN template_versions AS version
            ON version.template_id = template.id AND version.number = template.published
        WHERE depth <= {}
    )
    SELECT * FROM chain ORDER BY depth
"""
_FOR_SENDING = """
    SELECT id, published FROM templates
    WHERE organization_id = {} AND (id = {} OR slug = {}) AND (project_id IS NULL OR project_id =
        coalesce({}::uuid, (SELECT id FROM projects
            WHERE organization_id = {} AND slug = 'default')))
    ORDER BY id <> {}, project_id IS NULL LIMIT 1
"""
_NOBODY = uuid.UUID(int=0)


async def filling_for(actor: Actor, *, template: str, locale: str | None, field: str) -> Filling:
    """Return what a message of the actor's is filled from, by the slug or UUID of a template.

    Raises:
        InvalidInput: there is none for the project, it is not published, or its layouts are
            not, or are too many.
    """
    id = parse_id(template) or _NOBODY
    rows = await fetch(
        _FOR_SENDING,
        *(actor.organization_id, id, template, actor.project_id, actor.organization_id, id),
    )
    if not rows or rows[0]["published"] is None:
        message = f"There is no published template '{template[:80]}'."
        raise InvalidInput.of(field, DetailCode.NOT_FOUND, message)
    return await filling_of(rows[0]["id"], rows[0]["published"], locale=locale, field=field)


async def filling_of(
    template_id: uuid.UUID, number: int, *, locale: str | None, field: str
) -> Filling:
    """Return what one version of a template fills, with the layouts that are published.

    Raises:
        InvalidInput: a layout is not published, or there are too many.
    """
    chain = await fetch(_CHAIN, number, template_id, MAX_LAYERS)
    check_chain(len(chain), is_whole=bool(chain) and chain[-1]["layout_id"] is None, field=field)
    return filling([Link(**row) for row in chain], locale)


def check_chain(length: int, *, is_whole: bool, field: str) -> None:
    """Do nothing if a template has all its layouts, and not too many.

    Raises:
        InvalidInput: it lacks one, or there is no end of them.
    """
    if length > MAX_LAYERS:
        message = "There are more than 4 layouts around it, or they are put into each other."
        raise InvalidInput.of(field, DetailCode.TOO_MANY, message)
    if not is_whole:
        message = "A layout that it is put into is not published."
        raise InvalidInput.of(field, DetailCode.NOT_FOUND, message)


@dataclass(frozen=True, slots=True)
class Link:
    """A template among those around it."""

    id: uuid.UUID
    slug: str
    syntax: str
    layout_id: uuid.UUID | None
    sender: str | None
    texts: str
    variables: str
    depth: int


def filling(chain: Sequence[Link], locale: str | None) -> Filling:
    """Return what a chain of templates fills in one language."""
    layers, variables = [], []
    for each in chain:
        text = choose_text(json.loads(each.texts), locale)
        syntax = Syntax(each.syntax)
        layers.append(Layer(syntax, text["subject"], text["html"], text["text"]))
        variables.append((syntax, json.loads(each.variables)))
    sender = next((each.sender for each in chain if each.sender is not None), None)
    return Filling(chain[0].slug, tuple(layers), tuple(variables), locale, sender)


async def chain_above(
    layout_id: uuid.UUID, *, organization_id: uuid.UUID, project_id: ProjectId | None
) -> list[Link]:
    """Return a layout, as it is published, and what is around it; nothing if it is not there."""
    rows = await fetch(
        "SELECT id, published FROM templates WHERE id = {} AND organization_id = {} "
        "AND (project_id IS NULL OR project_id = {}) AND published IS NOT NULL",
        layout_id,
        organization_id,
        project_id,
    )
    if not rows:
        return []
    chain = await fetch(_CHAIN, rows[0]["published"], layout_id, MAX_LAYERS)
    return [Link(**row) for row in chain]
