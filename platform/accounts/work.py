"""What the platform asks of accounts for itself."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..core import clock
from ..core.actor import OrganizationId, ProjectId, Role, UserId
from ..core.database import fetch
from ..core.retention import Kind, Term, days_for
from .rules import DEFAULT_PROJECT, Plan, TrackingSwitches, UserStatus

INVITATIONS_KEPT = timedelta(days=30)
"""After their end; until then they can be mailed again."""


@dataclass(frozen=True, slots=True)
class SendingAccount:
    """What accepting mail needs to know of an organization."""

    plan: str
    default_project_id: ProjectId
    tracking: TrackingSwitches = TrackingSwitches()
    project_tracking: Mapping[ProjectId, TrackingSwitches] = field(default_factory=dict)
    """Of the default project and of those that were asked for."""
    tracks_by_recipient: bool = False
    """For some recipients something else was decided."""
    streams: Mapping[ProjectId, str] = field(default_factory=dict)
    """Of mail that names none, by project."""


async def slugs_of_projects(project_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    """Return what each of the projects is called; one that is gone is left out."""
    if not project_ids:
        return {}
    rows = await fetch(
        "SELECT id, slug FROM projects WHERE id = ANY({}::uuid[])", list(project_ids)
    )
    return {row["id"]: row["slug"] for row in rows}


async def sending_accounts(
    organization_ids: Collection[OrganizationId],
    *,
    project_ids: Collection[ProjectId] = (),
) -> dict[OrganizationId, SendingAccount]:
    """Return what accepting mail needs of each organization; one statement for all.

    Of their projects it is the default one, and those of *project_ids*.
    """
    rows = await fetch(
        "SELECT o.id, o.plan, o.track_opens, o.track_clicks, o.track_text_links, "
        "o.tracks_by_recipient, p.id AS project_id, p.slug, p.track_opens AS project_opens, "
        "p.track_clicks AS project_clicks, p.track_text_links AS project_text_links, p.stream "
        "FROM organizations o "
        "JOIN projects p ON p.organization_id = o.id AND (p.slug = {} OR p.id = ANY({}::uuid[])) "
        "WHERE o.id = ANY({}::uuid[])",
        DEFAULT_PROJECT,
        list(project_ids),
        list(organization_ids),
    )
    projects: dict[OrganizationId, dict[ProjectId, TrackingSwitches]] = {}
    streams: dict[OrganizationId, dict[ProjectId, str]] = {}
    for row in rows:
        streams.setdefault(row["id"], {})[row["project_id"]] = row["stream"]
        projects.setdefault(row["id"], {})[row["project_id"]] = TrackingSwitches(
            row["project_opens"], row["project_clicks"], row["project_text_links"]
        )
    return {
        OrganizationId(row["id"]): SendingAccount(
            row["plan"],
            ProjectId(row["project_id"]),
            TrackingSwitches(row["track_opens"], row["track_clicks"], row["track_text_links"]),
            projects[row["id"]],
            row["tracks_by_recipient"],
            streams[row["id"]],
        )
        for row in rows
        if row["slug"] == DEFAULT_PROJECT
    }


async def aggregates(project_ids: Collection[ProjectId]) -> frozenset[ProjectId]:
    """Return those of the projects of whose recipients nothing is kept singly."""
    rows = await fetch(
        "SELECT p.id FROM projects p JOIN organizations o ON o.id = p.organization_id "
        "WHERE p.id = ANY({}::uuid[]) AND (p.tracking_aggregate OR o.tracking_aggregate)",
        list(project_ids),
    )
    return frozenset(ProjectId(row["id"]) for row in rows)


@dataclass(frozen=True, slots=True)
class Contacts:
    """Whom of an organization to tell."""

    name: str
    """Of the organization."""
    plan: str
    addresses: Sequence[str]


LOOK_AFTER_BILLS = (Role.OWNER, Role.BILLING)
LOOK_AFTER_SENDING = (Role.OWNER, Role.ADMIN)


async def contacts_of(
    organization_ids: Collection[OrganizationId], *, roles: Sequence[Role] = LOOK_AFTER_BILLS
) -> dict[OrganizationId, Contacts]:
    """Return whom to tell, those with one of *roles*, for each organization; one statement."""
    rows = await fetch(
        "SELECT o.id, o.name, o.plan, coalesce(array_agg(u.email ORDER BY u.email) "
        "FILTER (WHERE u.id IS NOT NULL), ARRAY[]::text[]) AS addresses FROM organizations o "
        "LEFT JOIN memberships m ON m.organization_id = o.id AND m.role = ANY({}::text[]) "
        "LEFT JOIN users u ON u.id = m.user_id AND u.status = {} "
        "WHERE o.id = ANY({}::uuid[]) GROUP BY o.id",
        [role.value for role in roles],
        UserStatus.ACTIVE.value,
        list(organization_ids),
    )
    return {
        OrganizationId(row["id"]): Contacts(row["name"], row["plan"], row["addresses"])
        for row in rows
    }


async def find_organization(
    *, id: uuid.UUID | None = None, slug: str | None = None
) -> OrganizationId | None:
    """Return the organization of any tenant with this id or this slug."""
    rows = await fetch(
        "SELECT id FROM organizations WHERE id = {}::uuid OR slug = {}::text", id, slug
    )
    return OrganizationId(rows[0]["id"]) if rows else None


async def remove_old_invitations() -> None:
    """Forget invitations a month after their end; the audit log says who joined by one."""
    await fetch("DELETE FROM invitations WHERE expires_at < {}", clock.now() - INVITATIONS_KEPT)


@dataclass(frozen=True, slots=True)
class Tenant:
    """What billing needs to know of an organization."""

    name: str
    plan: str
    members: int
    created_at: datetime


async def get_tenant(organization_id: OrganizationId) -> Tenant:
    """Return an organization that is known to exist."""
    (row,) = await fetch(
        "SELECT o.name, o.plan, o.created_at, "
        "(SELECT count(*) FROM memberships m WHERE m.organization_id = o.id) AS members "
        "FROM organizations o WHERE o.id = {}",
        organization_id,
    )
    return Tenant(row["name"], row["plan"], row["members"], row["created_at"])


async def own_projects(
    organization_id: OrganizationId, ids: Collection[uuid.UUID]
) -> frozenset[ProjectId]:
    """Return those of the projects that are the organization's."""
    rows = await fetch(
        "SELECT id FROM projects WHERE organization_id = {} AND id = ANY({}::uuid[])",
        organization_id,
        list(ids),
    )
    return frozenset(ProjectId(row["id"]) for row in rows)


async def terms_of(kind: Kind) -> list[Term]:
    """Return how long something is kept: of everybody, and of whom for less long."""
    usual = days_for(kind)
    terms = [Term(usual)]
    for plan in Plan:
        days = days_for(kind, plan.value)
        if days < usual:
            rows = await fetch("SELECT id FROM organizations WHERE plan = {} ORDER BY id", plan)
            terms.append(Term(days, [row["id"] for row in rows]))
    return terms


async def first_owner(organization_id: OrganizationId) -> UserId | None:
    """Return who has owned an organization for longest, or None if nobody does, or it is gone."""
    rows = await fetch(
        "SELECT user_id FROM memberships WHERE organization_id = {} AND role = {} "
        "ORDER BY id LIMIT 1",
        organization_id,
        Role.OWNER.value,
    )
    return UserId(rows[0]["user_id"]) if rows else None


async def is_member(organization_id: OrganizationId, user_id: UserId) -> bool:
    """Say whether a person belongs to an organization."""
    rows = await fetch(
        "SELECT FROM memberships WHERE organization_id = {} AND user_id = {}",
        organization_id,
        user_id,
    )
    return bool(rows)
