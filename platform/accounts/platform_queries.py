"""Reading every organization, for whoever looks after the deployment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from piccolo.columns.combination import WhereRaw

from ..core.actor import Actor, require_platform_admin
from ..core.database import fetch
from ..core.errors import NotFound
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..core.tenants import across_organizations
from .rules import OrganizationStatus
from .tables import Organization


@dataclass(frozen=True, slots=True)
class OrganizationFilter:
    """Which organizations are asked for; None is any."""

    search: str | None = None
    """Part of the name or of the slug, in any case."""
    status: OrganizationStatus | None = None


@across_organizations
async def list_organizations(
    actor: Actor, request: PageRequest, wanted: OrganizationFilter
) -> Page[Organization]:
    """Return a page of all organizations, the newest first.

    Raises:
        NotPermitted: the actor does not look after the deployment.
    """
    require_platform_admin(actor)
    query = Organization.objects()
    if wanted.status is not None:
        query = query.where(Organization.status == wanted.status.value)
    if wanted.search:
        query = query.where(
            WhereRaw(
                "(strpos(lower(organizations.name), {}) > 0 OR strpos(organizations.slug, {}) > 0)",
                wanted.search.lower(),
                wanted.search.lower(),
            )
        )
    return await fetch_page(query, request, by_id(), scope=repr(wanted))


@across_organizations
async def get_organization(actor: Actor, slug: str) -> Organization:
    """Return the organization with *slug*.

    Raises:
        NotPermitted: the actor does not look after the deployment.
        NotFound: there is none.
    """
    require_platform_admin(actor)
    found = await Organization.objects().where(Organization.slug == slug).first()
    if found is None:
        raise NotFound("There is no such organization.")
    return found


@across_organizations
async def count_members(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return how many people belong to each of some organizations.

    Raises:
        NotPermitted: the actor does not look after the deployment.
    """
    require_platform_admin(actor)
    rows = await fetch(
        "SELECT organization_id, count(*) AS members FROM memberships "
        "WHERE organization_id = ANY({}::uuid[]) GROUP BY 1",
        list(ids),
    )
    return {row["organization_id"]: row["members"] for row in rows}
