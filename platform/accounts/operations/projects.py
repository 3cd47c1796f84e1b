"""Making, changing and archiving projects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Mode, Permission, ProjectId
from ...core.database import Tx, fetch, transaction
from ...core.errors import ErrorCode, NotFound, NotPermitted
from ...core.ids import new_id
from ..errors import DefaultProjectStays, ProjectArchived, ProjectExists
from ..rules import (
    DEFAULT_PROJECT,
    checked_domains,
    checked_name,
    checked_rate,
    checked_slug,
    slug_from,
)
from ..tables import Project


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


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """What to change of a project; None leaves a field as it is."""

    name: str | None = None
    mode: Mode | None = None
    allowed_domains: Sequence[str] | None = None
    """Empty is any."""
    rate_limit_per_minute: int | None = None
    lifts_rate_limit: bool = False
    """Takes the limit away."""

    @property
    def is_of_settings(self) -> bool:
        """Whether it changes more than the name."""
        return replace(self, name=None) != ProjectChange()


async def update_project(actor: Actor, project_id: ProjectId, change: ProjectChange) -> None:
    """Change a project's name and what its keys may do, from their next request on.

    Its slug stays, because clients hold it.

    Raises:
        NotFound: there is none, or the actor's key is bound to another.
        NotPermitted: a key that has limits of its own changes those of no others.
        InvalidInput: a value cannot be one.
        ProjectArchived: it is archived.
    """
    actor.require(Permission.WRITE_PROJECTS)
    if change.is_of_settings and (actor.mode is Mode.SANDBOX or actor.allowed_domains):
        raise NotPermitted(
            "This API key has limits of its own and does not change those of others.",
            code=ErrorCode.INSUFFICIENT_SCOPE,
        )
    wanted = _checked(change)
    async with transaction() as tx:
        row = await locked_project(tx, actor, project_id)
        if row.archived_at is not None:
            raise ProjectArchived
        changes = {
            field: {"from": getattr(row, field), "to": value}
            for field, value in wanted.items()
            if getattr(row, field) != value
        }
        if not changes:
            return
        for field, pair in changes.items():
            setattr(row, field, pair["to"])
        row.updated_at = clock.now()
        await row.save()
        await audit.record(
            tx,
            actor,
            action="project.updated",
            target_type="project",
            target_id=project_id,
            changes=changes,
        )


async def archive_project(actor: Actor, project_id: ProjectId, *, archived: bool) -> None:
    """Take a project out of use, or back into it: while it is archived its keys are refused.

    Its messages stay readable. Archiving what is archived changes nothing.

    Raises:
        NotFound: there is none, or the actor's key is bound to another.
        DefaultProjectStays: it is the one named `default`.
    """
    actor.require(Permission.WRITE_PROJECTS)
    async with transaction() as tx:
        row = await locked_project(tx, actor, project_id)
        if row.slug == DEFAULT_PROJECT and archived:
            raise DefaultProjectStays
        if (row.archived_at is not None) is archived:
            return
        row.archived_at = clock.now() if archived else None
        row.updated_at = clock.now()
        await row.save()
        await audit.record(
            tx,
            actor,
            action="project.archived" if archived else "project.restored",
            target_type="project",
            target_id=project_id,
        )


def _checked(change: ProjectChange) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if change.name is not None:
        found["name"] = checked_name(change.name, field="name")
    if change.mode is not None:
        found["mode"] = change.mode.value
    if change.allowed_domains is not None:
        found["allowed_domains"] = checked_domains(change.allowed_domains, field="allowedDomains")
    if change.rate_limit_per_minute is not None:
        found["rate_limit_per_minute"] = checked_rate(
            change.rate_limit_per_minute, field="rateLimitPerMinute"
        )
    elif change.lifts_rate_limit:
        found["rate_limit_per_minute"] = None
    return found


async def locked_project(tx: Tx, actor: Actor, project_id: ProjectId) -> Project:
    """Return a project that nobody else changes until the transaction ends.

    Raises:
        NotFound: there is none, or the actor's key is bound to another.
    """
    row = (
        await Project.objects()
        .where(Project.id == project_id)
        .where(Project.organization_id == actor.organization_id)
        .lock_rows("NO KEY UPDATE")
        .first()
    )
    if row is None or actor.project_id not in (None, project_id):
        raise NotFound
    return row
