"""Making and renaming projects."""

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Permission, ProjectId
from ...core.database import fetch, transaction
from ...core.errors import NotFound, NotPermitted
from ...core.ids import new_id
from ..errors import ProjectExists
from ..rules import checked_name, checked_slug, slug_from


async def create_project(actor: Actor, *, name: str, slug: str | None = None) -> ProjectId:
    """Make a project and return it; without *slug*, one is made of the name.

    Raises:
        NotPermitted: a key that is bound to a project makes no others.
        InvalidInput: name or slug cannot be one.
        ProjectExists: another project has the slug.
    """
    actor.require(Permission.WRITE_PROJECTS)
    if actor.project_id is not None:
        raise NotPermitted("This API key is bound to one project and cannot make others.")
    wanted = checked_name(name, field="name")
    chosen = slug_from(wanted) if slug is None else checked_slug(slug)
    now = clock.now()
    async with transaction() as tx:
        rows = await fetch(
            "INSERT INTO projects (id, organization_id, slug, name, created_at, updated_at) "
            "VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT (organization_id, slug) DO NOTHING "
            "RETURNING id",
            new_id(),
            actor.organization_id,
            chosen,
            wanted,
            now,
            now,
        )
        if not rows:
            raise ProjectExists
        project_id = ProjectId(rows[0]["id"])
        await audit.record(
            tx,
            actor,
            action="project.created",
            target_type="project",
            target_id=project_id,
            changes={"name": wanted, "slug": chosen},
        )
    return project_id


async def rename_project(actor: Actor, project_id: ProjectId, *, name: str) -> None:
    """Change a project's name; its slug stays, because clients hold it.

    Raises:
        NotFound: there is none, or the actor's key is bound to another.
        InvalidInput: the name cannot be one.
    """
    actor.require(Permission.WRITE_PROJECTS)
    wanted = checked_name(name, field="name")
    if actor.project_id not in (None, project_id):
        raise NotFound
    async with transaction() as tx:
        rows = await fetch(
            "UPDATE projects SET name = {}, updated_at = {} "
            "WHERE id = {} AND organization_id = {} RETURNING id",
            wanted,
            clock.now(),
            project_id,
            actor.organization_id,
        )
        if not rows:
            raise NotFound
        await audit.record(
            tx,
            actor,
            action="project.renamed",
            target_type="project",
            target_id=project_id,
            changes={"name": wanted},
        )
