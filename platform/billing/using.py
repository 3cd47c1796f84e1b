"""What an organization has of the things that plans limit."""

from collections.abc import Mapping

from ..accounts.plans import PlanLimits
from ..accounts.work import get_tenant
from ..core.actor import OrganizationId
from ..domains.work import count_domains
from ..vmtas.work import count_vmtas


async def in_use(organization_id: OrganizationId) -> Mapping[str, int]:
    """Return how many domains, vMTAs and users an organization has."""
    return {
        "domains": await count_domains(organization_id),
        "vmtas": await count_vmtas(organization_id),
        "users": (await get_tenant(organization_id)).members,
    }


async def exceeded(
    organization_id: OrganizationId, limits: PlanLimits
) -> list[tuple[str, int, int]]:
    """Return what there is more of than *limits* allow: its name, how many, and the limit."""
    allowed = {"domains": limits.domains, "vmtas": limits.vmtas, "users": limits.users}
    return [
        (name, used, limit)
        for name, used in (await in_use(organization_id)).items()
        if (limit := allowed[name]) is not None and used > limit
    ]
