"""What the platform asks of accounts for itself."""

from collections.abc import Collection
from dataclasses import dataclass

from ..core.actor import OrganizationId, ProjectId
from ..core.database import fetch
from .rules import DEFAULT_PROJECT


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
