"""What the platform asks of accounts for itself."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core import clock
from ..core.actor import OrganizationId, ProjectId, Role
from ..core.database import fetch
from .rules import DEFAULT_PROJECT, UserStatus

INVITATIONS_KEPT = timedelta(days=30)
"""After their end; until then they can be mailed again."""


@dataclass(frozen=True, slots=True)
class SendingAccount:
    """What accepting mail needs to know of an organization."""

    plan: str
    default_project_id: ProjectId


async def sending_accounts(
    organization_ids: Collection[OrganizationId],
) -> dict[OrganizationId, SendingAccount]:
    """Return the plan and the default project of each organization; one statement for all."""
    rows = await fetch(
        "SELECT o.id, o.plan, p.id AS project_id FROM organizations o "
        "JOIN projects p ON p.organization_id = o.id AND p.slug = {} "
        "WHERE o.id = ANY({}::uuid[])",
        DEFAULT_PROJECT,
        list(organization_ids),
    )
    return {
        OrganizationId(row["id"]): SendingAccount(row["plan"], ProjectId(row["project_id"]))
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class Contacts:
    """Whom to tell what concerns an organization's account."""

    name: str
    """Of the organization."""
    plan: str
    addresses: Sequence[str]
    """Of its owners, and of those who look after its bills."""


async def contacts_of(
    organization_ids: Collection[OrganizationId],
) -> dict[OrganizationId, Contacts]:
    """Return whom to tell, for each organization; one statement for all."""
    rows = await fetch(
        "SELECT o.id, o.name, o.plan, coalesce(array_agg(u.email ORDER BY u.email) "
        "FILTER (WHERE u.id IS NOT NULL), ARRAY[]::text[]) AS addresses FROM organizations o "
        "LEFT JOIN memberships m ON m.organization_id = o.id AND m.role = ANY({}::text[]) "
        "LEFT JOIN users u ON u.id = m.user_id AND u.status = {} "
        "WHERE o.id = ANY({}::uuid[]) GROUP BY o.id",
        [Role.OWNER.value, Role.BILLING.value],
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
