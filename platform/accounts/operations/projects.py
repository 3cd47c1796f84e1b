"""Making, changing and archiving projects."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from piccolo.columns import Column

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Mode, Permission, ProjectId
from ...core.database import Tx, fetch, transaction
from ...core.errors import ErrorCode, NotFound, NotPermitted
from ...core.ids import new_id, new_token
from ..errors import DefaultProjectStays, ProjectArchived, ProjectExists, ProjectUidTaken
from ..rules import (
    DEFAULT_PROJECT,
    checked_domains,
    checked_group,
    checked_name,
    checked_rate,
    checked_slug,
    checked_uid,
    slug_from,
)
from ..tables import Project


@dataclass(frozen=True, slots=True)
class NewProject:
    """What a project is to be; nothing is checked yet."""

    name: str
    slug: str | None = None
    """None is made of the uid, or else of the name."""
    mode: Mode = Mode.LIVE
    allowed_domains: Sequence[str] = ()
    """Empty is any."""
    uid: str | None = None
    group_name: str | None = None
    track_opens: bool | None = None
    track_clicks: bool | None = None
    stream: str | None = None


async def create_project(actor: Actor, new: NewProject) -> ProjectId:
    """Make a project and return it.

    Raises:
        NotPermitted: a key that is bound to a project makes no others.
        InvalidInput: a value cannot be one.
        ProjectExists: another project has the slug.
        ProjectUidTaken: another project has the uid.
    """
    async with transaction() as tx:
        return await add_project(tx, actor, new)


async def add_project(tx: Tx, actor: Actor, new: NewProject) -> ProjectId:
    """Do what `create_project` does, as a part of something larger."""
    actor.require(Permission.WRITE_PROJECTS)
    if actor.project_id is not None:
        raise NotPermitted("This API key is bound to one project and cannot make others.")
    name = checked_name(new.name, field="name")
    uid, group_name = checked_uid(new.uid), checked_group(new.group_name)
    await _check_uid(actor, uid)
    project_id = new_id()
    slug = await _insert(actor, project_id, new, name=name)
    settings = {
        "uid": uid,
        "group_name": group_name,
        "track_opens": new.track_opens,
        "track_clicks": new.track_clicks,
        "stream": new.stream,
    }
    given: dict[Column | str, Any] = {
        field: value for field, value in settings.items() if value is not None
    }
    if given:
        await Project.update(given).where(Project.id == project_id)
    await audit.record(
        tx,
        actor,
        action="project.created",
        target_type="project",
        target_id=project_id,
        changes={"name": name, "slug": slug, **{str(f): v for f, v in given.items()}},
    )
    return ProjectId(project_id)


async def _insert(actor: Actor, project_id: uuid.UUID, new: NewProject, *, name: str) -> str:
    """Insert the row and return its slug.

    Raises:
        ProjectExists: the slug that was asked for, or was made of the name, is taken.
    """
    now = clock.now()
    domains = checked_domains(new.allowed_domains, field="allowedDomains")
    chosen = slug_from(new.uid or name) if new.slug is None else checked_slug(new.slug)
    # Who has a uid does not see the slug: of two that look alike the second is told apart.
    others = (f"{chosen[:55]}-{new_token(6).lower()}",) if new.uid and new.slug is None else ()
    for slug in (chosen, *others):
        rows = await fetch(
            "INSERT INTO projects (id, organization_id, slug, name, mode, allowed_domains, "
            "created_at, updated_at) VALUES ({}, {}, {}, {}, {}, {}, {}, {}) "
            "ON CONFLICT (organization_id, slug) DO NOTHING RETURNING id",
            project_id,
            actor.organization_id,
            slug,
            name,
            new.mode.value,
            domains,
            now,
            now,
        )
        if rows:
            return str(slug)
    raise ProjectExists


async def _check_uid(actor: Actor, uid: str | None) -> None:
    """Do nothing if no other project has *uid*; nobody else takes it until the transaction ends."""
    if uid is None:
        return
    await fetch("SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", actor.organization_id)
    rows = await fetch(
        "SELECT FROM projects WHERE organization_id = {} AND uid = {}", actor.organization_id, uid
    )
    if rows:
        raise ProjectUidTaken


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
    uid: str | None = None
    group_name: str | None = None
    track_opens: bool | None = None
    track_clicks: bool | None = None
    stream: str | None = None

    @property
    def is_of_settings(self) -> bool:
        """Whether it changes more than what it is called."""
        return replace(self, name=None, uid=None, group_name=None) != ProjectChange()


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
        if change.uid is not None and change.uid != row.uid:
            await _check_uid(actor, change.uid)
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

    Its messages stay readable; its uid is free for another. Archiving what is archived changes
    nothing.

    Raises:
        NotFound: there is none, or the actor's key is bound to another.
        DefaultProjectStays: it is the one named `default`.
    """
    async with transaction() as tx:
        await put_away(tx, actor, project_id, archived=archived)


async def put_away(tx: Tx, actor: Actor, project_id: ProjectId, *, archived: bool) -> None:
    """Do what `archive_project` does, in an open transaction."""
    actor.require(Permission.WRITE_PROJECTS)
    row = await locked_project(tx, actor, project_id)
    if row.slug == DEFAULT_PROJECT and archived:
        raise DefaultProjectStays
    if (row.archived_at is not None) is archived:
        return
    row.archived_at = clock.now() if archived else None
    if archived:
        # Whoever knows projects by their uid may make another one now.
        row.uid = None
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
    if change.uid is not None:
        found["uid"] = checked_uid(change.uid)
    if change.group_name is not None:
        found["group_name"] = checked_group(change.group_name)
    for field in ("track_opens", "track_clicks", "stream"):
        if (value := getattr(change, field)) is not None:
            found[field] = value
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
