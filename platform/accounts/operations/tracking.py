"""What an organization and its projects decide about tracking."""

from collections.abc import Mapping

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Permission, ProjectId
from ...core.database import Tx, fetch, transaction
from ...core.errors import NotPermitted
from ..errors import ProjectArchived
from ..rules import TRACKING_FIELDS
from ..tables import Organization, Project
from .projects import locked_project


async def set_tracking(
    actor: Actor, changes: Mapping[str, bool | None], *, project_id: ProjectId | None = None
) -> None:
    """Decide about tracking for the organization, or for one project, from the next message on.

    *changes* are by the names of `TRACKING_FIELDS`; None takes a decision back.

    Raises:
        NotFound: there is no such project, or the actor's key is bound to another.
        NotPermitted: a key that is bound to a project does not decide for the organization.
        ProjectArchived: the project is archived.
    """
    actor.require(Permission.WRITE_PROJECTS)
    if project_id is None and actor.project_id is not None:
        raise NotPermitted("This API key is bound to one project and decides for no others.")
    async with transaction() as tx:
        row = await _locked(tx, actor, project_id)
        changed = {
            name: {"from": getattr(row, name), "to": changes[name]}
            for name in TRACKING_FIELDS
            if name in changes and getattr(row, name) != changes[name]
        }
        if not changed:
            return
        for name, pair in changed.items():
            setattr(row, name, pair["to"])
        row.updated_at = clock.now()
        await row.save()
        await audit.record(
            tx,
            actor,
            action="tracking.changed",
            target_type="organization" if project_id is None else "project",
            target_id=project_id or actor.organization_id,
            changes=changed,
        )


async def _locked(tx: Tx, actor: Actor, project_id: ProjectId | None) -> Organization | Project:
    if project_id is None:
        query = Organization.objects().where(Organization.id == actor.organization_id)
        found = await query.lock_rows("NO KEY UPDATE").first()
        assert found is not None  # the actor belongs to it
        return found
    project = await locked_project(tx, actor, project_id)
    if project.archived_at is not None:
        raise ProjectArchived
    return project


async def note_recipients_decide(tx: Tx, actor: Actor) -> None:
    """From now on what was decided for single recipients is looked up for each message."""
    await fetch(
        "UPDATE organizations SET tracks_by_recipient = true "
        "WHERE id = {} AND NOT tracks_by_recipient",
        actor.organization_id,
    )
